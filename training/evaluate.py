"""Loss on the held-out slice of the corpus: what decides between variants, so that no test set has to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.attention import MASKED
from training.batch import make_batch
from training.model import HunyuanDense
from training.packing import Rows
from training.rounding import FORMATS, rounded_weights


@dataclass(frozen=True)
class HeldOut:
    rows: Rows
    directions: list[str]  # one a row


@dataclass(frozen=True)
class HeldOutLoss:
    """Nats a token, without label smoothing. `mean` is over directions, so that each counts alike."""

    mean: float
    by_direction: dict[str, float]

    def __str__(self) -> str:
        worst_first = sorted(self.by_direction.items(), key=lambda item: -item[1])
        return f"{self.mean:.4f} (" + " ".join(f"{name} {loss:.3f}" for name, loss in worst_first) + ")"


def read_held_out(folder: Path, limit: int = 0) -> HeldOut:
    """`limit` > 0 takes every n-th row, so that all directions stay in."""
    with np.load(folder / "held_out.npz") as arrays:
        # Rows alternate between a pair's two directions, so the stride is odd.
        every = (len(arrays["tokens"]) // limit) | 1 if limit else 1
        rows = Rows(arrays["tokens"][::every], arrays["learnt"][::every], arrays["segment"][::every])
        return HeldOut(rows, [str(name) for name in arrays["directions"][::every]])


def rounded_losses(model: HunyuanDense, held_out: HeldOut, dtype: torch.dtype) -> dict[str, float]:
    """What the formats that `pagoda quantize` writes would lose, rounded to nearest: their loss, by format."""
    losses = {}
    for name in FORMATS:
        with rounded_weights(model, name):
            losses[name] = held_out_loss(model, held_out, dtype, rounded=name != "fp8").mean
    return losses


@torch.no_grad()
def held_out_loss(
    model: HunyuanDense,
    held_out: HeldOut,
    dtype: torch.dtype,
    rows_at_once: int = 512,
    rounded: bool = False,
) -> HeldOutLoss:
    """Runs uncompiled: few steps, another shape. `rounded`: the inputs of all matrices are rounded to INT8."""
    device = model.embedding.weight.device
    attention, model.attention = model.attention, MASKED
    names = sorted(set(held_out.directions))
    number = np.array([names.index(name) for name in held_out.directions])
    # Rows of like length together: less padding is computed.
    sizes = (held_out.rows.segment > 0).sum(1)
    order = np.argsort(sizes, kind="stable")
    sums = torch.zeros(len(names), device=device, dtype=torch.float64)
    counts = torch.zeros(len(names), device=device, dtype=torch.float64)
    try:
        for begin in range(0, len(order), rows_at_once):
            chosen = order[begin : begin + rows_at_once]
            width = int(sizes[chosen].max())
            rows = held_out.rows
            part = Rows(rows.tokens[chosen, :width], rows.learnt[chosen, :width], rows.segment[chosen, :width])
            losses, at = _token_losses(model, part, dtype, rounded)
            direction = torch.from_numpy(number[chosen]).to(device)[at // width]
            sums.index_add_(0, direction, losses.double())
            counts.index_add_(0, direction, torch.ones_like(losses, dtype=torch.float64))
    finally:
        model.attention = attention
    by_direction = dict(zip(names, (sums / counts).tolist(), strict=True))
    return HeldOutLoss(sum(by_direction.values()) / len(by_direction), by_direction)


def _token_losses(model: HunyuanDense, rows: Rows, dtype: torch.dtype, rounded: bool) -> tuple[Tensor, Tensor]:
    device = model.embedding.weight.device
    everywhere = torch.ones(model.config.num_hidden_layers + 1, device=device) if rounded else None
    batch = make_batch(rows).to(device)
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        hidden = model(batch.tokens, batch.segment, batch.position, everywhere)
    weight = model.embedding.weight.to(dtype)
    losses = []
    for at, target in zip(batch.at.split(8192), batch.target.split(8192), strict=True):
        logits = hidden[at].to(dtype) @ weight.T
        losses.append(F.cross_entropy(logits.float(), target, reduction="none"))
    return torch.cat(losses), batch.at
