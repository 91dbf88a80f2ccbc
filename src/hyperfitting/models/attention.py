"""Attention kernels of our own, for CPUs, where torch's fused one is slow in bfloat16.

Short blocks are a product, a softmax and a product over all texts and heads at once, whose scores stay in the dtype of
the keys: the softmax computes in float32 inside, and no copy of the scores is made in it. One new token attends to all
the memory of a cache, its unused end too, whose scores are then left out: products of pieces that do not touch would
copy them first.

Shapes: B texts, H heads, N = B x H, G heads of keys, Q = H / G heads that share one of them, T tokens, K tokens of
keys, R tokens of room in a cache, D units of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as drop
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PRODUCTS = "products"
"""The name under which transformers finds the kernel. Which model gets it is decided in `adapt`."""


def attend_by_products(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BGKD: Tensor,
    value_BGKD: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> Any:
    """Causal attention, (B, T, H, D). `attention_mask` is true where a token is seen; none: the tokens before."""
    batch, heads, tokens, units = query_BHTD.shape
    shared, dtype, held = heads // key_BGKD.shape[1], value_BGKD.dtype, key_BGKD.shape[2]
    key_NKD, value_NKD = (
        repeat_kv(each.to(dtype), shared).flatten(0, 1) for each in (key_BGKD, value_BGKD)
    )
    if attention_mask is None:
        added_NTK = value_NKD.new_full((tokens, held), -torch.inf).triu(1 + held - tokens)
    else:
        hidden_NTK = ~attention_mask.expand(batch, heads, -1, -1).flatten(0, 1)
        added_NTK = value_NKD.new_zeros(hidden_NTK.shape).masked_fill_(hidden_NTK, -torch.inf)
    query_NTD = query_BHTD.to(dtype).flatten(0, 1)
    score_NTK = torch.baddbmm(
        added_NTK, query_NTD, key_NKD.transpose(1, 2), alpha=scaling or units**-0.5
    )
    share_NTK = drop(score_NTK.softmax(-1), dropout, module.training)
    return (share_NTK @ value_NKD).unflatten(0, (batch, heads)).transpose(1, 2).contiguous(), None


def attend_one_token(
    module: nn.Module,
    query_BHTD: Tensor,
    keys: Tensor,
    values: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> Any:
    """One token attends to all tokens held; anything else goes to torch's fused attention."""
    batch, heads, tokens, units = query_BHTD.shape
    if tokens > 1 or attention_mask is not None or options.get("position_bias") is not None:
        return sdpa_attention_forward(module, query_BHTD, keys, values, attention_mask, **options)
    scale, groups, held = options.get("scaling") or units**-0.5, keys.shape[1], keys.shape[2]
    query_BGQD = (query_BHTD * scale).reshape(batch, groups, heads // groups, units)
    keys_BGRD, values_BGRD = _with_unused(keys), _with_unused(values)
    if (
        keys_BGRD.shape[2] != values_BGRD.shape[2]
    ):  # they lie in memory otherwise than in a cache of ours
        keys_BGRD, values_BGRD = keys, values
    score_BGQR = query_BGQD @ keys_BGRD.transpose(-1, -2)
    score_BGQR[..., :held] = score_BGQR[..., :held].float().softmax(-1)
    score_BGQR[..., held:] = 0
    return (score_BGQR @ values_BGRD).view(batch, 1, heads, -1), None


def _with_unused(held_BGTD: Tensor) -> Tensor:
    """All the memory that a view of its first tokens is a part of, (B, G, R, D); or the view, if it lies otherwise."""
    batch, groups, _, units = held_BGTD.shape
    if held_BGTD.stride()[2:] != (units, 1):
        return held_BGTD
    room = held_BGTD.stride(1) // units
    return held_BGTD.as_strided((batch, groups, room, units), held_BGTD.stride())


AttentionInterface.register(PRODUCTS, attend_by_products)
AttentionMaskInterface.register(PRODUCTS, sdpa_mask)
