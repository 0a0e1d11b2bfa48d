"""Muon: orthogonalised momentum (Jordan et al. 2024), its size matched to AdamW's updates (Liu et al. 2025)."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor

# Five steps of a quintic iteration; coefficients that tighten step by step (You Jiacheng, 2025).
_COEFFICIENTS: Final[tuple[tuple[float, float, float], ...]] = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


def orthogonalise(matrices: Tensor) -> Tensor:
    """[count, rows, columns], rows <= columns: pulls all singular values to about 1."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in _COEFFICIENTS:
        y = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(y, y, y, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """For matrices only. `lr` is AdamW's: the same rate serves both optimizers."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.05, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in parameters]
        for p in parameters:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1.0 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov
        # Matrices of one shape together; a tall one lies down first.
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, p in enumerate(parameters):
            rows, columns = p.shape
            by_shape.setdefault((min(rows, columns), max(rows, columns)), []).append(index)
        torch._foreach_mul_(parameters, 1.0 - group["lr"] * group["weight_decay"])
        for (_, columns), members in by_shape.items():
            lying = [parameters[i].shape[0] <= parameters[i].shape[1] for i in members]
            stacked = torch.stack(
                [updates[i] if flat else updates[i].mT for i, flat in zip(members, lying, strict=True)]
            )
            found = orthogonalise(stacked)
            scale = -group["lr"] * 0.2 * math.sqrt(columns)
            for i, flat, matrix in zip(members, lying, found, strict=True):
                parameters[i].add_(matrix if flat else matrix.mT, alpha=scale)
