"""Find images that repeat another one, nearly or exactly, also as its mirror image: candidates by a
perceptual hash, then comparison of small copies.

Shapes: N images, H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

from typing import Any

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
        self._count = 0

    def find(self, picture: Picture) -> Picture | None:
        """The first added image that this one, or its mirror image, repeats nearly or exactly; None
        if there is none.
        """
        both = map(self._find, (picture.pixels_HWC, picture.pixels_HWC[:, ::-1]))
        number = min((each for each in both if each is not None), default=None)
        return None if number is None else self._pictures[number]

    def add(self, picture: Picture) -> Picture | None:
        """Add an image; returns what `find` gave before."""
        found = self.find(picture)
        if self._count == len(self._hashes_N):
            self._hashes_N = np.resize(self._hashes_N, max(64, 2 * self._count))
        self._hashes_N[self._count] = difference_hash(picture.pixels_HWC)
        self._copies.append(_small_copy(picture.pixels_HWC))
        self._pictures.append(picture)
        self._count += 1
        return found

    def _find(self, pixels_HWC: NDArray[np.uint8]) -> int | None:
        other_N = self._hashes_N[: self._count] ^ difference_hash(pixels_HWC)
        copy_HWC = _small_copy(pixels_HWC)
        near = np.flatnonzero(_bits(other_N) <= ALIKE_BITS)
        return next(
            (int(i) for i in near if _levels_apart(copy_HWC, self._copies[i]) <= ALIKE_LEVELS),
            None,
        )


def difference_hash(pixels_HWC: NDArray[np.uint8]) -> np.uint64:
    """64 bits, one for each two neighbours in a row of a copy of 8 x 9 pixels in gray: whether the
    light rises by more than one level. Source: Krawetz 2013, "dHash".
    """
    gray_HW = _shrunk(pixels_HWC, _COPY, _COPY + 1) @ _GRAY
    rises = (np.diff(gray_HW, axis=1) > 1).ravel()
    return np.uint64(int("".join(map(str, rises.astype(int))), 2))


def _small_copy(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    return _shrunk(pixels_HWC, _COPY, _COPY)


def _shrunk(pixels_HWC: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float64]:
    """The image at fewer rows and columns: each pixel is the mean over its area."""
    along_rows = _means(pixels_HWC.shape[0], rows)
    along_columns = _means(pixels_HWC.shape[1], columns)
    shrunk: NDArray[np.float64] = np.einsum(
        "rh,hwc,kw->rkc", along_rows, pixels_HWC.astype(np.float64), along_columns
    )
    return shrunk


def _means(size: int, parts: int) -> NDArray[np.float64]:
    """Weights (parts, size) of the mean over each of equal parts of a line of pixels."""
    borders = np.arange(parts + 1) * size / parts
    starts, ends = borders[:-1, None], borders[1:, None]
    pixel = np.arange(size)
    covered = np.clip(np.minimum(ends, pixel + 1) - np.maximum(starts, pixel), 0, None)
    weights: NDArray[np.float64] = covered / covered.sum(1, keepdims=True)
    return weights


def _levels_apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(one - other).mean()))


def _bits(numbers_N: NDArray[Any]) -> NDArray[np.int64]:
    """The number of bits that are set in each 64-bit number."""
    bytes_N8 = numbers_N.view(np.uint8).reshape(-1, 8)
    counts_N: NDArray[np.int64] = np.unpackbits(bytes_N8, axis=1).sum(1, dtype=np.int64)
    return counts_N
