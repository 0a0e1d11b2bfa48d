#!/usr/bin/env python3
"""Writes a GGUF file of a HY-MT dense model with random weights, for timing llama.cpp in the exact shape.

    python3 write_gguf.py --shape 1.8b --format bf16 hunyuan-1.8b-bf16.gguf

Needs the PyPI packages gguf and numpy (bench/peers/llama_cpp.sh keeps a virtual environment with them). The file is
complete and valid: the keys and tensors that the published files have, and a tokenizer with the full number of ids,
whose strings mean nothing. A run on it costs what the real model costs, because nothing in a dense forward pass
depends on the values; its output is noise.

Types of the tensors, as llama.cpp's own quantiser chooses them: norms F32; with q4_0 and q4_k_m the tied embedding, which
is also the head, is Q6_K; with q4_k_m so are the values and the down projection of half of the layers; everything else
has the format asked for.

Drawing 1.8 thousand million normals would take minutes, so one block is drawn and quantised, and repeated. The bytes
still lie in memory once per weight, hence the traffic is real.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, RopeScalingType, TokenType, quants

ARCHITECTURE = "hunyuan-dense"
CONTEXT = 262144
# Rows repeat after this many weights: long enough for no cache to notice, short enough to be drawn in a second.
BLOCK_WEIGHTS = 1 << 22
WEIGHT_SCALE = 0.02


@dataclass(frozen=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    pre_tokenizer: str
    bos: int
    eos: int

    @property
    def rope_base(self) -> float:
        """theta * alpha^(d / (d - 2)) with theta 10000 and alpha 1000: GGUF files hold the scaled base."""
        return 10000.0 * 1000.0 ** (self.head_dim / (self.head_dim - 2))


SHAPES = {
    "1.8b": Shape(2048, 32, 16, 4, 128, 6144, 120818, "hunyuan-dense", bos=120000, eos=120020),
    "7b": Shape(4096, 32, 32, 8, 128, 14336, 128167, "hunyuan", bos=127958, eos=127960),
}

FORMATS = {
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
    "q4_k_m": (GGMLQuantizationType.Q4_K, LlamaFileType.MOSTLY_Q4_K_M),
}


def byte_symbols() -> list[str]:
    """The printable characters that stand for the 256 bytes in a GPT-2 style vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(code) for code in printable] + [chr(256 + i) for i in range(len(others))]


def add_tokenizer(writer: GGUFWriter, shape: Shape) -> None:
    symbols = byte_symbols()
    tokens = symbols + [f"w{i}" for i in range(shape.vocab - len(symbols))]
    types = [TokenType.CONTROL if i in (shape.bos, shape.eos) else TokenType.NORMAL for i in range(shape.vocab)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(shape.pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([f"w {digit}" for digit in range(10)])  # the reader insists on some
    writer.add_bos_token_id(shape.bos)
    writer.add_eos_token_id(shape.eos)


def add_keys(writer: GGUFWriter, shape: Shape, file_type: LlamaFileType) -> None:
    writer.add_name("random weights")
    writer.add_file_type(file_type)
    writer.add_block_count(shape.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_scaling_type(RopeScalingType.NONE)
    writer.add_rope_scaling_factor(1.0)
    writer.add_rope_scaling_orig_ctx_len(CONTEXT)


def tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Names and [rows, columns], in file order. No output.weight: the head is the embedding."""
    q_size, kv_size = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (shape.vocab, shape.hidden)}
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        shapes |= {
            prefix + "attn_norm.weight": (shape.hidden,),
            prefix + "attn_q.weight": (q_size, shape.hidden),
            prefix + "attn_k.weight": (kv_size, shape.hidden),
            prefix + "attn_v.weight": (kv_size, shape.hidden),
            prefix + "attn_output.weight": (shape.hidden, q_size),
            prefix + "attn_q_norm.weight": (shape.head_dim,),
            prefix + "attn_k_norm.weight": (shape.head_dim,),
            prefix + "ffn_norm.weight": (shape.hidden,),
            prefix + "ffn_gate.weight": (shape.intermediate, shape.hidden),
            prefix + "ffn_up.weight": (shape.intermediate, shape.hidden),
            prefix + "ffn_down.weight": (shape.hidden, shape.intermediate),
        }
    return shapes | {"output_norm.weight": (shape.hidden,)}


def random_q6_k(rng: np.random.Generator) -> np.ndarray:
    """Q6_K has no quantiser in the gguf package, so its blocks are drawn directly.

    210 bytes for 256 weights: 128 of low nibbles, 64 of high bit pairs, 16 signed scales, one FP16 factor d; a weight is
    d * scale * (q - 32). With q uniform (standard deviation 18.5) and |scale| about 64, d gives the usual spread.
    """
    blocks = rng.integers(0, 256, (BLOCK_WEIGHTS // 256, 210), dtype=np.uint8)
    blocks[:, 192:208] = rng.integers(32, 96, (len(blocks), 16), dtype=np.uint8)
    blocks[:, 208:] = np.array([WEIGHT_SCALE / (18.5 * 64)], dtype=np.float16).view(np.uint8)
    return blocks.reshape(-1)


def random_q4_k(rng: np.random.Generator) -> np.ndarray:
    """Likewise: 144 bytes for 256 weights, FP16 factors d and dmin, 12 bytes of 6-bit scales and minima, nibbles.

    A weight is d * scale * q - dmin * minimum, q from 0 to 15 and both 6-bit numbers about 32.
    """
    blocks = rng.integers(0, 256, (BLOCK_WEIGHTS // 256, 144), dtype=np.uint8)
    step = WEIGHT_SCALE / (4.6 * 32)  # q has a standard deviation of 4.6
    blocks[:, 0:2] = np.array([step], dtype=np.float16).view(np.uint8)
    blocks[:, 2:4] = np.array([7.5 * step], dtype=np.float16).view(np.uint8)
    return blocks.reshape(-1)


def more_bits(name: str, shape: Shape) -> bool:
    """Whether Q4_K_M keeps a tensor as Q6_K: in the first and last eighth of the layers, and each third between."""
    if not name.endswith(("attn_v.weight", "ffn_down.weight")):
        return False
    layer, eighth = int(name.split(".")[1]), shape.layers // 8
    return layer < eighth or layer >= 7 * shape.layers // 8 or (layer - eighth) % 3 == 2


def random_block(rng: np.random.Generator, kind: GGMLQuantizationType) -> np.ndarray:
    """The bytes of BLOCK_WEIGHTS weights."""
    if kind == GGMLQuantizationType.Q6_K:
        return random_q6_k(rng)
    if kind == GGMLQuantizationType.Q4_K:
        return random_q4_k(rng)
    values = WEIGHT_SCALE * rng.standard_normal(BLOCK_WEIGHTS, dtype=np.float32)
    return quants.quantize(values.reshape(-1, 1024), kind).view(np.uint8).reshape(-1)


def write(path: Path, shape: Shape, linear_kind: GGMLQuantizationType, file_type: LlamaFileType) -> None:
    four_bits = linear_kind in (GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q4_K)
    head_kind = GGMLQuantizationType.Q6_K if four_bits else linear_kind
    rng = np.random.default_rng(1)
    blocks = {kind: random_block(rng, kind) for kind in {linear_kind, head_kind}}

    writer = GGUFWriter(path, ARCHITECTURE)
    add_keys(writer, shape, file_type)
    add_tokenizer(writer, shape)
    plan: list[tuple[tuple[int, ...], GGMLQuantizationType | None]] = []
    for name, dimensions in tensor_shapes(shape).items():
        if len(dimensions) == 1:
            writer.add_tensor_info(name, dimensions, np.dtype(np.float32), 4 * dimensions[0])
            plan.append((dimensions, None))
            continue
        mixed = file_type == LlamaFileType.MOSTLY_Q4_K_M and more_bits(name, shape)
        kind = head_kind if name == "token_embd.weight" or mixed else linear_kind
        stored = quants.quant_shape_to_byte_shape(dimensions, kind)
        writer.add_tensor_info(name, stored, np.dtype(np.uint8), int(np.prod(stored)), raw_dtype=kind)
        plan.append((stored, kind))

    # Header first, then one tensor at a time, so that a 15 GB file needs little memory.
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for stored, kind in plan:
        if kind is None:
            data = 1.0 + 0.1 * rng.standard_normal(stored, dtype=np.float32)
        else:
            data = np.resize(blocks[kind], stored)
        writer.write_tensor_data(data)
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="1.8b")
    parser.add_argument("--format", choices=FORMATS, default="bf16")
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    # A run that is cut off must not leave a half-written file under the final name.
    partial = arguments.path.with_suffix(".partial")
    write(partial, SHAPES[arguments.shape], *FORMATS[arguments.format])
    os.replace(partial, arguments.path)


if __name__ == "__main__":
    main()
