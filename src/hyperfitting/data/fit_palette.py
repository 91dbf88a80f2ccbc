"""Fit the colours of a new image model to its training images: k-means (door to scikit-learn).

Shapes: N pixels, D distinct colours, K colours of the palette, C = 3 channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.decode import optional
from hyperfitting.errors import DataError
from hyperfitting.palette import LEAST_COLOURS, Palette

_MOST = 50_000
"""Distinct colours that are clustered: more are sampled, as often as they occur."""


def fit_palette(
    images: Sequence[NDArray[np.uint8]], count: int, *, seed: int, source: str
) -> Palette:
    """The `count` colours that k-means finds in the pixels of images, as levels of 0 to 255 and no
    two alike, so that each colour is its own nearest.

    Images of exactly `count` distinct colours keep them all.

    Raises:
        DataError: the images of `source` have fewer distinct colours.
        MissingExtra: scikit-learn is not installed.
    """
    pixels_NC = np.concatenate([each.reshape(-1, 3) for each in images])
    colours_DC, weight_D = np.unique(pixels_NC, axis=0, return_counts=True)
    if len(colours_DC) < count:
        fewer = f"a model whose config.json has vocab_size = {len(colours_DC) + 1} or less, or "
        raise DataError(
            f"{source}: its training images have {len(colours_DC):,} distinct colours, and the "
            f"model {count:,}: take {fewer if len(colours_DC) >= LEAST_COLOURS else ''}images of "
            "more colours"
        )
    found_KC = colours_DC
    if len(colours_DC) > count:
        found_KC = _distinct(_centres(colours_DC, weight_D, count, seed), colours_DC, weight_D)
    return Palette((np.unique(found_KC, axis=0) / 127.5 - 1).astype(np.float32))


def _centres(
    colours_DC: NDArray[np.uint8], weight_D: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.uint8]:
    """The centres of k-means, rounded to levels."""
    cluster = optional("sklearn.cluster")
    if len(colours_DC) > _MOST:
        share_D = weight_D / weight_D.sum()
        draw = np.random.default_rng([seed, 0])
        chosen = np.sort(draw.choice(len(colours_DC), _MOST, replace=False, p=share_D))
        colours_DC, weight_D = colours_DC[chosen], np.ones(_MOST, np.int64)
    means = cluster.KMeans(n_clusters=count, n_init=1, random_state=seed)
    means.fit(colours_DC.astype(np.float64), sample_weight=weight_D)
    centres_KC: NDArray[np.uint8] = np.rint(means.cluster_centers_).astype(np.uint8)
    return centres_KC


def _distinct(
    centres_KC: NDArray[np.uint8], colours_DC: NDArray[np.uint8], weight_D: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The centres, those that round to the same colour replaced by the most frequent colours that
    are none of them.
    """
    held = dict.fromkeys(map(tuple, centres_KC.tolist()))
    most_frequent = colours_DC[np.argsort(-weight_D, kind="stable")]
    for colour in map(tuple, most_frequent.tolist()):
        if len(held) == len(centres_KC):
            break
        held[colour] = None
    return np.array(list(held), np.uint8)
