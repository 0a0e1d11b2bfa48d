"""Rows of fixed length, filled with whole examples.

A row is `length` tokens; `segment` numbers the examples in it (1, 2, ...; 0 is padding) so that attention stays inside
each; `learnt` marks the tokens that the model must predict: the answer and the end after it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.tokenizer import ASSISTANT, BEGIN, END, PAD, USER

# Rows that stay open while examples are placed: more fill better and cost time. 24 leave 1 % empty.
OPEN_ROWS = 24


@dataclass(frozen=True)
class Rows:
    """Arrays of the same shape [rows, length]."""

    tokens: NDArray[np.uint16]
    learnt: NDArray[np.bool_]
    segment: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.tokens.shape[0])


def pack(prompts: list[list[int]], answers: list[list[int]], length: int) -> Rows:
    """Best fit over a few open rows. Examples longer than a row are left out."""
    full: list[list[int]] = []
    open_rows: list[tuple[int, list[int]]] = []  # tokens used, examples
    for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        size = len(prompt) + len(answer) + 4
        if size > length:
            continue
        best = -1
        for place, (used, _) in enumerate(open_rows):
            if used + size <= length and (best < 0 or used > open_rows[best][0]):
                best = place
        if best >= 0:
            used, members = open_rows[best]
            members.append(index)
            open_rows[best] = (used + size, members)
        else:
            open_rows.append((size, [index]))
        if len(open_rows) > OPEN_ROWS:
            fullest = max(range(len(open_rows)), key=lambda place: open_rows[place][0])
            full.append(open_rows.pop(fullest)[1])
    full += [members for _, members in open_rows]

    tokens = np.full((len(full), length), PAD, np.uint16)
    learnt = np.zeros((len(full), length), np.bool_)
    segment = np.zeros((len(full), length), np.uint8)
    for row, members in enumerate(full):
        at = 0
        for number, index in enumerate(members):
            prompt, answer = prompts[index], answers[index]
            ids = [BEGIN, USER, *prompt, ASSISTANT, *answer, END]
            end = at + len(ids)
            tokens[row, at:end] = ids
            learnt[row, at + len(prompt) + 3 : end] = True
            segment[row, at:end] = number + 1
            at = end
    return Rows(tokens, learnt, segment)
