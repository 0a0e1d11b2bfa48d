"""Rounding in training: the grids of `pagoda quantize`, exact weights kept, and a model that loses less by rounding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training import rounding
from training.attention import MASKED
from training.batch import make_batch
from training.evaluate import held_out_loss, read_held_out
from training.hf_directory import read_weights
from training.loss import chunk_loss
from training.model import HunyuanDense, ModelConfig, round_tokens
from training.rounding import FORMATS, draw_rounding, rounded_weights
from training.schedule import TrainOptions
from training.train import train
from training.warm_up import loss_of, random_rows


def _steps(row: Tensor) -> int:
    return len(np.unique(row.numpy()))


@pytest.mark.parametrize(
    ("name", "worst"),
    [("int4-g32", 0.09), ("int4-g128", 0.12), ("fp8", 0.04), ("int8", 0.01)],
)
def test_formats_round_to_what_they_can_hold(name: str, worst: float) -> None:
    weight = torch.randn(6, 256, generator=torch.Generator().manual_seed(1))
    weight[1] *= 1e-3
    weight[2] = 0.0
    weight[3] = weight[3].abs() + 2.0  # a range that would not hold 0
    rounded = FORMATS[name](weight)
    assert rounded.shape == weight.shape and rounded.isfinite().all()
    error = (rounded - weight).norm(dim=1) / weight.norm(dim=1).clamp(min=1e-9)
    assert error.max() < worst
    assert not rounded[2].any()
    if name.startswith("int4"):
        group = int(name.removeprefix("int4-g"))
        assert all(_steps(part) <= 16 for row in rounded for part in row.split(group))
        assert _steps(rounded[0]) > 16  # a range for each group, not one for all
    elif name == "int8":
        assert (rounded.abs().amax(1) - weight.abs().amax(1)).abs().max() < 1e-6


def test_the_better_of_the_ranges_is_taken() -> None:
    weight = torch.full((1, 128), 0.1)
    weight[0, ::2] = -0.1
    weight[0, 5] = 0.16  # would make all others wrong on the whole range
    whole = ((weight / (0.26 / 15)).round() * (0.26 / 15) - weight).square().sum()
    assert (FORMATS["int4-g128"](weight) - weight).square().sum() <= whole


def test_exact_weights_come_back(config: ModelConfig) -> None:
    model = HunyuanDense(config, MASKED)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    chosen = torch.tensor([True, False, True])
    with pytest.raises(ZeroDivisionError), rounded_weights(model, "int4-g128", chosen):
        changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
        raise ZeroDivisionError
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in changed} == {"layers.0", "embedding.weight"}
    assert not any("norm" in name for name in changed)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_gradients_pass_straight_through_activations() -> None:
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    rounded = round_tokens(x, torch.tensor(1.0))
    assert all(_steps(row) <= 255 for row in rounded.detach())
    assert 0 < (rounded - x).abs().max() <= (x.abs().amax() / 254).item() + 1e-6
    rounded.square().sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, 2 * rounded.detach())
    assert torch.equal(round_tokens(x, torch.tensor(0.0)), x) and round_tokens(x, None) is x


def test_where_nothing_is_chosen_nothing_is_rounded(config: ModelConfig) -> None:
    model = HunyuanDense(config, MASKED)
    batch = make_batch(random_rows(2, 64, config.vocab_size))
    losses = [
        loss_of(model, model, chunk_loss, batch, 0.1, torch.float32, rounded).item()
        for rounded in (None, torch.zeros(3), torch.ones(3))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_step_always_draws_the_same() -> None:
    drawn = [draw_rounding(8, 0.5, 0.75, step) for step in range(400)]
    again = draw_rounding(8, 0.5, 0.75, 17)
    first = drawn[17]
    assert (first is None) == (again is None)
    rounding_steps = [draw for draw in drawn if draw is not None]
    assert 150 < len(rounding_steps) < 250
    assert abs(torch.stack([draw.weights.float() for draw in rounding_steps]).mean() - 0.75) < 0.05
    formats = [draw.format_name for draw in rounding_steps]
    assert all(formats.count(name) > len(formats) / 5 for name in rounding.INT4)
    assert draw_rounding(8, 0.0, 0.75, 3) is None and draw_rounding(8, 1.0, 0.75, 3) is not None


def test_groups_of_32_are_drawn_as_often_as_asked() -> None:
    for fine in (0.0, 2 / 3, 1.0):
        drawn = [draw_rounding(8, 1.0, 1.0, step, fine) for step in range(400)]
        share = [draw is not None and draw.format_name == "int4-g32" for draw in drawn].count(True) / len(drawn)
        assert abs(share - fine) < 0.07 and (0.0 < share < 1.0 or share == fine)


def test_every_layer_rounds_where_the_share_is_one() -> None:
    drawn = [draw_rounding(8, 1.0, 1.0, step) for step in range(50)]
    assert all(draw is not None and draw.weights.all() and draw.activations.all() for draw in drawn)


def test_a_run_that_rounds_loses_less_by_rounding(
    trained: Path,
    data: Path,
    config: ModelConfig,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Three values a row: 16 hardly hurt a model of this size.
    def coarse(weight: Tensor) -> Tensor:
        step = weight.abs().amax(1, keepdim=True) / 1.5
        return (weight / step).round().clamp(-1, 1) * step

    for name in rounding.INT4:
        monkeypatch.setitem(FORMATS, name, coarse)
    options = TrainOptions(
        data, tmp_path / "plain", init=trained / "model", steps=40, rows=4, learning_rate=4e-3, warm_up_steps=2
    )
    lost = []
    for one in (options, replace(options, out=tmp_path / "rounding", rounding_part=1.0)):
        train(one)
        model = HunyuanDense(config, MASKED)
        model.load_state_dict(read_weights(one.out / "model", dict(model.named_parameters())))
        held_out = read_held_out(data)
        exact = held_out_loss(model, held_out, torch.float32).mean
        with rounded_weights(model, "int4-g128"):
            lost.append(held_out_loss(model, held_out, torch.float32, rounded=True).mean - exact)
    assert 0 < lost[1] < 0.7 * lost[0], lost
    printed = capsys.readouterr().out
    assert "before, rounded: int8 " in printed and "average, rounded: int8 " in printed
