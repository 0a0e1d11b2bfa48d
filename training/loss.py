"""Cross entropy with label smoothing over a large vocabulary, in chunks, with its gradients computed on the way.

The logits of all learnt tokens would be several GB; here only one chunk of them exists at a time, in BF16. The gradient
of a cross entropy needs nothing but the logits, so it is taken while they are there, and backward only scales it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

# Tokens whose logits exist at once: 8,192 x 24,576 BF16 are 400 MB.
CHUNK: Final = 8192

# Called with `chunk_loss`'s arguments, the last two together or not at all.
ChunkLoss = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Teacher:
    """What another model says to the same tokens (Hinton et al. 2015), and how much of the wanted answer it is."""

    hidden: Tensor  # [tokens, width], of the tokens that the loss is of
    weight: Tensor  # [vocabulary, width]
    share: float


def chunk_loss(
    logits: Tensor,
    target: Tensor,
    smoothing: float,
    scale: Tensor,
    taught: Tensor | None = None,
    share: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Summed loss of a chunk and the gradient by its logits, scaled.

    logits [tokens, vocabulary], target [tokens], -1 where a token does not count. As torch's cross_entropy: the target
    has 1 - smoothing, and smoothing is spread over the whole vocabulary. Of that, `share` gives way to the
    probabilities of a teacher, whose logits are `taught`.
    """
    wide = logits.float()
    counts = (target >= 0)[:, None]
    at_target = torch.arange(wide.shape[1], device=wide.device)[None, :] == target[:, None]
    log_sum = torch.logsumexp(wide, 1, keepdim=True)
    wanted = at_target * (1.0 - smoothing) + smoothing / wide.shape[1]
    if taught is not None:
        wanted = (1.0 - share) * wanted + share * torch.softmax(taught.float(), 1)
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
        teacher: Teacher | None,
    ) -> Tensor:
        narrow, narrow_weight = hidden.to(dtype), weight.to(dtype)
        teaching = None if teacher is None else (teacher.hidden.to(dtype), teacher.weight.to(dtype).T)
        by_hidden = torch.empty_like(narrow)
        by_weight = torch.zeros_like(weight, dtype=torch.float32)
        loss = torch.zeros((), device=hidden.device)
        scale = 1.0 / (target >= 0).sum().clamp(min=1).float()
        for begin in range(0, hidden.shape[0], CHUNK):
            part = narrow[begin : begin + CHUNK]
            wanted = target[begin : begin + CHUNK]
            size = part.shape[0]
            missing = CHUNK - size if size < CHUNK < hidden.shape[0] else 0  # one shape for the compiled step
            if missing:
                part = F.pad(part, (0, 0, 0, missing))
                wanted = F.pad(wanted, (0, missing), value=-1)
            taught: tuple[Any, ...] = ()
            if teacher is not None and teaching is not None:
                known = F.pad(teaching[0][begin : begin + CHUNK], (0, 0, 0, missing))
                taught = (known @ teaching[1], teacher.share)
            part_loss, gradient = step(part @ narrow_weight.T, wanted, smoothing, scale, *taught)
            loss += part_loss
            by_hidden[begin : begin + size] = (gradient @ narrow_weight)[:size]
            by_weight += gradient.T @ part
        ctx.save_for_backward(by_hidden, by_weight)
        ctx.hidden_dtype = hidden.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None, None]:
        by_hidden, by_weight = ctx.saved_tensors
        outer = gradients[0]
        return (by_hidden.to(ctx.hidden_dtype) * outer), by_weight * outer, None, None, None, None, None


def cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    smoothing: float,
    dtype: torch.dtype,
    step: ChunkLoss = chunk_loss,
    teacher: Teacher | None = None,
) -> Tensor:
    """Mean loss over the tokens with target >= 0.

    hidden [tokens, width], weight [vocabulary, width], target [tokens]. Products run in `dtype`; `step` may be a
    compiled `chunk_loss`.
    """
    apply: Callable[..., Tensor] = _ChunkedCrossEntropy.apply
    loss: Tensor = apply(hidden, weight, target, smoothing, dtype, step, teacher)
    return loss
