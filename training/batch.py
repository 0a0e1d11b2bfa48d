"""From packed rows to what a step reads, computed with numpy so that the GPU is never waited for."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.packing import Rows


@dataclass(frozen=True)
class Batch:
    """tokens, segment, position [rows, length]; at, target [learnt]: target[i] is predicted at flat place at[i]."""

    tokens: Tensor
    segment: Tensor
    position: Tensor
    at: Tensor
    target: Tensor

    def to(self, device: torch.device) -> "Batch":
        if device.type != "cuda":
            return self
        moved = (
            tensor.pin_memory().to(device, non_blocking=True)
            for tensor in (self.tokens, self.segment, self.position, self.at, self.target)
        )
        return Batch(*moved)


def make_batch(rows: Rows) -> Batch:
    segment = rows.segment.astype(np.int32)
    length = segment.shape[1]
    place = np.arange(length, dtype=np.int32)
    begins = np.ones(segment.shape, np.bool_)
    begins[:, 1:] = segment[:, 1:] != segment[:, :-1]
    position = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    # A learnt token is never the first of a row: the prompt stands before it.
    learnt = np.flatnonzero(rows.learnt.reshape(-1))
    tokens = rows.tokens.astype(np.int64)
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(segment),
        torch.from_numpy(position),
        torch.from_numpy(learnt - 1),
        torch.from_numpy(tokens.reshape(-1)[learnt]),
    )
