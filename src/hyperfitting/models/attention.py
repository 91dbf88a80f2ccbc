"""Attention of one new token to what a cache holds, for CPUs.

torch's fused kernel reads bfloat16 keys and values there at a fifth of the speed of a plain product, and products of
pieces that do not touch are copied first. So the product is taken over all the memory of the cache, its unused end too,
whose scores are then left out.

Shapes: B texts, H heads, G heads of keys, Q = H / G heads that share one of them, T tokens held, R tokens of room, D
units of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "hyperfitting_one_token"


@contextmanager
def one_token_attention(model: nn.Module) -> Iterator[None]:
    """Have a model on a CPU that uses torch's fused attention use this one meanwhile; others stay as they are."""
    config: Any = model.config
    if next(model.parameters()).device.type != "cpu" or config._attn_implementation != "sdpa":
        yield
        return
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _attend(
    module: nn.Module, query_BHTD: Tensor, keys: Tensor, values: Tensor, attention_mask: Tensor | None, **options: Any
) -> Any:
    """One token attends to all tokens held; anything else goes to torch's fused attention."""
    batch, heads, tokens, units = query_BHTD.shape
    if tokens > 1 or attention_mask is not None or options.get("position_bias") is not None:
        return sdpa_attention_forward(module, query_BHTD, keys, values, attention_mask, **options)
    scale, groups, held = options.get("scaling") or units**-0.5, keys.shape[1], keys.shape[2]
    query_BGQD = (query_BHTD * scale).reshape(batch, groups, heads // groups, units)
    score_BGQR = query_BGQD @ _with_unused(keys).transpose(-1, -2)
    score_BGQR[..., :held] = score_BGQR[..., :held].float().softmax(-1)
    score_BGQR[..., held:] = 0
    return (score_BGQR @ _with_unused(values)).view(batch, 1, heads, -1), None


def _with_unused(held_BGTD: Tensor) -> Tensor:
    """All the memory that a view of its first tokens is a part of, (B, G, R, D); or the view, if it lies otherwise."""
    batch, groups, _, units = held_BGTD.shape
    if held_BGTD.stride()[2:] != (units, 1):
        return held_BGTD
    room = held_BGTD.stride(1) // units
    return held_BGTD.as_strided((batch, groups, room, units), held_BGTD.stride())


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
