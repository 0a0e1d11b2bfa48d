"""Words that translate each other: found both ways, in scripts with and without spaces, never by half a word."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from tests.training.conftest import NAMES, THINGS, VERBS, Tiny
from training.alignment import Aligner, Link, build_aligner, phrases, units
from training.corpus import Pair, Split, pivot_pairs, read_corpus
from training.markup import choose_links
from training.tokenizer import load_tokenizer


def _texts(pair: Pair, links: list[Link]) -> set[tuple[str, str]]:
    return {(pair.source[slice(*link.in_source)], pair.target[slice(*link.in_target)]) for link in links}


@pytest.fixture(scope="module")
def aligner(tiny: Tiny, data: Path) -> Aligner:
    pairs = read_corpus(tiny.path)
    return build_aligner(pairs, list(range(len(pairs))), load_tokenizer(data / "tokenizer.json"), 1)


def test_every_word_finds_its_translation(aligner: Aligner) -> None:
    for name in NAMES:
        for verb in VERBS:
            for thing in THINGS:
                pair = Pair("en", "fr", f"{name[0]} {verb[0]} 7 {thing[0]}.", f"{name[1]} {verb[1]} 7 {thing[1]}.", "")
                found = _texts(pair, aligner.links(*pair[:4]))
                assert found <= {name[:2], verb[:2], thing[:2]}, pair
                flipped = pair.flipped()
                assert _texts(flipped, aligner.links(*flipped[:4])) == {(b, a) for a, b in found}


def test_nothing_is_linked_without_a_lexicon_or_words(aligner: Aligner) -> None:
    assert aligner.links("de", "en", "Tom kauft Bücher.", "Tom buys books.") == []
    assert aligner.links("en", "fr", "...", "Tom voit.") == []
    assert aligner.links("en", "fr", "Tom sees Tom.", "Tom voit Tom.") == []  # which of the two?


def test_units_are_whole_words_or_pieces(data: Path) -> None:
    tokenizer = load_tokenizer(data / "tokenizer.json")
    text = "L'école n° 12 est là."
    assert [text[a:b] for a, b in units(text, "fr", tokenizer)] == ["L", "école", "n", "est", "là"]
    chinese = "汤姆用Firefox看见了3个苹果。"
    pieces = [chinese[a:b] for a, b in units(chinese, "zh", tokenizer)]
    assert "Firefox" in pieces and "".join(pieces) == "汤姆用Firefox看见了个苹果"


def test_neighbours_join_to_phrases() -> None:
    links = [Link((0, 3), (5, 8)), Link((4, 8), (9, 13)), Link((10, 12), (0, 4))]
    assert phrases(links) == [Link((0, 8), (5, 13))]


def test_chosen_links_do_not_overlap() -> None:
    links = [Link((0, 3), (5, 8)), Link((2, 8), (9, 13)), Link((10, 12), (6, 7)), Link((13, 15), (20, 22))]
    for seed in range(50):
        chosen = choose_links(links, 3, random.Random(seed))
        assert chosen == sorted(chosen) and 2 <= len(chosen) <= 3
        for side in range(2):
            spans = sorted(link[side] for link in chosen)
            assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_pairs_through_english_touch_nothing_held_out() -> None:
    pairs = [
        Pair("en", "fr", "Hello.", "Bonjour.", "tatoeba_anki"),
        Pair("en", "zh", "Hello.", "你好。", "tatoeba_anki"),
        Pair("en", "zh", "Thanks.", "谢谢。", "tatoeba_anki"),
        Pair("en", "fr", "Thanks.", "Merci.", "tatoeba_anki"),
        Pair("en", "zh", "Bye.", "再见。", "tatoeba_anki"),
        Pair("en", "fr", "Bye.", "Salut.", "tatoeba_anki"),
        Pair("zh", "fr", "谢谢你。", "Merci.", "tatoeba_anki"),
        Pair("zh", "fr", "再见。", "Salut.", "tatoeba_anki"),
        Pair("en", "fr", "Yes.", "Oui.", "ms_courses"),
        Pair("en", "zh", "Yes.", "是。", "ms_courses"),
    ]
    everything = list(range(len(pairs)))
    whole = pivot_pairs(pairs, Split(everything, []))
    assert [pair[:4] for pair in whole] == [("zh", "fr", "你好。", "Bonjour."), ("zh", "fr", "谢谢。", "Merci.")]
    without = pivot_pairs(pairs, Split([i for i in everything if i != 6], [6]))
    assert [pair[:4] for pair in without] == [("zh", "fr", "你好。", "Bonjour.")]
