"""The nearest training image, and the controls of images."""

import numpy as np
import pytest

from hyperfitting.metrics.images.controls import nearest_training_pasted, row_above_copied
from hyperfitting.metrics.images.grids import ContinuedImage
from hyperfitting.metrics.images.recitation import nearest_in_colours, nearest_in_features

RANDOM = np.random.default_rng(0)
GREYS = np.repeat(np.arange(16, dtype=np.uint8)[:, None] * 10, 3, axis=1)


def test_a_copy_has_the_distance_0_and_the_index_of_its_original():
    training = RANDOM.integers(0, 256, size=(300, 4, 5, 3), dtype=np.uint8)
    found = nearest_in_colours(training[[7, 299]], training)
    assert [(each.index, each.distance) for each in found] == [(7, 0.0), (299, 0.0)]


def test_distances_are_root_mean_squares_of_colours():
    black, grey = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 30, np.uint8)
    spot = black.copy()
    spot[0, 0, 0, 0] = 12  # one of 12 values
    training = np.concatenate([np.full_like(black, 200), grey, spot])
    [found] = nearest_in_colours(black, training)
    assert (found.index, found.distance) == (2, pytest.approx(np.sqrt(12 * 12 / 12)))
    [found] = nearest_in_colours(black, training[:2])
    assert (found.index, found.distance) == (1, 30.0)


def test_the_nearest_is_that_of_a_slow_search():
    images = RANDOM.integers(0, 256, size=(20, 3, 3, 3), dtype=np.uint8)
    training = RANDOM.integers(0, 256, size=(50, 3, 3, 3), dtype=np.uint8)
    for image, found in zip(images, nearest_in_colours(images, training), strict=True):
        slow = [
            np.sqrt(((image.astype(float) - each.astype(float)) ** 2).mean()) for each in training
        ]
        assert found.index == int(np.argmin(slow))
        assert found.distance == pytest.approx(min(slow))
    features, others = RANDOM.normal(size=(20, 6)), RANDOM.normal(size=(50, 6))
    for row, found in zip(features, nearest_in_features(features, others), strict=True):
        slow = np.linalg.norm(others - row, axis=1)
        assert (found.index, found.distance) == (slow.argmin(), pytest.approx(slow.min()))


def test_nothing_to_be_near_to_and_other_shapes_are_refused():
    images = np.zeros((2, 3, 3, 3), np.uint8)
    with pytest.raises(ValueError, match="there is no training image to be near to"):
        nearest_in_colours(images, images[:0])
    with pytest.raises(ValueError, match=r"shape \(3, 3, 3\) and \(2, 3, 3\) do not compare"):
        nearest_in_colours(images, images[:, :2])
    with pytest.raises(ValueError, match=r"shape \(4,\) and \(5,\) do not compare"):
        nearest_in_features(np.zeros((1, 4)), np.zeros((1, 5)))


def test_the_row_above_is_copied_on():
    image = ContinuedImage(np.arange(20).reshape(5, 4), 2)
    assert row_above_copied(image).tolist() == [[4, 5, 6, 7]] * 3
    with pytest.raises(ValueError, match="an image of which no row is given has no row to copy"):
        row_above_copied(ContinuedImage(np.arange(4).reshape(2, 2), 0))


def test_the_training_image_is_pasted_whose_given_rows_are_nearest():
    """Nearest in colour, not in ids: 3 is nearer to 4 than 1 is."""
    training = np.array([[[1, 1], [5, 6]], [[3, 3], [7, 8]], [[9, 9], [4, 4]]])
    given = np.array([[[4, 4], [0, 0]], [[9, 8], [0, 0]], [[0, 1], [4, 4]]])
    pasted = nearest_training_pasted(given, 1, training, GREYS)
    assert pasted.tolist() == [[[7, 8]], [[4, 4]], [[5, 6]]]
    far = GREYS.copy()
    far[4] = far[1]  # the colour of id 4 is now that of id 1
    assert nearest_training_pasted(given[:1], 1, training, far).tolist() == [[[5, 6]]]
