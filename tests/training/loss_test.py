"""The chunked loss gives torch's own loss and gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training import loss


def problem(draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states of 40 tokens, the weight of a vocabulary of 30, targets."""
    hidden = torch.randn(40, 16, generator=draw, requires_grad=True)
    weight = torch.randn(30, 16, generator=draw, requires_grad=True)
    return hidden, weight, torch.randint(0, 30, (40,), generator=draw)


def assert_same_gradients(found: Tensor, expected: Tensor, by: tuple[Tensor, Tensor], outer: float = 1.0) -> None:
    """And the same values. The gradients are those of `outer` times the loss."""
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(outer * found, by), torch.autograd.grad(outer * expected, by))


@pytest.mark.parametrize("chunk", [7, 64])
def test_equals_torchs_cross_entropy(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    hidden, weight, target = problem(torch.Generator().manual_seed(3))
    target[5] = -1
    found = loss.cross_entropy(hidden, weight, target, 0.1, torch.float32)
    expected = F.cross_entropy(hidden @ weight.T, target, ignore_index=-1, label_smoothing=0.1)
    assert_same_gradients(found, expected, (hidden, weight), outer=3.0)


@pytest.mark.parametrize("chunk", [7, 64])
def test_a_teachers_probabilities_count_beside_the_labels(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    draw = torch.Generator().manual_seed(4)
    hidden, weight, target = problem(draw)
    teacher = loss.Teacher(torch.randn(40, 12, generator=draw), torch.randn(30, 12, generator=draw), 0.3)
    found = loss.cross_entropy(hidden, weight, target, 0.1, torch.float32, teacher=teacher)
    logits = hidden @ weight.T
    taught = F.cross_entropy(logits, torch.softmax(teacher.hidden @ teacher.weight.T, 1))
    expected = 0.7 * F.cross_entropy(logits, target, label_smoothing=0.1) + 0.3 * taught
    assert_same_gradients(found, expected, (hidden, weight))


def test_no_learnt_token_gives_zero() -> None:
    hidden = torch.randn(4, 8, requires_grad=True)
    weight = torch.randn(10, 8, requires_grad=True)
    found = loss.cross_entropy(hidden, weight, torch.full((4,), -1), 0.1, torch.float32)
    found.backward()
    assert found.item() == 0.0
    assert hidden.grad is not None and not hidden.grad.any()
