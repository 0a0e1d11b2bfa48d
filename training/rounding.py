"""Training for the number formats that come after it: weights and activations rounded as a quantised model rounds them.

Gradients pass straight through the rounding (Bengio et al. 2013): a step computes loss and gradients with rounded
values and moves the exact ones. Layers are drawn step by step, so the exact weights stay as good as the rounded ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor

from training.model import HunyuanDense

# Ranges of a group that are tried; the one with the least squared error is taken, as `pagoda quantize` does.
_SHARES: Final = (1.0, 0.9, 0.8)


def round_int4(weight: Tensor, group: int) -> Tensor:
    """[out, in] -> the same, each `group` inputs on 16 steps of their own range, which holds 0."""
    groups = weight.view(weight.shape[0], -1, min(group, weight.shape[1]))
    low, high = groups.amin(-1, keepdim=True).clamp(max=0.0), groups.amax(-1, keepdim=True).clamp(min=0.0)
    best = groups
    least = torch.full_like(low, torch.inf)
    for share in _SHARES:
        scale = ((high - low) * share / 15.0).clamp(min=1e-12)
        zero = (-low * share / scale).round()
        rounded = (((groups / scale).round() + zero).clamp(0.0, 15.0) - zero) * scale
        error = (rounded - groups).square().sum(-1, keepdim=True)
        best = torch.where(error < least, rounded, best)
        least = torch.minimum(least, error)
    return best.view_as(weight)


def round_int8(weight: Tensor) -> Tensor:
    """[out, in] -> the same, each row on 255 steps between -max and max."""
    scale = (weight.abs().amax(-1, keepdim=True) / 127.0).clamp(min=1e-12)
    return (weight / scale).round() * scale


def round_fp8(weight: Tensor) -> Tensor:
    """[out, in] -> the same, each row in e4m3 with its largest value exact."""
    scale = (weight.abs().amax(-1, keepdim=True) / 448.0).clamp(min=1e-12)
    return (weight / scale).to(torch.float8_e4m3fn).to(weight.dtype) * scale


# What the layers of a step are rounded to, one or the other: the groups that `pagoda quantize` is used with.
INT4: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "int4-g32": partial(round_int4, group=32),
    "int4-g128": partial(round_int4, group=128),
}
FORMATS: Final[dict[str, Callable[[Tensor], Tensor]]] = {"int8": round_int8, "fp8": round_fp8, **INT4}


@dataclass(frozen=True)
class Draw:
    """What a step rounds: per layer, and last for the embedding, which is the head too."""

    format_name: str
    weights: Tensor  # [layers + 1], of bool
    activations: Tensor  # [layers + 1], 1 where inputs of matrices are rounded, else 0


def draw_rounding(layers: int, share: float, layer_share: float, step: int, fine_share: float = 0.5) -> Draw | None:
    """`share` of the steps round, the others get None. A step always draws the same.

    Of the layers in a step that rounds, `layer_share` round their weights, and as many what flows into them. Of those
    steps `fine_share` round to groups of 32, the others to groups of 128.
    """
    generator = torch.Generator().manual_seed(step)
    chances = torch.rand(2 * (layers + 1) + 2, generator=generator)
    if chances[-1] >= share:
        return None
    weights, activations = chances[:-2].view(2, layers + 1) < layer_share
    return Draw("int4-g32" if chances[-2] < fine_share else "int4-g128", weights, activations.float())


@contextmanager
def rounded_weights(model: HunyuanDense, format_name: str, chosen: Tensor | None = None) -> Iterator[None]:
    """The model's matrices rounded while the context lasts: the layers' to the format, the embedding's to INT8.

    `chosen` [layers + 1] tells which; None: all. Gradients that are computed inside are those of the exact weights.
    """
    exact: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for number, layer in enumerate([*model.layers, model.embedding]):
            if chosen is not None and not chosen[number]:
                continue
            rounding = round_int8 if layer is model.embedding else FORMATS[format_name]
            for parameter in layer.parameters():
                if parameter.dim() == 2:
                    exact.append((parameter, parameter.clone()))
                    parameter.copy_(rounding(parameter))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, original in exact:
                parameter.copy_(original)
