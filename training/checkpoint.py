"""Checkpoints: everything a run needs to go on, in one file that is replaced only when the new one is whole."""

import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.model import ModelConfig
from training.shards import Position


@dataclass
class Progress:
    """How far a run is. `fraction` of the schedule is done, 0 ... 1."""

    step: int = 0
    fraction: float = 0.0
    tokens: int = 0
    rate_scale: float = 1.0  # halved when a run had to go back because its loss was no number


@dataclass
class Checkpoint:
    config: ModelConfig
    weights: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimizers: list[dict[str, Any]]
    progress: Progress
    position: Position


def to_cpu(value: Any) -> Any:
    """A copy of a state dict on the CPU, so that it can be written while training goes on."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: to_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_cpu(item) for item in value]
    return value


class CheckpointWriter:
    """Writes in a thread of its own; one at a time. An error is raised at the next call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, checkpoint: Checkpoint) -> None:
        self.finish()
        state = {
            "config": asdict(checkpoint.config),
            "weights": to_cpu(checkpoint.weights),
            "average": to_cpu(checkpoint.average),
            "optimizers": to_cpu(checkpoint.optimizers),
            "progress": asdict(checkpoint.progress),
            "position": asdict(checkpoint.position),
        }
        self._thread = threading.Thread(target=self._save, args=(state,))
        self._thread.start()

    def _save(self, state: dict[str, Any]) -> None:
        try:
            part = self._path.with_name(self._path.name + ".part")
            torch.save(state, part)
            part.replace(self._path)
        except BaseException as error:
            self._error = error

    def finish(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def read_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    state = torch.load(path, map_location=device, weights_only=True)
    return Checkpoint(
        ModelConfig(**state["config"]),
        state["weights"],
        state["average"],
        state["optimizers"],
        Progress(**state["progress"]),
        Position(**state["position"]),
    )
