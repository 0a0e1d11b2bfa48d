"""Readers and writers of packed layouts in numpy, value by value, from their published descriptions: what there is to
compare with where the packages of others cannot be installed. A matrix is (values [in, out], zeros and scales
[groups, out], groups [in]); its weights are floats [out, in]."""

import json

import numpy as np
from safetensors.numpy import save_file

DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I8": np.int8, "F8_E4M3": np.uint8}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # the column of its eight that nibble i of a word holds


def tensors_in(path):
    """Of e4m3, for which numpy has no type, the bytes."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        flat = np.frombuffer(data[begin + first : begin + last], DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).copy()
    return tensors


def quantization_of(directory):
    return json.loads((directory / "config.json").read_text())["quantization_config"]


def write_directory(directory, source, quantization, layers, save=save_file):
    """`source` with other linear layers: `layers` maps the name of each to its tensors by their suffix."""
    tensors = {k: v for k, v in tensors_in(source / "model.safetensors").items() if k.removesuffix(".weight") not in layers}
    for name, parts in layers.items():
        for suffix, tensor in parts.items():
            tensors[f"{name}.{suffix}"] = np.ascontiguousarray(tensor) if isinstance(tensor, np.ndarray) else tensor
    directory.mkdir()
    save(tensors, directory / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = quantization
    (directory / "config.json").write_text(json.dumps(config))


def unpacked(words, bits):  # [..., n] int32 -> [..., n, 32 / bits], low bits first
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    return (words.view(np.uint32)[..., None] >> shifts & np.uint32(2**bits - 1)).astype(np.int32)


def packed(values, bits):  # the inverse
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    return (values.astype(np.uint32) << shifts).sum(-1, dtype=np.uint32).view(np.int32)


def read_gptq(tensors, quantization):
    bits = quantization["bits"]
    values = unpacked(tensors["qweight"], bits).transpose(0, 2, 1).reshape(-1, tensors["qweight"].shape[1])
    zeros = unpacked(tensors["qzeros"], bits).reshape(tensors["scales"].shape) + 1
    return values, zeros, tensors["scales"].astype(np.float32), tensors["g_idx"]


def write_gptq(values, zeros, scales, groups, bits):
    def pack(matrix):
        return packed(matrix.reshape(*matrix.shape[:-1], -1, 32 // bits), bits)

    return {"qweight": pack(values.T).T, "qzeros": pack(zeros - 1), "scales": scales.astype(np.float16),
            "g_idx": groups.astype(np.int32)}


def read_awq(tensors, quantization):
    inverse = np.argsort(AWQ_ORDER)

    def unpack(words):
        return unpacked(words, 4)[..., inverse].reshape(words.shape[0], -1)

    values = unpack(tensors["qweight"])
    groups = np.arange(values.shape[0]) // quantization["group_size"]
    return values, unpack(tensors["qzeros"]), tensors["scales"].astype(np.float32), groups


def write_awq(values, zeros, scales):
    def pack(matrix):
        return packed(matrix.reshape(matrix.shape[0], -1, 8)[..., AWQ_ORDER], 4)

    return {"qweight": pack(values), "qzeros": pack(zeros), "scales": scales.astype(np.float16)}


def weights(values, zeros, scales, groups):
    return ((values - zeros[groups]).astype(np.float32) * scales[groups]).T


def int8_weights(tensors):
    return tensors["weight"].astype(np.float32) * tensors["weight_scale"][:, None]


def e4m3_weights(tensors):
    """`weight` as bytes. Sign, 4 bits of exponent with a bias of 7, 3 bits of mantissa; no infinities."""
    sign, exponent, mantissa = tensors["weight"] >> 7, tensors["weight"] >> 3 & 15, tensors["weight"] & 7
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent.astype(int) - 7))
    return np.where(sign == 1, -size, size).astype(np.float32) * tensors["weight_scale"]
