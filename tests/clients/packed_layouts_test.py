"""Directories that `pagoda quantize` writes, read by others; and directories that others write, read by Pagoda."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # the column of its eight that nibble i of a word holds

pagoda, dequantise, work, source, autoawq = *sys.argv[1:3], *map(pathlib.Path, sys.argv[3:6])


def run(*arguments):
    done = subprocess.run([pagoda, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def tensors_of(directory):
    tensors = {}
    for path in sorted(directory.glob("model*.safetensors")):
        with safe_open(path, "numpy") as file:
            for name in file.keys():
                tensors[name] = file.get_tensor(name)
    return tensors


def nibbles(words):  # [..., n] int32 -> [..., n, 8], low bits first
    return (words.astype(np.uint32)[..., None] >> np.arange(0, 32, 4, dtype=np.uint32)) & 15


def words(values):  # the inverse
    return (values.astype(np.uint32) << np.arange(0, 32, 4, dtype=np.uint32)).sum(-1, dtype=np.uint32).view(np.int32)


def read_gptq(t, name):
    """Integers [in, out], zeros and scales [groups, out], groups [in]."""
    qweight = nibbles(t[name + ".qweight"])  # [in / 8, out, 8]
    values = qweight.transpose(0, 2, 1).reshape(-1, qweight.shape[1])
    zeros = nibbles(t[name + ".qzeros"]).reshape(t[name + ".scales"].shape) + 1
    return values, zeros, t[name + ".scales"].astype(np.float32), t[name + ".g_idx"]


def read_awq(t, name):
    inverse = np.argsort(AWQ_ORDER)
    values = nibbles(t[name + ".qweight"])[..., inverse].reshape(t[name + ".qweight"].shape[0], -1)
    scales = t[name + ".scales"].astype(np.float32)
    zeros = nibbles(t[name + ".qzeros"])[..., inverse].reshape(scales.shape)
    groups = np.arange(values.shape[0]) // (values.shape[0] // scales.shape[0])
    return values, zeros, scales, groups


def weights(values, zeros, scales, groups):  # [out, in]
    return ((values.astype(np.float32) - zeros[groups]) * scales[groups]).T


def write_awq(values, zeros, scales):
    def pack(matrix):
        return words(matrix.reshape(matrix.shape[0], -1, 8)[..., AWQ_ORDER])

    return {"qweight": pack(values), "qzeros": pack(zeros), "scales": scales.astype(np.float16)}


def linears(tensors):
    return sorted(name[: -len(".qweight")] for name in tensors if name.endswith(".qweight"))


def printed_errors(output):
    """layer -> the relative errors of the weights of q|k|v, o, gate|up, down."""
    rows = re.findall(r"^layer (\d+) +(.*)$", output, re.M)
    return {int(layer): [float(pair.split(",")[0]) for pair in re.findall(r"[\d.]+, [\d.]+", rest)] for layer, rest in rows}


def relative(a, b):
    return float(np.sqrt(((a - b) ** 2).sum() / (a**2).sum()))


def check_gptq(name, *flags):
    output = run("quantize", source, work / name, "--method", "rtn", "--group-size", 32, *flags)
    before, after = tensors_of(source), tensors_of(work / name)
    config = json.loads((work / name / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["bits"], config["group_size"]) == ("gptq", 4, 32), config
    names = linears(after)
    assert len(names) == 14, names
    products = [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["self_attn.o_proj"],
                ["mlp.gate_proj", "mlp.up_proj"], ["mlp.down_proj"]]
    for layer, errors in printed_errors(output).items():
        for parts, printed in zip(products, errors):
            full = [f"model.layers.{layer}.{part}" for part in parts]
            a = np.concatenate([before[n + ".weight"].astype(np.float32) for n in full])
            b = np.concatenate([weights(*read_gptq(after, n)) for n in full])
            assert abs(relative(a, b) - printed) < 6e-5, (full, relative(a, b), printed)
    print(f"{name}: {len(names)} matrices have the errors that quantize printed")
    return after


def dequantised(directory):
    """Every matrix as Pagoda reads it."""
    subprocess.run([dequantise, directory, work / "floats.safetensors"], check=True)
    with safe_open(work / "floats.safetensors", "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def check_compressed_tensors():
    """Matrices that the package compressed-tensors packs are the same to it and to Pagoda."""
    import torch  # pylint: disable=import-outside-toplevel
    from compressed_tensors.compressors import BaseCompressor  # pylint: disable=import-outside-toplevel
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme  # pylint: disable=import-outside-toplevel

    names = [n[: -len(".weight")] for n in tensors_of(source) if re.search(r"_proj\.weight$", n)]
    for form, bits, kind, group, symmetric in (("pack-quantized", 4, "int", 32, True), ("pack-quantized", 4, "int", 64, False),
                                               ("pack-quantized", 8, "int", 32, True), ("int-quantized", 8, "int", None, True),
                                               ("float-quantized", 8, "float", None, True)):
        weights_args = {"num_bits": bits, "type": kind, "symmetric": symmetric, "strategy": "group" if group else "channel"}
        if group:
            weights_args["group_size"] = group
        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights_args))
        compressor = BaseCompressor.get_value_from_registry(form)
        tensors, expected = dict(tensors_of(source)), {}
        for name in names:
            weight = torch.from_numpy(tensors.pop(name + ".weight").astype(np.float32))
            groups = weight.reshape(weight.shape[0], -1, group or weight.shape[1])
            low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
            top = 448 if kind == "float" else 2 ** (bits - 1) - 1
            scale = torch.maximum(-low, high) / top if symmetric else (high - low) / (2**bits - 1)
            state = {"weight": weight, "weight_scale": scale}
            if not symmetric:
                state["weight_zero_point"] = (torch.round(-low / scale) - 2 ** (bits - 1)).to(torch.int8)
            packed = compressor.compress(state, scheme)
            expected[name] = compressor.decompress(packed, scheme)["weight"].float()
            for suffix, tensor in packed.items():
                tensors[f"{name}.{suffix}"] = tensor
        for name, tensor in tensors.items():
            tensors[name] = tensor.contiguous() if isinstance(tensor, torch.Tensor) else torch.from_numpy(tensor.copy())
        theirs = work / f"{form}_{bits}_{group}_{symmetric}"
        theirs.mkdir()
        from safetensors.torch import save_file as save_torch  # pylint: disable=import-outside-toplevel

        save_torch(tensors, theirs / "model.safetensors")
        config = json.loads((source / "config.json").read_text())
        config["quantization_config"] = {
            "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights_args}}}
        (theirs / "config.json").write_text(json.dumps(config))
        ours = dequantised(theirs)
        for name in names:
            assert np.array_equal(ours[name], expected[name].numpy()), (form, name)
        print(f"compressed-tensors: {form}, {bits} bits, groups of {group}, symmetric {symmetric}: the same values")


def complete(directory):
    assert "complete       yes" in run("inspect", directory), directory


def main():
    # Ours, read by the description.
    check_gptq("symmetric", "--sym")
    asymmetric = check_gptq("asymmetric", "--asym")

    # The same integers in AWQ's layout, written here, are read by Pagoda; and Pagoda's own AWQ layout by others.
    ours = {k: v for k, v in asymmetric.items() if not re.search(r"\.(qweight|qzeros|scales|g_idx)$", k)}
    for name in linears(asymmetric):
        for suffix, tensor in write_awq(*read_gptq(asymmetric, name)[:3]).items():
            ours[f"{name}.{suffix}"] = np.ascontiguousarray(tensor)
    theirs = work / "awq_by_numpy"
    theirs.mkdir()
    save_file(ours, theirs / "model.safetensors")
    config = json.loads((work / "asymmetric" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": 32, "zero_point": True}
    (theirs / "config.json").write_text(json.dumps(config))
    complete(theirs)
    back = tensors_of(theirs)
    for name in linears(back):
        assert np.array_equal(weights(*read_awq(back, name)), weights(*read_gptq(asymmetric, name))), name
    print("awq: written by numpy, found complete by Pagoda")

    for name, matrix in dequantised(theirs).items():
        if name in linears(back):
            assert np.array_equal(matrix, weights(*read_awq(back, name))), name
    for name, matrix in dequantised(work / "asymmetric").items():
        if name in linears(asymmetric):
            assert np.array_equal(matrix, weights(*read_gptq(asymmetric, name))), name
    print("awq, gptq: numpy and Pagoda read the same values")

    if importlib.util.find_spec("compressed_tensors") is None:
        print("compressed-tensors is not here: not compared")
    else:
        check_compressed_tensors()
    module = autoawq / "packing_utils.py"
    if importlib.util.find_spec("torch") is None or not module.exists():
        print("AutoAWQ is not here (PyTorch or its source cannot be had): not compared")
        return
    import torch  # pylint: disable=import-outside-toplevel

    spec = importlib.util.spec_from_file_location("packing_utils", module)
    packing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packing)
    for name in linears(back):
        t = {s: torch.from_numpy(back[f"{name}.{s}"]) for s in ("qweight", "qzeros", "scales")}
        full = packing.dequantize_gemm(t["qweight"], t["qzeros"], t["scales"].float(), 4, 32).numpy().T
        assert np.array_equal(full, weights(*read_awq(back, name))), name
    print("awq: AutoAWQ dequantises the same values")


main()
