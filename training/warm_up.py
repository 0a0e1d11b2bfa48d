"""Choosing how to compute, before the data is there: each way is compiled, checked and timed on random rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from training import attention
from training.batch import Batch, make_batch
from training.loss import ChunkLoss, Teacher, chunk_loss, cross_entropy
from training.model import HunyuanDense
from training.packing import Rows, pack

Forward = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]

# Largest mean difference of hidden states from the plain path, relative to their mean size; BF16 gives about 0.01.
TOLERANCE: Final = 0.05


@dataclass(frozen=True)
class Way:
    """How steps are computed from now on."""

    name: str
    forward: Forward
    chunk_loss: ChunkLoss
    tokens_per_second: float


def random_rows(rows: int, length: int, vocabulary: int) -> Rows:
    """As the real ones: examples of 20 to 70 tokens, near half of them learnt."""
    draw = np.random.default_rng(0)
    shortest, longest = min(6, length // 4), min(33, length // 2 - 4)
    prompts: list[list[int]] = []
    answers: list[list[int]] = []
    made = 0
    while made < rows * length * 5 // 4:
        for texts in (prompts, answers):
            texts.append(draw.integers(8, vocabulary, int(draw.integers(shortest, longest + 1))).tolist())
            made += len(texts[-1])
    packed = pack(prompts, answers, length)
    return Rows(packed.tokens[:rows], packed.learnt[:rows], packed.segment[:rows])


def loss_of(
    model: HunyuanDense,
    forward: Forward,
    step: ChunkLoss,
    batch: Batch,
    smoothing: float,
    dtype: torch.dtype,
    rounded: Tensor | None = None,
    teacher: Teacher | None = None,
) -> Tensor:
    """The loss of a batch; what the training loop and the warm-up share. `rounded`: as HunyuanDense has it."""
    with torch.autocast(batch.tokens.device.type, dtype=dtype, enabled=dtype != torch.float32):
        hidden = forward(batch.tokens, batch.segment, batch.position, rounded)
    learnt = hidden.index_select(0, batch.at)
    return cross_entropy(learnt, model.embedding.weight, batch.target, smoothing, dtype, step, teacher)


def _agrees(model: HunyuanDense, forward: Forward, batch: Batch, dtype: torch.dtype) -> bool:
    few = 8
    path = model.attention
    with torch.autocast(batch.tokens.device.type, dtype=dtype, enabled=dtype != torch.float32):
        # With gradients: without them it would be compiled once more.
        found = forward(batch.tokens, batch.segment, batch.position, None).detach()
        model.attention = attention.MASKED
        with torch.no_grad():
            expected = model(batch.tokens[:few], batch.segment[:few], batch.position[:few])
    model.attention = path
    real = batch.segment[:few].reshape(-1) > 0
    difference = (found[: expected.shape[0]] - expected)[real].abs().mean() / expected[real].abs().mean()
    print(f"  differs from the plain path by {difference.item():.4f}", flush=True)
    return bool(difference < TOLERANCE)


def _try(
    model: HunyuanDense,
    path: str,
    compiled: bool,
    batches: list[Batch],
    smoothing: float,
    dtype: torch.dtype,
    rounds: bool,
) -> Way | None:
    name = f"{path}, {'compiled' if compiled else 'not compiled'}"
    started = time.monotonic()
    model.attention = attention.PATHS[path]
    torch.compiler.reset()
    try:
        forward: Forward = torch.compile(model, dynamic=False, fullgraph=True) if compiled else model
        step: ChunkLoss = torch.compile(chunk_loss, dynamic=False, fullgraph=True) if compiled else chunk_loss
        for batch in batches[:2]:
            loss_of(model, forward, step, batch, smoothing, dtype).backward()
        if rounds:  # compiled now, while there is no data yet
            nothing = torch.zeros(model.config.num_hidden_layers + 1, device=batches[0].tokens.device)
            loss_of(model, forward, step, batches[0], smoothing, dtype, nothing).backward()
        loss = loss_of(model, forward, step, batches[0], smoothing, dtype).item()
        if not _agrees(model, forward, batches[0], dtype):
            print(f"  {name}: wrong result", flush=True)
            return None
        ready = time.monotonic()
        steps = 0
        while steps < 6 or (time.monotonic() - ready < 1.5 and steps < 30):
            loss_of(model, forward, step, batches[steps % len(batches)], smoothing, dtype).backward()
            steps += 1
        loss_of(model, forward, step, batches[0], smoothing, dtype).item()
        seconds = time.monotonic() - ready
    except Exception as error:  # a compiler or a driver may fail in any way; the next path is tried
        first = str(error).strip().splitlines()[:3]
        print(f"  {name}: fails: {type(error).__name__}: {' '.join(first)}", flush=True)
        return None
    finally:
        model.zero_grad(set_to_none=True)
    rate = (steps + 1) * batches[0].tokens.numel() / seconds
    memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    print(
        f"  {name}: ready in {ready - started:.0f} s, {rate / 1e6:.2f} M tokens/s without the optimizers, "
        f"loss {loss:.3f}, {memory:.1f} GiB",
        flush=True,
    )
    return Way(name, forward, step, rate)


def choose_way(
    model: HunyuanDense,
    rows: int,
    length: int,
    smoothing: float,
    dtype: torch.dtype,
    enough: float,
    rounds: bool = False,
) -> Way:
    """The first way that reaches `enough` tokens/s, or the fastest of those that work. The model's weights stay.

    `rounds`: the way will also be asked to round activations.
    """
    device = model.embedding.weight.device
    whole = random_rows(2 * rows, length, model.config.vocab_size)
    halves = (slice(0, rows), slice(rows, 2 * rows))
    batches = [make_batch(Rows(whole.tokens[h], whole.learnt[h], whole.segment[h])).to(device) for h in halves]
    print(f"looking for the fastest way on {device}, {rows} rows of {length}", flush=True)
    plans = [("flex", True), ("masked", True), ("masked", False)] if device.type == "cuda" else [("masked", False)]
    best: Way | None = None
    for path, compiled in plans:
        if not compiled and best is not None:
            continue
        way = _try(model, path, compiled, batches, smoothing, dtype, rounds)
        if way is not None and (best is None or way.tokens_per_second > best.tokens_per_second):
            best = way
        if best is not None and best.tokens_per_second >= enough:
            break
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if best is None:
        raise RuntimeError("no way to compute a step works on this machine; the lines above say why")
    if device.type == "cuda":
        model.attention = attention.PATHS[best.name.split(",")[0]]
    print(f"taken: {best.name}", flush=True)
    return best
