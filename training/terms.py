"""Terms for the glossary and tag examples: names, coined words, and the corpus's own labels as a dictionary."""

import random
import re
from collections import defaultdict
from typing import Final

from training.corpus import LABELS, Pair
from training.languages import WITHOUT_SPACES
from training.templates import Term

Dictionary = dict[tuple[str, str], list[Term]]

_LATIN: Final = ("en", "fr", "de", "es", "it", "pt")


def _name(latin: str, ru: str, zh: str, ja: str, ko: str, ar: str, **others: str) -> dict[str, str]:
    return {**dict.fromkeys(_LATIN, latin), "ru": ru, "zh": zh, "ja": ja, "ko": ko, "ar": ar, **others}


def _brand(name: str) -> dict[str, str]:
    return _name(name, name, name, name, name, name)


# Names that the corpus has in every language.
NAMES: Final[list[dict[str, str]]] = [
    _name("Tom", "Том", "汤姆", "トム", "톰", "توم"),
    _name("Mary", "Мэри", "玛丽", "メアリー", "메리", "ماري", de="Maria"),
    _name("Boston", "Бостон", "波士顿", "ボストン", "보스턴", "بوسطن"),
    _name(
        "Australia", "Австралия", "澳大利亚", "オーストラリア", "호주", "أستراليا",
        fr="Australie", de="Australien", pt="Austrália",
    ),
    _brand("Python"),
    _brand("Azure"),
    _brand("Firefox"),
]  # fmt: skip

_SYLLABLES: Final[dict[str, list[str]]] = {
    "zh": list("星云辰海岚霖墨翼锋澜琉璃玄青霁瑶溪岳鼎鹤麟凰枢穹"),
    "ja": list("アイカキサシタナハマヤラワンリルレロノホフトテ"),
    "ko": list("가나다라마바사아자하노로모보소온린별빛솔"),
    "ru": ["ка", "ро", "ми", "тен", "лу", "во", "ша", "рин", "бел", "дор", "на", "зан"],
    "ar": ["كا", "رو", "مي", "لو", "شا", "رين", "بل", "دور", "نا", "زان"],
    "latin": [
        "ka", "ro", "mi", "ten", "lu", "vo", "sha", "rin", "bel", "dor", "na", "qui", "zan", "fel", "tor", "gri",
        "pax", "mor", "el", "sun", "tra", "vel", "kor", "ix", "ym", "ost",
    ],
}  # fmt: skip


def coin(language: str, draw: random.Random) -> str:
    """A word that nobody has seen, so that a glossary is obeyed and not remembered."""
    syllables = _SYLLABLES.get(language, _SYLLABLES["latin"])
    count = draw.randint(2, 3) + (language == "ja")
    word = "".join(draw.choice(syllables) for _ in range(count))
    return word if language in ("zh", "ja", "ko", "ar") else word.capitalize()


def find_term(text: str, term: str, language: str) -> tuple[int, int] | None:
    """Where a term stands in a text (begin, end), on word boundaries where the script has them.

    None if it is absent or occurs twice. Korean particles are glued to the word, so its end is free.
    """
    begin = text.find(term)
    if begin < 0 or text.find(term, begin + 1) >= 0:
        return None
    end = begin + len(term)
    if language not in WITHOUT_SPACES:
        if begin > 0 and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
            return None
        if end < len(text) and text[end].isalnum() and language != "ko":
            return None
    return begin, end


_NUMBER: Final = re.compile(r"\d+")


def shared_number(source: str, target: str) -> str | None:
    """The number that both texts hold, if each holds exactly one."""
    numbers = _NUMBER.findall(source)
    return numbers[0] if len(numbers) == 1 and numbers == _NUMBER.findall(target) else None


def build_dictionary(pairs: list[Pair]) -> Dictionary:
    """Short labels of the corpus, both ways."""
    dictionary: Dictionary = defaultdict(list)
    for source_language, target_language, source, target, corpus in pairs:
        if corpus not in LABELS or not (2 <= len(source) <= 18 and 2 <= len(target) <= 18):
            continue
        if source.count(" ") > 1 or target.count(" ") > 1 or any(mark in source + target for mark in ":：(),.!?/…%"):
            continue
        dictionary[source_language, target_language].append((source, target))
        dictionary[target_language, source_language].append((target, source))
    return dict(dictionary)
