"""Find out whether a model is causal, and which way of reading it token by token equals its plain
forward.

Shapes: B texts, T tokens, S steps, C tokens of the context, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.compare import (
    BOUNDS,
    dtype_of,
    enlarged,
    logits_difference,
    logits_match,
    plain_forward,
    refuse_full_memory,
)
from hyperfitting.models.adapt.parts import attention_of
from hyperfitting.models.attention import PRODUCTS, attend_one_token
from hyperfitting.models.devices import Precision, device_of
from hyperfitting.models.packed_steps import PackedSteps
from hyperfitting.models.stepping import KeyValueCache, OwnStepping, Stepper, WholeText


@contextmanager
def one_token_attention(model: nn.Module) -> Iterator[None]:
    """Context manager: use the one-token kernel for CPU models configured with SDPA or products;
    no-op otherwise.

    The kernel is registered under the name in the config, because some models compute something
    else under a name that they do not know (Falcon omits its mask, DeepSeek 3.2 attends to all
    tokens).
    """
    name = attention_of(model)
    if device_of(model).type != "cpu" or name not in ("sdpa", PRODUCTS):
        yield
        return
    before = ALL_ATTENTION_FUNCTIONS[name]
    AttentionInterface.register(name, attend_one_token)
    try:
        yield
    finally:
        AttentionInterface.register(name, before)


NO_CACHE = "no cache"
_OF_ANY_MODEL: dict[str, Callable[[nn.Module, Precision], Stepper]] = {
    "cache": partial(KeyValueCache, while_reading=one_token_attention, grows=True),
    "cache, positions given": partial(
        KeyValueCache, while_reading=one_token_attention, grows=True, positions=True
    ),
    "cache, own attention": KeyValueCache,
    "own stepping": OwnStepping,
    NO_CACHE: WholeText,
}
"""Ways to read a model token by token, fastest first; the first that equals the plain forward is
used.
"""

FOR_FEW, FOR_MANY = "packed for few texts", "packed for many texts"
STEPPINGS: dict[str, Callable[[nn.Module, Precision], Stepper]] = {
    **_OF_ANY_MODEL,
    FOR_FEW: partial(PackedSteps, few=True),
    FOR_MANY: partial(PackedSteps, few=False),
}
"""All ways; those with packed weights, which are held a second time, only where a model writes."""


def choose_stepping(model: nn.Module, ids_BT: Tensor, context: int) -> str:
    """The name of the first way of any model that equals the plain forward; the last is the plain
    forward itself.
    """
    return next(
        name
        for name in _OF_ANY_MODEL
        if name == NO_CACHE or equals_plain(model, name, ids_BT, context)
    )


def equals_plain(model: nn.Module, name: str, ids_BT: Tensor, context: int) -> bool:
    """Whether the logits after a context of this length, and after each later token, equal the
    plain forward's.
    """
    for large in (False, True):
        with enlarged(model, large):
            plain = partial(
                plain_forward,
                model,
                ids_BT,
                last=ids_BT.shape[1] - context + 1,
                must_be_finite=not large,
            )
            plain_BSV = plain()
            if not plain_BSV.isfinite().all():
                continue  # with large weights the model overflows, which does not concern its cache
            try:
                read_BSV = _read_in_steps(STEPPINGS[name](model, "fp32"), ids_BT, context)
            except Exception as error:  # the model may not support this cache
                refuse_full_memory(error)
                return False
            if not logits_match(read_BSV, plain_BSV, model, large=large, plain=plain):
                return False
    return True


def _read_in_steps(stepper: Stepper, ids_BT: Tensor, context: int) -> Tensor:
    read = [stepper.start(ids_BT[:, :context])]
    read += [stepper.extend(ids_B) for ids_B in ids_BT[:, context:].unbind(1)]
    return torch.stack(read, dim=1)


def refuse_unless_causal(model: nn.Module, ids_BT: Tensor, context: int) -> None:
    """Refuse a model whose logits for a context depend on later tokens, or are not deterministic.

    Raises:
        ModelError: names which of the two.
    """
    for large in (False, True):
        with enlarged(model, large):
            _refuse_unless_causal(model, ids_BT, context, large=large)


def _refuse_unless_causal(model: nn.Module, ids_BT: Tensor, context: int, *, large: bool) -> None:
    whole_BTV = plain_forward(model, ids_BT, must_be_finite=not large)
    if not whole_BTV.isfinite().all():
        return
    bound, kind = BOUNDS[dtype_of(model)][0] / 10, type(model).__name__
    one_CV, other_CV = whole_BTV[:, :context]
    if logits_difference(one_CV, other_CV) > bound:
        if (
            logits_difference(whole_BTV, plain_forward(model, ids_BT, must_be_finite=not large))
            > bound
        ):
            raise ModelError(
                f"{kind} does not continue texts: its logits for one text are not the same twice"
            )
        encoder = getattr(model.config, "is_decoder", True) is False
        remedy = "; a config with is_decoder = true does" if encoder else ""
        raise ModelError(f"{kind} reads both ways: it does not continue texts{remedy}")


def refuse_if_length_matters(model: nn.Module, ids_BT: Tensor, context: int) -> None:
    """Refuse a model whose logits for a prefix depend on the length of the whole text.

    Raises:
        ModelError: names both lengths.
    """
    for large in (False, True):
        with enlarged(model, large):
            if not _is_equal_alone(model, ids_BT[:1], context, large=large):
                raise ModelError(
                    f"{type(model).__name__} does not continue texts: its logits for a beginning "
                    f"of {context} tokens are others in a text of {ids_BT.shape[1]}"
                )


def _is_equal_alone(model: nn.Module, ids_1T: Tensor, context: int, *, large: bool) -> bool:
    """Whether the logits after a context are the same without what follows it; true where either
    overflows.
    """

    def whole() -> Tensor:
        whole_1TV = plain_forward(model, ids_1T, must_be_finite=not large)
        return whole_1TV[:, context - 1 : context]

    whole_11V = whole()
    alone_11V = plain_forward(model, ids_1T[:, :context], last=1, must_be_finite=not large)
    if not (whole_11V.isfinite().all() and alone_11V.isfinite().all()):
        return True
    return logits_match(alone_11V, whole_11V, model, large=large, plain=whole)
