#!/usr/bin/env python3
"""random_checkpoint.py SHAPE TOKENIZER_DIR OUT [bf16|int4]: a checkpoint of random weights in the shape of HY-MT1.5 (1.8b or 7b).

To time `pagoda quantize` and loading, and measure their memory, without real weights. int4: as `pagoda quantize --method gptq
--group-size 128 --lm-head int8` writes it, without g_idx. The tokenizer is copied from TOKENIZER_DIR. Needs numpy.
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
HEAD_DIM, VOCABULARY, GROUP = 128, {"1.8b": 120818, "7b": 128167}, 128
BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "I8": 1}
INT4 = dict(quant_method="pagoda-gptq", checkpoint_format="gptq", bits=4, group_size=GROUP, sym=True, desc_act=False, embedding=True)


def linear(name: str, rows: int, columns: int, int4: bool) -> dict[str, tuple[str, tuple[int, ...]]]:
    if not int4:
        return {f"{name}.weight": ("BF16", (rows, columns))}
    groups = columns // GROUP
    return {f"{name}.qweight": ("I32", (columns // 8, rows)), f"{name}.qzeros": ("I32", (groups, rows // 8)),
            f"{name}.scales": ("F16", (groups, rows))}


def tensors_of(shape: dict[str, int], vocabulary: int, int4: bool) -> dict[str, tuple[str, tuple[int, ...]]]:
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    q, kv = shape["num_attention_heads"] * HEAD_DIM, shape["num_key_value_heads"] * HEAD_DIM
    tensors = {"model.embed_tokens.weight": ("I8" if int4 else "BF16", (vocabulary, hidden)), "model.norm.weight": ("BF16", (hidden,))}
    if int4:
        tensors["model.embed_tokens.weight_scale"] = ("F32", (vocabulary,))
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for part, rows, columns in (("self_attn.q_proj", q, hidden), ("self_attn.k_proj", kv, hidden),
                                    ("self_attn.v_proj", kv, hidden), ("self_attn.o_proj", hidden, q),
                                    ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
                                    ("mlp.down_proj", hidden, inner)):
            tensors |= linear(prefix + part, rows, columns, int4)
        for part, size in (("input_layernorm", hidden), ("post_attention_layernorm", hidden),
                           ("self_attn.query_layernorm", HEAD_DIM), ("self_attn.key_layernorm", HEAD_DIM)):
            tensors[f"{prefix}{part}.weight"] = ("BF16", (size,))
    return tensors


def values_of(name: str, dtype: str, dims: tuple[int, ...], random: np.random.Generator) -> bytes:
    if dtype == "BF16":
        values = np.ones(dims, np.float32) if len(dims) == 1 else random.standard_normal(dims, np.float32) * 0.02
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    if name.endswith("qzeros"):
        return np.full(dims, 0x77777777, np.int32).tobytes()  # 8, and gptq stores one less
    if dtype == "F16":
        return np.full(dims, 0.004, np.float16).tobytes()
    if dtype == "F32":
        return np.full(dims, 0.0004, np.float32).tobytes()
    return random.bytes(int(np.prod(dims)) * BYTES[dtype])


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[1] not in SHAPES or sys.argv[4:] not in ([], ["bf16"], ["int4"]):
        sys.exit(__doc__)
    name, tokenizer, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    int4 = sys.argv[4:] == ["int4"]
    out.mkdir(parents=True)
    shutil.copy(tokenizer / "tokenizer.json", out)
    config = json.loads((tokenizer / "config.json").read_text())
    config.pop("quantization_config", None)
    config.update(SHAPES[name], head_dim=HEAD_DIM, vocab_size=VOCABULARY[name], tie_word_embeddings=True, torch_dtype="bfloat16")
    if int4:
        config["quantization_config"] = INT4
    (out / "config.json").write_text(json.dumps(config, indent=1))

    tensors = tensors_of(SHAPES[name], VOCABULARY[name], int4)
    header, at = {}, 0
    for key, (dtype, dims) in tensors.items():
        size = BYTES[dtype] * int(np.prod(dims))
        header[key] = {"dtype": dtype, "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at their alignment
    random = np.random.default_rng(1)
    with (out / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, (dtype, dims) in tensors.items():
            file.write(values_of(key, dtype, dims, random))
    print(f"{out}: {at / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
