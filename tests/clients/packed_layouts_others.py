"""Packed layouts as the programs of others read and write them, in tensors of PyTorch. AutoGPTQ's and AutoAWQ's layers
come from single files of their packages (`sources`, a folder): the packages as a whole would want a GPU."""

import importlib
import importlib.util
import sys
import types

import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import save_file


def module_at(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def float_linear(weights):
    linear = torch.nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    linear.weight.data = torch.from_numpy(np.ascontiguousarray(weights))
    return linear


def save(tensors, path):
    """save_file of tensors of which some are numpy's."""
    save_file({k: v.contiguous() if isinstance(v, torch.Tensor) else torch.from_numpy(v.copy()) for k, v in tensors.items()}, path)


class AutoGptq:
    """The layer that needs no kernels, qlinear_cuda.py of AutoGPTQ 0.7.1."""

    def __init__(self, sources):
        self.layer = module_at(sources / "qlinear_cuda.py", "qlinear_cuda").QuantLinear

    def read(self, tensors, quantization):
        groups = quantization["group_size"]
        layer = self.layer(quantization["bits"], groups, tensors["g_idx"].size, tensors["qweight"].shape[1], bias=False)
        for name in ("qweight", "qzeros", "scales", "g_idx"):
            setattr(layer, name, torch.from_numpy(np.ascontiguousarray(tensors[name])))
        layer.scales = layer.scales.float()  # in halves it would round what it dequantises
        return layer(torch.eye(tensors["g_idx"].size)).numpy().T

    def write(self, values, zeros, scales, groups, bits):
        weights = ((values - zeros[groups]).astype(np.float32) * scales[groups]).T
        layer = self.layer(bits, len(groups) // len(scales), *values.shape, bias=False)
        layer.pack(float_linear(weights), torch.from_numpy(scales.T.copy()), torch.from_numpy(zeros.T.astype(np.float32)),
                   torch.from_numpy(groups.astype(np.int32)))
        tensors = {name: getattr(layer, name).numpy() for name in ("qweight", "qzeros", "scales", "g_idx")}
        tensors["scales"] = tensors["scales"].astype(np.float16)
        return tensors


class AutoAwq:
    """gemm.py and packing_utils.py of AutoAWQ 0.2.9."""

    def __init__(self, sources):
        # The device that it would choose is the only thing that gemm.py takes from a module which wants accelerate.
        device = types.ModuleType("awq.utils.utils")
        device.get_best_device = lambda: "cpu"
        sys.path.insert(0, str(sources))  # holds awq/, without its __init__.py
        sys.modules["awq.utils.utils"] = device
        self.layer = importlib.import_module("awq.modules.linear.gemm").WQLinear_GEMM
        self.packing = importlib.import_module("awq.utils.packing_utils")

    def read(self, tensors, quantization):
        qweight, qzeros, scales = (torch.from_numpy(tensors[s]) for s in ("qweight", "qzeros", "scales"))
        size = quantization["group_size"]
        return self.packing.dequantize_gemm(qweight, qzeros, scales.float(), quantization["bits"], size).numpy().T

    def write(self, values, zeros, scales):
        size = len(values) // len(scales)
        weights = ((values - zeros.repeat(size, 0)).astype(np.float32) * scales.repeat(size, 0)).T
        layer = self.layer.from_linear(float_linear(weights), 4, size, scales=torch.from_numpy(scales),
                                       zeros=torch.from_numpy(zeros.astype(np.float32)))
        return {name: getattr(layer, name).numpy() for name in ("qweight", "qzeros", "scales")}


def int8_weights(tensors):
    """compressed-tensors' int-quantized has the tensors that `--method rtn --bits 8` writes, with scales [rows, 1]."""
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(num_bits=8, type="int", strategy="channel"))
    state = {"weight": torch.from_numpy(tensors["weight"]), "weight_scale": torch.from_numpy(tensors["weight_scale"][:, None])}
    return BaseCompressor.get_value_from_registry("int-quantized").decompress(state, scheme)["weight"].numpy()


def compressed_directory(directory):
    """Name and weights of every quantised layer of a directory: opened by transformers, which finds out from config.json
    what each layer is, and dequantised by compressed-tensors."""
    import transformers  # pylint: disable=import-outside-toplevel

    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    for name, layer in model.named_modules():
        scheme = getattr(layer, "quantization_scheme", None)
        if scheme is not None:
            state = dict(layer.named_parameters(recurse=False))
            compressor = BaseCompressor.get_value_from_registry(scheme.format)
            yield name, compressor.decompress(state, scheme)["weight"].detach().numpy()


# What the package packs of these is compared with what Pagoda reads: format, bits, type, group size, symmetric.
COMPRESSED = [("pack-quantized", 4, "int", 32, True), ("pack-quantized", 4, "int", 64, False),
              ("pack-quantized", 8, "int", 32, True), ("int-quantized", 8, "int", None, True),
              ("float-quantized", 8, "float", None, True)]


def compress(matrices, form, bits, kind, group, symmetric):
    """The config for `matrices` (name -> floats [out, in]) rounded so, the packed tensors of each, and what they are."""
    args = {"num_bits": bits, "type": kind, "symmetric": symmetric, "strategy": "group" if group else "channel"}
    if group:
        args["group_size"] = group
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    compressor = BaseCompressor.get_value_from_registry(form)
    packed, expected = {}, {}
    for name, matrix in matrices.items():
        weight = torch.from_numpy(matrix.astype(np.float32))
        groups = weight.reshape(weight.shape[0], -1, group or weight.shape[1])
        low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
        top = 448 if kind == "float" else 2 ** (bits - 1) - 1
        scale = torch.maximum(-low, high) / top if symmetric else (high - low) / (2**bits - 1)
        state = {"weight": weight, "weight_scale": scale}
        if not symmetric:
            state["weight_zero_point"] = (torch.round(-low / scale) - 2 ** (bits - 1)).to(torch.int8)
        packed[name] = compressor.compress(state, scheme)
        expected[name] = compressor.decompress(packed[name], scheme)["weight"].float().numpy()
    config = {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": args}}}
    return config, packed, expected
