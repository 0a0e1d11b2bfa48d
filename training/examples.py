"""From pairs to examples: a prompt as HY-MT writes it, and the answer that is to be learnt.

Most examples are plain translations; the rest teach what the prompts promise: glossaries obeyed, context used and not
translated, tags kept, several sentences and lines, numbers, placeholders and addresses copied.
"""

import random
from collections.abc import Iterable
from typing import Final, NamedTuple

from training import templates
from training.corpus import CORPUS_WEIGHTS, DIALOGUES, LABELS, UNORDERED, Pair
from training.languages import WITHOUT_SPACES
from training.terms import NAMES, Dictionary, coin, find_term, shared_number

# Shares of all examples. Terms and tags need a term that stands in both texts, so fewer come out.
SEVERAL: Final = 0.12
TERMS: Final = 0.13
TAGS: Final = 0.09
WHOLE_TAGS: Final = 0.02
CONTEXT: Final = 0.06
NEW_NUMBER: Final = 0.3
PLACEHOLDER: Final = 0.012
# Joined sentences hold at most this many characters of source.
JOINED_CHARACTERS: Final = 170


class Example(NamedTuple):
    """One training text: `[begin][user] prompt [assistant] answer [end]`; only the answer is learnt."""

    prompt: str
    answer: str


class Found(NamedTuple):
    """A term and its translation, and where each stands."""

    term: str
    translation: str
    in_source: tuple[int, int]
    in_target: tuple[int, int]


def _wrap(text: str, span: tuple[int, int], number: int) -> str:
    begin, end = span
    return f"{text[:begin]}<s{number}>{text[begin:end]}</s{number}>{text[end:]}"


def _replace(text: str, span: tuple[int, int], new: str) -> str:
    return text[: span[0]] + new + text[span[1] :]


class ExampleBuilder:
    """Builds examples of pairs; each call draws other ones.

    `usable` has one byte a pair, zero for those that are held out: they must not slip in as neighbours either.
    """

    def __init__(
        self,
        pairs: list[Pair],
        usable: bytearray,
        dictionary: Dictionary,
        direction_weights: dict[tuple[str, str], float],
    ) -> None:
        self._pairs = pairs
        self._usable = usable
        self._dictionary = dictionary
        self._direction_weights = direction_weights

    def build(self, indices: Iterable[int], draw: random.Random) -> list[Example]:
        """Examples of these pairs in both directions, as often as corpus and direction weigh."""
        examples = []
        for index in indices:
            pair = self._pairs[index]
            for flip in (False, True):
                shown = pair.flipped() if flip else pair
                weight = CORPUS_WEIGHTS.get(pair.corpus, 1.0) * self._direction_weights.get(shown[:2], 1.0)
                for _ in range(int(weight) + (draw.random() < weight % 1.0)):
                    examples.append(self._example(index, flip, draw))
        return examples

    def _example(self, index: int, flip: bool, draw: random.Random) -> Example:
        pair = self._pairs[index].flipped() if flip else self._pairs[index]
        source_language, target_language, source, target, corpus = pair
        number = shared_number(source, target)
        if number and draw.random() < NEW_NUMBER:
            other = str(draw.randint(0, 10 ** draw.randint(1, 6)))
            source, target, number = source.replace(number, other, 1), target.replace(number, other, 1), other
        if draw.random() < PLACEHOLDER:
            source, target = self._with_placeholder(source, target, draw)

        chance = draw.random()
        if chance < SEVERAL and corpus not in LABELS:
            return self._several(index, flip, source, target, draw)
        chance -= SEVERAL
        if 0 <= chance < TERMS + TAGS:
            found = self._find(pair, source, target, draw)
            if found and chance < TERMS:
                return self._with_terms(pair, source, target, found, draw)
            if chance >= TERMS and (found or number):
                return self._with_tags(target_language, source, target, found, number, draw)
        chance -= TERMS + TAGS
        if 0 <= chance < WHOLE_TAGS:
            if draw.random() < 0.6:
                source, target = f"<s1>{source}</s1>", f"<s1>{target}</s1>"
            return Example(templates.tagged(target_language, source), f"<target>{target}</target>")
        chance -= WHOLE_TAGS
        if 0 <= chance < CONTEXT and corpus not in LABELS:
            before = self._neighbour(index, draw, -draw.randint(1, 3))
            if before is not None:
                shown = before.flipped() if flip else before
                text = shown.target if draw.random() < 0.3 else shown.source
                return Example(templates.context(target_language, source, text), target)
        return Example(templates.plain(source_language, target_language, source, draw), target)

    def _neighbour(self, index: int, draw: random.Random, offset: int) -> Pair | None:
        """A pair of the same languages and corpus: at this offset, or random where order means nothing."""
        here = self._pairs[index]
        attempts = 6 if here.corpus in UNORDERED else 1
        for _ in range(attempts):
            other = index + (draw.randint(-4000, 4000) if here.corpus in UNORDERED else offset)
            if other == index or not 0 <= other < len(self._pairs) or not self._usable[other]:
                continue
            found = self._pairs[other]
            if found[:2] == here[:2] and found.corpus == here.corpus:
                return found
        return None

    def _several(self, index: int, flip: bool, source: str, target: str, draw: random.Random) -> Example:
        """Two or three sentences in one line, or lines of their own; a dialogue keeps its turns in order."""
        languages = self._pairs[index].flipped() if flip else self._pairs[index]
        dialogue = languages.corpus in DIALOGUES
        sources, targets = [source], [target]
        for offset in range(1, draw.choice((2, 3, 3))):
            if sum(map(len, sources)) > JOINED_CHARACTERS:
                break
            neighbour = self._neighbour(index, draw, offset)
            if neighbour is None:
                break
            shown = neighbour.flipped() if flip else neighbour
            if shown.source not in sources:
                sources.append(shown.source)
                targets.append(shown.target)
        lines = draw.random() < (0.8 if dialogue else 0.4)
        if lines and len(sources) > 1 and draw.random() < (0.4 if dialogue else 0.2):
            sources, targets = [f"- {one}" for one in sources], [f"- {one}" for one in targets]

        def join(texts: list[str], language: str) -> str:
            return ("\n" if lines else "" if language in WITHOUT_SPACES else " ").join(texts)

        prompt = templates.plain(*languages[:2], join(sources, languages.source_language), draw)
        return Example(prompt, join(targets, languages.target_language))

    def _find(self, pair: Pair, source: str, target: str, draw: random.Random) -> Found | None:
        """A name, or a label of the dictionary, that stands in both texts."""
        source_language, target_language = pair[:2]
        candidates = [(name[source_language], name[target_language]) for name in NAMES]
        terms = self._dictionary.get((source_language, target_language), [])
        candidates += draw.sample(terms, min(40, len(terms)))
        for term, translation in candidates:
            in_source = find_term(source, term, source_language)
            in_target = find_term(target, translation, target_language) if in_source else None
            if in_source and in_target:
                return Found(term, translation, in_source, in_target)
        return None

    def _with_terms(self, pair: Pair, source: str, target: str, found: Found, draw: random.Random) -> Example:
        """The found term under a glossary; often replaced by a coined word, so that only the glossary helps."""
        source_language, target_language = pair[:2]
        term, translation = found.term, found.translation
        chance = draw.random()
        if chance < 0.55:
            term, translation = coin(source_language, draw), coin(target_language, draw)
        elif chance < 0.8 and draw.random() < 0.5:
            translation = coin(target_language, draw)
        source = _replace(source, found.in_source, term)
        target = _replace(target, found.in_target, translation)
        glossary = [(term, translation)]
        terms = self._dictionary.get((source_language, target_language), [])
        for _ in range(draw.choice((0, 0, 1, 2, 3)) if terms else 0):
            distractor = draw.choice(terms)
            if distractor[0] not in source:
                glossary.append(distractor)
        draw.shuffle(glossary)
        return Example(templates.terminology(source_language, target_language, source, glossary, draw), target)

    @staticmethod
    def _with_tags(
        target_language: str,
        source: str,
        target: str,
        found: Found | None,
        number: str | None,
        draw: random.Random,
    ) -> Example:
        if found:
            in_source, in_target = found.in_source, found.in_target
        else:
            assert number is not None
            in_source = (source.find(number), source.find(number) + len(number))
            in_target = (target.find(number), target.find(number) + len(number))
        source, target = _wrap(source, in_source, 1), _wrap(target, in_target, 1)
        if draw.random() < 0.3:
            source, target = f"<s2>{source}</s2>", f"<s2>{target}</s2>"
        return Example(templates.tagged(target_language, source), f"<target>{target}</target>")

    @staticmethod
    def _with_placeholder(source: str, target: str, draw: random.Random) -> tuple[str, str]:
        word = coin("en", draw).lower()
        placeholder = draw.choice(
            (
                "{0}", "%s", "{name}", "${var}", "%1$s", "{{count}}", f"https://example.org/{word}",
                f"{coin('en', draw)}@{word}.com", f"`{word}_{coin('en', draw).lower()}`",
            )
        )  # fmt: skip
        if draw.random() < 0.5:
            return f"{source} {placeholder}", f"{target} {placeholder}"
        return f"{placeholder} {source}", f"{placeholder} {target}"


def held_out_examples(pairs: list[Pair], indices: list[int]) -> list[tuple[str, Example]]:
    """Plain prompts of the held-out pairs in both directions, each with its direction, as `en-zh`."""
    examples = []
    for index in indices:
        for pair in (pairs[index], pairs[index].flipped()):
            prompt = templates.official(pair.source_language, pair.target_language, pair.source)
            examples.append((f"{pair.source_language}-{pair.target_language}", Example(prompt, pair.target)))
    return examples
