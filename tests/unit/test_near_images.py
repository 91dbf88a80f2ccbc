"""Images that repeat another one: found if nearly equal, also mirrored; different ones are not."""

from __future__ import annotations

import numpy as np
import pytest

from hyperfitting.data.near_images import NearImages, difference_hash
from hyperfitting.data.pixels import Picture
from tests.support.images import noise


def picture(pixels, row=1):
    return Picture("p", row, np.ascontiguousarray(pixels), "g", "")


def smooth(count, seed=0):
    """Images of 16 x 16 pixels with large shapes, as photographs have."""
    coarse = noise(count, side=4, seed=seed).astype(float)
    fine = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    blurred = sum(np.roll(fine, shift, axis) for shift in (-1, 0, 1) for axis in (1, 2)) / 6
    return blurred.astype(np.uint8)


IMAGES = smooth(40)


@pytest.fixture(scope="module")
def index():
    near = NearImages()
    for row, image in enumerate(IMAGES, 1):
        assert near.add(picture(image, row)) is None
    return near


def brighter(image):
    return np.clip(image.astype(int) + 5, 0, 255).astype(np.uint8)


def with_noise(image):
    shift = np.random.default_rng(5).integers(-6, 7, image.shape)
    return np.clip(image.astype(int) + shift, 0, 255).astype(np.uint8)


def with_another_pixel(image):
    changed = image.copy()
    changed[3, 3] = 255 - changed[3, 3]
    return changed


@pytest.mark.parametrize(
    "change",
    [lambda image: image, lambda image: image[:, ::-1], brighter, with_noise, with_another_pixel],
    ids=["equal", "mirrored", "brighter", "noise", "one pixel"],
)
@pytest.mark.parametrize("number", [0, 17, 39])
def test_a_repeat_is_found(index, number, change):
    assert index.find(picture(change(IMAGES[number]))).row == number + 1


def test_other_images_are_not_repeats(index):
    assert all(index.find(picture(image)) is None for image in smooth(200, seed=1))


def test_the_same_shapes_in_other_colours_are_no_repeat(index):
    assert index.find(picture(np.clip(IMAGES[0].astype(int) + 60, 0, 255).astype(np.uint8))) is None


def test_the_first_of_several_is_named():
    near = NearImages()
    assert near.add(picture(IMAGES[0], 4)) is None
    assert near.add(picture(IMAGES[0], 2)).row == 4
    assert near.find(picture(IMAGES[0])).row == 4


def test_flat_images_of_different_colours_are_no_repeats():
    near = NearImages()
    near.add(picture(np.full((8, 8, 3), 40)))
    assert near.find(picture(np.full((8, 8, 3), 90))) is None
    assert near.find(picture(np.full((8, 8, 3), 41))) is not None


def test_the_hash_by_hand():
    rising = np.repeat(np.arange(0, 180, 10, dtype=np.uint8)[None, :, None], 16, 0)
    assert difference_hash(np.repeat(rising, 3, 2)) == np.uint64(2**64 - 1)
    assert difference_hash(np.repeat(rising[:, ::-1], 3, 2)) == 0


def test_more_images_than_the_index_had_room_for():
    near, images = NearImages(), smooth(200, seed=2)
    for row, image in enumerate(images):
        near.add(picture(image, row))
    assert [near.find(picture(images[row])).row for row in (0, 63, 64, 130, 199)] == [
        0,
        63,
        64,
        130,
        199,
    ]
