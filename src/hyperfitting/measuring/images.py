"""Continued images -> what the metrics of images read, rows of sets of them, and their controls.
Needs no torch.

An image is a `Continuation` whose ids are colour clusters in raster order, after a start token in
its context or without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperfitting.measuring.aggregate import by_arm, metric_row
from hyperfitting.measuring.text_metrics import TextInputs
from hyperfitting.metrics.controls import shuffled_texts
from hyperfitting.metrics.images.closeness import half_sample_error
from hyperfitting.metrics.images.controls import nearest_training_pasted, row_above_copied
from hyperfitting.metrics.images.features import (
    LEAST_ROWS,
    FeatureSpace,
    PatchPca,
    in_deviations,
    random_convolution_features,
)
from hyperfitting.metrics.images.grids import ColourIds, ContinuedImage, colours_of
from hyperfitting.metrics.images.recitation import nearest_in_colours, nearest_in_features
from hyperfitting.metrics.specs import AgainstTrueImages, MetricSpec, metrics_measured_as
from hyperfitting.metrics.stats import Estimate
from hyperfitting.records import REFERENCE, Continuation, MetricRow
from hyperfitting.runs import Experiment

IMAGE_CONTROLS = ("shuffled", "copied-row", "nearest-training")
"""The variants of the controls of images."""


@dataclass(frozen=True, eq=False)
class ImageBaselines:
    """What images are measured against: the colours of the clusters (K, 3), and the training images
    (M, H, W) as ids, without a start token.

    Ids from K on, such as a start token's, are left out of the images.
    """

    colours_KC: NDArray[np.uint8]
    training_MHW: ColourIds

    @classmethod
    def of_blocks(
        cls, colours_KC: NDArray[np.uint8], ids_NT: NDArray[np.integer[Any]]
    ) -> ImageBaselines:
        """Of training blocks, each a square image after a start token."""
        side = isqrt(ids_NT.shape[1])
        ids_NS = np.asarray(ids_NT[:, -side * side :], dtype=np.int64)
        return cls(colours_KC, ids_NS.reshape(-1, side, side))

    @property
    def columns(self) -> int:
        """The width of an image."""
        return int(self.training_MHW.shape[2])

    def image(self, text: Continuation) -> ContinuedImage | None:
        """A context and its continuation as an image; None where no whole row was written."""
        context, written = (
            [each for each in ids if each < len(self.colours_KC)]
            for ids in (text.context_ids, text.ids)
        )
        return ContinuedImage.of_ids(context, written, columns=self.columns)

    @cached_property
    def patch_pca(self) -> PatchPca:
        """The space `patch-pca-1` of the training images."""
        return PatchPca.of_images(colours_of(self.training_MHW, self.colours_KC))

    def features(
        self, space: FeatureSpace, colours_NhWC: NDArray[np.uint8], *, top: int
    ) -> NDArray[np.float64]:
        """The features of rows of images from `top` on in a named space, in standard deviations of
        those of the training images.
        """
        return in_deviations(
            self._plain(space, colours_NhWC), self._of_training(space, top, colours_NhWC.shape[1])
        )

    def training_features(self, space: FeatureSpace, top: int, rows: int) -> NDArray[np.float64]:
        """Those of the same rows of the training images."""
        plain_MD = self._of_training(space, top, rows)
        return in_deviations(plain_MD, plain_MD)

    def _of_training(self, space: FeatureSpace, top: int, rows: int) -> NDArray[np.float64]:
        if (space, top, rows) not in self._held:
            ids_MhW = self.training_MHW[:, top : top + rows]
            self._held[space, top, rows] = self._plain(space, colours_of(ids_MhW, self.colours_KC))
        return self._held[space, top, rows]

    @cached_property
    def _held(self) -> dict[tuple[FeatureSpace, int, int], NDArray[np.float64]]:
        return {}

    def _plain(self, space: FeatureSpace, colours_NHWC: NDArray[np.uint8]) -> NDArray[np.float64]:
        if space == "random-convolutions-1":
            return random_convolution_features(colours_NHWC)
        return self.patch_pca.features(colours_NHWC)


def image_baselines(experiment: Experiment) -> ImageBaselines | None:
    """What the images of an experiment are measured against; None where it continues texts."""
    palette = experiment.palette
    if palette is None:
        return None
    return ImageBaselines.of_blocks(palette.levels, experiment.blocks("train").ids_NT)


def image_inputs(texts: Sequence[Continuation], baselines: ImageBaselines) -> TextInputs:
    """What the metrics of each image read: the image, and its distances from the nearest training
    image, in colours and in features; None where no whole row was written.
    """
    images = [baselines.image(text) for text in texts]
    distances: list[tuple[float, float] | None] = [None] * len(images)
    for (top, rows), indices in _of_one_shape(images).items():
        written_NhWC = _written(images, indices, baselines)
        training_MhWC = colours_of(
            baselines.training_MHW[:, top : top + rows], baselines.colours_KC
        )
        pairs = zip(
            nearest_in_colours(written_NhWC, training_MhWC),
            nearest_in_features(
                baselines.features("random-convolutions-1", written_NhWC, top=top),
                baselines.training_features("random-convolutions-1", top, rows),
            ),
            strict=True,
        )
        for index, (in_colours, in_features) in zip(indices, pairs, strict=True):
            distances[index] = in_colours.distance, in_features.distance
    return {"image": images, "nearest_training": distances}


def _of_one_shape(
    images: Sequence[ContinuedImage | None],
) -> dict[tuple[int, int], list[int]]:
    """The indices of the images by their first written row and the number of these."""
    found: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        if image is not None:
            found.setdefault((image.given_rows, len(image.written)), []).append(index)
    return found


def _written(
    images: Sequence[ContinuedImage | None], indices: Sequence[int], baselines: ImageBaselines
) -> NDArray[np.uint8]:
    """The colours of the written rows of some images: (N, h, W, 3)."""
    held = [image.written for index in indices if (image := images[index]) is not None]
    return colours_of(np.stack(held), baselines.colours_KC)


def true_image_rows(texts: Sequence[Continuation], baselines: ImageBaselines) -> list[MetricRow]:
    """How near the images of each arm are to the true images of their domain, as sets: a row for
    each metric.

    An interval is normal, from random halves of the clusters.
    """
    sets = [_image_set(own, baselines) for own in by_arm(texts)]
    true = {each.first.domain: each for each in sets if each.first.variant == REFERENCE}
    return [
        _true_image_row(spec, how, own, true[own.first.domain])
        for own in sets
        if own.first.variant != REFERENCE and own.first.domain in true
        for spec, how in metrics_measured_as(AgainstTrueImages, "image")
        if min(len(own.groups), len(true[own.first.domain].groups)) >= how.least_images
        and how.space in own.features.keys() & true[own.first.domain].features.keys()
    ]


@dataclass(frozen=True)
class _ImageSet:
    """The images of one arm in one domain: their groups, their features in each space that has any
    of so few rows, and how many were left out.
    """

    first: Continuation
    groups: list[str]
    features: dict[FeatureSpace, NDArray[np.float64]]
    left_out: int


def _image_set(texts: Sequence[Continuation], baselines: ImageBaselines) -> _ImageSet:
    images = [baselines.image(text) for text in texts]
    kept = [index for index, image in enumerate(images) if image is not None]
    features: dict[FeatureSpace, NDArray[np.float64]] = {}
    if kept:
        colours_NhWC = _written(images, kept, baselines)
        top = max(image.given_rows for image in images if image is not None)
        features = {
            space: baselines.features(space, colours_NhWC, top=top)
            for space, least in LEAST_ROWS.items()
            if colours_NhWC.shape[1] >= least
        }
    groups = [texts[index].group for index in kept]
    return _ImageSet(texts[0], groups, features, len(texts) - len(kept))


def _true_image_row(
    spec: MetricSpec, how: AgainstTrueImages, own: _ImageSet, true: _ImageSet
) -> MetricRow:
    sides = own.features[how.space], true.features[how.space]
    value = how.function(*sides)
    estimate = Estimate(value, None, None, len(own.groups), len(set(own.groups)))
    error = half_sample_error(how.function, sides, (own.groups, true.groups))
    if error is not None:
        low, high = max(0.0, value - 1.96 * error), min(how.most, value + 1.96 * error)
        estimate = replace(estimate, low=low, high=high)
    return metric_row(own.first, spec, estimate, left_out=own.left_out)


def control_images(
    true_texts: Sequence[Continuation], baselines: ImageBaselines, seed: int
) -> list[Continuation]:
    """The three controls of each domain, shaped like its true images."""
    made = []
    for own in by_arm(true_texts):
        found = [(text, image) for text in own if (image := baselines.image(text)) is not None]
        for variant in IMAGE_CONTROLS:
            for (text, _), ids in zip(
                found, _control_ids(variant, [image for _, image in found], baselines, seed),
                strict=True,
            ):  # fmt: skip
                made.append(replace(text, variant=variant, ids=tuple(ids), pieces=()))
    return made


def _control_ids(
    variant: str, images: Sequence[ContinuedImage], baselines: ImageBaselines, seed: int
) -> list[list[int]]:
    """The written tokens of one control, an image each."""
    if variant == "shuffled":
        return shuffled_texts([image.written.ravel().tolist() for image in images], seed=seed)
    if variant == "copied-row":
        return [row_above_copied(image).ravel().tolist() for image in images]
    made: list[list[int]] = [[]] * len(images)
    for (top, rows), indices in _of_one_shape(images).items():
        ids_NHW = np.stack([images[index].ids_HW for index in indices])
        training_MHW = baselines.training_MHW[:, : top + rows]
        pasted = nearest_training_pasted(ids_NHW, top, training_MHW, baselines.colours_KC)
        for index, ids_hW in zip(indices, pasted, strict=True):
            made[index] = ids_hW.ravel().tolist()
    return made
