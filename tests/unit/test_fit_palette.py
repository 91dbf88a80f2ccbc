"""The colours of a new image model: distinct, near to the images, and refused where there are too
few.
"""

from __future__ import annotations

import numpy as np
import pytest

from hyperfitting.data.fit_palette import fit_palette
from hyperfitting.errors import DataError
from tests.support.images import noise

pytest.importorskip("sklearn", reason="scikit-learn, of the extra `images`, is not installed")


def test_as_many_colours_as_there_are_keeps_them_all():
    image = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 0, 7], [0, 0, 0]]], np.uint8)
    palette = fit_palette([image], 3, seed=0, source="s")
    assert palette.levels.tolist() == [[0, 0, 0], [0, 0, 7], [255, 0, 0]]
    assert (palette.pixels(palette.nearest(image)) == image).all()


def test_too_few_colours_are_refused():
    image = np.zeros((4, 4, 3), np.uint8)
    said = r"s: its training images have 1 distinct colours, and the model 4: take images of more"
    with pytest.raises(DataError, match=said):  # no model has one colour
        fit_palette([image], 4, seed=0, source="s")
    image[0] = 255
    with pytest.raises(DataError, match=r"have 2 distinct colours.* vocab_size = 3 or less, or im"):
        fit_palette([image], 4, seed=0, source="s")


def test_colours_are_distinct_and_each_is_its_own_nearest():
    palette = fit_palette(list(noise(20)), 64, seed=0, source="s")
    assert len(np.unique(palette.levels, axis=0)) == 64
    assert palette.nearest(palette.levels[None]).tolist() == [list(range(64))]


def test_clusters_are_found():
    """Four clouds of pixels; a colour of each lies in its middle."""
    middles = np.array([[40, 40, 40], [200, 40, 40], [40, 200, 40], [40, 40, 200]])
    draw = np.random.default_rng(0)
    cloud = middles[draw.integers(4, size=(30, 16, 16))] + draw.integers(-9, 10, (30, 16, 16, 3))
    palette = fit_palette(list(cloud.astype(np.uint8)), 4, seed=0, source="s")
    assert np.abs(palette.levels.astype(int) - middles[[0, 3, 2, 1]]).max() <= 2


def test_the_seed_decides():
    images = list(noise(30))
    one, same, other = (fit_palette(images, 16, seed=seed, source="s") for seed in (0, 0, 1))
    assert (one.levels == same.levels).all()
    assert not (one.levels == other.levels).all()


def test_nearly_equal_colours_stay_distinct():
    """More colours than places for rounded means: the most frequent ones fill in."""
    image = np.zeros((1, 12, 3), np.uint8)
    image[0, :, 0] = np.arange(12)
    palette = fit_palette([image], 11, seed=0, source="s")
    assert len(np.unique(palette.levels, axis=0)) == 11
