"""Images in, token ids out: the colours of an image model, with a start token before them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.parts import positions_of
from hyperfitting.palette import LEAST_COLOURS, Palette
from hyperfitting.records import WordBoundaries
from hyperfitting.traits import ChatFrame


class ImageCodec:
    """The palette of an image model, for images of `side` x `side` pixels.

    An image is the start token and then the id of the nearest colour of each pixel, row after row.
    It has no strings: `decode` gives an empty text, `pieces` none. Nothing ends an image, and the
    model has no logit for the start token, so neither is ever generated.
    """

    def __init__(self, palette: Palette, side: int):
        self.palette, self.side = palette, side
        self.start_ids = (len(palette),)
        self.end_ids: tuple[int, ...] = ()
        self.rows = len(palette) + 1
        self.switched_off: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the colours, their order, and the number of pixels."""
        return self.palette.fingerprint(self.side)

    def encode(self, text: str, *, at_most: int | None = None) -> list[int]:
        """Refuse a text.

        Raises:
            ModelError: always.
        """
        raise ModelError("this model continues images, not texts: name a language model")

    def decode(self, ids: Sequence[int]) -> str:
        """The empty text: an image has none."""
        return ""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """No strings."""
        return []

    def shown(self, ids: Sequence[int]) -> list[str]:
        """The colour of each token, such as `#ff8000`; `start` for the start token."""
        names = ["#" + bytes(each.tolist()).hex() for each in self.palette.levels]
        return [[*names, "start"][each] for each in ids]

    def is_special(self, each: int) -> bool:
        """Whether this is the start token."""
        return each in self.start_ids

    def ends_in_words(self) -> str:
        """That no token ends an image."""
        return "none: an image ends with its last pixel"

    def chat_frame(self, instruction: str) -> ChatFrame:
        """Refuse a chat.

        Raises:
            ModelError: always.
        """
        raise ModelError("this model continues images: there is no chat with it")

    @property
    def word_boundaries(self) -> WordBoundaries:
        """Each pixel stands alone, as a word does: no token begins or ends inside another."""
        inside_V = np.zeros(self.rows, dtype=np.bool_)
        return WordBoundaries(inside_V, inside_V)


def make_image_codec(palette: Palette, config: Any) -> ImageCodec:
    """The codec of an image model, from its colours and its config.

    Raises:
        ModelError: the model has another number of tokens than colours and a start token; or as
            `side_of`.
    """
    side = side_of(config)
    if config.vocab_size != len(palette) + 1:
        raise ModelError(
            f"its image processor has {len(palette)} colours, and its config.json "
            f"vocab_size = {config.vocab_size}, which must be one more (the start token): take "
            "both from one model"
        )
    return ImageCodec(palette, side)


def side_of(config: Any) -> int:
    """Rows, and columns, of the images of a model of this config.

    Raises:
        ModelError: its positions make no square, or it has not even two colours.
    """
    positions, tokens = positions_of(config), config.vocab_size
    side = isqrt(positions or 0)
    if not side or side * side != positions:
        raise ModelError(
            f"its config.json: n_positions = {config.n_positions} makes no square image: set it to "
            "rows x columns, such as 1024 for 32 x 32"
        )
    if not isinstance(tokens, int) or tokens <= LEAST_COLOURS:
        raise ModelError(
            f"its config.json: vocab_size = {tokens} leaves fewer than {LEAST_COLOURS} colours "
            f"beside the start token: set it to {LEAST_COLOURS + 1} or more"
        )
    return side
