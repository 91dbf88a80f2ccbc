"""Logits a chunk of tokens at a time: the body reads the texts once, and the head is given some of its hidden states.

What a head does beside its product (bias, cap, scale) is done here too: it is the model's own forward that runs, with a
body that answers at once. A (B, T, V) tensor is made only by a model that cannot be fed so, and that is tried first.

Shapes: B texts, T tokens, H hidden units, V vocabulary, N = B x (T - 1) predicted tokens, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hyperfitting.models.devices import Precision, autocast, device_of

_CHUNK_BYTES = 2**27
"""The float32 logits of one chunk: 256 tokens at the 128,256 words of Llama 3. Scoring makes five times as much."""
_TRIED_TOKENS = 8
_TRIED_CHUNK = 3
_ROUNDING = 1e-2
"""Of the size of all logits: products of other shapes differ by a unit in the last place, 2^-8 in bfloat16."""


def chunk_tokens(words: int) -> int:
    """Tokens whose float32 logits over `words` words fill a chunk; at least one."""
    return max(1, _CHUNK_BYTES // (4 * words))


def logits_in_chunks(model: nn.Module, ids_BT: Tensor, precision: Precision, *, fed: bool) -> Iterator[Tensor]:
    """Logits (C, V) that predict every token of the texts but the first, text after text, in the dtype of the head.

    Together (N, V). `fed` is what `can_be_fed` says of the model; if it cannot be, its logits are made whole. To be
    used without gradients, and every process of a model that is dealt out over several must use it alike.
    """
    if not fed:
        logits_NV = _logits(model, ids_BT, precision)[:, :-1].flatten(0, 1)
        yield from torch.split(logits_NV, chunk_tokens(logits_NV.shape[1]))
        return
    output, words = _read(model, ids_BT, precision)
    ids_N, hidden_NH = ids_BT[:, :-1].flatten(), output.last_hidden_state[:, :-1].flatten(0, 1)
    size = chunk_tokens(words)
    for ids_C, hidden_CH in zip(*(torch.split(each, size) for each in (ids_N, hidden_NH)), strict=True):
        yield _logits_of_hidden(model, output, ids_C, hidden_CH, precision)


def keep_head_exact(model: nn.Module) -> None:
    """Have a bfloat16 model's head multiply in float32: in bfloat16 the best words often tie, and the first one wins.

    Its weights are rounded as the others; embeddings that share them stay as they are. For models that are used, not
    trained or saved.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(head, nn.Linear) or head.weight.dtype == torch.float32:
        return
    for name, held in list(head.named_parameters()):
        setattr(head, name, nn.Parameter(held.detach().float(), requires_grad=False))
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def can_be_fed(model: nn.Module, ids_BT: Tensor, precision: Precision) -> bool:
    """Whether the model's head, fed chunks of hidden states, says what the model says: tried on eight tokens.

    It does not where the model has no body of its own, does something between body and head that needs all the
    tokens, or has a head that looks at more than the last hidden states.
    """
    ids_1T = ids_BT[:1, :_TRIED_TOKENS]
    whole_TV = _logits(model, ids_1T, precision)[0].float()
    try:
        output, _ = _read(model, ids_1T, precision)
        parts = zip(*(torch.split(each[0], _TRIED_CHUNK) for each in (ids_1T, output.last_hidden_state)), strict=True)
        fed_TV = torch.cat([_logits_of_hidden(model, output, ids, hidden, precision) for ids, hidden in parts]).float()
    except (_CannotFeed, RuntimeError, TypeError, ValueError, AttributeError, IndexError):
        return False
    same = whole_TV.shape == fed_TV.shape
    return same and bool((whole_TV - fed_TV).norm() <= _ROUNDING * whole_TV.norm())


class _CannotFeed(Exception):
    """The model's forward does not go through its body once."""


def _logits(model: nn.Module, ids_BT: Tensor, precision: Precision) -> Tensor:
    with autocast(precision, device_of(model)):
        logits_BTV: Tensor = model(ids_BT, use_cache=False).logits
    return logits_BTV


def _read(model: nn.Module, ids_BT: Tensor, precision: Precision) -> tuple[Any, int]:
    """What the body makes of the texts, and the width of the head; the head sees the first token of each text only.

    The body is called through the model, not alone: there FSDP gathers the weights of both.
    """
    outputs = []

    def read(*args: Any, **kwargs: Any) -> Any:
        outputs.append(forward(*args, **kwargs))
        return _with_hidden(outputs[0], outputs[0].last_hidden_state[:, :1])

    with _body_forward(model, read) as forward:
        words = _logits(model, ids_BT, precision).shape[-1]
    if len(outputs) != 1:
        raise _CannotFeed(type(model).__name__)
    return outputs[0], words


def _logits_of_hidden(model: nn.Module, output: Any, ids_C: Tensor, hidden_CH: Tensor, precision: Precision) -> Tensor:
    """The model's own logits (C, V) for hidden states that its body need not compute again."""
    answer = _with_hidden(output, hidden_CH.unsqueeze(0))
    with _body_forward(model, lambda *_, **__: answer):
        return _logits(model, ids_C.unsqueeze(0), precision)[0]


def _with_hidden(output: Any, hidden_BTH: Tensor) -> Any:
    """A body's output with other hidden states."""
    return replace(output, last_hidden_state=hidden_BTH)


@contextmanager
def _body_forward(model: nn.Module, forward: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Have the model's body compute `forward`; yields its own."""
    body: Any = model.base_model
    if body is model:
        raise _CannotFeed(type(model).__name__)
    own, set_before = body.forward, "forward" in vars(body)
    body.forward = forward
    try:
        yield own
    finally:
        if set_before:
            body.forward = own
        else:
            del body.forward
