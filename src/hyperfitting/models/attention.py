"""Our attention kernels for CPUs, where torch's SDPA is slow in bfloat16.

For short blocks: a product, a softmax and a product over all texts and heads at once, for one piece
of the tokens after another. A piece has no scores of tokens after its last one, which are
invisible: of 256 tokens that leaves out a quarter of all scores, of 512 three eighths. The scores
stay in the dtype of the keys; the softmax computes in float32 internally without a float32 copy.
For one new token: products over the whole buffer of a cache, whose unused scores are then set to
zero, because a product over a view of it would copy it first.

Shapes: B texts, H heads, G heads of keys, N = B x G, Q = H / G heads that share one of them, T
tokens, K tokens of keys, R = Q x T rows of scores or tokens of room in a cache, D units of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as drop
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PRODUCTS = "products"
"""The name under which the kernel is registered in transformers. `adapt` decides which models use
it.
"""

_PIECE_TOKENS = 128
"""Tokens of one piece: fewer would waste less of the scores, in products that are slower."""


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
    """Causal attention, (B, T, H, D). `attention_mask` is true where a token is visible; None: all
    earlier tokens. Then it is taken piece by piece, each with the tokens up to its last one.
    """
    batch, heads, tokens, units = query_BHTD.shape
    shared, dtype, held = heads // key_BGKD.shape[1], value_BGKD.dtype, key_BGKD.shape[2]
    key_NKD, value_NKD = (each.to(dtype).flatten(0, 1) for each in (key_BGKD, value_BGKD))
    query_NQTD = query_BHTD.to(dtype).reshape(-1, shared, tokens, units)
    added_NQTK = _added_scores(attention_mask, query_BHTD, value_NKD)
    in_pieces = attention_mask is None
    pieces = []
    for first in range(0, tokens, _PIECE_TOKENS if in_pieces else tokens):
        last = min(first + _PIECE_TOKENS, tokens) if in_pieces else tokens
        seen = held - tokens + last
        score_NRK = torch.baddbmm(
            added_NQTK[:, :, first:last, :seen].flatten(1, 2),
            query_NQTD[:, :, first:last].flatten(1, 2),
            key_NKD[:, :seen].transpose(1, 2),
            alpha=scaling or units**-0.5,
        )
        share_NRK = drop(score_NRK.softmax(-1), dropout, module.training)
        piece_BHTD = (share_NRK @ value_NKD[:, :seen]).view(batch, heads, last - first, -1)
        pieces.append(piece_BHTD.transpose(1, 2))
    return torch.cat(pieces, 1), None


def _added_scores(attention_mask: Tensor | None, query_BHTD: Tensor, value_NKD: Tensor) -> Tensor:
    """What hides tokens, (N or 1, Q, T, K): minus infinity where one is invisible, else 0."""
    (batch, heads, tokens, _), held = query_BHTD.shape, value_NKD.shape[1]
    shared = batch * heads // len(value_NKD)
    if attention_mask is None:
        added_TK = value_NKD.new_full((tokens, held), -torch.inf).triu(1 + held - tokens)
        return added_TK.expand(1, shared, -1, -1)
    hidden_BHTK = ~attention_mask.expand(batch, heads, -1, -1)
    hidden_NQTK = hidden_BHTK.reshape(-1, shared, tokens, held)
    return value_NKD.new_zeros(hidden_NQTK.shape).masked_fill_(hidden_NQTK, -torch.inf)


def attend_one_token(
    module: nn.Module,
    query_BHTD: Tensor,
    keys: Tensor,
    values: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> Any:
    """Attention of one new token to all cached tokens, (B, 1, H, D); other inputs go to torch's
    SDPA.
    """
    batch, heads, tokens, units = query_BHTD.shape
    if tokens > 1 or attention_mask is not None or options.get("position_bias") is not None:
        return sdpa_attention_forward(module, query_BHTD, keys, values, attention_mask, **options)
    scale, groups, held = options.get("scaling") or units**-0.5, keys.shape[1], keys.shape[2]
    query_BGQD = (query_BHTD * scale).reshape(batch, groups, heads // groups, units)
    keys_BGRD, values_BGRD = _with_unused(keys), _with_unused(values)
    if keys_BGRD.shape[2] != values_BGRD.shape[2]:  # not laid out as in our cache
        keys_BGRD, values_BGRD = keys, values
    score_BGQR = query_BGQD @ keys_BGRD.transpose(-1, -2)
    score_BGQR[..., :held] = score_BGQR[..., :held].float().softmax(-1)
    score_BGQR[..., held:] = 0
    return (score_BGQR @ values_BGRD).view(batch, 1, heads, -1), None


def _with_unused(held_BGTD: Tensor) -> Tensor:
    """The whole buffer (B, G, R, D) of which the argument is a view; the argument itself if its
    layout differs.
    """
    batch, groups, _, units = held_BGTD.shape
    if held_BGTD.stride()[2:] != (units, 1):
        return held_BGTD
    room = held_BGTD.stride(1) // units
    return held_BGTD.as_strided((batch, groups, room, units), held_BGTD.stride())


AttentionInterface.register(PRODUCTS, attend_by_products)
AttentionMaskInterface.register(PRODUCTS, sdpa_mask)
