"""What is written is what was trained: read back, by transformers, and by pagoda where PAGODA names a binary."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import HunYuanDenseV1ForCausalLM

from training import hf_directory, templates
from training.attention import MASKED
from training.average import average_models
from training.batch import make_batch
from training.checkpoint import read_checkpoint
from training.cli import main
from training.hf_directory import published_name, read_weights, write_model
from training.model import HunyuanDense, ModelConfig
from training.packing import pack
from training.tokenizer import ASSISTANT, BEGIN, END, USER, encode_texts, load_tokenizer

SENTENCES = [
    ("en", "fr", "Tom buys 3 apples."),
    ("fr", "en", "Mary veut 12 livres."),
    ("en", "zh", "Firefox sees 7 houses."),
    ("zh", "en", "玛丽画了25个桌子。"),
    ("zh", "fr", "汤姆想要8个裙子。"),
]


@pytest.fixture(scope="module")
def reference(trained: Path) -> HunYuanDenseV1ForCausalLM:
    model = HunYuanDenseV1ForCausalLM.from_pretrained(trained / "model", dtype=torch.float32)
    return model.eval()


def _ids(model: Path, source: str, target: str, text: str) -> list[int]:
    tokenizer = load_tokenizer(model / "tokenizer.json")
    prompt = encode_texts(tokenizer, [templates.official(source, target, text)])[0]
    return [BEGIN, USER, *prompt, ASSISTANT]


def test_transformers_computes_the_same(trained: Path, reference: HunYuanDenseV1ForCausalLM) -> None:
    config = ModelConfig.read(trained / "model/config.json")
    model = HunyuanDense(config, MASKED)
    model.load_state_dict(read_weights(trained / "model", dict(model.named_parameters())))
    with torch.no_grad():
        for source, target, text in SENTENCES:
            ids = _ids(trained / "model", source, target, text)
            batch = make_batch(pack([ids[2:-1]], [[]], len(ids) + 1))
            hidden = model(batch.tokens, batch.segment, batch.position)[: len(ids)]
            expected = reference(torch.tensor([ids])).logits[0]
            torch.testing.assert_close(hidden @ model.embedding.weight.T, expected, atol=2e-3, rtol=1e-3)


def test_the_model_is_the_better_of_the_checkpoints_weights(trained: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(trained / "checkpoint.pt", torch.device("cpu"))
    assert checkpoint.average is not None
    written = read_weights(trained / "model", checkpoint.weights)
    equal = []
    for flag, weights in (("", checkpoint.weights), ("--average", checkpoint.average)):
        out = tmp_path / f"export{flag}"
        arguments = ["export", "--checkpoint", str(trained / "checkpoint.pt"), "--out", str(out)]
        arguments += ["--tokenizer", str(trained / "model/tokenizer.json")]
        assert main(arguments + [flag] * bool(flag)) == 0
        exported = read_weights(out, checkpoint.weights)
        for name, weight in weights.items():
            assert torch.equal(exported[name], weight.bfloat16().float()), name
        equal.append(all(torch.equal(exported[name], written[name]) for name in written))
    assert sum(equal) == 1


def test_many_shards_and_an_older_model_in_the_folder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained / "model", folder)
    (folder / "model-00009-of-00009.safetensors").write_bytes(b"old")
    config = ModelConfig.read(folder / "config.json")
    weights = HunyuanDense(config, MASKED).state_dict()
    monkeypatch.setattr(hf_directory, "SHARD_BYTES", 65_536 + 40_000)
    write_model(folder, config, weights, folder / "tokenizer.json")
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(files) > 3 and files[-1] == f"model-{len(files):05d}-of-{len(files):05d}.safetensors"
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == files
    assert set(index["weight_map"]) == {published_name(name) for name in weights}
    for name, weight in read_weights(folder, weights).items():
        assert torch.equal(weight, weights[name].bfloat16().float())


def test_int8_weights_are_read_and_what_is_missing_is_named(config: ModelConfig, tmp_path: Path) -> None:
    weights = HunyuanDense(config, MASKED).state_dict()
    tensors = {}
    for name, weight in weights.items():
        if weight.dim() == 1:
            tensors[published_name(name)] = weight
            continue
        scale = weight.abs().amax(1) / 127
        tensors[published_name(name)] = (weight / scale[:, None]).round().to(torch.int8)
        tensors[published_name(name) + "_scale"] = scale
    save_file(tensors, str(tmp_path / "model.safetensors"))
    for name, weight in read_weights(tmp_path, weights).items():
        scale = weight.abs().amax() / 127
        assert (weight - weights[name]).abs().max() <= 0.51 * scale, name
    del tensors["model.norm.weight"]
    save_file(tensors, str(tmp_path / "model.safetensors"))
    with pytest.raises(ValueError, match=r"has no tensor model\.norm\.weight"):
        read_weights(tmp_path, weights)


@pytest.mark.skipif("PAGODA" not in os.environ, reason="PAGODA names no binary")
@pytest.mark.parametrize(
    ("flags", "worst"),
    [
        ("--method gptq --bits 4 --group-size 32 --asym --lm-head int8", 0.2),
        ("--method gptq --bits 4 --group-size 32 --desc-act", 0.2),
        ("--method rtn --bits 4 --group-size 32", 0.2),
        ("--method gptq --bits 8 --group-size 32", 0.02),
        ("--method rtn --bits 8", 0.02),
    ],
)
def test_quantised_models_are_read(data: Path, tmp_path: Path, flags: str, worst: float) -> None:
    config = ModelConfig(load_tokenizer(data / "tokenizer.json").get_vocab_size(), 64, 96, 2, 4, 2, 32)
    model = HunyuanDense(config, MASKED)
    with torch.no_grad():
        for layer in model.layers:  # so that a wrong order or zero point does not stay small
            for parameter in layer.parameters():
                if parameter.dim() == 2:
                    parameter.mul_(torch.linspace(0.2, 3.0, parameter.shape[1])).add_(0.01)
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    write_model(tmp_path / "exact", config, weights, data / "tokenizer.json")
    texts = tmp_path / "texts"
    texts.write_text("Tom buys 3 apples.\n" * 4)
    command = [os.environ["PAGODA"], "quantize", str(tmp_path / "exact"), str(tmp_path / "small"), *flags.split()]
    if "--bits 8" not in flags or "gptq" in flags:
        command += ["--calibration", str(texts)]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    for name, weight in read_weights(tmp_path / "small", weights).items():
        error = (weight - weights[name]).norm() / weights[name].norm()
        assert error < worst, (name, float(error))


def test_another_layout_is_refused(config: ModelConfig, tmp_path: Path) -> None:
    weights = HunyuanDense(config, MASKED).state_dict()
    tensors = {published_name(name): weight for name, weight in weights.items()}
    stem = "model.layers.0.self_attn.q_proj"
    tensors[f"{stem}.qweight"] = tensors.pop(f"{stem}.weight").to(torch.int32)
    save_file(tensors, str(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "awq", "bits": 4}}')
    with pytest.raises(ValueError, match=r"q_proj\.weight: only the layout of GPTQ"):
        read_weights(tmp_path, weights)


def test_average_is_the_mean(trained: Path, config: ModelConfig, tmp_path: Path) -> None:
    one, other, mean = (tmp_path / name for name in ("one", "other", "mean"))
    tokenizer = trained / "model/tokenizer.json"
    ones = {name: torch.ones_like(weight) for name, weight in HunyuanDense(config, MASKED).state_dict().items()}
    write_model(one, config, ones, tokenizer)
    write_model(other, config, {name: 4.0 * weight for name, weight in ones.items()}, tokenizer)
    average_models([one, other], mean)
    assert all((weight == 2.5).all() for weight in read_weights(mean, ones).values())
    (other / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="has another tokenizer"):
        average_models([one, other], mean)


@pytest.mark.skipif("PAGODA" not in os.environ, reason="PAGODA names no binary")
def test_pagoda_translates_as_transformers_does(trained: Path, reference: HunYuanDenseV1ForCausalLM) -> None:
    model = trained / "model"
    tokenizer = load_tokenizer(model / "tokenizer.json")
    for source, target, text in SENTENCES:
        ids = _ids(model, source, target, text)
        generated = reference.generate(torch.tensor([ids]), max_new_tokens=60, do_sample=False, eos_token_id=END)
        answer = generated[0, len(ids) :].tolist()
        assert answer[-1] == END, "the tiny model did not learn to end"
        command = [os.environ["PAGODA"], "translate", "--model", str(model), "--from", source, "--to", target]
        command += ["--prompt-style", "hy-mt1.5", "--no-retry", "--quiet", "--threads", "1"]
        command += ["--kv-cache-memory", "64MiB", text]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert found.stdout.strip() == tokenizer.decode(answer[:-1]).strip()
