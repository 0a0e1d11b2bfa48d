"""Which words of a pair translate each other, found by counting over the corpus.

Two words that stand in the same pairs more often than chance are associated (Dice's coefficient, 1945); in a sentence
those are linked that choose each other. That finds fewer links than an alignment model and needs one pass, no
iterations; the examples only need some word of a sentence and what it became.
"""

import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.corpus import LABELS, Pair

Span = tuple[int, int]

# What the lexicon of a language pair is counted over, and what a sentence may have of units to be counted.
COUNTED_PAIRS: Final = 80_000
LONGEST: Final = 40
# Occurrences together that are no chance, and the association from which on a link is believed.
FEWEST: Final = 3
WEAKEST: Final = 0.12
# A word in so many of the pairs is grammar: it helps to align, but nobody would mark it.
FREQUENT: Final = 0.02
# Words glued together, or particles glued to them: there the tokenizer's pieces are counted.
IN_PIECES: Final[frozenset[str]] = frozenset({"zh", "ja", "ko"})

_WORD: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = re.compile(r"[A-Za-z]+")


class Link(NamedTuple):
    """Where a word or phrase stands in the source, and where its translation stands in the target."""

    in_source: Span
    in_target: Span


def units(text: str, language: str, tokenizer: Tokenizer) -> list[Span]:
    """Where the words (or pieces, for languages in IN_PIECES) of a text stand."""
    if language not in IN_PIECES:
        return [found.span() for found in _WORD.finditer(text)]
    spans = [found.span() for found in _LATIN.finditer(text)]
    end = 0
    for begin, stop in tokenizer.encode(text, add_special_tokens=False).offsets:
        while begin < stop and text[begin].isspace():
            begin += 1
        # Pieces that are parts of a character all span that character.
        piece = text[begin:stop]
        if begin >= end and piece.isalpha() and not _LATIN.search(piece):
            spans.append((begin, stop))
        end = max(end, stop)
    return sorted(spans)


def _whole(text: str, language: str, span: Span) -> Span:
    """A Korean piece from the beginning of its word; its particles stay outside."""
    begin, end = span
    while language == "ko" and begin > 0 and text[begin - 1].isalpha():
        begin -= 1
    return begin, end


def _words(text: str, spans: list[Span]) -> list[str]:
    return [text[begin:end].casefold() for begin, end in spans]


@dataclass(frozen=True)
class Lexicon:
    """Associations of a language pair, in the order in which the corpus has the two."""

    left: dict[str, int]
    right: dict[str, int]
    keys: NDArray[np.int64]  # left * len(right) + right, sorted
    scores: NDArray[np.float32]
    frequent: frozenset[str]  # of both languages

    def between(self, left: list[str], right: list[str]) -> NDArray[np.float32]:
        """[left, right]: how strongly each word of one text is associated with each of the other."""
        unknown = -1
        rows = np.array([self.left.get(word, unknown) for word in left], np.int64)
        columns = np.array([self.right.get(word, unknown) for word in right], np.int64)
        wanted = rows[:, None] * len(self.right) + columns
        if not len(self.keys):
            return np.zeros(wanted.shape, np.float32)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known = (self.keys[places] == wanted) & (rows >= 0)[:, None] & (columns >= 0)
        return np.where(known, self.scores[places], np.float32(0.0))


def _count(pairs: Iterable[tuple[list[str], list[str]]]) -> Lexicon:
    texts = [(sorted(set(left)), sorted(set(right))) for left, right in pairs]
    occurrences: list[Counter[str]] = [Counter(), Counter()]
    for both in texts:
        for counter, words in zip(occurrences, both, strict=True):
            counter.update(words)
    numbers = [
        {word: number for number, word in enumerate(sorted(w for w, n in counter.items() if n >= FEWEST))}
        for counter in occurrences
    ]
    left, right = numbers
    together = []
    for one, other in texts:
        rows = np.array([left[word] for word in one if word in left], np.int64)
        columns = np.array([right[word] for word in other if word in right], np.int64)
        together.append((rows[:, None] * len(right) + columns).ravel())
    keys, counts = np.unique(np.concatenate([*together, np.zeros(0, np.int64)]), return_counts=True)
    enough = counts >= FEWEST
    keys, counts = keys[enough], counts[enough]
    of_left = np.array([occurrences[0][word] for word in left], np.float64)
    of_right = np.array([occurrences[1][word] for word in right], np.float64)
    width = max(1, len(right))
    scores = 2.0 * counts / (of_left[keys // width] + of_right[keys % width])
    strong = scores >= WEAKEST
    most = max(FREQUENT * len(texts), 20.0)
    frequent = frozenset(word for counter in occurrences for word, count in counter.items() if count > most)
    return Lexicon(left, right, keys[strong], scores[strong].astype(np.float32), frequent)


class Aligner:
    """Links words of pairs in all languages of a corpus."""

    def __init__(self, lexicons: dict[tuple[str, str], Lexicon], tokenizer: Tokenizer) -> None:
        self._lexicons = lexicons
        self._tokenizer = tokenizer

    def __str__(self) -> str:
        sizes = ((languages, len(lexicon.keys)) for languages, lexicon in self._lexicons.items())
        return " ".join(f"{'-'.join(languages)} {size:,}" for languages, size in sizes)

    def links(self, source_language: str, target_language: str, source: str, target: str) -> list[Link]:
        """Words that stand once in each text and choose each other, in the order of the source; no grammar words."""
        flipped = (source_language, target_language) not in self._lexicons
        key = (target_language, source_language) if flipped else (source_language, target_language)
        lexicon = self._lexicons.get(key)
        if lexicon is None:
            return []
        source_spans = units(source, source_language, self._tokenizer)
        target_spans = units(target, target_language, self._tokenizer)
        source_words, target_words = _words(source, source_spans), _words(target, target_spans)
        if not source_words or not target_words or max(len(source_words), len(target_words)) > LONGEST:
            return []
        if flipped:
            scores = lexicon.between(target_words, source_words).T
        else:
            scores = lexicon.between(source_words, target_words)
        best_target, best_source = scores.argmax(1), scores.argmax(0)
        found = []
        for row, column in enumerate(best_target.tolist()):
            if scores[row, column] <= 0 or best_source[column] != row:
                continue
            word, translation = source_words[row], target_words[column]
            if word in lexicon.frequent or translation in lexicon.frequent:
                continue
            if source_words.count(word) == 1 and target_words.count(translation) == 1:
                found.append(
                    Link(
                        _whole(source, source_language, source_spans[row]),
                        _whole(target, target_language, target_spans[column]),
                    )
                )
        return found


def phrases(links: list[Link]) -> list[Link]:
    """Every two neighbouring links as one, where their translations are neighbours too, in the same order."""
    between = 8  # characters: a short word of grammar may stand there
    joined = []
    for first, second in pairwise(links):
        gaps = (second.in_source[0] - first.in_source[1], second.in_target[0] - first.in_target[1])
        crossed = any(first.in_target[1] <= other.in_target[0] < second.in_target[0] for other in links)
        if all(0 <= gap <= between for gap in gaps) and not crossed:
            joined.append(Link((first.in_source[0], second.in_source[1]), (first.in_target[0], second.in_target[1])))
    return joined


_counted: tuple[list[Pair], dict[tuple[str, str], list[int]], Tokenizer] | None = None  # inherited by fork


def _count_languages(languages: tuple[str, str]) -> Lexicon:
    assert _counted is not None
    pairs, members, tokenizer = _counted
    chosen = members[languages]
    chosen = chosen[:: max(1, len(chosen) // COUNTED_PAIRS)][:COUNTED_PAIRS]
    texts = []
    for index in chosen:
        pair = pairs[index]
        both = [
            _words(text, units(text, language, tokenizer))
            for text, language in zip((pair.source, pair.target), languages, strict=True)
        ]
        if max(map(len, both)) <= LONGEST:
            texts.append((both[0], both[1]))
    return _count(texts)


def build_aligner(pairs: list[Pair], training: list[int], tokenizer: Tokenizer, workers: int) -> Aligner:
    """Counts the lexicon of every language pair over the training pairs, one process a language pair."""
    global _counted
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # parallel by process
    members: dict[tuple[str, str], list[int]] = {}
    for index in training:
        if pairs[index].corpus not in LABELS:
            members.setdefault(pairs[index][:2], []).append(index)
    names = sorted(members, key=lambda languages: (-len(members[languages]), languages))
    _counted = (pairs, members, tokenizer)
    try:
        if workers == 1:
            lexicons = [_count_languages(languages) for languages in names]
        else:
            with multiprocessing.get_context("fork").Pool(min(workers, max(1, len(names)))) as pool:
                lexicons = pool.map(_count_languages, names, chunksize=1)
    finally:
        _counted = None
    return Aligner(dict(zip(names, lexicons, strict=True)), tokenizer)
