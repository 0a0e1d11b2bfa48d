"""A model as a Hugging Face directory: config.json, tokenizer.json, safetensors in shards."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.model import ModelConfig
from training.packed_weights import dequantise
from training.shards import write_json
from training.tokenizer import BEGIN, END, PAD

# A tensor that is larger alone (nano's embedding: 24 MiB) has a shard to itself.
SHARD_BYTES: Final = 16 * 2**20

_IN_LAYER: Final[dict[str, str]] = {
    "input_norm": "input_layernorm",
    "post_norm": "post_attention_layernorm",
    "q_norm": "self_attn.query_layernorm",
    "k_norm": "self_attn.key_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}


def published_name(name: str) -> str:
    """HunyuanDense's parameter name -> the name in the files."""
    if name == "embedding.weight":
        return "model.embed_tokens.weight"
    if name == "norm.weight":
        return "model.norm.weight"
    _, layer, part, weight = name.split(".")
    return f"model.layers.{layer}.{_IN_LAYER[part]}.{weight}"


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    files = (
        sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else ["model.safetensors"]
    )
    tensors: dict[str, Tensor] = {}
    for file in files:
        with safe_open(str(folder / file), framework="pt") as opened:
            for name in opened.keys():
                tensors[name] = opened.get_tensor(name)
    return tensors


def read_weights(folder: Path, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a directory in FP32 under HunyuanDense's names; `parameters` tells names and shapes.

    Also reads what `pagoda quantize` writes with `--method gptq` and `--method rtn` (packed_weights.py).
    """
    tensors = _read_tensors(folder)
    config = folder / "config.json"
    quantization = json.loads(config.read_text()).get("quantization_config", {}) if config.exists() else {}
    weights = {}
    for name, parameter in parameters.items():
        published = published_name(name)
        tensor = dequantise(tensors, published, quantization)
        if tensor is None:
            raise ValueError(f"{folder} has no tensor {published}")
        if tensor.shape != parameter.shape:
            raise ValueError(f"{folder}: {published} is {list(tensor.shape)}, expected {list(parameter.shape)}")
        weights[name] = tensor
    return weights


def config_json(config: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["HunYuanDenseV1ForCausalLM"],
        "model_type": "hunyuan_v1_dense",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": True,
        "use_qk_norm": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "torch_dtype": "bfloat16",
    }


def write_model(folder: Path, config: ModelConfig, weights: dict[str, Tensor], tokenizer: Path) -> None:
    """Writes BF16 weights (under HunyuanDense's names), configuration and tokenizer. Old shards in the folder go."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    shards: list[dict[str, Tensor]] = [{}]
    filled = total = 0
    for name, weight in weights.items():
        tensor = weight.detach().to("cpu", torch.bfloat16).contiguous()
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and filled + size > SHARD_BYTES - 65_536:  # room for the header
            shards.append({})
            filled = 0
        shards[-1][published_name(name)] = tensor
        filled += size
        total += size
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, str(folder / file), metadata={"format": "pt"})
        (folder / file).chmod(0o644)
        weight_map.update(dict.fromkeys(shard, file))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)
    write_json(folder / "config.json", config_json(config))
    if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
