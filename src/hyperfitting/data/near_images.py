"""Find images that repeat another one, nearly or exactly, also as its mirror image: candidates by a
perceptual hash, then comparison of small copies.

Shapes: N images, H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.pixels import Picture

ALIKE_BITS = 10
"""Two images are candidates if at most this many of the 64 bits of their hashes differ."""

ALIKE_LEVELS = 12.0
"""Candidates nearly repeat each other if their small copies differ by at most this root mean
square, in levels of 0 to 255.
"""

_COPY = 8
_GRAY = np.array([0.299, 0.587, 0.114])


class NearImages:
    """An index of images.

    The hash is that of differences (dHash): whether the light rises from each of 8 x 9 places to
    the next in its row. The comparison is of copies of 8 x 8 pixels in colour. An image that is
    brighter or darker as a whole has the same hash, and is no repeat if it differs by more than
    `ALIKE_LEVELS`.
    """

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._hashes_N = np.zeros(0, np.uint64)
        self._copies: list[NDArray[np.float64]] = []

    def find(self, picture: Picture) -> Picture | None:
        """The first added image that this one, or its mirror image, repeats nearly or exactly; None
        if there is none.
        """
        both = (picture.pixels_HWC, picture.pixels_HWC[:, ::-1])
        return self._first_of(map(_summary, both))

    def add(self, picture: Picture) -> Picture | None:
        """Add an image; returns what `find` gave before."""
        own, mirrored = map(_summary, (picture.pixels_HWC, picture.pixels_HWC[:, ::-1]))
        found = self._first_of((own, mirrored))
        if len(self._pictures) == len(self._hashes_N):
            self._hashes_N = np.resize(self._hashes_N, max(64, 2 * len(self._pictures)))
        self._hashes_N[len(self._pictures)] = own.hash_bits
        self._copies.append(own.copy_HWC)
        self._pictures.append(picture)
        return found

    def _first_of(self, summaries: Iterable[_Summary]) -> Picture | None:
        numbers = map(self._number_of, summaries)
        first = min((each for each in numbers if each is not None), default=None)
        return None if first is None else self._pictures[first]

    def _number_of(self, summary: _Summary) -> int | None:
        """The first added image that an image of this summary repeats."""
        other_N = self._hashes_N[: len(self._pictures)] ^ summary.hash_bits
        for number in np.flatnonzero(_bits(other_N) <= ALIKE_BITS).tolist():
            apart = summary.copy_HWC - self._copies[number]
            if np.sqrt(np.square(apart).mean()) <= ALIKE_LEVELS:
                return int(number)
        return None


class _Summary(NamedTuple):
    """What is compared of an image: its hash, and its copy of 8 x 8 pixels."""

    hash_bits: np.uint64
    copy_HWC: NDArray[np.float64]


def _summary(pixels_HWC: NDArray[np.uint8]) -> _Summary:
    return _Summary(difference_hash(pixels_HWC), _shrunk(pixels_HWC, _COPY, _COPY))


def difference_hash(pixels_HWC: NDArray[np.uint8]) -> np.uint64:
    """64 bits, one for each two neighbours in a row of a copy of 8 x 9 pixels in gray: whether the
    light rises by more than one level. Source: Krawetz 2013, "dHash".
    """
    gray_HW = _shrunk(pixels_HWC, _COPY, _COPY + 1) @ _GRAY
    rises = (np.diff(gray_HW, axis=1) > 1).ravel()
    return np.uint64(int.from_bytes(np.packbits(rises).tobytes(), "big"))


def _shrunk(pixels_HWC: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float64]:
    """The image at fewer rows and columns: each pixel is the mean over its area."""
    height, width, channels = pixels_HWC.shape
    flat_rS = _means(height, rows) @ pixels_HWC.reshape(height, width * channels)
    shrunk: NDArray[np.float64] = _means(width, columns) @ flat_rS.reshape(rows, width, channels)
    return shrunk


@cache
def _means(size: int, parts: int) -> NDArray[np.float64]:
    """Weights (parts, size) of the mean over each of equal parts of a line of pixels."""
    borders = np.arange(parts + 1) * size / parts
    starts, ends = borders[:-1, None], borders[1:, None]
    pixel = np.arange(size)
    covered = np.clip(np.minimum(ends, pixel + 1) - np.maximum(starts, pixel), 0, None)
    weights: NDArray[np.float64] = covered / covered.sum(1, keepdims=True)
    return weights


def _bits(numbers_N: NDArray[Any]) -> NDArray[np.int64]:
    """The number of bits that are set in each 64-bit number."""
    bytes_N8 = numbers_N.view(np.uint8).reshape(-1, 8)
    counts_N: NDArray[np.int64] = np.unpackbits(bytes_N8, axis=1).sum(1, dtype=np.int64)
    return counts_N
