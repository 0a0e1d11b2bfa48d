"""The corpus: reading it, what its parts and directions weigh, and the slice that is kept out of training."""

import hashlib
import lzma
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple


class Pair(NamedTuple):
    """One line of the corpus. Each pair stands there once; flipped it serves the other direction."""

    source_language: str
    target_language: str
    source: str
    target: str
    corpus: str

    def flipped(self) -> "Pair":
        return Pair(self.target_language, self.source_language, self.target, self.source, self.corpus)


# How often a pass sees a pair. Everyday sentences and dialogue are what the model is for; labels of user interfaces are
# many, short and alike.
CORPUS_WEIGHTS: Final[dict[str, float]] = {
    "tatoeba_anki": 3.5,
    "tatoeba_testsets": 4.0,
    "tatoeba_lingo": 3.5,
    "tatoeba_pivot": 2.0,
    "convlab_dialogues": 2.0,
    "ami_ja_en": 2.0,
    "lobe_agents": 1.0,
    "hf_course": 1.0,
    "opensource_guide": 1.0,
    "bitcoin_org": 1.0,
    "mozilla_www": 1.0,
    "ms_courses": 0.7,
    "python_docs_zh": 0.6,
    "scratch_l10n": 0.6,
    "tldr_pages": 0.5,
    "electron_docs": 0.5,
    "android_framework": 0.5,
    "cldr_terms": 0.4,
    "osm_id": 0.25,
    "godot_editor": 0.2,
}
# Terms and labels: never joined to longer texts, and where the glossary examples take their terms.
LABELS: Final[frozenset[str]] = frozenset({"cldr_terms", "osm_id", "godot_editor", "android_framework"})
# Consecutive lines are consecutive turns.
DIALOGUES: Final[frozenset[str]] = frozenset({"convlab_dialogues", "ami_ja_en"})
# Sorted by length or alphabet, so that neighbours say nearly the same.
UNORDERED: Final[frozenset[str]] = frozenset({"tatoeba_anki", "tatoeba_testsets", "tatoeba_lingo", "tatoeba_pivot"})

# Sampling by temperature: the weight of a language pair goes with the power ALPHA of its size.
ALPHA: Final = 0.7
# Ten directions share the English and nine the Chinese decoder; the other languages have two directions each.
INTO_SHARED: Final = 0.9
INTO_OTHER: Final = 1.1


def read_corpus(path: Path) -> list[Pair]:
    """Reads `source language, target language, source, target, corpus` separated by tabs; .xz or plain."""
    pairs = []
    opened = lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")
    with opened as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 5 and fields[2] and fields[3]:
                pairs.append(Pair(*fields))
    if not pairs:
        raise ValueError(f"{path} holds no line of five fields separated by tabs")
    return pairs


@dataclass(frozen=True)
class Split:
    """A corpus parted in two: indices into the list of pairs."""

    training: list[int]
    held_out: list[int]


def _rank(pair: Pair) -> bytes:
    return hashlib.blake2b("\t".join(pair[:4]).encode(), digest_size=8).digest()


def split_held_out(pairs: list[Pair], per_language_pair: int) -> Split:
    """Holds out `per_language_pair` pairs of every language pair, chosen by hash so that reruns agree.

    A training pair that shares its source or its target with a held-out pair of the same languages is dropped too: the
    corpus has many sentences with several translations. Labels are never held out.
    """
    by_languages: dict[tuple[str, str], list[tuple[bytes, int]]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        if pair.corpus not in LABELS:
            by_languages[pair[:2]].append((_rank(pair), index))
    held_out: list[int] = []
    sources: set[tuple[str, str, str]] = set()
    targets: set[tuple[str, str, str]] = set()
    for languages, ranked in by_languages.items():
        # A tiny corpus still trains on most of what it has.
        ranked.sort()
        for _, index in ranked[: min(per_language_pair, len(ranked) // 10)]:
            held_out.append(index)
            sources.add((*languages, pairs[index].source))
            targets.add((*languages, pairs[index].target))
    training = [
        index
        for index, (source_language, target_language, source, target, _) in enumerate(pairs)
        if (source_language, target_language, source) not in sources
        and (source_language, target_language, target) not in targets
    ]
    return Split(training, held_out)


def pivot_pairs(pairs: list[Pair], split: Split) -> list[Pair]:
    """Pairs of Chinese and another language that are translations of one English sentence of Tatoeba.

    Only of training pairs, without those that are there already and those that share a sentence with a held-out pair.
    """
    most = 2  # translations of a sentence into a language
    taken = {(pair.target_language, text) for pair in (pairs[i] for i in split.held_out) for text in pair[2:4]}
    known = {pair[1:4] for pair in pairs if pair.source_language == "zh"}
    translations: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for index in split.training:
        pair = pairs[index]
        if pair.corpus in UNORDERED and pair.source_language == "en":
            found = translations[pair.source][pair.target_language]
            if len(found) < most:
                found.append(pair.target)
    made = set()
    for by_language in translations.values():
        for chinese in by_language.get("zh", ()):
            for language, texts in by_language.items():
                for text in texts if language != "zh" else ():
                    if (language, chinese) not in taken and (language, text) not in taken:
                        made.add((language, chinese, text))
    return [Pair("zh", language, chinese, text, "tatoeba_pivot") for language, chinese, text in sorted(made - known)]


def direction_weights(pairs: list[Pair], indices: list[int]) -> dict[tuple[str, str], float]:
    """By how much a direction's examples are multiplied: small language pairs are seen more often."""
    size: dict[tuple[str, str], float] = defaultdict(float)
    for index in indices:
        pair = pairs[index]
        size[pair[:2]] += CORPUS_WEIGHTS.get(pair.corpus, 1.0)
    largest = max(size.values())
    weights = {}
    for (source, target), examples in size.items():
        weight = (largest / examples) ** (1.0 - ALPHA)
        for one, other in ((source, target), (target, source)):
            weights[one, other] = weight * (INTO_SHARED if other in ("en", "zh") else INTO_OTHER)
    return weights
