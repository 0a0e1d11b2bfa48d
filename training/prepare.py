"""Preparing: from the corpus to shards of packed rows, by one process a core, in an order that a seed decides."""

import gc
import multiprocessing
import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training import shards
from training.alignment import build_aligner
from training.corpus import Pair, Split, direction_weights, pivot_pairs, read_corpus, split_held_out
from training.examples import ExampleBuilder, held_out_examples
from training.packing import Rows, pack
from training.templates import Example
from training.terms import build_dictionary
from training.tokenizer import PromptEncoder, build_tokenizer, encode_texts, load_tokenizer


@dataclass(frozen=True)
class PrepareOptions:
    """What `python -m training prepare` is asked for."""

    corpus: Path
    out: Path
    tokenizer: Path | None = None  # a tokenizer.json to use as it is; None: build one
    vocabulary: int = 24_576
    length: int = 256
    passes: int = 5
    shards_per_pass: int = 96
    held_out: int = 1000
    workers: int = 0  # 0: one a core
    seed: int = 1


@dataclass
class _Shared:
    """What the worker processes inherit by fork; nothing of it is ever sent."""

    options: PrepareOptions
    pairs: list[Pair]
    split: Split
    builder: ExampleBuilder
    tokenizer: Tokenizer


_shared: _Shared | None = None


def _log(started: float, message: str) -> None:
    print(f"[{time.time() - started:6.1f} s] {message}", flush=True)


def _encode_and_pack(tokenizer: Tokenizer, examples: list[Example], length: int) -> Rows:
    prompts = PromptEncoder(tokenizer).encode([example.prompt for example in examples])
    answers = encode_texts(tokenizer, [example.answer for example in examples])
    return pack(prompts, answers, length)


def _make_shard(index: int) -> tuple[int, int, int, int]:
    """One shard: its pairs, drawn by pass and place. Returns examples, rows, tokens, learnt tokens."""
    assert _shared is not None
    options = _shared.options
    path = shards.shard_path(options.out, index)
    number, place = divmod(index, options.shards_per_pass)
    # Every worker of a pass computes the same order; it is cheap beside the examples.
    order = np.random.default_rng((options.seed, number)).permutation(len(_shared.split.training))
    mine = order[place :: options.shards_per_pass]
    draw = random.Random(f"{options.seed} {index}")
    examples = _shared.builder.build((_shared.split.training[place] for place in mine), draw)
    draw.shuffle(examples)
    rows = _encode_and_pack(_shared.tokenizer, examples, options.length)
    shuffled = np.random.default_rng((options.seed, 7, index)).permutation(len(rows))
    rows = Rows(rows.tokens[shuffled], rows.learnt[shuffled], rows.segment[shuffled])
    shards.write_rows(path, rows)
    return len(examples), len(rows), int((rows.segment > 0).sum()), int(rows.learnt.sum())


def _write_held_out() -> int:
    """One example a row, so that losses can be told by direction. Returns how many."""
    assert _shared is not None
    options, tokenizer = _shared.options, _shared.tokenizer
    named = held_out_examples(_shared.pairs, _shared.split.held_out)
    prompts = PromptEncoder(tokenizer).encode([example.prompt for _, example in named])
    answers = encode_texts(tokenizer, [example.answer for _, example in named])
    short = [
        place for place in range(len(named)) if len(prompts[place]) + len(answers[place]) + 4 <= options.length // 2
    ]
    rows = [pack([prompts[place]], [answers[place]], options.length // 2) for place in short]
    if not rows:
        raise ValueError("the corpus is too small: no pair could be held out")
    whole = Rows(
        np.concatenate([row.tokens for row in rows]),
        np.concatenate([row.learnt for row in rows]),
        np.concatenate([row.segment for row in rows]),
    )
    names = np.array([named[place][0] for place in short])
    shards.write_rows(options.out / "held_out.npz", whole, directions=names)
    return len(rows)


def _describe(examples: list[Example]) -> str:
    kinds: Counter[str] = Counter()
    for prompt, answer in examples:
        if "翻译成 " in prompt or "translates to" in prompt:
            kinds["terms"] += 1
        elif "参考上面的信息" in prompt:
            kinds["context"] += 1
        elif "<source>" in prompt:
            kinds["two tags" if "<s2>" in answer else "tags"] += 1
        elif "</" in answer:
            kinds["HTML"] += 1
        else:
            kinds["lines" if "\n" in answer else "plain"] += 1
    return ", ".join(f"{kind} {count / len(examples):.1%}" for kind, count in kinds.most_common())


def prepare(options: PrepareOptions) -> None:
    """Writes all shards of all passes. A rerun keeps the shards that are there and adds the rest."""
    try:
        _prepare(options)
    except BaseException as error:
        if options.out.is_dir():
            (options.out / "failed").write_text(f"{type(error).__name__}: {error}\n")
        raise


def _prepare(options: PrepareOptions) -> None:
    global _shared
    started = time.time()
    gc.disable()  # millions of tuples and no cycles: collecting would take longer than the work
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # parallel by process
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "failed").unlink(missing_ok=True)
    meta = shards.Meta(options.length, options.passes, options.shards_per_pass, options.seed)
    if (options.out / "meta.json").exists() and shards.read_meta(options.out) != meta:
        raise ValueError(f"{options.out} holds shards of other options; take another folder or remove it")

    pairs = read_corpus(options.corpus)
    split = split_held_out(pairs, options.held_out)
    _log(
        started,
        f"{len(pairs):,} pairs, {len(split.held_out):,} held out, {len(split.training):,} to train on",
    )
    pivoted = pivot_pairs(pairs, split)
    split.training.extend(range(len(pairs), len(pairs) + len(pivoted)))
    pairs += pivoted
    _log(started, f"{len(pivoted):,} pairs more through English")
    weights = direction_weights(pairs, split.training)
    _log(started, "weights: " + " ".join(f"{s}-{t} {w:.2f}" for (s, t), w in sorted(weights.items())))
    usable = bytearray(len(pairs))
    for index in split.training:
        usable[index] = 1
    dictionary = build_dictionary(pairs)

    chosen = options.out / "tokenizer.json"
    if options.tokenizer is not None:
        load_tokenizer(options.tokenizer)  # checked before it is copied
        if options.tokenizer.resolve() != chosen.resolve():
            shutil.copyfile(options.tokenizer, chosen)
    elif not chosen.exists():
        draw = random.Random(options.seed)
        sample = draw.sample(split.training, min(400_000, len(split.training)))
        unaligned = ExampleBuilder(pairs, usable, dictionary, weights).build(sample, draw)
        build_tokenizer(unaligned, options.vocabulary, draw).save(str(chosen))
        _log(started, "tokenizer built")
    tokenizer = load_tokenizer(chosen)
    workers = options.workers or os.cpu_count() or 1
    aligner = build_aligner(pairs, split.training, tokenizer, workers)
    _log(started, f"words linked: {aligner}")
    builder = ExampleBuilder(pairs, usable, dictionary, weights, aligner)
    draw = random.Random(0)
    shown = builder.build(draw.sample(split.training, min(3000, len(split.training))), draw)
    _log(started, f"kinds: {_describe(shown)}")
    for example in shown[:12]:
        print(f"    {example.prompt!r} => {example.answer!r}", flush=True)

    _shared = _Shared(options, pairs, split, builder, tokenizer)
    shards.write_meta(options.out, meta)
    missing = [i for i in range(meta.shards) if not shards.shard_path(options.out, i).exists()]
    totals = np.zeros(4, np.int64)
    context = multiprocessing.get_context("fork")
    gc.freeze()  # the corpus stays shared between the processes
    with context.Pool(workers, initializer=os.nice, initargs=(10,)) as pool:
        held_out = pool.apply_async(_write_held_out)
        for done, counts in enumerate(pool.imap(_make_shard, missing), 1):
            totals += counts
            if done in (1, len(missing)) or done % options.shards_per_pass == 0:
                examples, rows, tokens, learnt = (int(total) for total in totals)
                _log(
                    started,
                    f"{done} of {len(missing)} shards: {examples:,} examples, {rows:,} rows, "
                    f"{tokens / 1e6:.1f} M tokens (filled {tokens / (rows * options.length):.1%}, "
                    f"learnt {learnt / tokens:.1%})",
                )
        _log(started, f"{held_out.get():,} held-out examples")
    shards.write_json(options.out / "complete.json", {"shards": meta.shards})
