#!/usr/bin/env python3
"""Writes the small checkpoints of tests/data/models/ and what the reference implementation computes from them.

The reference is `HunYuanDenseV1ForCausalLM` of Hugging Face transformers, on the CPU, in FP32 (the stored weights,
widened), with eager attention and one thread. Exact command, from the repository's root:

    PYTHONPATH=. python3 tests/data/make_model_goldens.py --nano ../shared/nano-bf16 --bundled models/nano

Without --nano and --bundled only tests/data/models/ is written. The bundled model is quantised: the reference gets its
weights as they are stored, back in floats (training/packed_weights.py). `--search 300` writes nothing: it prints the seed whose greedy
continuations are the most decisive, which is how the seeds in tiny_checkpoints.py were found. Versions: README.md here.

How each checkpoint is loaded. `from_pretrained(folder)` reads the files as written, and the script then checks that
the rotary frequencies in the model are those of base = rope_theta * alpha^(d / (d - 2)). One exception: transformers
does not know `attention_head_dim`, so for hy-odd-spelling, which has no other, head_dim is set on the parsed config.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

from training.attention import MASKED
from training.hf_directory import published_name, read_weights
from training.model import HunyuanDense, ModelConfig

from tiny_checkpoints import CHECKPOINTS, Checkpoint, Tensors, random_weights, write_checkpoint, write_json

HERE = Path(__file__).resolve().parent
PROMPT_LENGTHS = (23, 41)  # neither is a multiple of a block or a vector width
GREEDY_TOKENS = 32

# The nano model: [begin][user] text [assistant], until the end.
NANO_BEGIN, NANO_USER, NANO_ASSISTANT, NANO_END = 0, 1, 2, 3
NANO_GREEDY_TOKENS = 40
NANO_POSITIONS = 4
NANO_TOP = 64
NANO_STRIDE = 37

PLAIN_EN = "Translate the following segment into {language}, without additional explanation.\n\n{text}"
PLAIN_ZH = "将以下文本翻译为{language}，注意只需要输出翻译后的结果，不要额外解释：\n\n{text}"
TERMS_ZH = ("参考下面的翻译：\n{term} 翻译成 {translation}\n\n"
            "将以下文本翻译为{language}，注意只需要输出翻译后的结果，不要额外解释：\n{text}")
TAGS_ZH = ("将以下<source></source>之间的文本翻译为中文，注意只需要输出翻译后的结果，不要额外解释，"
           "原文中的<sn></sn>标签表示标签内文本包含格式信息，需要在译文中相应的位置尽量保留该标签。"
           "输出格式为：<target>str</target>\n\n<source>{text}</source>")

NANO_PROMPTS = [
    PLAIN_EN.format(language="French", text="The library opens at nine o'clock every morning."),
    PLAIN_EN.format(language="English", text="Где находится ближайшая аптека?"),
    PLAIN_ZH.format(language="中文", text="The train to Berlin leaves at 18:45 from platform 7."),
    PLAIN_ZH.format(language="英语", text="明天下午我们去公园散步，好吗？"),
    TERMS_ZH.format(term="neural network", translation="神经网络", language="中文",
                    text="This neural network is very small."),
    TAGS_ZH.format(text="I like <s1>green</s1> tea."),
]


def load(folder: Path, spec: Checkpoint | None) -> transformers.HunYuanDenseV1ForCausalLM:
    config = transformers.HunYuanDenseV1Config.from_pretrained(folder)
    if spec and "head_dim" not in spec.config:
        config.head_dim = spec.head_dim
    model = transformers.HunYuanDenseV1ForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="eager").float().eval()
    if spec:
        exponents = np.arange(0, spec.head_dim, 2) / spec.head_dim
        np.testing.assert_allclose(model.model.rotary_emb.inv_freq.numpy(), spec.rope_base**-exponents, rtol=1e-5)
        shared = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
        assert shared == spec.config["tie_word_embeddings"]
    return model


@torch.no_grad()
def continue_greedily(model: transformers.HunYuanDenseV1ForCausalLM, ids: list[int], limit: int,
                      end: int | None) -> tuple[torch.Tensor, list[int], list[float]]:
    """Logits at every position of the prompt, then the most likely tokens and how far each leads the second."""
    prompt_logits: torch.Tensor | None = None
    tokens: list[int] = []
    leads: list[float] = []
    step, cache = torch.tensor([ids]), None
    while len(tokens) < limit and (not tokens or tokens[-1] != end):
        output = model(step, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        if prompt_logits is None:
            prompt_logits = output.logits[0]
        best = output.logits[0, -1].topk(2)
        tokens.append(int(best.indices[0]))
        leads.append(float(best.values[0] - best.values[1]))
        step = torch.tensor([tokens[-1:]])
    assert prompt_logits is not None
    return prompt_logits, tokens, leads


def random_prompts(spec: Checkpoint, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed + 1_000_000)
    return [rng.integers(0, spec.config["vocab_size"], length).tolist() for length in PROMPT_LENGTHS]


def tiny_golden(spec: Checkpoint, seed: int, folder: Path) -> tuple[Tensors, float]:
    """The golden tensors, and the smallest lead of any greedy token: 0 where the continuation is a poor test."""
    model = load(folder, spec)
    golden: Tensors = {}
    least = float("inf")
    for i, ids in enumerate(random_prompts(spec, seed)):
        logits, tokens, leads = continue_greedily(model, ids, GREEDY_TOKENS, end=None)
        varied = len(set(tokens)) >= GREEDY_TOKENS // 2 and not spec.stop_ids & set(tokens)
        least = min(least, min(leads) if varied else 0.0)
        golden[f"prompt_{i}.ids"] = torch.tensor(ids, dtype=torch.int32)
        golden[f"prompt_{i}.logits"] = logits.contiguous()  # [n, vocab]
        golden[f"prompt_{i}.greedy"] = torch.tensor(tokens, dtype=torch.int32)
        golden[f"prompt_{i}.greedy_lead"] = torch.tensor(leads, dtype=torch.float32)
    return golden, least


def search(spec: Checkpoint, seeds: int) -> None:
    best = (0.0, 0)
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(spec, random_weights(spec, seed), Path(folder))
            _, least = tiny_golden(spec, seed, Path(folder))
        best = max(best, (least, seed))
    print(f"{spec.name}: seed {best[1]}, least lead {best[0]:.4f}")


def nano_golden(folder: Path) -> tuple[Tensors, list[dict[str, object]]]:
    """Real prompts. All of [4, 24576] logits would be 2.4 MB, so the top, their sum and a sample stand for them."""
    model = load(folder, None)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    golden: Tensors = {}
    prompts: list[dict[str, object]] = []
    for i, text in enumerate(NANO_PROMPTS):
        text_ids = tokenizer.encode(text, add_special_tokens=False).ids
        ids = [NANO_BEGIN, NANO_USER, *text_ids, NANO_ASSISTANT]
        logits, tokens, leads = continue_greedily(model, ids, NANO_GREEDY_TOKENS, end=NANO_END)
        last = logits[-NANO_POSITIONS:]  # [4, vocab]
        top = last.topk(NANO_TOP)
        golden[f"prompt_{i}.ids"] = torch.tensor(ids, dtype=torch.int32)
        golden[f"prompt_{i}.top_ids"] = top.indices.to(torch.int32).contiguous()
        golden[f"prompt_{i}.top_logits"] = top.values.contiguous()
        golden[f"prompt_{i}.logsumexp"] = last.logsumexp(-1)
        golden[f"prompt_{i}.every_37th_logit"] = last[:, ::NANO_STRIDE].contiguous()
        golden[f"prompt_{i}.greedy"] = torch.tensor(tokens, dtype=torch.int32)
        golden[f"prompt_{i}.greedy_lead"] = torch.tensor(leads, dtype=torch.float32)
        answer = tokenizer.decode([token for token in tokens if token != NANO_END])
        prompts.append({"text": text, "ids": ids, "greedy": tokens, "answer": answer})
        print(f"nano {i}: {len(ids)} tokens, least lead {min(leads):.3f}: {answer}")
    return golden, prompts


def write_floats(bundled: Path, folder: Path) -> None:
    """The quantised model as a directory of FP32 weights that transformers reads."""
    config = ModelConfig.read(bundled / "config.json")
    with torch.device("meta"):
        parameters = dict(HunyuanDense(config, MASKED).named_parameters())
    weights = {published_name(name): weight for name, weight in read_weights(bundled, parameters).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    values = json.loads((bundled / "config.json").read_text())
    values.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(values))
    shutil.copyfile(bundled / "tokenizer.json", folder / "tokenizer.json")


def made_with() -> dict[str, str]:
    """One metadata entry, since safetensors writes several in random order and the files should be reproducible."""
    modules = [torch, transformers, safetensors, np, tokenizers]
    return {"made_with": ", ".join(f"{module.__name__} {module.__version__}" for module in modules)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nano", type=Path, metavar="DIR", help="the BF16 nano model; its golden goes to nano/")
    parser.add_argument("--bundled", type=Path, metavar="DIR", help="models/nano; its golden goes to bundled/")
    parser.add_argument("--search", type=int, metavar="SEEDS", help="only look for good seeds among 1..SEEDS")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums must not depend on the machine's core count
    logging.getLogger("transformers").setLevel(logging.ERROR)  # it warns about the unknown keys, which are the point
    transformers.utils.logging.disable_progress_bar()

    for spec in CHECKPOINTS:
        if arguments.search:
            search(spec, arguments.search)
            continue
        folder = arguments.out / "models" / spec.name
        write_checkpoint(spec, random_weights(spec, spec.seed), folder)
        golden, least = tiny_golden(spec, spec.seed, folder)
        save_file(golden, folder / "golden.safetensors", metadata=made_with())
        print(f"{spec.name}: least greedy lead {least:.4f}")
    for name, model in (("nano", arguments.nano), ("bundled", arguments.bundled)):
        if not model or arguments.search:
            continue
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as floats:
            if name == "bundled":
                write_floats(model, Path(floats))
                model = Path(floats)
            golden, prompts = nano_golden(model)
        save_file(golden, folder / "golden.safetensors", metadata=made_with())
        write_json(folder / "prompts.json", prompts)
    print(made_with()["made_with"])


if __name__ == "__main__":
    main()
