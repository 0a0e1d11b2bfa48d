"""What stands beside an example in its row must not change it, and both attention paths agree."""

import pytest
import torch

from training.attention import FLEX, MASKED
from training.batch import make_batch
from training.model import HunyuanDense, ModelConfig
from training.packing import pack

CONFIG = ModelConfig(
    vocab_size=60,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
)
PROMPTS = [[10, 11, 12], [20, 21], [30, 31, 32, 33]]
ANSWERS = [[40, 41], [42], [43, 44, 45]]


def test_an_example_does_not_see_its_neighbours() -> None:
    model = HunyuanDense(CONFIG, MASKED)
    together = make_batch(pack(PROMPTS, ANSWERS, 32))
    row = model(together.tokens, together.segment, together.position)
    at = 0
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        alone = make_batch(pack([prompt], [answer], 32))
        size = len(prompt) + len(answer) + 4
        expected = model(alone.tokens, alone.segment, alone.position)[:size]
        torch.testing.assert_close(row[at : at + size], expected, atol=1e-5, rtol=1e-5)
        at += size


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_equals_masked() -> None:
    prompts, answers = PROMPTS * 12, ANSWERS * 12
    batch = make_batch(pack(prompts, answers, 256))
    model = HunyuanDense(CONFIG, MASKED)
    with torch.no_grad():
        expected = model(batch.tokens, batch.segment, batch.position)
        model.attention = FLEX
        found = model(batch.tokens, batch.segment, batch.position)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
