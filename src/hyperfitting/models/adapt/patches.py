"""Patches of a model's layers for training: attention, norms and rotary embeddings. Each is
compared before it is used.

Shapes: B texts, H heads, G heads of keys, T tokens, K tokens of keys, D units of a head.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.compare import (
    STEPS,
    enlarged,
    logits_match,
    plain_forward,
    texts_to_try,
)
from hyperfitting.models.adapt.parts import attention_of, has_experts, set_attention
from hyperfitting.models.attention import PRODUCTS, attend_by_products
from hyperfitting.models.autocast_norms import RmsNorm, norm_or_own, round_angles
from hyperfitting.models.devices import device_of
from hyperfitting.models.stepping import plain_logits

_COMPARED = "hyperfitting_compared"
_SHORT_BLOCK_TOKENS = 512
"""Up to this length the B x H x T x T scores of a layer are small compared with its other
activations.
"""


# --- attention
# ------------------------------------------------------------------------------------------


def prefer_attention(model: nn.Module, wanted: str, device: torch.device, tokens: int) -> None:
    """Set the attention kernel for training: `auto` is products for short blocks on a CPU, else
    torch's SDPA.

    A model whose attention does more than products (caps, sinks) gets `eager`, its own, instead of
    products. With `auto` a model keeps its kernel if it has no choice (state-space models) or if
    its logits change with the new one.

    Raises:
        ModelError: the kernel was named, and the model does not support it or its logits change
            with it.
    """
    short = device.type == "cpu" and tokens <= _SHORT_BLOCK_TOKENS
    name, before = (
        wanted if wanted != "auto" else PRODUCTS if short else "sdpa",
        attention_of(model),
    )
    try:
        if name == PRODUCTS and not _is_products(model):
            name = "eager"
        model.set_attn_implementation(name)  # type: ignore[operator]
        problem = (
            ""
            if _is_the_same_model(model, before, name, tokens)
            else "its logits are others with it"
        )
    except (ValueError, AttributeError):  # it has no such kernel, or no choice of any
        name, problem = before, f"{type(model).__name__} has no such attention"
    if problem and wanted != "auto":
        raise ModelError(f"engine.attention = {wanted!r}: {problem}")
    if problem:
        set_attention(model, before)


def _is_the_same_model(model: nn.Module, before: str, after: str, tokens: int) -> bool:
    """Whether the plain forward gives the same logits under two kernels; true without a comparison
    on the meta device.
    """
    if before == after or device_of(model).type == "meta":
        return True
    ids_BT, _ = texts_to_try(model, tokens)

    def logits(name: str) -> Tensor:
        set_attention(model, name)
        return plain_forward(model, ids_BT, last=STEPS, must_be_finite=False)

    for large in (False, True):
        with enlarged(model, large):
            one_BSV, other_BSV = logits(before), logits(after)
            plain = partial(logits, before)
            same = logits_match(other_BSV, one_BSV, model, large=large, plain=plain)
            if one_BSV.isfinite().all() and not same:
                return False
    set_attention(model, after)
    return True


def _is_products(model: nn.Module) -> bool:
    """Whether the model's own attention equals the products, whatever its weights.

    False for a mixture of experts, which cannot be tested this way. The answer is cached by the
    config and the classes of the modules, unless a module has a patched forward.
    """
    if has_experts(model):
        return False
    kinds = [type(each) for each in model.modules()]
    asked = (model.config.to_json_string(), tuple(kinds))  # type: ignore[union-attr, operator]
    if any("forward" in vars(each) for each in model.modules()):
        return _asked_for_products(model)
    if asked not in _PRODUCTS_OF:
        _PRODUCTS_OF[asked] = _asked_for_products(model)
    return _PRODUCTS_OF[asked]


_PRODUCTS_OF: dict[tuple[str, tuple[type[nn.Module], ...]], bool] = {}


def _asked_for_products(model: nn.Module) -> bool:
    compared: list[nn.Module] = []
    AttentionInterface.register(_COMPARED, partial(_compare_with_own, compared))
    model.set_attn_implementation(_COMPARED)  # type: ignore[operator]
    try:
        with (
            torch.no_grad(),
            FakeTensorMode(allow_non_fake_inputs=True),
        ):  # only shapes and options are needed
            plain_logits(model, torch.ones(1, 8, dtype=torch.long, device=device_of(model)))
    except Exception:  # the two differ, or the model cannot run on tensors without values
        return False
    return bool(compared)


class _Differs(Exception):
    """The model's own attention is not the products."""


def _compare_with_own(
    compared: list[nn.Module],
    module: nn.Module,
    query_BHTD: Tensor,
    key_BGKD: Tensor,
    value_BGKD: Tensor,
    attention_mask: Any,
    **options: Any,
) -> Any:
    """An attention kernel that computes the products after it compared them with the model's own on
    random inputs.

    Raises:
        _Differs: they are not equal.
    """
    compared.append(module)
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    with unset_fake_temporarily():
        noise = torch.Generator().manual_seed(0)
        made = [
            torch.randn(each.shape, generator=noise) for each in (query_BHTD, key_BGKD, value_BGKD)
        ]
        for scale in (100, 0.01):  # large scores show a cap, small ones a sink
            if own is None or not _attends_alike(
                own, module, (scale * made[0], *made[1:]), options
            ):
                raise _Differs
    return attend_by_products(module, query_BHTD, key_BGKD, value_BGKD, attention_mask, **options)


def _attends_alike(
    own: Any, module: nn.Module, made: tuple[Tensor, ...], options: dict[str, Any]
) -> bool:
    (query_BHTD, key_BGKD, value_BGKD), tokens = made, made[0].shape[2]
    added_TK = torch.full((1, 1, tokens, tokens), torch.finfo(torch.float32).min).triu(1)
    try:
        theirs_BTHD = own(module, *made, added_TK, **options)[0]
    except Exception:  # it needs further inputs, or weights that have no values
        return False
    ours_BTHD = attend_by_products(module, query_BHTD, key_BGKD, value_BGKD, None, **options)[0]
    return torch.allclose(ours_BTHD, theirs_BTHD, rtol=1e-2, atol=1e-4)


AttentionMaskInterface.register(_COMPARED, sdpa_mask)


# --- norms and rotations
# ----------------------------------------------------------------------------------------------


def castable_norms(model: nn.Module) -> list[str]:
    """Module names of the RMS norms and rotary embeddings that `cast_norm_outputs` can patch."""
    return [
        name for name, module in model.named_modules() if _is_rotary(module) or _is_rms_norm(module)
    ]


def cast_norm_outputs(model: nn.Module, names: Iterable[str]) -> None:
    """Make the named RMS norms and rotary embeddings output autocast's dtype while autocast is on.

    `names` come from `castable_norms`. The norms still compute in float32, and the residual stream
    stays in float32.
    """
    for module in map(model.get_submodule, names):
        if _is_rotary(module):
            module.register_forward_hook(round_angles)
        else:
            module.forward = MethodType(norm_or_own, module)


def _is_rotary(module: nn.Module) -> bool:
    return type(module).__name__.endswith("RotaryEmbedding")


def _is_rms_norm(module: nn.Module) -> bool:
    """Whether a module divides by the root mean square and multiplies by its weight; tried on two
    inputs.
    """
    if not (type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")):
        return False
    weight_H: Any = module.weight
    if weight_H.is_meta:
        return True
    unit_TH = torch.linspace(
        -2, 3, 2 * weight_H.numel(), device=weight_H.device, dtype=weight_H.dtype
    ).view(2, -1)
    with torch.no_grad():
        for x_TH in (
            unit_TH,
            1e-3 * unit_TH,
        ):  # for small inputs the value and the position of epsilon matter
            ours_TH = RmsNorm.apply(x_TH, weight_H, module.variance_epsilon, x_TH.dtype)  # type: ignore[no-untyped-call]
            try:
                same = torch.allclose(ours_TH, module(x_TH), rtol=1e-2, atol=1e-6)
            except Exception:  # a gated norm needs a second input
                return False
            if not same:
                return False
    return True
