"""The three small random checkpoints of tests/data/models/: sizes, config spellings, weights, file layout.

Each copies how one generation of the published models is written to disk, at a hundred-thousandth of the size. The
values are random; what matters is that every key, dtype and file name that the real ones use occurs here.
make_model_goldens.py writes them and computes what the reference implementation makes of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """One directory of tests/data/models/."""

    name: str
    seed: int  # of the weights and prompts; found by `make_model_goldens.py --search` (see there)
    dtype: torch.dtype
    config: dict[str, Any]  # config.json as written, odd spellings included
    generation_config: dict[str, Any] | None
    head_dim: int
    rope_theta: float
    alpha: float
    shards: int = 1
    writes_lm_head: bool = True
    extra_tensors: Tensors = field(default_factory=dict)

    @property
    def rope_base(self) -> float:
        """theta * alpha^(d / (d - 2)), the base at all positions."""
        return self.rope_theta * self.alpha ** (self.head_dim / (self.head_dim - 2))

    @property
    def stop_ids(self) -> set[int]:
        """Ids that the greedy continuations should not contain, so that tests need no 'ignore end' switch."""
        eos = self.config["eos_token_id"]
        also = (self.generation_config or {}).get("eos_token_id", [])
        return set([eos] if isinstance(eos, int) else eos) | set([also] if isinstance(also, int) else also)


def sizes(hidden: int, layers: int, heads: int, kv_heads: int, intermediate: int, vocab: int) -> dict[str, Any]:
    return {"vocab_size": vocab, "hidden_size": hidden, "intermediate_size": intermediate,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads}


COMMON: dict[str, Any] = {
    "architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense", "hidden_act": "silu",
    "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False, "use_qk_norm": True, "use_cla": False,
    "rms_norm_eps": 1e-05, "initializer_range": 0.02, "pretraining_tp": 1, "use_cache": True}

SAMPLING: dict[str, Any] = {"do_sample": True, "top_k": 20, "top_p": 0.6, "temperature": 0.7,
                            "repetition_penalty": 1.05}


def old_rope(alpha: float) -> dict[str, Any]:
    """transformers < 5: rope_theta beside rope_scaling; the beta and mscale keys mean nothing here."""
    return {"rope_theta": 10000.0,
            "rope_scaling": {"alpha": alpha, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0,
                             "mscale_all_dim": 1.0, "type": "dynamic"}}


# The special ids sit at the end of the vocabulary, as in the real files.
HY_1_8B = Checkpoint(
    name="hy-1.8b-like", seed=113, dtype=torch.bfloat16, head_dim=32, rope_theta=10000.0, alpha=1000.0,
    # 4 heads of 32 on a hidden size of 64: the q width differs from hidden. Tied, and lm_head.weight written anyway.
    config=COMMON | sizes(64, 3, 4, 2, 160, 512) | old_rope(1000.0) | {
        "head_dim": 32, "attention_head_dim": 32, "max_position_embeddings": 262144, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "transformers_version": "4.56.0", "norm_type": "rms", "org_vocab_size": 512,
        "add_classification_head": False, "class_num": 0, "cla_share_factor": 2, "dense_list": [64, 0],
        "im_start_id": 5, "im_end_id": 6, "mask_init_id": 12, "pool_type": "last", "text_start_id": 7,
        "text_end_id": 8, "use_rotary_pos_emb": True, "bos_token_id": 480, "eos_token_id": 500,
        "eod_token_id": 506, "pad_token_id": 482, "pad_id": 482, "sep_token_id": 487},
    generation_config=SAMPLING | {"eos_token_id": [500], "pad_token_id": 482, "transformers_version": "4.56.0"})

HY_7B = Checkpoint(
    name="hy-7b-like", seed=108, dtype=torch.float16, head_dim=16, rope_theta=10000.0, alpha=100000.0, shards=3,
    # bos 1, eos 2 and pad 0 are wrong on purpose: an old 7B config says so, its generation_config knows better.
    config=COMMON | sizes(128, 2, 8, 2, 256, 512) | old_rope(100000.0) | {
        "head_dim": 16, "attention_head_dim": 16, "max_position_embeddings": 32768, "tie_word_embeddings": False,
        "torch_dtype": "float16", "transformers_version": "4.41.2", "add_classification_head": False,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "use_rotary_pos_emb": True},
    generation_config=SAMPLING | {"bos_token_id": 490, "eos_token_id": [492, 499], "pad_token_id": 493,
                                  "transformers_version": "4.41.2"})

HY_ODD = Checkpoint(
    name="hy-odd-spelling", seed=58, dtype=torch.float32, head_dim=32, rope_theta=20000.0, alpha=250.0,
    # No head_dim (and hidden / heads = 16 is not it), no dtype, nulls, unknown keys, one kv head, a prime vocabulary.
    config=COMMON | sizes(64, 2, 4, 1, 96, 509) | {
        "attention_head_dim": 32, "max_position_embeddings": 4096, "tie_word_embeddings": True,
        "rope_parameters": {"alpha": 250.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0,
                            "mscale_all_dim": 1.0, "rope_theta": 20000.0, "rope_type": "dynamic"},
        "eos_token_id": [500, 506], "bos_token_id": None, "pad_token_id": None, "sep_token_id": None,
        "quantization_config": None, "rope_scaling": None, "sliding_window": None, "use_cla": None,
        "layer_types": None, "unknown_list": [1, {"nested": "object"}], "unknown_text": "caf\u00e9 \U0001f343"},
    generation_config=None, writes_lm_head=False,
    # Left over by old exports. The values are those without alpha: a loader that used them would be noticed.
    extra_tensors={f"model.layers.{layer}.self_attn.rotary_emb.inv_freq":
                   10000.0 ** (-torch.arange(0, 32, 2, dtype=torch.float32) / 32) for layer in range(2)})

CHECKPOINTS = [HY_1_8B, HY_7B, HY_ODD]


def random_weights(spec: Checkpoint, seed: int) -> Tensors:
    """Weights such that logits are spread, attention is neither flat nor one-hot, and layers outweigh the embedding.

    With tied embeddings a small embedding keeps the last token from winning by its own residual, which would make every
    greedy continuation a loop of one token.
    """
    rng = np.random.default_rng(seed)
    config = spec.config
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    q_size = config["num_attention_heads"] * spec.head_dim
    kv_size = config["num_key_value_heads"] * spec.head_dim
    tied = config["tie_word_embeddings"]

    def draw(shape: tuple[int, ...], scale: float, mean: float = 0.0) -> torch.Tensor:
        values = mean + scale * rng.standard_normal(shape)
        return torch.from_numpy(values.astype(np.float32)).to(spec.dtype)

    def linear(rows: int, columns: int, gain: float = 1.0) -> torch.Tensor:
        return draw((rows, columns), gain / columns**0.5)

    weights: Tensors = {"model.embed_tokens.weight": draw((config["vocab_size"], hidden), 0.3)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        weights |= {
            prefix + "input_layernorm.weight": draw((hidden,), 0.2, 1.0),
            prefix + "self_attn.q_proj.weight": linear(q_size, hidden),
            prefix + "self_attn.k_proj.weight": linear(kv_size, hidden),
            prefix + "self_attn.v_proj.weight": linear(kv_size, hidden),
            prefix + "self_attn.o_proj.weight": linear(hidden, q_size, 1.5),
            # Far from constant, so that RoPE and this norm cannot be exchanged unnoticed.
            prefix + "self_attn.query_layernorm.weight": draw((spec.head_dim,), 0.5, 1.3),
            prefix + "self_attn.key_layernorm.weight": draw((spec.head_dim,), 0.5, 1.3),
            prefix + "post_attention_layernorm.weight": draw((hidden,), 0.2, 1.0),
            prefix + "mlp.gate_proj.weight": linear(wide, hidden, 1.5),
            prefix + "mlp.up_proj.weight": linear(wide, hidden, 1.5),
            prefix + "mlp.down_proj.weight": linear(hidden, wide, 1.5),
        }
    weights["model.norm.weight"] = draw((hidden,), 0.2, 1.0)
    if not tied:
        weights["lm_head.weight"] = draw((config["vocab_size"], hidden), 0.3)
    elif spec.writes_lm_head:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    return weights | spec.extra_tensors


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checkpoint(spec: Checkpoint, weights: Tensors, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    write_json(folder / "config.json", spec.config)
    if spec.generation_config:
        write_json(folder / "generation_config.json", spec.generation_config)
    if spec.shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    # Uneven on purpose: the last shard holds a single tensor, and layers straddle the cut, as in the published 7B.
    names = list(weights)
    cuts = [0] + [len(names) * i // spec.shards + 2 for i in range(1, spec.shards - 1)] + [len(names) - 1, len(names)]
    weight_map: dict[str, str] = {}
    for shard in range(spec.shards):
        file_name = f"model-{shard + 1:04d}-of-{spec.shards:04d}.safetensors"
        part = {name: weights[name] for name in names[cuts[shard]:cuts[shard + 1]]}
        save_file(part, folder / file_name, metadata={"format": "pt"})
        weight_map |= {name: file_name for name in part}
    total = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})
