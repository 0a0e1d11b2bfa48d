"""Tags and placeholders in a pair: around words that translate each other, on both sides alike.

HY-MT's own prompt knows <s1></s1>, <s2></s2> ... and <s3/>; a plain prompt meets HTML as people write it.
"""

import random
from typing import Final

from training import templates
from training.alignment import Link
from training.corpus import Pair
from training.templates import Example
from training.terms import coin

# How many pairs of tags, where there are so many words to mark.
COUNTS: Final = (1, 1, 1, 2, 2, 2, 2, 3)
NESTED: Final = 0.12  # a pair of tags around all of it, too
EMPTY: Final = 0.1  # an <s1/> behind a marked word
PLAIN_PROMPT: Final = 0.3  # HTML in a plain prompt, instead of numbered tags in their own
HOLDS_PLACEHOLDER: Final = 0.1
BESIDE_PLACEHOLDER: Final = 0.05

_HTML: Final = ("b", "b", "b", "i", "i", "em", "strong", "u", "code", "span")


def placeholder(draw: random.Random) -> str:
    """What programs put into texts that people translate."""
    word = coin("en", draw).lower()
    return draw.choice(
        (
            "{0}", "%s", "{name}", "%d", "${var}", "%1$s", "{{count}}", f"{{{word}}}", f"https://example.org/{word}",
            f"https://{word}.com/{coin('en', draw).lower()}/{draw.randint(1, 9999)}", f"{coin('en', draw)}@{word}.com",
            f"`{word}_{coin('en', draw).lower()}`",
        )
    )  # fmt: skip


def choose_links(links: list[Link], count: int, draw: random.Random) -> list[Link]:
    """At most `count` of them that do not overlap on either side, in the order of the source."""
    chosen: list[Link] = []
    for link in draw.sample(links, len(links)):
        apart = all(
            mine[1] <= other[0] or other[1] <= mine[0]
            for taken in chosen
            for mine, other in zip(link, taken, strict=True)
        )
        if apart:
            chosen.append(link)
        if len(chosen) == count:
            break
    return sorted(chosen)


def _html(draw: random.Random) -> tuple[str, str]:
    name = draw.choice(_HTML)
    if draw.random() < 0.25:
        place = coin("en", draw).lower()
        address = draw.choice((f"https://example.org/{place}", f"/{place}", f"#{place}", f"{place}.html"))
        return f'<a href="{address}">', "</a>"
    if name == "span":
        return f'<span class="{coin("en", draw).lower()}">', "</span>"
    return f"<{name}>", f"</{name}>"


def _insert(text: str, pieces: list[tuple[tuple[int, int], str, str, str | None]]) -> str:
    """Puts each (span, before, after, in its place) into the text."""
    for (begin, end), before, after, instead in sorted(pieces, reverse=True):
        inside = text[begin:end] if instead is None else instead
        text = f"{text[:begin]}{before}{inside}{after}{text[end:]}"
    return text


def tagged_example(pair: Pair, source: str, target: str, links: list[Link], draw: random.Random) -> Example:
    """Pairs of tags around some of the links; numbered as they come in the source, or HTML in a plain prompt."""
    plain_prompt = draw.random() < PLAIN_PROMPT
    in_source, in_target = [], []
    number = 0
    for link in choose_links(links, draw.choice(COUNTS), draw):
        number += 1
        before, after = _html(draw) if plain_prompt else (f"<s{number}>", f"</s{number}>")
        instead = placeholder(draw) if draw.random() < HOLDS_PLACEHOLDER else None
        if draw.random() < BESIDE_PLACEHOLDER:
            after = f"{after} {placeholder(draw)}"
        if draw.random() < EMPTY:
            number += 1
            after += draw.choice(("<br/>", "<br>")) if plain_prompt else f"<s{number}/>"
        in_source.append((link.in_source, before, after, instead))
        in_target.append((link.in_target, before, after, instead))
    source, target = _insert(source, in_source), _insert(target, in_target)
    if draw.random() < NESTED:
        before, after = ("<p>", "</p>") if plain_prompt else (f"<s{number + 1}>", f"</s{number + 1}>")
        source, target = f"{before}{source}{after}", f"{before}{target}{after}"
    if plain_prompt:
        return Example(templates.plain(*pair[:2], source, draw), target)
    return Example(templates.tagged(pair.target_language, source), f"<target>{target}</target>")
