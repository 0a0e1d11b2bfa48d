"""What a training run is asked for, and how far it is: its learning rate follows from both."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from training.model import ModelConfig


@dataclass(frozen=True)
class TrainOptions:
    """What `python -m training train` is asked for."""

    data: Path
    out: Path
    init: Path | None = None  # a Hugging Face directory to start from; None: random weights
    config: ModelConfig = field(default_factory=ModelConfig)  # of a run without `init`
    minutes: float = 10.0  # from the first step on
    steps: int = 0  # > 0: so many steps instead of `minutes`
    rows: int = 512
    length: int = 256
    learning_rate: float = 1.2e-3
    warm_up_steps: int = 150
    smoothing: float = 0.1
    averaged_part: float = 0.35  # the moving average begins when this part of the schedule is left
    average_horizon: int = 400  # steps that the moving average reaches back
    rounding_part: float = 0.0  # when this part of the schedule is left, steps begin to round; rounding.py
    rounding_share: float = 0.6  # of the steps then
    rounding_layers: float = 0.75  # share of the layers in such a step
    rounding_fine: float = 0.5  # share of such steps in groups of 32, the others in groups of 128
    teacher: Path | None = None  # a Hugging Face directory whose answers count beside the labels
    teacher_share: float = 0.5  # how much
    checkpoint_seconds: float = 120.0
    log_seconds: float = 10.0
    fast_enough: float = 1.0e6  # tokens/s, fwd + bwd, at which no other way is tried
    min_rate: float = 0.0  # tokens/s under which the run ends early; 0: never
    held_out_limit: int = 0
    first_shard: int = 0  # where in the data a run begins
    patience_seconds: float = 900.0  # waiting for the data to appear
    seed: int = 0


def learning_rate_factor(fraction: float, step: int, warm_up_steps: int) -> float:
    """Up over the first steps, then down in a straight line to zero at the end of the schedule."""
    return min(1.0, (step + 1) / max(1, warm_up_steps)) * max(0.0, 1.0 - fraction)


class Schedule:
    """Which fraction of the run is done: by steps, or by time so that it ends at the deadline whatever the speed.

    A resumed run goes from the fraction it had to 1 in the time it is given now.
    """

    def __init__(self, options: TrainOptions, begun: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._begun = begun
        self._clock = clock
        self._started = clock()

    def fraction(self, step: int) -> float:
        if self._options.steps:
            return min(1.0, step / self._options.steps)
        passed = (self._clock() - self._started) / (60.0 * self._options.minutes)
        return min(1.0, self._begun + (1.0 - self._begun) * passed)
