"""Reading, the held-out slice, and what directions weigh."""

from pathlib import Path

import pytest

from tests.training.conftest import Tiny
from training.corpus import LABELS, Pair, direction_weights, read_corpus, split_held_out


def test_reads_compressed_lines_as_they_are(tiny: Tiny) -> None:
    assert read_corpus(tiny.path) == [Pair(*line) for line in tiny.lines]


def test_lines_that_are_no_pairs_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "corpus.tsv"
    path.write_text("en\tfr\tYes.\tOui.\tx\nen\tfr\tNo.\tNon.\nen\tfr\t\tRien.\tx\n\n")
    assert read_corpus(path) == [Pair("en", "fr", "Yes.", "Oui.", "x")]
    path.write_text("one field\n")
    with pytest.raises(ValueError, match="holds no line of five fields"):
        read_corpus(path)


def test_held_out_sentences_are_not_trained_on(tiny: Tiny) -> None:
    pairs = read_corpus(tiny.path)
    # Another translation of a sentence, as the corpus has many.
    pairs += [pair._replace(target=pair.target + "!") for pair in pairs]
    split = split_held_out(pairs, 6)
    languages = [pairs[index][:2] for index in split.held_out]
    assert sorted(set(languages)) == [("en", "fr"), ("en", "zh"), ("zh", "fr")]
    assert len(languages) == 18
    assert not any(pairs[index].corpus in LABELS for index in split.held_out)

    trained = [pairs[index] for index in split.training]
    for index in split.held_out:
        held = pairs[index]
        same = [pair for pair in trained if pair[:2] == held[:2]]
        assert not any(pair.source == held.source or pair.target == held.target for pair in same)
    assert len(trained) > len(pairs) * 3 // 4


def test_held_out_slice_does_not_depend_on_the_order(tiny: Tiny) -> None:
    pairs = read_corpus(tiny.path)
    backwards = pairs[::-1]
    chosen = {pairs[index] for index in split_held_out(pairs, 6).held_out}
    assert chosen == {backwards[index] for index in split_held_out(backwards, 6).held_out}


def test_small_language_pairs_are_seen_more_often() -> None:
    pairs = [Pair("en", "fr", str(i), str(i), "lobe_agents") for i in range(1000)]
    pairs += [Pair("en", "ar", str(i), str(i), "lobe_agents") for i in range(10)]
    weights = direction_weights(pairs, list(range(len(pairs))))
    assert weights["en", "ar"] / weights["en", "fr"] == pytest.approx(100.0**0.3)
    assert weights["en", "ar"] / weights["ar", "en"] == pytest.approx(1.1 / 0.9)
