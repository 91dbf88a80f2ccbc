"""How near an image is to the training images: in colours, and in features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class NearestImage:
    """The training image that one image is nearest to, by its index, and how far it is."""

    index: int
    distance: float


def nearest_in_colours(
    colours_NHWC: NDArray[np.uint8], training_MHWC: NDArray[np.uint8]
) -> list[NearestImage]:
    """For each image, or part of it, the training image whose same part is nearest in colour.

    `distance` is the root mean square difference over pixels and channels: range [0, 255], 0 for a
    copy, exact in whole numbers. The first of equals counts. Target: the value of held-out true
    images; less means recitation. Source: ours; Carlsson et al. 2025 do not look.

    Raises:
        ValueError: there is no training image, or the shapes differ.
    """
    _check(colours_NHWC.shape[1:], training_MHWC)
    values = int(np.prod(training_MHWC.shape[1:]))
    found = _nearest(
        colours_NHWC.reshape(-1, values).astype(np.float64),
        training_MHWC.reshape(-1, values).astype(np.float64),
    )
    return [NearestImage(index, float(np.sqrt(squared / values))) for index, squared in found]


def nearest_in_features(
    features_ND: NDArray[np.float64], training_MD: NDArray[np.float64]
) -> list[NearestImage]:
    """For each image the training image whose features are nearest, by Euclidean distance.

    Range >= 0, in features. Target and source: as `nearest_in_colours`.

    Raises:
        ValueError: there is no training image, or the shapes differ.
    """
    _check(features_ND.shape[1:], training_MD)
    found = _nearest(features_ND, training_MD)
    return [NearestImage(index, float(np.sqrt(squared))) for index, squared in found]


def _check(shape: tuple[int, ...], training: NDArray[np.generic]) -> None:
    if not len(training):
        raise ValueError("there is no training image to be near to")
    if training.shape[1:] != shape:
        raise ValueError(f"images of shape {shape} and {training.shape[1:]} do not compare")


def _nearest(one_NX: NDArray[np.float64], other_MX: NDArray[np.float64]) -> list[tuple[int, float]]:
    """The nearest row of `other` to each row, and the squared distance.

    The products find the row. Its distance is then taken of the difference, so that a copy has 0.
    """
    norms_M = (other_MX**2).sum(axis=1)
    found = []
    for start in range(0, len(one_NX), _IMAGES_AT_ONCE):
        some = one_NX[start : start + _IMAGES_AT_ONCE]
        indices = (norms_M - 2 * (some @ other_MX.T)).argmin(axis=1)
        squared = ((some - other_MX[indices]) ** 2).sum(axis=1)
        found += list(zip(indices.tolist(), squared.tolist(), strict=True))
    return found
