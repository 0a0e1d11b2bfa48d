"""The tokenizer: byte-level BPE, built like that of HY-MT1.5-1.8B (three splits one after the other, no normaliser)."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training import templates
from training.languages import LANGUAGES
from training.templates import Example

BEGIN: Final = 0
USER: Final = 1
ASSISTANT: Final = 2
END: Final = 3
PAD: Final = 4
# In the order of their ids. `END`, what ends an answer, is HY-MT's place holder no 2.
SPECIAL_TOKENS: Final[list[str]] = [
    "<｜hy_begin▁of▁sentence｜>",
    "<｜hy_User｜>",
    "<｜hy_Assistant｜>",
    "<｜hy_place▁holder▁no▁2｜>",
    "<｜hy_▁pad▁｜>",
    "<｜hy_end▁of▁sentence｜>",
    "<｜hy_place▁holder▁no▁3｜>",
    "<｜hy_place▁holder▁no▁8｜>",
]
_SPLITS: Final[tuple[str, ...]] = (
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"""|\s*[\r\n]+|\s+(?!\S)|\s+""",
)


def build_tokenizer(examples: list[Example], vocabulary: int, draw: random.Random) -> Tokenizer:
    """Trains the merges on texts and answers, and a little on the prompts, so that these become few tokens."""
    tokenizer = Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False) for pattern in _SPLITS]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=30,
    )
    sample = draw.sample(examples, min(700_000, len(examples)))

    def texts() -> Iterator[str]:
        for prompt, answer in sample:
            yield prompt.split("\n")[-1]
            yield answer
        for _ in range(3000):
            source, target = draw.sample(LANGUAGES, 2)
            yield templates.plain(source, target, "", draw)
            yield templates.terminology(source, target, "", [("", "")], draw)
            yield templates.context(target, "", "")
            yield templates.tagged(target, "")

    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Reads tokenizer.json and checks that the special tokens have the ids that the training writes."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no tokenizer at {path}")
    tokenizer = Tokenizer.from_file(str(path))
    for token_id, token in enumerate(SPECIAL_TOKENS):
        if tokenizer.token_to_id(token) != token_id:
            raise ValueError(f"{path}: {token} has id {tokenizer.token_to_id(token)}, expected {token_id}")
    return tokenizer


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids without special tokens; a special token's name inside a text stays text, as in Pagoda."""
    tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


class PromptEncoder:
    """Encodes prompts whose first lines repeat: those are encoded once.

    No token crosses the empty line after the instruction: the tokenizer's splits end a piece after line ends, and a
    text that begins with a line end is encoded whole.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._heads: dict[str, list[int]] = {}

    def encode(self, prompts: list[str]) -> list[list[int]]:
        heads: list[list[int]] = []
        tails: list[str] = []
        for prompt in prompts:
            head, gap, tail = prompt.partition("\n\n")
            if not gap or "\n" in head or not tail or tail[0] in "\r\n":
                heads.append([])
                tails.append(prompt)
                continue
            if head not in self._heads:
                self._heads[head] = encode_texts(self._tokenizer, [head + gap])[0]
            heads.append(self._heads[head])
            tails.append(tail)
        encoded = encode_texts(self._tokenizer, tails)
        return [head + tail for head, tail in zip(heads, encoded, strict=True)]
