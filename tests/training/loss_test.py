"""The chunked loss gives torch's own loss and gradients."""

import pytest
import torch
from torch.nn import functional as F

from training import loss


@pytest.mark.parametrize("chunk", [7, 64])
def test_equals_torchs_cross_entropy(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(40, 16, generator=draw, requires_grad=True)
    weight = torch.randn(30, 16, generator=draw, requires_grad=True)
    target = torch.randint(0, 30, (40,), generator=draw)
    target[5] = -1

    found = loss.cross_entropy(hidden, weight, target, 0.1, torch.float32)
    (3.0 * found).backward()
    by_hidden, by_weight = hidden.grad, weight.grad
    hidden.grad = weight.grad = None

    expected = F.cross_entropy(hidden @ weight.T, target, ignore_index=-1, label_smoothing=0.1)
    (3.0 * expected).backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(by_hidden, hidden.grad)
    torch.testing.assert_close(by_weight, weight.grad)


@pytest.mark.parametrize("chunk", [7, 64])
def test_a_teachers_probabilities_count_beside_the_labels(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    draw = torch.Generator().manual_seed(4)
    hidden = torch.randn(40, 16, generator=draw, requires_grad=True)
    weight = torch.randn(30, 16, generator=draw, requires_grad=True)
    target = torch.randint(0, 30, (40,), generator=draw)
    teacher = loss.Teacher(torch.randn(40, 12, generator=draw), torch.randn(30, 12, generator=draw), 0.3)

    found = loss.cross_entropy(hidden, weight, target, 0.1, torch.float32, teacher=teacher)
    found.backward()
    by_hidden, by_weight = hidden.grad, weight.grad
    hidden.grad = weight.grad = None

    logits = hidden @ weight.T
    taught = F.cross_entropy(logits, torch.softmax(teacher.hidden @ teacher.weight.T, 1))
    expected = 0.7 * F.cross_entropy(logits, target, label_smoothing=0.1) + 0.3 * taught
    expected.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(by_hidden, hidden.grad)
    torch.testing.assert_close(by_weight, weight.grad)


def test_no_learnt_token_gives_zero() -> None:
    hidden = torch.randn(4, 8, requires_grad=True)
    weight = torch.randn(10, 8, requires_grad=True)
    found = loss.cross_entropy(hidden, weight, torch.full((4,), -1), 0.1, torch.float32)
    found.backward()
    assert found.item() == 0.0
    assert hidden.grad is not None and not hidden.grad.any()
