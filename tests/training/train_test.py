"""The loop: it learns, goes on after a stop as if there had been none, and ends well when something goes wrong."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from tests.training.conftest import Tiny
from training import train as train_module
from training.attention import MASKED
from training.checkpoint import read_checkpoint
from training.cli import main
from training.evaluate import held_out_loss, read_held_out
from training.hf_directory import read_weights
from training.model import HunyuanDense, ModelConfig
from training.schedule import Schedule, TrainOptions, learning_rate_factor
from training.shards import Position, read_rows, shard_path
from training.train import TooSlowError, Trainer, train

CPU = torch.device("cpu")


@pytest.fixture
def options(data: Path, config: ModelConfig, tmp_path: Path) -> TrainOptions:
    """Every step is logged and leaves a checkpoint."""
    return TrainOptions(
        data,
        tmp_path / "run",
        config=config,
        steps=12,
        rows=2,
        warm_up_steps=3,
        averaged_part=0.6,
        average_horizon=16,
        checkpoint_seconds=-1.0,
        log_seconds=-1.0,
        patience_seconds=5.0,
    )


def test_it_learns(trained: Path, data: Path, config: ModelConfig) -> None:
    held_out = read_held_out(data)
    model = HunyuanDense(config, MASKED)
    before = held_out_loss(model, held_out, torch.float32)
    model.load_state_dict(read_weights(trained / "model", dict(model.named_parameters())))
    after = held_out_loss(model, held_out, torch.float32)
    assert set(after.by_direction) == {"en-fr", "fr-en", "en-zh", "zh-en", "zh-fr", "fr-zh"}
    assert before.mean > 6.0
    assert after.mean < 0.35 * before.mean, after


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(options, out=tmp_path / "whole")
    train(whole)
    expected = read_checkpoint(whole.out / "checkpoint.pt", CPU)

    step = Trainer._step

    def stopped(trainer: Trainer) -> Tensor:
        if trainer.progress.step == 8:
            trainer.writer.finish()
            raise KeyboardInterrupt
        return step(trainer)

    monkeypatch.setattr(Trainer, "_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    monkeypatch.undo()
    assert read_checkpoint(options.out / "checkpoint.pt", CPU).progress.step == 8
    train(replace(options, seed=99))

    found = read_checkpoint(options.out / "checkpoint.pt", CPU)
    assert found.progress == expected.progress and found.position == expected.position
    assert found.average is not None and expected.average is not None
    for name, weight in expected.weights.items():
        assert torch.equal(found.weights[name], weight), name
        assert torch.equal(found.average[name], expected.average[name]), name


def test_a_run_may_begin_behind_what_an_earlier_one_took(options: TrainOptions) -> None:
    trainer = Trainer(replace(options, first_shard=1))
    trainer.load()
    assert trainer.reader is not None
    taken = trainer.reader.next_batch()
    trainer.reader.close()
    assert trainer.reader.position == Position(1, 2)
    assert (taken.tokens == read_rows(shard_path(options.data, 1)).tokens[:2]).all()


def test_what_a_teacher_says_is_learnt(
    options: TrainOptions, trained: Path, data: Path, config: ModelConfig, tmp_path: Path
) -> None:
    taught = replace(options, steps=70, rows=4, learning_rate=1e-2, teacher=trained / "model", teacher_share=1.0)
    train(replace(taught, log_seconds=60.0, checkpoint_seconds=60.0))
    model = HunyuanDense(config, MASKED)
    model.load_state_dict(read_weights(taught.out / "model", dict(model.named_parameters())))
    assert held_out_loss(model, read_held_out(data), torch.float32).mean < 2.5

    # One that is asked and not heard changes nothing: the model has its own weights back.
    plain, unheard = (replace(options, steps=4, out=tmp_path / name) for name in ("plain", "unheard"))
    train(plain)
    train(replace(unheard, teacher=trained / "model", teacher_share=0.0))
    expected = read_checkpoint(plain.out / "checkpoint.pt", CPU).weights
    found = read_checkpoint(unheard.out / "checkpoint.pt", CPU).weights
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_half_a_checkpoint_is_never_read(options: TrainOptions, trained: Path) -> None:
    options.out.mkdir()
    shutil.copy(trained / "checkpoint.pt", options.out)
    (options.out / "checkpoint.pt.part").write_bytes(b"cut off")
    trainer = Trainer(options)
    trainer.load()
    assert trainer.progress.step == 70
    assert trainer.reader is not None
    trainer.reader.close()


def test_a_checkpoint_of_other_sizes_is_refused(options: TrainOptions, trained: Path) -> None:
    options.out.mkdir()
    shutil.copy(trained / "checkpoint.pt", options.out)
    other = replace(options, config=replace(options.config, hidden_size=32))
    with pytest.raises(ValueError, match="is of a model of other sizes"):
        Trainer(other).load()


def test_a_loss_that_is_no_number_goes_back_at_half_the_rate(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer._step
    spoilt: list[Tensor] = []

    def spoils_once(trainer: Trainer) -> Tensor:
        loss = step(trainer)
        if trainer.progress.step == 6 and not spoilt:
            spoilt.append(loss)
            with torch.no_grad():
                trainer.model.norm.weight.fill_(torch.nan)
            return loss * torch.nan
        return loss

    monkeypatch.setattr(Trainer, "_step", spoils_once)
    train(options)
    found = read_checkpoint(options.out / "checkpoint.pt", CPU)
    assert spoilt and found.progress.rate_scale == 0.5
    assert all(weight.isfinite().all() for weight in found.weights.values())


def test_a_machine_that_is_far_too_slow_ends_the_run(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def monotonic() -> float:
        now[0] += 10.0
        return now[0]

    monkeypatch.setattr(train_module, "time", SimpleNamespace(monotonic=monotonic))
    with pytest.raises(TooSlowError, match=r"planned for at least 1\.00 M"):
        train(replace(options, steps=0, minutes=60.0, min_rate=1e6))
    assert read_checkpoint(options.out / "checkpoint.pt", CPU).progress.step > 0


def test_rows_of_another_length_are_refused(options: TrainOptions, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--data", str(options.data), "--out", str(options.out), "--length", "128", "--rows", "2"]
    small = options.out.parent / "config.json"
    small.write_text('{"model_type": "other"}')
    assert main([*arguments, "--config", str(small)]) == 1
    assert "model_type is other, expected hunyuan_v1_dense" in capsys.readouterr().err
    with pytest.raises(ValueError, match="rows of 256 tokens, expected 128"):
        Trainer(replace(options, length=128)).load()


def test_learning_rate_rises_then_falls_to_zero_with_the_time() -> None:
    assert [learning_rate_factor(0.0, step, 4) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1.0, 1.0]
    assert learning_rate_factor(0.75, 1000, 4) == 0.25
    now = [100.0]
    options = TrainOptions(Path(), Path(), minutes=2.0)
    schedule = Schedule(options, 0.5, clock=lambda: now[0])
    found = []
    for now[0] in (100.0, 160.0, 220.0, 300.0):
        found.append(schedule.fraction(7))
    assert found == [0.5, 0.75, 1.0, 1.0]


def test_one_command_prepares_and_trains_and_says_why_it_cannot(
    tiny: Tiny, trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["run", "--out", str(out), "--init", str(trained / "model"), "--steps", "3", "--rows", "2"]
    sizes = ["--passes", "1", "--shards-per-pass", "2", "--held-out", "6", "--workers", "1"]
    assert main([*arguments, *sizes, "--corpus", str(tiny.path)]) == 0
    assert (out / "model/config.json").exists() and read_checkpoint(out / "checkpoint.pt", CPU).progress.step == 3
    assert (out / "data/tokenizer.json").read_bytes() == (trained / "model/tokenizer.json").read_bytes()
    other = [*arguments[:2], str(tmp_path / "other"), *arguments[3:]]
    assert main([*other, *sizes, "--corpus", str(tmp_path / "none.tsv")]) == 1
    assert "the preparation failed: FileNotFoundError" in capfd.readouterr().err
