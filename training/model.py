"""The forward pass of a Hunyuan-dense model, written for training: whole rows, no cache.

Norms, RoPE and residuals in FP32, matrix products in BF16 where autocast says so. RoPE comes before the norms of q
and k.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.attention import AttentionPath


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, as config.json has them. Defaults: nano."""

    vocab_size: int = 24_576
    hidden_size: int = 512
    intermediate_size: int = 1536
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    num_key_value_heads: int = 2
    head_dim: int = 128
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0

    @staticmethod
    def read(path: Path) -> "ModelConfig":
        """From a config.json. RoPE scaling is not trained here, so a file that has it is refused."""
        values: dict[str, Any] = json.loads(path.read_text())
        if values.get("model_type") != "hunyuan_v1_dense":
            raise ValueError(f"{path}: model_type is {values.get('model_type')}, expected hunyuan_v1_dense")
        if values.get("rope_scaling"):
            raise ValueError(f"{path}: rope_scaling cannot be trained here")
        return ModelConfig(**{name: values[name] for name in ModelConfig.__dataclass_fields__})


class RmsNorm(nn.Module):
    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.epsilon)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """RoPE on halves. x [batch, heads, length, head_dim], cosine and sine [batch, 1, length, head_dim / 2]."""
    first, second = x.float().chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


def round_tokens(x: Tensor, share: Tensor | None) -> Tensor:
    """x [..., width] with each token on 255 steps, where share is 1; as it is where share is 0 or None.

    For the gradient it is x itself; rounding.py says what for.
    """
    if share is None:
        return x
    exact = x.detach().float()
    scale = (exact.abs().amax(-1, keepdim=True) / 127.0).clamp(min=1e-12)
    return x + (share * ((exact / scale).round() * scale - exact)).to(x.dtype)


class Layer(nn.Module):
    """Attention and MLP, each behind a norm and beside the residual."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden, head = config.hidden_size, config.head_dim
        self.heads, self.kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            head,
        )
        self.input_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.post_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.q_norm = RmsNorm(head, config.rms_norm_eps)
        self.k_norm = RmsNorm(head, config.rms_norm_eps)
        self.q = nn.Linear(hidden, self.heads * head, bias=False)
        self.k = nn.Linear(hidden, self.kv_heads * head, bias=False)
        self.v = nn.Linear(hidden, self.kv_heads * head, bias=False)
        self.o = nn.Linear(self.heads * head, hidden, bias=False)
        self.gate = nn.Linear(hidden, config.intermediate_size, bias=False)
        self.up = nn.Linear(hidden, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, hidden, bias=False)

    def forward(
        self,
        x: Tensor,
        cosine: Tensor,
        sine: Tensor,
        attention: AttentionPath,
        mask: Any,
        rounded: Tensor | None,
    ) -> Tensor:
        batch, length, _ = x.shape
        # One wide product instead of three narrow ones; the parameters stay apart for Muon.
        qkv = F.linear(
            round_tokens(self.input_norm(x), rounded), torch.cat([self.q.weight, self.k.weight, self.v.weight])
        )
        qkv = qkv.view(batch, length, self.heads + 2 * self.kv_heads, self.head_dim).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 1)
        q = self.q_norm(rotate(q, cosine, sine)).to(v.dtype)
        k = self.k_norm(rotate(k, cosine, sine)).to(v.dtype)
        mixed = attention.attend(q, k, v, mask).transpose(1, 2).reshape(batch, length, -1)
        x = x + self.o(round_tokens(mixed, rounded))
        wide = F.linear(round_tokens(self.post_norm(x), rounded), torch.cat([self.gate.weight, self.up.weight]))
        gate, up = wide.chunk(2, -1)
        return x + self.down(round_tokens(F.silu(gate) * up, rounded))


class HunyuanDense(nn.Module):
    """Embedding, layers, last norm. The head is the embedding; loss.py multiplies with it."""

    def __init__(self, config: ModelConfig, attention: AttentionPath) -> None:
        super().__init__()
        self.config = config
        self.attention = attention
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        # What flows back into the residual is scaled down by depth.
        small = 0.02 / math.sqrt(2 * config.num_hidden_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=small if name.endswith(("o.weight", "down.weight")) else 0.02)

    def forward(self, tokens: Tensor, segment: Tensor, position: Tensor, rounded: Tensor | None = None) -> Tensor:
        """tokens, segment, position [batch, length] -> hidden states [batch * length, hidden], FP32.

        rounded [layers + 1]: 1 where the inputs of a layer's matrices (last: of the head) are rounded to INT8.
        """
        half = torch.arange(0, self.config.head_dim, 2, device=tokens.device, dtype=torch.float32)
        frequency = self.config.rope_theta ** (-half / self.config.head_dim)
        angle = position[:, None, :, None].float() * frequency
        cosine, sine = angle.cos(), angle.sin()
        x = self.embedding(tokens)
        mask = self.attention.make_mask(segment)
        shares = [None] * (len(self.layers) + 1) if rounded is None else rounded.unbind()
        for layer, share in zip(self.layers, shares, strict=False):
            x = layer(x, cosine, sine, self.attention, mask, share)
        return round_tokens(self.norm(x), shares[-1]).view(-1, self.config.hidden_size)
