"""Attention inside the examples of a packed row: each token sees itself and what stands before it in its example.

Two paths with the same result. `flex` (FlexAttention) computes only the blocks under the diagonal and keeps no mask in
memory; it needs a GPU to be fast. `masked` (scaled_dot_product_attention with a mask) runs everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention


@dataclass(frozen=True)
class AttentionPath:
    """`make_mask` is called once a forward pass, with segment [batch, length]; `attend` in every layer.

    attend(q, k, v, mask): q [batch, heads, length, head_dim], k and v [batch, kv_heads, length, head_dim] -> as q.
    """

    make_mask: Callable[[Tensor], Any]
    attend: Callable[[Tensor, Tensor, Tensor, Any], Tensor]


# FlexAttention's blocks of rows and columns; rows of 256 tokens are 2 x 2 blocks, of which one is skipped.
BLOCK: Final = 128


def _masked_mask(segment: Tensor) -> Tensor:
    length = segment.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segment.device).tril()
    return (segment[:, None, :, None] == segment[:, None, None, :]) & causal


def _masked_attend(q: Tensor, k: Tensor, v: Tensor, mask: Any) -> Tensor:
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _flex_mask(segment: Tensor) -> BlockMask:
    length = segment.shape[1]
    blocks = -(-length // BLOCK)

    def same_example_before(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (segment[batch, query] == segment[batch, key])

    # Block i looks at blocks 0 ... i, in all rows alike, so the block structure is a constant.
    count = torch.arange(1, blocks + 1, device=segment.device, dtype=torch.int32)
    indices = torch.arange(blocks, device=segment.device, dtype=torch.int32).repeat(blocks, 1)
    return BlockMask.from_kv_blocks(
        count[None, None],
        indices[None, None],
        BLOCK_SIZE=BLOCK,
        mask_mod=same_example_before,
        seq_lengths=(length, length),
    )


def _flex_attend(q: Tensor, k: Tensor, v: Tensor, mask: Any) -> Tensor:
    mixed = flex_attention(q, k, v, block_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    assert isinstance(mixed, Tensor)
    return mixed


# Call flex compiled; uncompiled it computes all scores at once, which only tests can bear.
FLEX: Final = AttentionPath(_flex_mask, _flex_attend)
MASKED: Final = AttentionPath(_masked_mask, _masked_attend)
PATHS: Final[dict[str, AttentionPath]] = {"flex": FLEX, "masked": MASKED}
