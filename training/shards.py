"""Shards: files of packed rows that the preparation writes and the training reads, perhaps while more are made.

A folder holds `meta.json` (written first), `held_out.npz`, `tokenizer.json`, `shard-00000.npz`, ... and `complete.json`
once all are there. A file appears under its name only when it is whole.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import numpy as np

from training.packing import Rows


@dataclass(frozen=True)
class Meta:
    """What all shards of a folder have in common."""

    length: int
    passes: int
    shards_per_pass: int
    seed: int

    @property
    def shards(self) -> int:
        return self.passes * self.shards_per_pass


def write_whole(path: Path, data: bytes) -> None:
    """Under another name first: a reader, or a rerun after a crash, never meets half a file."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_json(path: Path, value: object) -> None:
    write_whole(path, (json.dumps(value, indent=1) + "\n").encode())


def write_rows(path: Path, rows: Rows, **extra: Any) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, tokens=rows.tokens, learnt=rows.learnt, segment=rows.segment, **extra)
    part.replace(path)


def read_rows(path: Path) -> Rows:
    with np.load(path) as arrays:
        return Rows(arrays["tokens"], arrays["learnt"], arrays["segment"])


def write_meta(folder: Path, meta: Meta) -> None:
    write_json(folder / "meta.json", asdict(meta))


def read_meta(folder: Path) -> Meta:
    return Meta(**json.loads((folder / "meta.json").read_text()))


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard-{index:05d}.npz"


def wait_for(path: Path, patience_seconds: float) -> None:
    """Waits until a file is there. Raises TimeoutError, naming the file and what the preparation said."""
    give_up = time.monotonic() + patience_seconds
    while not path.exists():
        failed = path.parent / "failed"
        if failed.exists():
            raise RuntimeError(f"the preparation failed: {failed.read_text().strip()}")
        if time.monotonic() > give_up:
            raise TimeoutError(f"{path} did not appear within {patience_seconds:.0f} s; is `prepare` running?")
        time.sleep(0.2)


@dataclass(frozen=True)
class Position:
    """Where the training stands in the data: the next row to take."""

    shard: int = 0
    row: int = 0


class ShardReader:
    """Batches of rows in the order of the shards, read ahead by a thread of its own.

    After the last shard it begins again with the first one, in another order within each shard, so that a fast machine
    never runs dry. `position` is that of the batch returned last, so a resumed run goes on behind it.
    """

    def __init__(self, folder: Path, batch_rows: int, start: Position, patience_seconds: float = 600.0) -> None:
        self._folder = folder
        self._batch_rows = batch_rows
        self._patience_seconds = patience_seconds
        self.meta = read_meta(folder)
        self.position = start
        self._queue: Queue[tuple[Rows, Position] | BaseException] = Queue(maxsize=16)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read_ahead, args=(start,), daemon=True)
        self._thread.start()

    def _batches(self, position: Position) -> Iterator[tuple[Rows, Position]]:
        parts: list[Rows] = []
        missing = self._batch_rows
        shard, row = position.shard, position.row
        while True:
            again, index = divmod(shard, self.meta.shards)
            path = shard_path(self._folder, index)
            wait_for(path, self._patience_seconds)
            rows = read_rows(path)
            if again:
                order = np.random.default_rng((self.meta.seed, shard)).permutation(len(rows))
                rows = Rows(rows.tokens[order], rows.learnt[order], rows.segment[order])
            while row < len(rows):
                taken = slice(row, min(len(rows), row + missing))
                parts.append(Rows(rows.tokens[taken], rows.learnt[taken], rows.segment[taken]))
                missing -= taken.stop - taken.start
                row = taken.stop
                if missing == 0:
                    batch = Rows(
                        np.concatenate([part.tokens for part in parts]),
                        np.concatenate([part.learnt for part in parts]),
                        np.concatenate([part.segment for part in parts]),
                    )
                    yield batch, Position(shard, row)
                    parts, missing = [], self._batch_rows
            shard, row = shard + 1, 0

    def _put(self, item: tuple[Rows, Position] | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return
            except Full:
                continue

    def _read_ahead(self, start: Position) -> None:
        try:
            for item in self._batches(start):
                self._put(item)
                if self._stopped.is_set():
                    return
        except BaseException as error:  # handed to the thread that asks for a batch
            self._put(error)

    def next_batch(self) -> Rows:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        rows, self.position = item
        return rows

    def close(self) -> None:
        self._stopped.set()
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        self._thread.join(timeout=10.0)
