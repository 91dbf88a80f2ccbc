"""Continued images -> rows of the table: the controls score as they must, and true images beside
them.
"""

from dataclasses import replace

import numpy as np
import pytest

from hyperfitting import measuring
from hyperfitting.measuring.images import IMAGE_CONTROLS, true_image_rows
from hyperfitting.metrics.specs import METRICS, metric
from hyperfitting.records import REFERENCE, Continuation

SIDE, GIVEN, START = 12, 3, 32
NUMBER = 30
LEVELS = 15 * np.minimum(np.arange(START), START - np.arange(START))  # up and down again
COLOURS = np.stack([LEVELS, 255 - LEVELS, LEVELS // 2], axis=1).astype(np.uint8)


def smooth_images(number, seed):
    """Images of ids that change little from place to place, of 32 colours."""
    random = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    across, down, start = random.uniform(-2, 2, size=(3, number, 1, 1))
    bend = random.uniform(-0.1, 0.1, size=(number, 1, 1))
    return (start * 5 + across * x + down * y + bend * x * y).astype(np.int64) % START


def continuation(ids_HW, number, variant=REFERENCE, strategy=None):
    ids = ids_HW.ravel().tolist()
    cut = GIVEN * SIDE
    return Continuation(
        variant=variant, run="r", domain="pictures", strategy=strategy, context=number,
        source="s", row=number + 1, group=f"s:{number}", title="",
        context_ids=(START, *ids[:cut]), context_pieces=(), ids=tuple(ids[cut:]), pieces=(),
        ended="length",
    )  # fmt: skip


TRAINING = smooth_images(50, 1)
TRUE = smooth_images(NUMBER, 2)


@pytest.fixture(scope="module")
def images():
    blocks = np.concatenate([np.full((50, 1), START), TRAINING.reshape(50, -1)], axis=1)
    return measuring.ImageBaselines.of_blocks(COLOURS, blocks)


@pytest.fixture(scope="module")
def measured(images):
    true = [continuation(each, number) for number, each in enumerate(TRUE)]
    other = smooth_images(NUMBER, 3)
    written = [
        continuation(np.concatenate([one[:GIVEN], two[GIVEN:]]), number, "original", "greedy")
        for number, (one, two) in enumerate(zip(TRUE, other, strict=True))
    ]
    texts = [*written, *true, *measuring.control_images(true, images, 0)]
    options = measuring.MetricOptions(measuring.Intervals(draws=50, seed=0))
    found = measuring.measure_texts(texts, measuring.TextBaselines(images=images), options)
    return found, {(row.variant, row.name): row for row in found.rows}


def test_training_blocks_become_images_without_their_start_token(images):
    assert (images.training_MHW == TRAINING).all()
    assert images.columns == SIDE
    image = images.image(continuation(TRUE[0], 0))
    assert (image.ids_HW == TRUE[0]).all()
    assert image.given_rows == GIVEN


def test_every_metric_of_images_has_a_row_and_none_of_texts_alone(measured):
    _, rows = measured
    names = {name for variant, name in rows if variant == "original"}
    own = {spec.name for spec in METRICS if "image" in spec.data}
    assert {name for name in names if "image" not in metric(name).data} == set()
    needed = {spec.name for spec in METRICS if spec.data == ("image",)}
    assert needed - names <= {"period_x_columns", "period_y_rows"}  # only where one has a period
    assert "repeated_4gram_share" in names & own
    for row in rows.values():
        assert row.unit == metric(row.name).unit
        assert row.n == NUMBER or row.left_out


def test_the_controls_are_at_the_ends(measured):
    _, rows = measured

    def values(name):
        return {
            variant: rows[variant, name].value
            for variant in (REFERENCE, *IMAGE_CONTROLS)
            if (variant, name) in rows
        }

    equal_rows = values("rows_equal_to_above_share")
    assert equal_rows["copied-row"] == 1
    assert equal_rows["shuffled"] == 0
    entropy = values("patch_entropy")
    assert max(entropy, key=entropy.get) == "shuffled"
    assert min(entropy, key=entropy.get) == "copied-row"
    assert values("period_y_rows")["copied-row"] == 1
    assert values("periodic_y_share")["copied-row"] == 1
    near = values("nearest_training_rms")
    assert near["nearest-training"] == 0
    assert values("nearest_training_features")["nearest-training"] == 0
    assert near[REFERENCE] > 0


def test_given_rows_are_equal_in_all_arms_and_controls(measured):
    _, rows = measured
    first = {row.value for (_, name), row in rows.items() if name == "image_ttr_quarter1"}
    assert len(first) == 1


def test_sets_compare_with_the_true_images_and_those_not_with_themselves(measured):
    _, rows = measured
    for space in ("random_convolutions", "patch_pca"):
        distance = {
            variant: rows[variant, f"frechet_{space}"].value
            for variant in ("original", "shuffled", "copied-row", "nearest-training")
        }
        assert distance["original"] < 0.5 * distance["shuffled"]
        assert distance["nearest-training"] < 0.5 * distance["shuffled"]
        assert (REFERENCE, f"frechet_{space}") not in rows
    row = rows["original", "coverage"]
    assert 0 <= row.low <= row.value <= row.high <= 1
    assert rows["shuffled", "coverage"].value < row.value


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_fewer_written_rows_than_a_patch_have_no_distance_of_patches(images, rows):
    cut = (SIDE - rows) * SIDE
    texts = [
        replace(each, context_ids=(START, *pixels[:cut]), ids=tuple(pixels[cut:]))
        for variant, shown in ((REFERENCE, TRUE), ("original", smooth_images(NUMBER, 3)))
        for number, ids_HW in enumerate(shown)
        for each, pixels in ((continuation(ids_HW, number, variant), ids_HW.ravel().tolist()),)
    ]
    found = true_image_rows(texts, images)
    measured = {row.name for row in found}
    assert {"frechet_random_convolutions", "density", "coverage"} <= measured
    assert ("frechet_patch_pca" in measured) == (rows == 4)
    assert all(np.isfinite(row.value) for row in found)


def test_pixels_are_shuffled_within_the_written_rows(images):
    true = [continuation(each, number) for number, each in enumerate(TRUE[:2])]
    made = measuring.control_images(true, images, 0)
    assert [each.variant for each in made] == [name for name in IMAGE_CONTROLS for _ in range(2)]
    for control in made[:2]:
        original = true[control.context]
        assert sorted(control.ids) == sorted(original.ids)
        assert control.ids != original.ids
        assert control.context_ids == original.context_ids
    assert made == measuring.control_images(true, images, 0)
    alone = [measuring.control_images([each], images, 0)[-1] for each in true]
    assert made[-2:] == alone
    assert made[:2] != measuring.control_images(true, images, 1)[:2]


def test_few_images_have_no_distance_of_sets_and_cut_ones_are_left_out(images):
    options = measuring.MetricOptions(measuring.Intervals(draws=50, seed=0))
    texts = [continuation(each, number) for number, each in enumerate(TRUE[:3])]
    cut = texts[2].__class__(**{**vars(texts[2]), "ids": texts[2].ids[:5]})
    found = measuring.measure_texts(
        [*texts[:2], cut], measuring.TextBaselines(images=images), options
    )
    rows = {row.name: row for row in found.rows}
    assert (rows["image_ttr"].n, rows["image_ttr"].left_out) == (2, 1)
    assert rows["nearest_training_rms"].n == 2
    assert "coverage" not in rows
