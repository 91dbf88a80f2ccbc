"""The head of a model: given chunks of hidden states, kept in float32, or made to compute the loss.
Each is tested first.

Shapes: B texts, T tokens, V vocabulary, H hidden units, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.parts import decoder_layers, output_head
from hyperfitting.models.devices import Precision, autocast, device_of
from hyperfitting.models.stepping import plain_logits

_TRIED_TOKENS, _TRIED_CHUNK = 8, 3
_ROUNDING = 1e-2
"""Relative to the norm of all logits: products of other shapes differ by a unit in the last place,
2^-8 in bfloat16.
"""


def keep_head_exact(model: nn.Module) -> None:
    """Make a bfloat16 model's head multiply in float32. In bfloat16 the best tokens often tie, and
    the lowest id wins.

    The head's weights keep their bfloat16 values; embeddings tied to them are not changed. Not for
    models that are trained or saved.
    """
    head = output_head(model)
    if not isinstance(head, nn.Linear) or head.weight.dtype == torch.float32:
        return
    for name, held in list(head.named_parameters()):
        setattr(head, name, nn.Parameter(held.detach().float(), requires_grad=False))
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def head_accepts_chunks(model: nn.Module, ids_BT: Tensor, precision: Precision) -> bool:
    """Whether the head gives the model's logits when it gets chunks of hidden states; tried on
    eight tokens.

    False if the model has no separate body, computes something over all tokens between body and
    head, or has a head that reads more than the last hidden states.
    """
    ids_1T = ids_BT[:1, :_TRIED_TOKENS]
    whole_TV = autocast_logits(model, ids_1T, precision)[0].float()
    try:
        output, _ = read_body(model, ids_1T, precision)
        parts = zip(
            *(torch.split(each[0], _TRIED_CHUNK) for each in (ids_1T, output.last_hidden_state)),
            strict=True,
        )
        chunks = [logits_of_hidden(model, output, ids, hidden, precision) for ids, hidden in parts]
        joined_TV = torch.cat(chunks).float()
    except Exception:  # a forward of another form
        return False
    same = whole_TV.shape == joined_TV.shape
    return same and bool((whole_TV - joined_TV).norm() <= _ROUNDING * whole_TV.norm())


class NoSeparateBody(Exception):
    """The model's forward does not go through its body once."""


def autocast_logits(model: nn.Module, ids_BT: Tensor, precision: Precision) -> Tensor:
    """The plain forward's logits (B, T, V) in this precision."""
    with autocast(precision, device_of(model)):
        return plain_logits(model, ids_BT)


def read_body(model: nn.Module, ids_BT: Tensor, precision: Precision) -> tuple[Any, int]:
    """The body's output for the texts, and the vocabulary size; the head gets the first token of
    each text only.

    The body is called through the model, because FSDP gathers the weights of both there.

    Raises:
        NoSeparateBody: the model has no separate body, or does not call it exactly once.
    """
    outputs = []

    def read(*args: Any, **kwargs: Any) -> Any:
        outputs.append(forward(*args, **kwargs))
        return _with_hidden(outputs[0], outputs[0].last_hidden_state[:, :1])

    with _body_forward(model, read) as forward:
        size = autocast_logits(model, ids_BT, precision).shape[-1]
    if len(outputs) != 1:
        raise NoSeparateBody(type(model).__name__)
    return outputs[0], size


def logits_of_hidden(
    model: nn.Module, output: Any, ids_C: Tensor, hidden_CH: Tensor, precision: Precision
) -> Tensor:
    """The model's own logits (C, V) for given hidden states; its body is not run again."""
    answer = _with_hidden(output, hidden_CH.unsqueeze(0))
    with _body_forward(model, lambda *_, **__: answer):
        return autocast_logits(model, ids_C.unsqueeze(0), precision)[0]


def _with_hidden(output: Any, hidden_BTH: Tensor) -> Any:
    """A body's output with its hidden states replaced."""
    return replace(output, last_hidden_state=hidden_BTH)


@contextmanager
def _body_forward(model: nn.Module, forward: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Context manager: the model's body computes `forward`; yields its own forward.

    Raises:
        NoSeparateBody: the model has no separate body.
    """
    body: Any = getattr(model, "base_model", model)
    if body is model:
        raise NoSeparateBody(type(model).__name__)
    own, set_before = body.forward, "forward" in vars(body)
    body.forward = forward
    try:
        yield own
    finally:
        if set_before:
            body.forward = own
        else:
            del body.forward


def give_head(model: nn.Module, forward: Callable[..., Any]) -> bool:
    """Make the head compute `forward(head, ...)` instead of its own; false if there is no head with
    a weight.
    """
    head = output_head(model)
    if not isinstance(head, nn.Module) or getattr(head, "weight", None) is None:
        return False
    head.forward = MethodType(forward, head)
    return True


def has_plain_head(model: nn.Module) -> bool:
    """Whether the logits are the head's output, unchanged, and the head has no bias; works without
    weights.
    """
    head, handed = output_head(model), []
    if not isinstance(head, nn.Module):
        return False
    hook = head.register_forward_hook(lambda _, __, logits_BTV: handed.append(logits_BTV))
    try:
        with (
            hook,
            _layers_repeat_the_first(model),
            torch.no_grad(),
            FakeTensorMode(allow_non_fake_inputs=True),
        ):
            logits_BTV = plain_logits(
                model, torch.ones(1, _TRIED_TOKENS, dtype=torch.long, device="meta")
            )
    except Exception:  # a model that does not run on tensors without values
        return False
    return getattr(head, "bias", None) is None and bool(handed) and logits_BTV is handed[0]


@contextmanager
def _layers_repeat_the_first(model: nn.Module) -> Iterator[None]:
    """Let layers of the first one's class return what it returned: without values they all return
    the same.
    """
    try:
        first, *others = decoder_layers(model)
    except (ModelError, ValueError):  # it has none, or none that are found: all of it is run
        yield
        return
    returned: list[Any] = []
    alike = [each for each in others if type(each) is type(first) and "forward" not in vars(each)]
    hook = first.register_forward_hook(lambda _, __, output: returned.append(output))
    try:
        for layer in alike:
            layer.forward = lambda *_, **__: returned[-1]
        with hook:
            yield
    finally:
        for layer in alike:
            del layer.forward


def head_is_one_product(model: nn.Module, ids_BT: Tensor) -> bool:
    """Whether the head has no bias and its output becomes the logits unchanged, also when it is
    very large.

    At random weights a bias is zero and a cap is not reached, so equal losses would not show
    either.
    """
    head, grown = output_head(model), []
    if not isinstance(head, nn.Module):
        return False

    def grow(module: nn.Module, inputs: Any, logits_BTV: Tensor) -> Tensor:
        grown.append(100 * logits_BTV)
        return grown[0]

    with head.register_forward_hook(grow):
        logits_BTV = plain_logits(model, ids_BT)
    same = len(grown) == 1 and torch.equal(logits_BTV.float(), grown[0].float())
    return same and getattr(head, "bias", None) is None
