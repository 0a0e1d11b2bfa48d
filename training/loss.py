"""Cross entropy with label smoothing over a large vocabulary, in chunks, with its gradients computed on the way.

The logits of all learnt tokens would be several GB; here only one chunk of them exists at a time, in BF16. The gradient
of a cross entropy needs nothing but the logits, so it is taken while they are there, and backward only scales it.
"""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

# Tokens whose logits exist at once: 8,192 x 24,576 BF16 are 400 MB.
CHUNK: Final = 8192

ChunkLoss = Callable[[Tensor, Tensor, float, Tensor], tuple[Tensor, Tensor]]


def chunk_loss(logits: Tensor, target: Tensor, smoothing: float, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss of a chunk and the gradient by its logits, scaled.

    logits [tokens, vocabulary], target [tokens], -1 where a token does not count. As torch's cross_entropy: the target
    has 1 - smoothing, and smoothing is spread over the whole vocabulary.
    """
    wide = logits.float()
    counts = (target >= 0)[:, None]
    at_target = torch.arange(wide.shape[1], device=wide.device)[None, :] == target[:, None]
    log_sum = torch.logsumexp(wide, 1, keepdim=True)
    wanted = at_target * (1.0 - smoothing) + smoothing / wide.shape[1]
    loss = torch.where(counts, (log_sum - (wide * wanted).sum(1, keepdim=True)), 0.0).sum() * scale
    gradient = torch.where(counts, (torch.exp(wide - log_sum) - wanted) * scale, 0.0)
    return loss, gradient.to(logits.dtype)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        step: ChunkLoss,
    ) -> Tensor:
        narrow, narrow_weight = hidden.to(dtype), weight.to(dtype)
        by_hidden = torch.empty_like(narrow)
        by_weight = torch.zeros_like(weight, dtype=torch.float32)
        loss = torch.zeros((), device=hidden.device)
        scale = 1.0 / (target >= 0).sum().clamp(min=1).float()
        for begin in range(0, hidden.shape[0], CHUNK):
            part = narrow[begin : begin + CHUNK]
            wanted = target[begin : begin + CHUNK]
            size = part.shape[0]
            if size < CHUNK < hidden.shape[0]:  # one shape for the compiled step
                part = F.pad(part, (0, 0, 0, CHUNK - size))
                wanted = F.pad(wanted, (0, CHUNK - size), value=-1)
            part_loss, gradient = step(part @ narrow_weight.T, wanted, smoothing, scale)
            loss += part_loss
            by_hidden[begin : begin + size] = (gradient @ narrow_weight)[:size]
            by_weight += gradient.T @ part
        ctx.save_for_backward(by_hidden, by_weight)
        ctx.hidden_dtype = hidden.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        by_hidden, by_weight = ctx.saved_tensors
        outer = gradients[0]
        return (by_hidden.to(ctx.hidden_dtype) * outer), by_weight * outer, None, None, None, None


def cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    smoothing: float,
    dtype: torch.dtype,
    step: ChunkLoss = chunk_loss,
) -> Tensor:
    """Mean loss over the tokens with target >= 0.

    hidden [tokens, width], weight [vocabulary, width], target [tokens]. Products run in `dtype`; `step` may be a
    compiled `chunk_loss`.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden, weight, target, smoothing, dtype, step)  # type: ignore[no-untyped-call]
    return loss
