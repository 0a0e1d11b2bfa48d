"""Weights as `pagoda quantize` packs them, back in floats: near enough to the original to train on from.

`pagoda-int8`: integers [out, in] under the weight's name and one scale an output channel beside it. `gptq`: eight 4-bit
or four 8-bit integers in each INT32, groups of inputs with a scale and a zero point (Frantar et al. 2023; the layout is
AutoGPTQ's).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def _unpack(packed: Tensor, bits: int, dimension: int) -> Tensor:
    """INT32 [..., n, ...] -> INT32 [..., n * 32 / bits, ...], the lowest bits first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    last = packed.movedim(dimension, -1)
    values = (last.unsqueeze(-1) >> shifts) & (2**bits - 1)
    return values.flatten(-2).movedim(-1, dimension)


def dequantise(tensors: Mapping[str, Tensor], name: str, quantization: Mapping[str, Any]) -> Tensor | None:
    """The weight `name` [out, in] in FP32, or None if the directory has it in no form."""
    if name in tensors:
        tensor = tensors[name]
        if tensor.dtype == torch.int8:
            return tensor.float() * tensors[f"{name}_scale"].float()[:, None]
        return tensor.float()
    stem = name.removesuffix(".weight")
    if f"{stem}.qweight" not in tensors:
        return None
    bits = int(quantization.get("bits", 4))
    if str(quantization.get("quant_method", "")).endswith("awq") or bits not in (4, 8):
        raise ValueError(f"{name}: only the layout of GPTQ with 4 or 8 bits can be read here")
    values = _unpack(tensors[f"{stem}.qweight"], bits, 0)  # [in, out]
    zeros = _unpack(tensors[f"{stem}.qzeros"], bits, 1)  # [groups, out]
    if quantization.get("checkpoint_format", "gptq") != "gptq_v2":
        zeros = zeros + 1  # stored less one
    scales = tensors[f"{stem}.scales"].float()  # [groups, out]
    if f"{stem}.g_idx" in tensors:
        group = tensors[f"{stem}.g_idx"].long()
    else:
        group = torch.arange(values.shape[0]) // (values.shape[0] // scales.shape[0])
    return ((values - zeros[group]).float() * scales[group]).T.contiguous()
