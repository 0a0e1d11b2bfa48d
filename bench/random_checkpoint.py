#!/usr/bin/env python3
"""random_checkpoint.py SHAPE TOKENIZER_DIR OUT: a BF16 checkpoint of random weights in the shape of HY-MT1.5 (1.8b or 7b).

To time `pagoda quantize` and measure its memory without real weights. The tokenizer is copied from TOKENIZER_DIR. Needs numpy.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

SHAPES = {
    "1.8b": dict(hidden_size=2048, intermediate_size=6144, num_hidden_layers=32, num_attention_heads=16, num_key_value_heads=4),
    "7b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8),
}
HEAD_DIM, VOCABULARY = 128, {"1.8b": 120818, "7b": 128167}


def main() -> None:
    name, tokenizer, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    shape = SHAPES[name]
    out.mkdir(parents=True)
    shutil.copy(tokenizer / "tokenizer.json", out)
    config = json.loads((tokenizer / "config.json").read_text())
    config.pop("quantization_config", None)
    config.update(shape, head_dim=HEAD_DIM, vocab_size=VOCABULARY[name], tie_word_embeddings=True, torch_dtype="bfloat16")
    (out / "config.json").write_text(json.dumps(config, indent=1))

    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    q, kv = shape["num_attention_heads"] * HEAD_DIM, shape["num_key_value_heads"] * HEAD_DIM
    tensors = {"model.embed_tokens.weight": (VOCABULARY[name], hidden), "model.norm.weight": (hidden,)}
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for part, rows, columns in (("self_attn.q_proj", q, hidden), ("self_attn.k_proj", kv, hidden),
                                    ("self_attn.v_proj", kv, hidden), ("self_attn.o_proj", hidden, q),
                                    ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
                                    ("mlp.down_proj", hidden, inner)):
            tensors[f"{prefix}{part}.weight"] = (rows, columns)
        for part, size in (("input_layernorm", hidden), ("post_attention_layernorm", hidden),
                           ("self_attn.query_layernorm", HEAD_DIM), ("self_attn.key_layernorm", HEAD_DIM)):
            tensors[f"{prefix}{part}.weight"] = (size,)
    header, at = {}, 0
    for key, dims in tensors.items():
        size = 2 * int(np.prod(dims))
        header[key] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    random = np.random.default_rng(1)
    with (out / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, dims in tensors.items():
            values = np.ones(dims, np.float32) if len(dims) == 1 else random.standard_normal(dims, np.float32) * 0.02
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    print(f"{out}: {at / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
