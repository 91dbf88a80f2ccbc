"""Two feature spaces for images that need no download. Numbers of different spaces do not compare,
and none compares with an FID, which is defined by the Inception network. What measures in them
divides each feature by its standard deviation over the training images (`in_deviations`).

`random-convolutions-1`: 3 layers of 3 x 3 convolutions with fixed random weights, and of each of
the 32 channels of the last layer the mean and the standard deviation over the image: 64 features.

`patch-pca-1`: 4 x 4 patches on their 16 principal axes, which are those of given images' patches,
and of each axis the mean and the standard deviation over the image: 32 features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FeatureSpace = Literal["random-convolutions-1", "patch-pca-1"]

CHANNELS = 32
LAYERS = 3
PATCH = 4
AXES = 16

LEAST_ROWS: dict[FeatureSpace, int] = {"random-convolutions-1": 1, "patch-pca-1": PATCH}
"""The fewest rows that have features in a space: a patch must fit into them."""

_EDGES = CHANNELS // 2
_IMAGES_AT_ONCE = 64

_Floats = NDArray[np.float64]
_Colours = NDArray[np.uint8]


def random_convolution_features(colours_NHWC: _Colours) -> _Floats:
    """The features of images in `random-convolutions-1`: (N, 64), float64.

    The weights are Gaussian with the variance 2 / inputs (He et al. 2015), from a generator whose
    numbers are the same in every version of numpy. The first 16 filters of the first layer add up
    to 0 for each colour, so that they see edges and no surfaces. Borders are repeated outwards, and
    images may be of any size. That random filters can stand in for trained ones in comparing sets
    of images: Naeem et al. 2020 (a random VGG16). This network is ours.
    """
    parts = [
        _pooled(_convolved(_scaled(colours_NHWC[start : start + _IMAGES_AT_ONCE])))
        for start in range(0, len(colours_NHWC), _IMAGES_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 2 * CHANNELS))


@dataclass(frozen=True, eq=False)
class PatchPca:
    """The space `patch-pca-1`: the mean and the principal axes of 4 x 4 patches of some images."""

    mean_P: _Floats
    axes_PA: _Floats

    @classmethod
    def of_images(cls, colours_NHWC: _Colours) -> PatchPca:
        """The axes of the patches of these images; an axis points to where its largest part is
        positive.

        Raises:
            ValueError: the images hold no 4 x 4 patch.
        """
        patches_XP = _patches(_scaled(colours_NHWC)).reshape(-1, PATCH * PATCH * 3)
        if not len(patches_XP):
            raise ValueError(f"images of shape {colours_NHWC.shape} hold no 4 x 4 patch")
        mean_P = patches_XP.mean(axis=0)
        centred_XP = patches_XP - mean_P
        _, axes_PP = np.linalg.eigh(centred_XP.T @ centred_XP)
        axes_PA = axes_PP[:, ::-1][:, :AXES]
        largest_A = np.take_along_axis(axes_PA, np.abs(axes_PA).argmax(axis=0)[None], axis=0)[0]
        return cls(mean_P, axes_PA * np.where(largest_A < 0, -1.0, 1.0))

    def features(self, colours_NHWC: _Colours) -> _Floats:
        """The features of images: (N, 32), float64.

        Raises:
            ValueError: the images hold no 4 x 4 patch.
        """
        patches_NXP = _patches(_scaled(colours_NHWC))
        if not patches_NXP.shape[1]:
            raise ValueError(f"images of shape {colours_NHWC.shape} hold no 4 x 4 patch")
        projected_NXA = (patches_NXP - self.mean_P) @ self.axes_PA
        return np.concatenate([projected_NXA.mean(axis=1), projected_NXA.std(axis=1)], axis=1)


def in_deviations(features_ND: _Floats, training_MD: _Floats) -> _Floats:
    """Features in standard deviations of those of training images, as far as these differ.

    Without that, the colour of an image as a whole, which varies most, would hide its texture.
    """
    spread_D = training_MD.std(axis=0)
    return features_ND / np.where(spread_D > 1e-9, spread_D, 1)


def _scaled(colours_NHWC: _Colours) -> _Floats:
    return colours_NHWC / 127.5 - 1


@cache
def _weights() -> tuple[_Floats, ...]:
    """For each layer a matrix from 9 x channels inputs to 32 outputs."""
    # A legacy generator, since numpy promises its numbers for all versions.
    random = np.random.RandomState(0)
    inputs = [9 * 3, *[9 * CHANNELS] * (LAYERS - 1)]
    first, *others = (
        random.standard_normal((each, CHANNELS)) * np.sqrt(2 / each) for each in inputs
    )
    filters = first.reshape(3, 9, CHANNELS)
    filters[:, :, :_EDGES] -= filters[:, :, :_EDGES].mean(axis=1, keepdims=True)
    return filters.reshape(first.shape), *others


def _convolved(images_NHWC: _Floats) -> _Floats:
    """The last layer (N, H', W', 32); each layer but the first halves the extent."""
    for layer, weights in enumerate(_weights()):
        padded = np.pad(images_NHWC, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        windows: NDArray[Any] = sliding_window_view(padded, (3, 3), axis=(1, 2))
        step = 2 if layer else 1
        windows = windows[:, ::step, ::step]
        images_NHWC = np.maximum(windows.reshape(*windows.shape[:3], -1) @ weights, 0)
    return images_NHWC


def _pooled(layer_NHWC: _Floats) -> _Floats:
    return np.concatenate([layer_NHWC.mean(axis=(1, 2)), layer_NHWC.std(axis=(1, 2))], axis=1)


def _patches(images_NHWC: _Floats) -> _Floats:
    """All patches of each image: (N, positions, 48)."""
    if min(images_NHWC.shape[1:3]) < PATCH:
        return np.empty((len(images_NHWC), 0, PATCH * PATCH * 3))
    windows = sliding_window_view(images_NHWC, (PATCH, PATCH), axis=(1, 2))
    return windows.reshape(len(images_NHWC), -1, PATCH * PATCH * 3)
