"""A whole run with one command: shards are prepared by a process beside the training that takes them."""

import multiprocessing

from training.prepare import PrepareOptions, prepare
from training.schedule import TrainOptions
from training.train import train


def run(prepare_options: PrepareOptions, train_options: TrainOptions) -> None:
    """Goes on from what an earlier run left in the same folders. Raises what either side fails with."""
    # A fresh interpreter: preparing forks workers, which must not inherit a GPU.
    preparing = multiprocessing.get_context("spawn").Process(target=prepare, args=(prepare_options,))
    preparing.start()
    try:
        train(train_options)  # waits for shards; says why there are none if preparing failed
    finally:
        # Training may need fewer passes than were asked for.
        preparing.terminate()
        preparing.join()
