"""`python -m training VERB`: run, prepare, train, export, average, evaluate."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from training.attention import MASKED
from training.average import average_models
from training.checkpoint import read_checkpoint
from training.evaluate import held_out_loss, read_held_out, rounded_losses
from training.hf_directory import read_weights, write_model
from training.model import HunyuanDense, ModelConfig
from training.prepare import PrepareOptions, prepare
from training.run import run
from training.schedule import TrainOptions
from training.train import TooSlowError, train


def _add_prepare_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--corpus", type=Path, required=True, help="TSV, plain or .xz")
    verb.add_argument("--tokenizer", type=Path, help="a tokenizer.json to use as it is; without it one is built")
    verb.add_argument("--vocabulary", type=int, default=PrepareOptions.vocabulary, help="size of a built tokenizer")
    verb.add_argument("--length", type=int, default=PrepareOptions.length, help="tokens a row")
    verb.add_argument("--passes", type=int, default=PrepareOptions.passes, help="each draws its examples anew")
    verb.add_argument("--shards-per-pass", type=int, default=PrepareOptions.shards_per_pass)
    verb.add_argument("--held-out", type=int, default=PrepareOptions.held_out, help="pairs a language pair")
    verb.add_argument("--workers", type=int, default=PrepareOptions.workers, help="processes; 0: one a core")


def _add_train_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--init", type=Path, help="Hugging Face directory to start from; without it random weights")
    verb.add_argument("--config", type=Path, help="config.json of a run without --init; without it nano's sizes")
    verb.add_argument("--minutes", type=float, default=TrainOptions.minutes, help="from the first step on")
    verb.add_argument("--steps", type=int, default=0, help="so many steps instead of --minutes")
    verb.add_argument("--rows", type=int, default=TrainOptions.rows, help="rows a step")
    verb.add_argument("--learning-rate", type=float, default=TrainOptions.learning_rate, help="peak, both optimizers")
    verb.add_argument("--warm-up-steps", type=int, default=TrainOptions.warm_up_steps)
    verb.add_argument("--smoothing", type=float, default=TrainOptions.smoothing, help="label smoothing")
    verb.add_argument(
        "--rounding-part", type=float, default=TrainOptions.rounding_part, help="last part, trained for INT4 and INT8"
    )
    verb.add_argument("--rounding-share", type=float, default=TrainOptions.rounding_share, help="of the steps then")
    verb.add_argument(
        "--rounding-layers", type=float, default=TrainOptions.rounding_layers, help="share of layers in such a step"
    )
    verb.add_argument(
        "--rounding-fine", type=float, default=TrainOptions.rounding_fine, help="share of such steps in groups of 32"
    )
    verb.add_argument("--teacher", type=Path, help="Hugging Face directory whose answers count beside the labels")
    verb.add_argument("--teacher-share", type=float, default=TrainOptions.teacher_share, help="how much they count")
    verb.add_argument("--checkpoint-seconds", type=float, default=TrainOptions.checkpoint_seconds)
    verb.add_argument("--log-seconds", type=float, default=TrainOptions.log_seconds)
    verb.add_argument("--min-rate", type=float, default=0.0, help="tokens/s under which the run gives up; 0: never")
    verb.add_argument("--held-out-limit", type=int, default=0, help="score at most about so many; 0: all")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="How models/nano was made; see README.md.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    brief = argparse.ArgumentDefaultsHelpFormatter

    verb = verbs.add_parser("run", help="prepare and train at once; goes on if stopped", formatter_class=brief)
    verb.add_argument("--out", type=Path, required=True, help="gets data/, checkpoint.pt and model/")
    _add_prepare_flags(verb)
    _add_train_flags(verb)
    verb.add_argument("--seed", type=int, default=PrepareOptions.seed)

    verb = verbs.add_parser("prepare", help="corpus -> shards of packed rows", formatter_class=brief)
    verb.add_argument("--out", type=Path, required=True, help="folder of the shards")
    _add_prepare_flags(verb)
    verb.add_argument("--seed", type=int, default=PrepareOptions.seed)

    verb = verbs.add_parser("train", help="shards -> checkpoint and model; goes on if stopped", formatter_class=brief)
    verb.add_argument("--data", type=Path, required=True, help="what prepare writes or is writing")
    verb.add_argument("--out", type=Path, required=True, help="gets checkpoint.pt and model/")
    verb.add_argument("--length", type=int, default=TrainOptions.length)
    verb.add_argument("--first-shard", type=int, default=0, help="where in the data to begin")
    _add_train_flags(verb)
    verb.add_argument("--seed", type=int, default=TrainOptions.seed)

    verb = verbs.add_parser("export", help="checkpoint -> Hugging Face directory", formatter_class=brief)
    verb.add_argument("--checkpoint", type=Path, required=True)
    verb.add_argument("--tokenizer", type=Path, required=True)
    verb.add_argument("--out", type=Path, required=True)
    verb.add_argument("--average", action="store_true", help="the moving average instead of the last weights")

    verb = verbs.add_parser("average", help="mean of several models", formatter_class=brief)
    verb.add_argument("models", type=Path, nargs="+")
    verb.add_argument("--out", type=Path, required=True)

    verb = verbs.add_parser("evaluate", help="loss on the held-out slice", formatter_class=brief)
    verb.add_argument("models", type=Path, nargs="+")
    verb.add_argument("--data", type=Path, required=True)
    verb.add_argument("--limit", type=int, default=0, help="score at most about so many; 0: all")
    verb.add_argument("--rounded", action="store_true", help="also as INT8, FP8 and INT4 would have it")
    return parser


def _prepare_options(given: argparse.Namespace) -> PrepareOptions:
    return PrepareOptions(**{name: getattr(given, name) for name in PrepareOptions.__dataclass_fields__})


def _train_options(given: argparse.Namespace) -> TrainOptions:
    values = {name: value for name, value in vars(given).items() if name in TrainOptions.__dataclass_fields__}
    values["config"] = ModelConfig.read(given.config) if given.config else ModelConfig()
    return TrainOptions(**values)


def _run(given: argparse.Namespace) -> None:
    given.data = given.out / "data"
    if given.tokenizer is None and given.init is not None:
        given.tokenizer = given.init / "tokenizer.json"
    run(replace(_prepare_options(given), out=given.data), _train_options(given))


def _export(given: argparse.Namespace) -> None:
    checkpoint = read_checkpoint(given.checkpoint, torch.device("cpu"))
    weights = checkpoint.average if given.average else checkpoint.weights
    if weights is None:
        raise ValueError(f"{given.checkpoint} has no moving average yet; leave --average out")
    write_model(given.out, checkpoint.config, weights, given.tokenizer)


def _evaluate(given: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    held_out = read_held_out(given.data, given.limit)
    for folder in given.models:
        model = HunyuanDense(ModelConfig.read(folder / "config.json"), MASKED)
        weights = read_weights(folder, dict(model.named_parameters()))
        model.load_state_dict(weights)
        print(f"held-out loss, {folder}: {held_out_loss(model.to(device), held_out, dtype, rows_at_once=128)}")
        if given.rounded:
            losses = rounded_losses(model, held_out, dtype)
            print("  rounded: " + " ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, 1 after an error that one sentence explains, 3 if the machine is too slow."""
    given = _parser().parse_args(arguments)
    try:
        if given.verb == "run":
            _run(given)
        elif given.verb == "prepare":
            prepare(_prepare_options(given))
        elif given.verb == "train":
            train(_train_options(given))
        elif given.verb == "export":
            _export(given)
        elif given.verb == "average":
            average_models(given.models, given.out)
        else:
            _evaluate(given)
    except TooSlowError as error:
        print(f"too slow: {error}", file=sys.stderr)
        return 3
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
