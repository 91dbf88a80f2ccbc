"""Pixels to colour ids and back, as transformers' ImageGPT image processor does it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyperfitting.errors import ModelError
from hyperfitting.palette import PALETTE_FILE, Palette, read_palette, write_palette
from tests.support.images import colours, noise


@pytest.fixture(scope="module")
def palette():
    return Palette(colours(512))


def test_ids_are_those_of_transformers_image_processor(palette, tmp_path):
    from PIL import Image
    from transformers import AutoImageProcessor

    write_palette(tmp_path / PALETTE_FILE, palette, 32)
    processor = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    images = noise(3, side=32)  # some pixels are equally near to two colours
    theirs = processor([Image.fromarray(each) for each in images])["input_ids"]
    ours = [palette.nearest(each).ravel() for each in images]
    assert [each.tolist() for each in ours] == [list(each) for each in theirs]


def test_the_round_trip_is_exact_on_the_colours(palette):
    ids_HW = np.random.default_rng(0).permutation(512).reshape(16, 32)
    assert (palette.nearest(palette.pixels(ids_HW)) == ids_HW).all()


def test_the_nearest_colour_by_hand():
    palette = Palette(np.array([[-1, -1, -1], [1, 1, 1], [1, -1, -1]], np.float32))
    pixels = np.array([[[100, 100, 100], [200, 200, 200], [200, 20, 20]]], np.uint8)
    assert palette.nearest(pixels).tolist() == [[0, 1, 2]]
    assert palette.levels.tolist() == [[0, 0, 0], [255, 255, 255], [255, 0, 0]]


def test_the_lowest_of_equal_colours_is_taken():
    palette = Palette(np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1]], np.float32))
    assert palette.nearest(np.full((1, 1, 3), 255, np.uint8)).tolist() == [[1]]


def test_the_file_keeps_colours_to_the_bit(palette, tmp_path):
    write_palette(tmp_path / PALETTE_FILE, palette, 32)
    read = read_palette(tmp_path / PALETTE_FILE)
    assert read.colours_KC.tobytes() == palette.colours_KC.tobytes()
    assert read.fingerprint(32) == palette.fingerprint(32) != palette.fingerprint(16)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("not JSON", "is damaged"),
        ("[]", "holds no clusters of colours"),
        ('{"size": 32}', "holds no clusters of colours"),
        ('{"clusters": [[0, 0], [1, 1]]}', "no list of red, green, blue"),
        ('{"clusters": [[0, 0, 0], [1]]}', "is damaged"),
        ('{"clusters": [[0, 0, 255]]}', "are not in -1 to 1"),
        ('{"clusters": [[0, 0, 1e300]]}', "are not in -1 to 1"),
        ('{"clusters": [[0, 0, NaN]]}', "are not in -1 to 1"),
        ('{"clusters": [[0, 0, 1' + "0" * 400 + "]]}", "is damaged: take the one that came with"),
        ('{"clusters": ' + "[" * 20_000 + "]" * 20_000 + "}", "is damaged: take the one that"),
    ],
)
def test_a_file_without_usable_colours_is_refused(held, said, tmp_path, recwarn):
    (tmp_path / PALETTE_FILE).write_text(held)
    with pytest.raises(ModelError, match=said):
        read_palette(tmp_path / PALETTE_FILE)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": {"height": 32, "width": 32}}, r"size = .*of 8 x 8 pixels: .*, or set it to 8$"),
        ({"size": {"height": 8, "width": 32}}, "size = "),
        ({"size": {"shortest_edge": 8}}, "size = "),
        ({"size": [8, 8]}, "size = "),
        ({"size": 32}, "size = 32, and the model continues images of 8 x 8 pixels"),
        ({"resample": 3}, "resample = 3, and images are read here with 2: take .*, or set it to 2"),
        ({"image_mean": [0.4, 0.5, 0.5]}, "image_mean = "),
        ({"do_normalize": False}, "do_normalize = False, and images are read here with True"),
    ],
)
def test_an_image_processor_that_gives_other_ids_is_refused(changes, said, tmp_path):
    file = tmp_path / PALETTE_FILE
    write_palette(file, Palette(colours(4)), 8)
    held = json.loads(file.read_text())
    for same in ({}, {"size": 8}, {"size": None}, {"image_mean": None}):
        file.write_text(json.dumps(held | same))
        assert len(read_palette(file, side=8)) == 4
    file.write_text(json.dumps(held | changes))
    with pytest.raises(ModelError, match=said):
        read_palette(file, side=8)


def test_clusters_of_the_first_version_of_transformers_are_read(tmp_path):
    held = {"feature_extractor_type": "ImageGPTFeatureExtractor", "clusters": colours(4).tolist()}
    (tmp_path / PALETTE_FILE).write_text(json.dumps(held))
    assert len(read_palette(tmp_path / PALETTE_FILE)) == 4
