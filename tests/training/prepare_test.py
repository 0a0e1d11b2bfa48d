"""Shards: the same whoever makes them, added to by a rerun, read in order and from any place."""

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import LENGTH, Tiny
from training import templates
from training.cli import main
from training.shards import Position, ShardReader, read_rows, shard_path, wait_for
from training.tokenizer import PromptEncoder, encode_texts, load_tokenizer


def _prepare(tiny: Tiny, folder: Path, *more: str) -> int:
    sizes = ["--length", str(LENGTH), "--passes", "2", "--shards-per-pass", "2", "--held-out", "6"]
    code = main(["prepare", "--corpus", str(tiny.path), "--out", str(folder), "--workers", "1", *sizes, *more])
    gc.enable()
    gc.unfreeze()
    return code


def test_a_rerun_adds_what_is_missing_and_makes_the_same(tiny: Tiny, data: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(data, again)
    shard_path(again, 1).unlink()
    (again / "complete.json").unlink()
    kept = shard_path(again, 0).stat().st_mtime_ns
    assert _prepare(tiny, again) == 0
    assert shard_path(again, 0).stat().st_mtime_ns == kept
    made, expected = read_rows(shard_path(again, 1)), read_rows(shard_path(data, 1))
    assert (made.tokens == expected.tokens).all() and (made.segment == expected.segment).all()
    assert (again / "complete.json").exists()


def test_other_options_in_the_same_folder_are_refused(
    tiny: Tiny, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"
    shutil.copytree(data, again)
    assert _prepare(tiny, again, "--seed", "2") == 1
    assert "holds shards of other options" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match=r"the preparation failed: ValueError: .*other options"):
        wait_for(again / "shard-00099.npz", 5.0)


def test_no_corpus_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--corpus", str(tmp_path / "none.tsv"), "--out", str(tmp_path / "out")]) == 1
    gc.enable()
    gc.unfreeze()
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "none.tsv" in error


def test_reading_goes_on_from_any_place(data: Path) -> None:
    rows = len(read_rows(shard_path(data, 0))) // 6 + 1  # no multiple: batches reach over the ends of shards
    whole = ShardReader(data, rows, Position(), patience_seconds=5.0)
    batches, places = [], []
    for _ in range(40):  # more than once around
        batches.append(whole.next_batch())
        places.append(whole.position)
    whole.close()
    assert places[-1].shard >= whole.meta.shards
    for stop in (0, 7, 25):
        resumed = ShardReader(data, rows, places[stop], patience_seconds=5.0)
        for expected in batches[stop + 1 : stop + 4]:
            assert (resumed.next_batch().tokens == expected.tokens).all()
        resumed.close()


def test_the_second_time_around_is_in_another_order(data: Path) -> None:
    everything = [read_rows(shard_path(data, index)).tokens for index in range(4)]
    count = len(everything[0])
    reader = ShardReader(data, count, Position(4, 0), patience_seconds=5.0)
    again = reader.next_batch().tokens
    reader.close()
    assert not (again == everything[0]).all()
    assert (np.sort(again, axis=0) == np.sort(everything[0], axis=0)).all()


def test_prompts_are_encoded_as_if_whole(data: Path) -> None:
    tokenizer = load_tokenizer(data / "tokenizer.json")
    prompts = [
        templates.official("en", "fr", "Tom buys 3 apples."),
        templates.official("en", "zh", "Mary sees\n\nTom."),
        templates.official("zh", "fr", "\n汤姆买了3个苹果。"),
        templates.official("en", "fr", " spaces before"),
        templates.official("en", "fr", ""),
        templates.tagged("zh", "<s1>Tom</s1> sees <｜hy_User｜>"),
        templates.context("zh", "Tom buys 3 apples.", "Before\n\nthat."),
    ]
    encoder = PromptEncoder(tokenizer)
    for _ in range(2):  # the second time from what it remembers
        assert encoder.encode(prompts) == encode_texts(tokenizer, prompts)
    # A special token's name in a text is text.
    assert all(min(ids) > 7 for ids in encoder.encode(prompts))


def test_a_tokenizer_with_other_special_tokens_is_refused(data: Path, tmp_path: Path) -> None:
    text = (data / "tokenizer.json").read_text()
    other = tmp_path / "tokenizer.json"
    other.write_text(text.replace("<｜hy_User｜>", "<｜other｜>"))
    with pytest.raises(ValueError, match=r"hy_User.* has id None, expected 1"):
        load_tokenizer(other)
