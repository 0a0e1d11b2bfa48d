"""Directories that `pagoda quantize` writes, dequantised by others to the values that Pagoda reads; and directories that
others write, read by Pagoda as what they are. packed_layouts_test.sh says who the others are."""

import functools
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
from safetensors.numpy import save_file

import packed_layouts_numpy as plain

pagoda, dequantise, work, tokenizer, sources = *sys.argv[1:3], *map(pathlib.Path, sys.argv[3:6])
random = np.random.default_rng(20)

MATRICES = {  # [out, in] of a layer, in the order in which quantize prints their errors
    "self_attn.q_proj": (256, 256), "self_attn.k_proj": (128, 256), "self_attn.v_proj": (128, 256),
    "self_attn.o_proj": (256, 256), "mlp.gate_proj": (384, 256), "mlp.up_proj": (384, 256), "mlp.down_proj": (256, 384)}
NORMS = {"input_layernorm": 256, "post_attention_layernorm": 256, "self_attn.query_layernorm": 64, "self_attn.key_layernorm": 64}
LAYERS = 2
NAMES = [f"model.layers.{layer}.{matrix}" for layer in range(LAYERS) for matrix in MATRICES]


def random_model(directory):
    """Small, but with groups of 128 in every row, and a tokenizer, so that methods which need texts can be asked for."""
    directory.mkdir()
    shutil.copy(tokenizer, directory)
    vocab = len(json.loads(tokenizer.read_text())["model"]["vocab"])
    config = {
        "architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense", "hidden_act": "silu",
        "vocab_size": -(-vocab // 1024) * 1024, "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "use_qk_norm": True,
        "bos_token_id": 0, "eos_token_id": 3, "pad_token_id": 4, "torch_dtype": "float16"}
    (directory / "config.json").write_text(json.dumps(config))
    tensors = {"model.embed_tokens.weight": random.standard_normal((config["vocab_size"], 256)) / 16,
               "model.norm.weight": np.ones(256)}
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = random.standard_normal(shape) / 16
        for name, size in NORMS.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = random.uniform(0.5, 1.5, size)
    save_file({name: tensor.astype(np.float16) for name, tensor in tensors.items()}, directory / "model.safetensors")
    return directory


def quantized(source, directory, *flags):
    command = [pagoda, "quantize", source, directory, "--samples", "16", *flags]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def read_by_pagoda(directory):
    subprocess.run([dequantise, directory, work / "floats.safetensors"], check=True)
    return plain.tensors_in(work / "floats.safetensors")


def parts_of(tensors, name):
    """The tensors of one layer, by suffix."""
    return {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}


def relative(a, b):
    return float(np.sqrt(((a - b) ** 2).sum() / (a**2).sum()))


def check_printed_errors(output, before, weights):
    """What quantize says of its errors is what others find."""
    products = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]
    rows = re.findall(r"^layer (\d+) +(.*)$", output, re.M)
    assert len(rows) == LAYERS, output
    for layer, row in rows:
        for parts, printed in zip(products, re.findall(r"([\d.]+), [\d.]+", row), strict=True):
            names = [n for n in NAMES if n.startswith(f"model.layers.{layer}.") and n.split(".")[-1] in parts]
            a = np.concatenate([before[n + ".weight"].astype(np.float32) for n in names])
            b = np.concatenate([weights[n] for n in names])
            assert abs(relative(a, b) - float(printed)) < 6e-5, (names, relative(a, b), printed)


def check_folded(before, after, weights):
    """AWQ moves factors from matrices into the norms before them: the products stay what they were."""
    for name in NAMES:
        layer, part = name.rsplit(".", 2)[0], name.split(".")[-1]
        norm = layer + (".input_layernorm.weight" if part in ("q_proj", "k_proj") else ".post_attention_layernorm.weight")
        if part in ("q_proj", "k_proj", "gate_proj"):
            a = before[name + ".weight"].astype(np.float32) * before[norm].astype(np.float32)
            assert relative(a, weights[name] * after[norm].astype(np.float32)) < 0.2, name


def one_bit_flipped(parts):
    """The same layer with one bit of one weight wrong."""
    name = "qweight" if "qweight" in parts else "weight"
    wrong = parts[name].copy()
    wrong.flat[wrong.size // 3] ^= 1 if name == "weight" else 1 << 20
    return {**parts, name: wrong}


def check_written(source, name, flags, expected, readers):
    """readers: who -> function of the tensors of a layer and the quantization_config."""
    output = quantized(source, work / name, *flags)
    config = plain.quantization_of(work / name)
    assert expected.items() <= config.items(), (name, config)
    before, after = (plain.tensors_in(d / "model.safetensors") for d in (source, work / name))
    ours = read_by_pagoda(work / name)
    layers = NAMES + (["model.embed_tokens"] if "model.embed_tokens.weight_scale" in after else [])
    for who, read in readers.items():
        for layer in layers:
            parts = parts_of(after, layer)
            assert np.array_equal(read(parts, config), ours[layer]), (name, who, layer)
        parts = parts_of(after, NAMES[0])
        assert (read(one_bit_flipped(parts), config) != ours[NAMES[0]]).sum() == 1, (name, who)
        print(f"{name}: {who} dequantises the values that Pagoda reads")
    if config["quant_method"] == "awq":
        check_folded(before, after, ours)
    elif "layer 0" in output:
        check_printed_errors(output, before, ours)
    else:
        assert max(relative(before[n + ".weight"].astype(np.float32), ours[n]) for n in layers) < 0.01, name
    return after


def random_integers(bits, group_size, symmetric, shuffled, shape):
    """values [in, out], zeros and scales [groups, out], groups [in], on which no bit is left out."""
    outputs, inputs = shape
    groups = np.arange(inputs) // group_size
    if shuffled:
        random.shuffle(groups)
    values = random.integers(0, 2**bits, (inputs, outputs))
    zeros = random.integers(1, 2**bits, (inputs // group_size, outputs))
    if symmetric:
        zeros[:] = 2 ** (bits - 1)
    scales = random.uniform(0.001, 0.1, zeros.shape).astype(np.float16).astype(np.float32)
    return values, zeros, scales, groups


def check_theirs(source, name, config, make, write):
    """Layers of others, read by Pagoda. make: shape -> a matrix; write: matrix -> its tensors."""
    matrices = {layer: make(MATRICES[layer.split(".", 3)[3]]) for layer in NAMES}
    plain.write_directory(work / name, source, config, {layer: write(*matrix) for layer, matrix in matrices.items()})
    ours = read_by_pagoda(work / name)
    for layer, matrix in matrices.items():
        assert np.array_equal(ours[layer], plain.weights(*matrix)), (name, layer)
    print(f"{name}: Pagoda reads the values that were written")


def check_compressed(source, others):
    before = plain.tensors_in(source / "model.safetensors")
    for case in others.COMPRESSED:
        config, packed, expected = others.compress({name: before[name + ".weight"] for name in NAMES}, *case)
        name = "compressed-tensors_" + "_".join(map(str, case))
        plain.write_directory(work / name, source, config, packed, others.save)
        ours = read_by_pagoda(work / name)
        for layer in NAMES:
            assert np.array_equal(ours[layer], expected[layer]), (name, layer)
        print(f"{name}: Pagoda reads the values that compressed-tensors does")


def found(module):
    return importlib.util.find_spec(module) is not None


def main():
    source = random_model(work / "source")
    gptq = {"numpy": lambda parts, config: plain.weights(*plain.read_gptq(parts, config))}
    awq = {"numpy": lambda parts, config: plain.weights(*plain.read_awq(parts, config))}
    fp8 = {"numpy": lambda parts, config: plain.e4m3_weights(parts)}
    int8 = {"numpy": lambda parts, config: plain.int8_weights(parts)}
    write_gptq, write_awq = {"numpy": plain.write_gptq}, {"numpy": lambda v, z, s, g: plain.write_awq(v, z, s)}
    others = None
    if found("torch") and found("compressed_tensors"):
        import packed_layouts_others as others  # pylint: disable=import-outside-toplevel

        int8["compressed-tensors"] = lambda parts, config: others.int8_weights(parts)
        if (sources / "qlinear_cuda.py").exists():
            layer = others.AutoGptq(sources)
            gptq["AutoGPTQ"], write_gptq["AutoGPTQ"] = layer.read, layer.write
        else:
            print("AutoGPTQ is not here: not compared")
        if (sources / "awq/modules/linear/gemm.py").exists():
            layer = others.AutoAwq(sources)
            awq["AutoAWQ"], write_awq["AutoAWQ"] = layer.read, lambda v, z, s, g: layer.write(v, z, s)
        else:
            print("AutoAWQ is not here: not compared")
    else:
        print("PyTorch or compressed-tensors is not here: compared with numpy alone")

    check = functools.partial(check_written, source)
    check("gptq_4_128_sym", [], {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}, gptq)
    check("gptq_4_32_asym", ["--group-size", 32, "--asym"], {"quant_method": "gptq", "group_size": 32, "sym": False}, gptq)
    tensors = check("gptq_4_64_desc_act", ["--group-size", 64, "--desc-act"], {"quant_method": "gptq", "desc_act": True}, gptq)
    assert all((np.diff(tensors[name + ".g_idx"]) < 0).any() for name in NAMES), "the groups are in the order of the inputs"
    check("gptq_8_128_sym", ["--bits", 8], {"quant_method": "gptq", "bits": 8, "group_size": 128}, gptq)
    check("gptq_8_32_asym", ["--bits", 8, "--group-size", 32, "--asym"], {"quant_method": "gptq", "bits": 8, "sym": False}, gptq)
    check("rtn_4_64_sym", ["--method", "rtn", "--group-size", 64], {"quant_method": "gptq", "bits": 4}, gptq)
    check("awq_4_128", ["--method", "awq"], {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": 128}, awq)
    check("awq_4_32_sym", ["--method", "awq", "--group-size", 32, "--sym"], {"quant_method": "awq", "group_size": 32}, awq)
    check("int8", ["--method", "rtn", "--bits", 8], {"quant_method": "pagoda-int8"}, int8)
    check("fp8", ["--method", "fp8"], {"quant_method": "compressed-tensors", "format": "float-quantized"}, fp8)
    if others is not None:
        ours = read_by_pagoda(work / "fp8")
        theirs = dict(others.compressed_directory(work / "fp8"))
        assert theirs.keys() == set(NAMES), theirs.keys()
        assert all(np.array_equal(theirs[name], ours[name]) for name in NAMES)
        print("fp8: transformers opens the directory, compressed-tensors dequantises the values that Pagoda reads")

    for bits, size, symmetric, shuffled in ((4, 128, True, False), (4, 32, False, True), (8, 64, False, True)):
        config = {"quant_method": "gptq", "bits": bits, "group_size": size, "sym": symmetric, "desc_act": shuffled}
        for who, write in write_gptq.items():
            check_theirs(source, f"gptq_{bits}_{size}_by_{who}", config,
                         functools.partial(random_integers, bits, size, symmetric, shuffled), functools.partial(write, bits=bits))
    for size in (32, 128):
        config = {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": size, "zero_point": True}
        for who, write in write_awq.items():
            check_theirs(source, f"awq_{size}_by_{who}", config,
                         functools.partial(random_integers, 4, size, False, False), write)
    if others is not None:
        check_compressed(source, others)


main()
