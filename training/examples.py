"""From pairs to examples: a prompt as HY-MT writes it, and the answer that is to be learnt.

Most examples are plain translations; the rest teach what the prompts promise: glossaries obeyed, context used and not
translated, tags kept, several sentences and lines, numbers, placeholders and addresses copied. Terms, tags and
placeholders stand around or in place of words that translate each other; an Aligner finds them.
"""

import random
from collections.abc import Iterable
from typing import Final, NamedTuple

from training import markup, templates
from training.alignment import Aligner, Link, phrases
from training.corpus import CORPUS_WEIGHTS, DIALOGUES, LABELS, UNORDERED, Pair
from training.languages import WITHOUT_SPACES
from training.templates import Example
from training.terms import NAMES, Dictionary, coin, find_term, shared_number

# Shares of all examples. Terms and tags need words that are found in both texts, so fewer come out.
SEVERAL: Final = 0.12
TERMS: Final = 0.06
TAGS: Final = 0.08
WHOLE_TAGS: Final = 0.015
CONTEXT: Final = 0.06
NEW_NUMBER: Final = 0.3
PLACEHOLDER: Final = 0.02
# Sentences joined by a line break of HTML instead of a space or a new line.
HTML_BREAK: Final = 0.06
# Joined sentences hold at most this many characters of source.
JOINED_CHARACTERS: Final = 170


class Found(NamedTuple):
    """A term and its translation, and where each stands."""

    term: str
    translation: str
    in_source: tuple[int, int]
    in_target: tuple[int, int]


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
        aligner: Aligner | None = None,
    ) -> None:
        self._pairs = pairs
        self._usable = usable
        self._dictionary = dictionary
        self._direction_weights = direction_weights
        self._aligner = aligner

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
            source, target = self._with_placeholder(pair, source, target, draw)
            number = None

        chance = draw.random()
        if chance < SEVERAL and corpus not in LABELS:
            return self._several(index, flip, source, target, draw)
        chance -= SEVERAL
        if 0 <= chance < TERMS + TAGS:
            if chance < TERMS:
                found = self._find(pair, source, target, draw)
                if found:
                    return self._with_terms(pair, source, target, found, draw)
            else:
                links = self._markable(pair, source, target, number, draw)
                if links:
                    return markup.tagged_example(pair, source, target, links, draw)
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
        html_break = draw.choice(("<br/>", "<br>", "<br /> ")) if draw.random() < HTML_BREAK else ""

        def join(texts: list[str], language: str) -> str:
            if html_break:
                return html_break.join(texts)
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
        links = self._links(pair, source, target)
        if not links:
            return None
        in_source, in_target = draw.choice(links)
        return Found(source[slice(*in_source)], target[slice(*in_target)], in_source, in_target)

    def _links(self, pair: Pair, source: str, target: str) -> list[Link]:
        """Words and phrases that translate each other; they may overlap."""
        if self._aligner is None:
            return []
        links = self._aligner.links(*pair[:2], source, target)
        return links + phrases(links)

    def _markable(self, pair: Pair, source: str, target: str, number: str | None, draw: random.Random) -> list[Link]:
        """What tags can stand around: linked words, a name or label, the number."""
        links = self._links(pair, source, target)
        if not links:
            found = self._find(pair, source, target, draw)
            links = [Link(found.in_source, found.in_target)] if found else []
        if number:
            begins = (source.find(number), target.find(number))
            links.append(Link(*((begin, begin + len(number)) for begin in begins)))
        return links

    def _with_terms(self, pair: Pair, source: str, target: str, found: Found, draw: random.Random) -> Example:
        """The found term under a glossary; often replaced by a coined word, so that only the glossary helps."""
        source_language, target_language = pair[:2]
        term, translation = found.term, found.translation
        chance = draw.random()
        if chance < 0.55:
            term, translation = coin(source_language, draw), coin(target_language, draw)
            if draw.random() < 0.25:  # of two words
                term, translation = f"{coin('en', draw)} {term}", f"{coin('en', draw)} {translation}"
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

    def _with_placeholder(self, pair: Pair, source: str, target: str, draw: random.Random) -> tuple[str, str]:
        """In place of a word, or at one of the ends."""
        placeholder = markup.placeholder(draw)
        links = self._links(pair, source, target) if draw.random() < 0.6 else []
        if links:
            in_source, in_target = draw.choice(links)
            return _replace(source, in_source, placeholder), _replace(target, in_target, placeholder)
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
