"""Rows hold every example once and whole, and a batch says what is predicted where."""

import random

import numpy as np

from training.batch import make_batch
from training.packing import pack
from training.tokenizer import ASSISTANT, BEGIN, END, PAD, USER

LENGTH = 64


def _random_texts(count: int) -> tuple[list[list[int]], list[list[int]]]:
    draw = random.Random(4)
    texts = [[draw.randint(10, 999) for _ in range(draw.randint(1, 25))] for _ in range(2 * count)]
    return texts[::2], texts[1::2]


def test_every_example_is_there_once_and_whole() -> None:
    prompts, answers = _random_texts(300)
    rows = pack(prompts, answers, LENGTH)
    found = []
    for tokens, learnt, segment in zip(rows.tokens, rows.learnt, rows.segment, strict=True):
        assert (tokens[segment == 0] == PAD).all() and not learnt[segment == 0].any()
        for number in range(1, int(segment.max()) + 1):
            ids = tokens[segment == number].tolist()
            middle = ids.index(ASSISTANT)
            assert ids[:2] == [BEGIN, USER] and ids[-1] == END
            assert learnt[segment == number].tolist() == [False] * (middle + 1) + [True] * (len(ids) - middle - 1)
            found.append((ids[2:middle], ids[middle + 1 : -1]))
    assert sorted(found) == sorted(zip(prompts, answers, strict=True))
    assert (rows.segment > 0).mean() > 0.93


def test_what_is_longer_than_a_row_is_left_out() -> None:
    fits, too_long = [9] * (LENGTH - 5), [9] * (LENGTH - 4)
    rows = pack([fits, too_long], [[8], [8]], LENGTH)
    assert len(rows) == 1
    assert (rows.segment == 1).all()


def test_batch_predicts_each_learnt_token_from_the_one_before() -> None:
    prompts, answers = _random_texts(20)
    rows = pack(prompts, answers, LENGTH)
    batch = make_batch(rows)
    flat = rows.tokens.reshape(-1)
    assert batch.target.tolist() == flat[rows.learnt.reshape(-1)].tolist()
    assert (flat[batch.at.numpy() + 1] == batch.target.numpy()).all()
    # Within one row: never across its beginning.
    assert ((batch.at.numpy() + 1) % LENGTH != 0).all()
    for segment, position in zip(rows.segment, batch.position.numpy(), strict=True):
        for number in range(int(segment.max()) + 1):
            size = int((segment == number).sum())
            assert position[segment == number].tolist() == np.arange(size).tolist()
