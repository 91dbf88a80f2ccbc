"""Attention of our own, for CPUs, where torch's fused kernel is slow in bfloat16; and the choice of a kernel.

Short blocks are a product, a softmax and a product over all texts and heads at once, whose scores stay in the dtype of
the keys: the softmax computes in float32 inside, and no copy of the scores is made in it. One new token attends to all
the memory of a cache, its unused end too, whose scores are then left out: products of pieces that do not touch would
copy them first.

Shapes: B texts, H heads, N = B x H, G heads of keys, Q = H / G heads that share one of them, T tokens, K tokens of
keys, R tokens of room in a cache, D units of a head.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.nn.functional import dropout as drop
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from hyperfitting.errors import ModelError
from hyperfitting.models.selection import has_experts

_PRODUCTS, _COMPARED, _ONE_TOKEN = "products", "hyperfitting_compared", "hyperfitting_one_token"
_SHORT_BLOCK_TOKENS = 512
"""Up to here the B x H x T x T scores of a layer are small beside its other activations. See docs/benchmarks.md."""


def prefer_attention(model: nn.Module, wanted: str, device: torch.device, tokens: int) -> None:
    """Choose the attention kernel: `auto` is products for short blocks on a CPU, else torch's fused one.

    A model whose attention does more than products (caps, sinks) keeps its own instead of them, which is `eager`; one
    that has no choice (a state-space model) keeps what it has.

    Raises:
        ModelError: it does not know the kernel that is wanted.
    """
    short = device.type == "cpu" and tokens <= _SHORT_BLOCK_TOKENS
    name = wanted if wanted != "auto" else _PRODUCTS if short else "sdpa"
    try:
        if name == _PRODUCTS and not _is_products(model):
            name = "eager"
        model.set_attn_implementation(name)  # type: ignore[operator]
    except ValueError as error:
        if wanted != "auto":
            raise ModelError(f"engine.attention = {wanted!r}: {str(error).partition('. ')[0]}") from error


def attention_of(model: nn.Module) -> str:
    """The attention kernel in effect."""
    return str(model.config._attn_implementation)  # type: ignore[union-attr]


def _is_products(model: nn.Module) -> bool:
    """Whether the attention that the model itself would compute equals the products; its weights are not looked at.

    One that cannot be asked so, as a mixture of experts, keeps its own.
    """
    if has_experts(model):
        return False
    compared: list[nn.Module] = []
    AttentionInterface.register(_COMPARED, partial(_compare_with_own, compared))
    model.set_attn_implementation(_COMPARED)  # type: ignore[operator]
    device = next(model.parameters()).device
    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):  # shapes and options are all that is wanted
            model(torch.ones(1, 8, dtype=torch.long, device=device), use_cache=False)
    except (_Differs, RuntimeError):
        return False
    return bool(compared)


class _Differs(Exception):
    """The model's own attention is another function."""


def _attend_by_products(
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
    key_NKD, value_NKD = (repeat_kv(each.to(dtype), shared).flatten(0, 1) for each in (key_BGKD, value_BGKD))
    if attention_mask is None:
        added_NTK = value_NKD.new_full((tokens, held), -torch.inf).triu(1 + held - tokens)
    else:
        hidden_NTK = ~attention_mask.expand(batch, heads, -1, -1).flatten(0, 1)
        added_NTK = value_NKD.new_zeros(hidden_NTK.shape).masked_fill_(hidden_NTK, -torch.inf)
    query_NTD = query_BHTD.to(dtype).flatten(0, 1)
    score_NTK = torch.baddbmm(added_NTK, query_NTD, key_NKD.transpose(1, 2), alpha=scaling or units**-0.5)
    share_NTK = drop(score_NTK.softmax(-1), dropout, module.training)
    return (share_NTK @ value_NKD).unflatten(0, (batch, heads)).transpose(1, 2).contiguous(), None


def _compare_with_own(
    compared: list[nn.Module],
    module: nn.Module,
    query_BHTD: Tensor,
    key_BGKD: Tensor,
    value_BGKD: Tensor,
    attention_mask: Any,
    **options: Any,
) -> Any:
    """The products, once they are seen to equal the model's own attention on queries and keys made up for it."""
    compared.append(module)
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    with unset_fake_temporarily():
        noise = torch.Generator().manual_seed(0)
        made = [torch.randn(each.shape, generator=noise) for each in (query_BHTD, key_BGKD, value_BGKD)]
        for scale in (100, 0.01):  # scores that a cap would cut; scores beside which a sink weighs
            if own is None or not _equal(own, module, (scale * made[0], *made[1:]), options):
                raise _Differs
    return _attend_by_products(module, query_BHTD, key_BGKD, value_BGKD, attention_mask, **options)


def _equal(own: Any, module: nn.Module, made: tuple[Tensor, ...], options: dict[str, Any]) -> bool:
    (query_BHTD, key_BGKD, value_BGKD), tokens = made, made[0].shape[2]
    added_TK = torch.full((1, 1, tokens, tokens), torch.finfo(torch.float32).min).triu(1)
    try:
        theirs_BTHD = own(module, *made, added_TK, **options)[0]
    except (RuntimeError, TypeError, ValueError, AttributeError):  # it asks for more, or for weights that are not there
        return False
    ours_BTHD = _attend_by_products(module, query_BHTD, key_BGKD, value_BGKD, None, **options)[0]
    return torch.allclose(ours_BTHD, theirs_BTHD, rtol=1e-2, atol=1e-4)


@contextmanager
def one_token_attention(model: nn.Module) -> Iterator[None]:
    """Have a model on a CPU that uses torch's fused attention use this one meanwhile; others stay as they are."""
    config: Any = model.config
    before = config._attn_implementation
    if next(model.parameters()).device.type != "cpu" or before not in ("sdpa", _PRODUCTS):
        yield
        return
    config._attn_implementation = _ONE_TOKEN
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend_one_token(
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


AttentionInterface.register(_PRODUCTS, _attend_by_products)
AttentionInterface.register(_ONE_TOKEN, _attend_one_token)
for _name in (_PRODUCTS, _COMPARED, _ONE_TOKEN):
    AttentionMaskInterface.register(_name, sdpa_mask)
