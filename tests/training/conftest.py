"""A corpus of made-up sentences that is small enough to train on in seconds, and what is made of it once a run."""

import gc
import lzma
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from training.cli import main
from training.model import ModelConfig
from training.schedule import TrainOptions
from training.tokenizer import load_tokenizer
from training.train import train

# The same tokens whatever the machine has beside this test, and no fight for cores.
torch.set_num_threads(1)

LENGTH = 256
NAMES = [
    ("Tom", "Tom", "汤姆"),
    ("Mary", "Mary", "玛丽"),
    ("Python", "Python", "Python"),
    ("Azure", "Azure", "Azure"),
    ("Firefox", "Firefox", "Firefox"),
]
VERBS = [("buys", "achète", "买了"), ("sees", "voit", "看见"), ("wants", "veut", "想要"), ("draws", "dessine", "画了")]
THINGS = [
    ("apples", "pommes", "苹果"),
    ("houses", "maisons", "房子"),
    ("books", "livres", "书"),
    ("tables", "tables", "桌子"),
    ("dresses", "robes", "裙子"),
]


@dataclass(frozen=True)
class Tiny:
    """Lines of the corpus, and where they lie."""

    lines: list[tuple[str, str, str, str, str]]
    path: Path


def _lines() -> list[tuple[str, str, str, str, str]]:
    draw = random.Random(5)
    lines = []
    for name in NAMES:
        for verb in VERBS:
            for thing in THINGS:
                number = draw.randint(2, 99)
                en = f"{name[0]} {verb[0]} {number} {thing[0]}."
                fr = f"{name[1]} {verb[1]} {number} {thing[1]}."
                zh = f"{name[2]}{verb[2]}{number}个{thing[2]}。"
                lines.append(("en", "fr", en, fr, "tatoeba_anki"))
                lines.append(("en", "zh", en, zh, "convlab_dialogues"))
                lines.append(("zh", "fr", zh, fr, "ms_courses"))
    for en, fr, zh in THINGS:
        lines.append(("en", "fr", en, fr, "cldr_terms"))
        lines.append(("en", "zh", en, zh, "cldr_terms"))
    lines.sort(key=lambda line: line[:2])  # neighbours of one language pair, as in the real corpus
    return lines


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    path = tmp_path_factory.mktemp("corpus") / "tiny.tsv.xz"
    lines = _lines()
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines("\t".join(line) + "\n" for line in lines)
    return Tiny(lines, path)


@pytest.fixture(scope="session")
def data(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shards of `tiny`, as `prepare` writes them: two passes of two."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    sizes = ["--length", str(LENGTH), "--vocabulary", "700", "--passes", "2", "--shards-per-pass", "2"]
    arguments = ["prepare", "--corpus", str(tiny.path), "--out", str(folder), "--held-out", "6", "--workers", "2"]
    assert main([*arguments, *sizes]) == 0
    gc.enable()
    gc.unfreeze()
    yield folder


@pytest.fixture(scope="session")
def config(data: Path) -> ModelConfig:
    vocabulary = load_tokenizer(data / "tokenizer.json").get_vocab_size()
    return ModelConfig(vocabulary, 64, 96, 2, 4, 2, 32)


@pytest.fixture(scope="session")
def trained(data: Path, config: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from random weights. The folder holds checkpoint.pt and model/."""
    folder = tmp_path_factory.mktemp("trained")
    train(
        TrainOptions(
            data, folder, config=config, steps=70, rows=4, learning_rate=1e-2, warm_up_steps=5, checkpoint_seconds=1e9
        )
    )
    return folder
