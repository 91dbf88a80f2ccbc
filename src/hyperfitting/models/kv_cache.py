"""A key-value cache that is not copied for every token.

transformers' own cache concatenates all keys and values at each step: half of the decoding time for
a hundred texts of a small model.

Shapes: B texts, H heads, T tokens, D units of a head.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer

ROOM_TOKENS = 32
"""The cache grows by this many tokens at a time."""


def with_room(cache: Any) -> Any:
    """The cache with spare capacity in its plain layers; sliding windows and other kinds are left
    as they are.
    """
    for number, layer in enumerate(getattr(cache, "layers", [])):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[number] = _GrowingLayer(layer.keys, layer.values)
    return cache


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, H, T, D) as views of larger buffers."""

    def __init__(self, keys: Tensor, values: Tensor):
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = self._room = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        done, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if end > self._room[0].shape[2]:
            self._room = _room(self.keys, end), _room(self.values, end)
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, done:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values


def _room(held: Tensor, least_tokens: int) -> Tensor:
    """A buffer for at least `least_tokens` tokens, with the held ones at its start."""
    tokens = -(-least_tokens // ROOM_TOKENS) * ROOM_TOKENS
    room = held.new_zeros(*held.shape[:2], tokens, held.shape[3])
    room[:, :, : held.shape[2]] = held
    return room
