"""Is a model causal, and which way of reading it token by token equals its plain forward?

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
    difference,
    dtype_of,
    enlarged,
    equal,
    plain,
    refuse_full_memory,
)
from hyperfitting.models.adapt.parts import attention_of
from hyperfitting.models.attention import PRODUCTS, attend_one_token
from hyperfitting.models.devices import Precision, device_of
from hyperfitting.models.stepping import KeyValueCache, OwnStepping, Stepper, WholeText


@contextmanager
def one_token_attention(model: nn.Module) -> Iterator[None]:
    """Context manager: a CPU model that uses torch's fused attention uses the one-token kernel; no effect on others.

    The kernel stands under the name that the config holds: some models look at that name and compute otherwise under
    any but those that they know (Falcon forgets its mask, DeepSeek 3.2 attends to all tokens).
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
STEPPINGS: dict[str, Callable[[nn.Module, Precision], Stepper]] = {
    "cache": partial(KeyValueCache, while_reading=one_token_attention, grows=True),
    "cache, positions given": partial(
        KeyValueCache, while_reading=one_token_attention, grows=True, positions=True
    ),
    "cache, own attention": KeyValueCache,
    "own stepping": OwnStepping,
    NO_CACHE: WholeText,
}
"""How a model can be read token by token, the fastest first; the first that equals the plain forward is used."""


def choose_stepping(model: nn.Module, ids_BT: Tensor, context: int) -> str:
    """The first of the `STEPPINGS` that equals the plain forward after a context; the last one does by definition."""
    return next(
        name for name in STEPPINGS if name == NO_CACHE or equals_plain(model, name, ids_BT, context)
    )


def equals_plain(model: nn.Module, name: str, ids_BT: Tensor, context: int) -> bool:
    """Whether the logits after a context of this length, and after each token behind it, are the plain forward's."""
    for large in (False, True):
        with enlarged(model, large):
            plain_BSV = plain(
                model, ids_BT, last=ids_BT.shape[1] - context + 1, must_be_finite=not large
            )
            if not plain_BSV.isfinite().all():
                continue  # made large, the model overflows: that says nothing of its cache
            try:
                read_BSV = _read_in_steps(STEPPINGS[name](model, "fp32"), ids_BT, context)
            except Exception as error:  # whatever a model makes of a cache that it does not know
                refuse_full_memory(error)
                return False
            if not equal(read_BSV, plain_BSV, model, large=large):
                return False
    return True


def _read_in_steps(reader: Stepper, ids_BT: Tensor, context: int) -> Tensor:
    read = [reader.start(ids_BT[:, :context])]
    read += [reader.extend(ids_B) for ids_B in ids_BT[:, context:].unbind(1)]
    return torch.stack(read, dim=1)


def refuse_unless_causal(model: nn.Module, ids_BT: Tensor, context: int) -> None:
    """Refuse a model whose logits for a context depend on what follows it, or on chance.

    Raises:
        ModelError: says which.
    """
    for large in (False, True):
        with enlarged(model, large):
            _refuse_unless_causal(model, ids_BT, context, large=large)


def _refuse_unless_causal(model: nn.Module, ids_BT: Tensor, context: int, *, large: bool) -> None:
    whole_BTV = plain(model, ids_BT, must_be_finite=not large)
    if not whole_BTV.isfinite().all():
        return
    bound, kind = BOUNDS[dtype_of(model)][0] / 10, type(model).__name__
    one_CV, other_CV = whole_BTV[:, :context]
    if difference(one_CV, other_CV) > bound:
        if difference(whole_BTV, plain(model, ids_BT, must_be_finite=not large)) > bound:
            raise ModelError(
                f"{kind} does not continue texts: its logits for one text are not the same twice"
            )
        encoder = getattr(model.config, "is_decoder", True) is False
        remedy = "; a config with is_decoder = true does" if encoder else ""
        raise ModelError(f"{kind} reads both ways: it does not continue texts{remedy}")


def refuse_if_length_matters(model: nn.Module, ids_BT: Tensor, context: int) -> None:
    """Refuse a model that reads the beginning of a text otherwise than the same tokens alone.

    Raises:
        ModelError: names both lengths.
    """
    for large in (False, True):
        with enlarged(model, large):
            whole_1TV = plain(model, ids_BT[:1], must_be_finite=not large)[:, context - 1 : context]
            alone_1TV = plain(model, ids_BT[:1, :context], last=1, must_be_finite=not large)
        finite = whole_1TV.isfinite().all() and alone_1TV.isfinite().all()
        if finite and not equal(alone_1TV, whole_1TV, model, large=large):
            raise ModelError(
                f"{type(model).__name__} does not continue texts: its logits for a beginning of {context} tokens are "
                f"others in a text of {ids_BT.shape[1]}"
            )
