"""Where an image repeats itself: its colours, rows, columns, runs, 2 x 2 patches and periods.

All but the type-token ratios look at the rows that were written. The row above the first of them is
the last given row. Colours count as equal if their ids are.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.images.grids import ColourIds, ContinuedImage

QUARTERS = 4

PERIODIC_SHARE = 0.9
"""The least share of tokens that equal the one a period before them."""

ImageAxis = Literal["x", "y"]


def distinct_colour_ratio(image: ContinuedImage) -> float:
    """Distinct tokens / tokens of a whole image, the given rows among them.

    Range (0, 1], no unit. Target: the true image's value. Source: the type-token ratio of Carlsson
    et al. 2025, sec. 4, which takes it of texts only.
    """
    return _distinct_share(image.ids_HW)


def distinct_colour_ratio_of_quarter(image: ContinuedImage, quarter: int) -> float | None:
    """The same of one quarter of the rows: 0 is the top. None for an image of fewer than 4 rows.

    Raises:
        ValueError: there is no such quarter.
    """
    if not 0 <= quarter < QUARTERS:
        raise ValueError(f"an image has quarters 0 to 3, not {quarter}")
    rows = len(image.ids_HW)
    if rows < QUARTERS:
        return None
    return _distinct_share(
        image.ids_HW[rows * quarter // QUARTERS : rows * (quarter + 1) // QUARTERS]
    )


def rows_equal_to_above(image: ContinuedImage) -> tuple[int, int]:
    """How many written rows equal the row above in every token, and how many have a row above.

    Their quotient has the range [0, 1]. Target: the true images' value, near 0. Source: ours;
    Carlsson et al. 2025 look at their images only.
    """
    above_hW, below_hW = _with_above(image)
    return int((above_hW == below_hW).all(axis=1).sum()), len(below_hW)


def columns_equal_to_left(image: ContinuedImage) -> tuple[int, int]:
    """How many columns of the written rows equal their left neighbour in every token, and how many
    have one.

    Range of the quotient, target and source: as `rows_equal_to_above`.
    """
    written_hW = image.written
    equal_W = (written_hW[:, 1:] == written_hW[:, :-1]).all(axis=0)
    return int(equal_W.sum()), len(equal_W)


def tokens_equal_to_above(image: ContinuedImage) -> tuple[int, int]:
    """How many written tokens equal the token above, and how many have one above.

    Range of the quotient [0, 1]. Target: the true images' value, which is well above 0 where
    surfaces are of one colour. Source: ours.
    """
    above_hW, below_hW = _with_above(image)
    return int((above_hW == below_hW).sum()), below_hW.size


def tokens_equal_to_left(image: ContinuedImage) -> tuple[int, int]:
    """How many written tokens equal the token to their left, and how many have one there.

    Range of the quotient, target and source: as `tokens_equal_to_above`.
    """
    equal_hW = image.written[:, 1:] == image.written[:, :-1]
    return int(equal_hW.sum()), equal_hW.size


def longest_constant_run(image: ContinuedImage) -> int:
    """The longest run of one colour in the written rows, in raster order, over the ends of rows.

    Range [1, written tokens], in tokens. Target: the true images' value. Source: ours.
    """
    ids = image.written.ravel()
    borders = np.flatnonzero(np.diff(ids)) + 1
    return int(np.diff([0, *borders, len(ids)]).max())


def ends_in_one_colour(image: ContinuedImage) -> bool:
    """Whether the last row's worth of tokens, or more, has one colour: a one-colour tail.

    Over images: the share that ends so, in [0, 1]. Target: the true images' value. Source: ours, as
    `metrics.repetition.ends_in_loop` for texts.
    """
    return bool((image.written[-1] == image.written[-1, 0]).all())


def patch_entropy(image: ContinuedImage) -> float | None:
    """The entropy of the 2 x 2 patches of the written rows, each position counted, in nats.

    Range [0, ln(patches)]: 0 for one colour. None where there is no patch. Target: the true images'
    value. Rises with the number of patches, so compare equal sizes only. Source: ours.
    """
    counts = _patch_counts(image)
    if not len(counts):
        return None
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0  # no -0.0


def distinct_patches(image: ContinuedImage) -> tuple[int, int] | None:
    """How many different 2 x 2 patches the written rows hold, and how many patches there are; None
    where there is none.

    Range of the quotient (0, 1]. Target: the true images' value. Source: ours.
    """
    counts = _patch_counts(image)
    return (len(counts), int(counts.sum())) if len(counts) else None


def autocorrelation(ids_HW: ColourIds, axis: ImageAxis) -> list[float]:
    """The share of tokens that equal the one `lag` places before them, for the lags 1, 2, ... up to
    half the extent, along rows (`x`) or columns (`y`).

    Range [0, 1]. Ids have no order, so equality stands in the place of a product. Source: ours.
    """
    lines = ids_HW if axis == "x" else ids_HW.T
    extent = lines.shape[1]
    return [float((lines[:, lag:] == lines[:, :-lag]).mean()) for lag in range(1, extent // 2 + 1)]


def period(image: ContinuedImage, axis: ImageAxis) -> int | None:
    """The smallest lag at which at least 9 in 10 tokens of the written rows equal the one a lag
    before them; None where there is none up to half the extent.

    In columns (`x`) or rows (`y`), >= 1. Target: the true images' value, where any has a period.
    Known failure: an image that is mostly of one colour has the period 1. Source: ours.
    """
    shares = autocorrelation(image.written, axis)
    return next((lag for lag, share in enumerate(shares, 1) if share >= PERIODIC_SHARE), None)


def is_periodic(image: ContinuedImage, axis: ImageAxis) -> bool:
    """Whether the written rows have a `period`. Over images: the share that has one, in [0, 1].

    Target: the true images' value. Source: ours.
    """
    return period(image, axis) is not None


def _distinct_share(ids: ColourIds) -> float:
    return len(np.unique(ids)) / ids.size


def _with_above(image: ContinuedImage) -> tuple[ColourIds, ColourIds]:
    """The written rows that have a row above, and those rows, aligned."""
    start = max(1, image.given_rows)
    return image.ids_HW[start - 1 : -1], image.ids_HW[start:]


def _patch_counts(image: ContinuedImage) -> NDArray[np.int64]:
    """How often each of the different 2 x 2 patches stands in the written rows."""
    ids = image.written
    corners = (ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:])
    patches_P4 = np.stack([corner.ravel() for corner in corners], axis=1)
    if not len(patches_P4):
        return np.empty(0, dtype=np.int64)
    return np.unique(patches_P4, axis=0, return_counts=True)[1]
