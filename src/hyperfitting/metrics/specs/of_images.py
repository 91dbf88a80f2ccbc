"""The rows of the table for continued images: how repetitive their written rows are, how near they
are to the true ones, and to training images.
"""

from __future__ import annotations

from functools import partial
from typing import get_args

from hyperfitting.metrics.images.closeness import coverage, density, frechet_distance
from hyperfitting.metrics.images.features import FeatureSpace
from hyperfitting.metrics.images.repetition import (
    ImageAxis,
    columns_equal_to_left,
    distinct_colour_ratio,
    distinct_colour_ratio_of_quarter,
    distinct_patches,
    ends_in_one_colour,
    is_periodic,
    longest_constant_run,
    patch_entropy,
    period,
    rows_equal_to_above,
    tokens_equal_to_above,
    tokens_equal_to_left,
)
from hyperfitting.metrics.specs.spec import (
    IMAGE_ONLY,
    AgainstTrueImages,
    EachText,
    MetricSpec,
)

_OURS = "ours; Carlsson et al. 2025, sec. 7.1, only look at their images"

_ORDINALS = ("first", "second", "third", "last")

COLOURS = (
    MetricSpec(
        name="image_ttr",
        label="type-token ratio, image",
        family="variety",
        measured=EachText("image", distinct_colour_ratio),
        definition="distinct tokens / tokens of an image, the given rows among them; mean over "
        "images",
        range="(0, 1]",
        source="Carlsson et al. 2025, sec. 4, of texts",
        failure="tokens in random order have the same; falls with the size of an image; the given "
        "rows are equal in all arms, and hide differences",
        data=IMAGE_ONLY,
        comparison_column=15,
    ),
    *(
        MetricSpec(
            name=f"image_ttr_quarter{quarter + 1}",
            label=f"type-token ratio, {ordinal} quarter of rows",
            family="variety",
            measured=EachText("image", partial(distinct_colour_ratio_of_quarter, quarter=quarter)),
            definition=f"distinct tokens / tokens of the {ordinal} quarter of an image's rows, "
            "from the top; mean over images",
            range="(0, 1]",
            source="as `image_ttr`",
            failure="as `image_ttr`; a quarter that was given is equal in all arms",
            data=IMAGE_ONLY,
            key_of=IMAGE_ONLY if ordinal == _ORDINALS[-1] else (),
        )
        for quarter, ordinal in enumerate(_ORDINALS)
    ),
)

_LINES = (
    (
        "rows_equal_to_above_share",
        "rows equal to the row above",
        rows_equal_to_above,
        "written rows whose every token equals the one above / written rows",
        "blind to rows that differ in one token",
        16,
    ),
    (
        "columns_equal_to_left_share",
        "columns equal to their left neighbour",
        columns_equal_to_left,
        "columns of the written rows whose every token equals the one to its left / columns but "
        "the first",
        "blind to columns that differ in one token; falls with the number of written rows",
        None,
    ),
    (
        "tokens_equal_to_above_share",
        "tokens equal to the token above",
        tokens_equal_to_above,
        "written tokens that equal the token above / written tokens that have one above",
        "high for surfaces of one colour as for copied rows; depends on the number of colours",
        17,
    ),
    (
        "tokens_equal_to_left_share",
        "tokens equal to the token to their left",
        tokens_equal_to_left,
        "written tokens that equal the token to their left / written tokens that have one there",
        "as `tokens_equal_to_above_share`",
        None,
    ),
)

_AXES: tuple[tuple[ImageAxis, str, str], ...] = (
    ("x", "columns", "across"),
    ("y", "rows", "downwards"),
)

REPETITION_IN_IMAGES = (
    *(
        MetricSpec(
            name=name,
            label=label,
            family="repetition",
            measured=EachText("image", function),
            definition=f"{definition}, summed over images",
            range="[0, 1]",
            source=_OURS,
            failure=failure,
            data=IMAGE_ONLY,
            comparison_column=column,
            key_of=IMAGE_ONLY if name == "tokens_equal_to_above_share" else (),
        )
        for name, label, function, definition, failure, column in _LINES
    ),
    MetricSpec(
        name="longest_constant_run_tokens",
        label="longest run of one colour (tokens)",
        family="repetition",
        measured=EachText("image", longest_constant_run),
        definition="longest run of one token in the written rows, in raster order and over the "
        "ends of rows; mean over images",
        range=">= 1",
        unit="tokens",
        source=_OURS,
        failure="rises with the number of written tokens; long in true images with a plain ground",
        data=IMAGE_ONLY,
        comparison_column=18,
    ),
    MetricSpec(
        name="one_colour_tail_share",
        label="images that end in one colour",
        family="repetition",
        measured=EachText("image", ends_in_one_colour),
        definition="images whose last row has one token only / images",
        range="[0, 1]",
        source=_OURS,
        failure="true images with a plain ground end so too",
        data=IMAGE_ONLY,
        comparison_column=19,
        key_of=IMAGE_ONLY,
    ),
    MetricSpec(
        name="patch_entropy",
        label="entropy of 2 x 2 patches (nats)",
        family="variety",
        measured=EachText("image", patch_entropy),
        definition="entropy of the 2 x 2 patches of tokens in the written rows, at every position; "
        "mean over images",
        range=">= 0",
        unit="nats",
        source=_OURS,
        failure="tokens in random order score highest; rises with the number of written tokens",
        data=IMAGE_ONLY,
        comparison_column=20,
    ),
    MetricSpec(
        name="distinct_patch_share",
        label="distinct 2 x 2 patches",
        family="variety",
        measured=EachText("image", distinct_patches),
        definition="distinct 2 x 2 patches of the written rows of an image / patches, summed over "
        "images",
        range="(0, 1]",
        source=_OURS,
        failure="tokens in random order score highest; falls with the number of written tokens",
        data=IMAGE_ONLY,
    ),
    *(
        MetricSpec(
            name=f"periodic_{axis}_share",
            label=f"images with a period {way}",
            family="repetition",
            measured=EachText("image", partial(is_periodic, axis=axis)),
            definition=f"images in whose written rows at least 9 in 10 tokens equal the one a "
            f"period before them, for a period of up to half the {units} / images",
            range="[0, 1]",
            source=_OURS,
            failure="an image that is mostly of one colour has the period 1; blind to a pattern "
            "that changes in more than one token of ten",
            data=IMAGE_ONLY,
        )
        for axis, units, way in _AXES
    ),
    *(
        MetricSpec(
            name=f"period_{axis}_{units}",
            label=f"period {way} ({units})",
            family="repetition",
            measured=EachText("image", partial(period, axis=axis)),
            definition=f"the smallest period in {units}, of up to half of them, at which at least "
            "9 in 10 tokens of the written rows equal the one a period before them; mean over the "
            "images that have one",
            range=">= 1",
            unit=units,
            target_note="a value only where true images have a period",
            source=_OURS,
            failure="says nothing of how many have one, and is of other images for each arm",
            data=IMAGE_ONLY,
        )
        for axis, units, way in _AXES
    ),
)

LEAST_IMAGES = 20
"""Below this a distance of sets says nothing."""

_CONVOLUTIONS: FeatureSpace = "random-convolutions-1"

CLOSENESS = (
    *(
        MetricSpec(
            name=f"frechet_{space.removesuffix('-1').replace('-', '_')}",
            label=f"Frechet distance, {space}",
            family="similarity",
            measured=AgainstTrueImages(space, frechet_distance, LEAST_IMAGES),
            definition="squared Frechet distance of two normal distributions with the means and "
            f"covariances of the features {space} of the written rows and of the true ones, in "
            "standard deviations of those of the training images",
            range=">= 0",
            unit="squared deviations",
            target="lower",
            aggregation="pooled",
            source="Dowson and Landau 1982; the features are ours, so it is not the FID of Heusel "
            "et al. 2017",
            failure="two samples of one source do not score 0; falls with the number of images: "
            "compare equal n only. Sees means and "
            "covariances of these features only",
            data=IMAGE_ONLY,
            comparison_column=21 if space == _CONVOLUTIONS else None,
        )
        for space in get_args(FeatureSpace)
    ),
    MetricSpec(
        name="density",
        label=f"density, {_CONVOLUTIONS}",
        family="similarity",
        measured=AgainstTrueImages(_CONVOLUTIONS, density, LEAST_IMAGES),
        definition="neighbourhoods of true images in which an image lies / 5, in the features "
        f"{_CONVOLUTIONS} of the written rows, in standard deviations of those of the training "
        "images; mean over images. A neighbourhood reaches to the fifth nearest other true image",
        range=">= 0",
        target_note="two samples of one source score 1",
        aggregation="pooled",
        source="Naeem et al. 2020",
        failure="copies of one typical image score high; depends on the features",
        data=IMAGE_ONLY,
    ),
    MetricSpec(
        name="coverage",
        label=f"coverage, {_CONVOLUTIONS}",
        family="similarity",
        measured=AgainstTrueImages(_CONVOLUTIONS, coverage, LEAST_IMAGES, most=1.0),
        definition="true images in whose neighbourhood an image lies / true images; a "
        "neighbourhood reaches to the fifth nearest other true image, in the features "
        f"{_CONVOLUTIONS} of the written rows, in standard deviations of those of the training "
        "images",
        range="[0, 1]",
        target="higher",
        aggregation="pooled",
        source="Naeem et al. 2020",
        failure="two samples of one source score about 0.97; rises with the number of images and "
        "depends on the features",
        data=IMAGE_ONLY,
        comparison_column=22,
    ),
)

RECITATION_OF_IMAGES = (
    MetricSpec(
        name="nearest_training_rms",
        label="distance from the nearest training image",
        family="recitation",
        measured=EachText("nearest_training", lambda distances: distances[0]),
        definition="root mean square difference of colours, 0 to 255, between the written rows and "
        "the same rows of the training image that is nearest so; mean over images",
        range="[0, 255]",
        source=_OURS,
        failure="falls with the size of the training set; small for plain images; blind to a "
        "copy that is shifted",
        data=IMAGE_ONLY,
        comparison_column=23,
        key_of=IMAGE_ONLY,
    ),
    MetricSpec(
        name="nearest_training_features",
        label="feature distance from the nearest training image",
        family="recitation",
        measured=EachText("nearest_training", lambda distances: distances[1]),
        definition=f"Euclidean distance of the features {_CONVOLUTIONS} of the written rows from "
        "those of the same rows of the training image that is nearest so, in standard deviations "
        "of those of the training images; mean over images",
        range=">= 0",
        unit="deviations",
        source=_OURS,
        failure="falls with the size of the training set; depends on the features",
        data=IMAGE_ONLY,
    ),
)

OF_IMAGES = (*COLOURS, *REPETITION_IN_IMAGES, *CLOSENESS, *RECITATION_OF_IMAGES)
