"""Ways to read a text token by token: with our cache, with the model's own, or the whole text again
at each step.

Each is a `NextToken` of the decoding loop. `adapt` finds out which of them equals the model's plain
forward.

Shapes: B texts, T tokens, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import GenerationConfig
from transformers.generation import GenerationMode

from hyperfitting.models.devices import Precision, autocast, device_of
from hyperfitting.models.kv_cache import with_room


class CannotStep(Exception):
    """The model's forward does not return what the next step needs."""


def plain_logits(model: nn.Module, ids_BT: Tensor, last: int | None = None) -> Tensor:
    """The logits (B, T, V) of the model's plain forward over whole texts without a cache, in the
    model's own dtype.

    `last` returns those of the last tokens only, and computes no others if the model can do so. The
    model needs to support no more than `forward(input_ids)`; further options are passed only if it
    accepts them.

    Raises:
        CannotStep: the model returns no logits.
    """
    options: dict[str, Any] = {"use_cache": False} if accepts(model, "use_cache") else {}
    if last is not None and accepts(model, "logits_to_keep"):
        options["logits_to_keep"] = last
    logits_BTV = logits_of(model(ids_BT, **options))
    return logits_BTV if last is None else logits_BTV[:, -last:]


def logits_of(output: Any) -> Tensor:
    """The logits of a forward's output: its attribute, the first item of a tuple, or the output
    itself.

    Raises:
        CannotStep: there are none of three dimensions.
    """
    found = getattr(output, "logits", output[0] if isinstance(output, tuple) else output)
    if not isinstance(found, Tensor) or found.ndim != 3:
        raise CannotStep("it gives no logits for the tokens of a text")
    return found


def accepts(model: nn.Module, option: str) -> bool:
    """Whether the model's forward has an argument of this name or takes any keyword."""
    known = inspect.signature(model.forward).parameters
    return option in known or any(each.kind is each.VAR_KEYWORD for each in known.values())


class Stepper(Protocol):
    """Reads texts token by token: `start`, then `extend` any number of times."""

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts; logits (B, V), float32."""

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""


class _Reading:
    """A model, the precision of its forward, and the ids that were read so far."""

    def __init__(self, model: nn.Module, precision: Precision = "fp32"):
        self._model: Any = model
        self._device, self._precision = device_of(model), precision
        self._ids_BT = torch.empty(0, 0, dtype=torch.long)

    def _append(self, ids_B: Tensor) -> None:
        self._ids_BT = torch.cat([self._ids_BT, ids_B.to(self._device).unsqueeze(-1)], dim=1)


class WholeText(_Reading):
    """No cache: the plain forward over the whole text at each step. Slow, and the reference for all
    other ways.
    """

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts; logits (B, V), float32."""
        self._ids_BT = context_BT.to(self._device)
        return self._last_logits()

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        self._append(ids_B)
        return self._last_logits()

    @torch.no_grad()
    def _last_logits(self) -> Tensor:
        with autocast(self._precision, self._device):
            return plain_logits(self._model, self._ids_BT, last=1)[:, -1].float()


class KeyValueCache(_Reading):
    """Keeps the model's keys and values and passes them in again: `past_key_values`, as most models
    support it.

    `while_reading` is the context manager in which the forward runs, for our attention kernel.
    `grows` replaces the cache by one with spare capacity. `positions` passes each token's position,
    for models that would restart at 0.
    """

    def __init__(
        self,
        model: nn.Module,
        precision: Precision = "fp32",
        *,
        while_reading: Callable[[nn.Module], AbstractContextManager[None]] = lambda model: (
            nullcontext()
        ),
        grows: bool = False,
        positions: bool = False,
    ):
        super().__init__(model, precision)
        self._while_reading, self._grows, self._positions = while_reading, grows, positions
        self._last_only = {"logits_to_keep": 1} if accepts(model, "logits_to_keep") else {}
        self._cache: Any = None
        self._read_tokens = 0

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts into a fresh cache; logits (B, V), float32."""
        self._cache, self._read_tokens = None, 0
        return self._step(context_BT)

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        return self._step(ids_B.unsqueeze(-1))

    @torch.no_grad()
    def _step(self, ids_BT: Tensor) -> Tensor:
        options: dict[str, Any] = {
            "past_key_values": self._cache,
            "use_cache": True,
            **self._last_only,
        }
        if self._positions:
            first, end = self._read_tokens, self._read_tokens + ids_BT.shape[1]
            options["position_ids"] = torch.arange(first, end, device=self._device).expand(
                len(ids_BT), -1
            )
        with autocast(self._precision, self._device), self._while_reading(self._model):
            output = self._model(ids_BT.to(self._device), **options)
        cache = getattr(output, "past_key_values", None)
        if cache is None:
            raise CannotStep("it returns no keys and values")
        self._cache = with_room(cache) if self._grows and self._cache is None else cache
        self._read_tokens += ids_BT.shape[1]
        return logits_of(output)[:, -1].float()


class OwnStepping(_Reading):
    """The model's own stepping, as transformers' `generate` uses it: the only way that state-space
    models support.
    """

    def __init__(self, model: nn.Module, precision: Precision = "fp32"):
        super().__init__(model, precision)
        self._held: dict[str, Any] = {}

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts into the model's own state; logits (B, V), float32."""
        self._ids_BT = context_BT.to(self._device)
        self._held = {"attention_mask": torch.ones_like(self._ids_BT), "use_cache": True}
        if "position_ids" in inspect.signature(self._model.forward).parameters:
            self._held["position_ids"] = torch.arange(
                context_BT.shape[1], device=self._device
            ).unsqueeze(0)
        self._model._prepare_cache_for_generation(
            GenerationConfig(), self._held, GenerationMode.GREEDY_SEARCH, len(context_BT), 0
        )
        return self._step(is_first_iteration=True)

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        self._append(ids_B)
        return self._step(next_sequence_length=1)

    @torch.no_grad()
    def _step(self, **options: Any) -> Tensor:
        inputs = self._model.prepare_inputs_for_generation(self._ids_BT, **options, **self._held)
        with autocast(self._precision, self._device):
            output = self._model(**inputs, return_dict=True)
        self._held = self._model._update_model_kwargs_for_generation(output, self._held)
        return logits_of(output)[:, -1].float()


class ByContext:
    """Another stepper for contexts of one token, which some models take for a later step without a
    cache.
    """

    def __init__(self, stepper: Stepper, of_one_token: Stepper):
        self._stepper, self._of_one_token, self._chosen = stepper, of_one_token, stepper

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts; logits (B, V), float32."""
        self._chosen = self._of_one_token if context_BT.shape[1] == 1 else self._stepper
        return self._chosen.start(context_BT)

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        return self._chosen.extend(ids_B)
