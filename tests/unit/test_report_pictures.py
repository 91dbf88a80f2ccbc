"""Continued images as the report shows them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from hyperfitting.measuring import ImageBaselines
from hyperfitting.metrics.images.grids import ContinuedImage
from hyperfitting.png import png_address, png_bytes
from hyperfitting.records import REFERENCE, Arm
from hyperfitting.report.experiment.picture_figures import mapped_pictures, picture_grid
from hyperfitting.report.experiment.pictures import (
    continued_picture,
    example_pictures,
    nearest_picture,
)
from hyperfitting.report.kit.heat import heat_step

COLOURS = np.random.default_rng(0).integers(0, 256, size=(40, 3), dtype=np.uint8)
TRAINING = np.random.default_rng(1).integers(0, 40, size=(5, 8, 8))
BASELINES = ImageBaselines(COLOURS, TRAINING)
SOURCES = [f"p.npz, row {number}" for number in range(1, 6)]
GREEDY = Arm("hyperfitted", "greedy")


def image(ids=None, given_rows=2):
    return ContinuedImage(np.arange(64).reshape(8, 8) % 40 if ids is None else ids, given_rows)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_png_is_lossless_and_enlarged_without_smoothing():
    small = np.random.default_rng(2).integers(0, 256, size=(3, 5, 3), dtype=np.uint8)
    assert (pixels(png_bytes(small)) == small).all()
    large = pixels(png_bytes(small, enlarged=4))
    assert large.shape == (12, 20, 3)
    assert (large[::4, ::4] == small).all()
    assert (large[3::4, 3::4] == small).all()
    start, data = png_address(png_bytes(small)).split(",")
    assert start == "data:image/png;base64"
    assert (pixels(base64.b64decode(data)) == small).all()


def test_a_picture_holds_its_pixels_and_where_the_given_rows_end():
    shown = continued_picture("x", image(), BASELINES)
    assert (shown.pixels_HWC == COLOURS[image().ids_HW]).all()
    assert (pixels(shown.png)[::8, ::8] == shown.pixels_HWC).all()
    assert shown.address == png_address(shown.png)
    assert shown.given_percent == "25%"
    assert continued_picture("x", image(given_rows=1), BASELINES).given_percent == "12.5%"


def test_the_map_colours_repeated_runs_of_written_pixels_only():
    copied = image(np.concatenate([TRAINING[0][:2], TRAINING[0][:2], TRAINING[1][:4]]))
    shown = continued_picture("x", copied, BASELINES)
    assert (shown.runs_HW[:2] == 0).all()
    assert shown.runs_HW[2:4].ravel().tolist() == list(range(1, 17))
    assert shown.steps[2].tolist() == [heat_step(run) for run in range(1, 9)]
    plain = continued_picture("x", image(np.full((8, 8), 3)), BASELINES)
    assert plain.repeated_percent == "100 %"
    assert (
        continued_picture("x", image(), BASELINES).repeated_percent == "46 %"
    )  # 40, 41, ... are 0, 1


def test_the_paths_of_a_map_are_its_steps():
    copied = image(np.concatenate([TRAINING[0][:3], TRAINING[0][:3], TRAINING[0][:2]]))
    shown = continued_picture("x", copied, BASELINES)
    drawn = np.zeros_like(shown.steps)
    for step, path in shown.map_paths.items():
        assert re.fullmatch(r"(M\d+ \d+h\d+v1h-\d+z)+", path)
        for column, row, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", path):
            drawn[int(row), int(column) : int(column) + int(width)] += step
    assert (drawn == shown.steps).all()
    assert list(shown.map_paths) == sorted(shown.map_paths)


def test_the_nearest_training_image_is_that_of_the_written_rows_and_is_cited():
    mixed = image(np.concatenate([TRAINING[0][:2], TRAINING[3][2:]]))
    near = nearest_picture("hyperfitted, greedy", mixed, BASELINES, SOURCES)
    assert (near.pixels_HWC == COLOURS[TRAINING[3]]).all()
    assert near.runs_HW is None
    assert near.note == "a copy of hyperfitted, greedy; p.npz, row 4"
    other = nearest_picture("x", image(), BASELINES, SOURCES)
    assert re.fullmatch(r"\d+\.\d of 255 from x; p\.npz, row \d", other.note)


def test_an_example_shows_the_arms_in_order_and_the_nearest_image_last():
    arms = {Arm("original", "greedy"): image(), GREEDY: image(), Arm(REFERENCE): image()}
    shown = example_pictures(arms, BASELINES, SOURCES)
    assert [each.title for each in shown] == [
        "original, greedy", "hyperfitted, greedy", "the true image", "nearest training image",
    ]  # fmt: skip
    without = example_pictures({Arm(REFERENCE): image()}, BASELINES, SOURCES)
    assert [each.title for each in without] == ["the true image"]


def test_figures_show_the_pixels_and_a_line_below_the_given_rows():
    shown = example_pictures({GREEDY: image(), Arm(REFERENCE): image()}, BASELINES, SOURCES)
    grid = picture_grid([shown, shown[1:]])
    assert len(grid.axes) == 6
    first = grid.axes[0]
    assert (first.images[0].get_array() == shown[0].pixels_HWC).all()
    assert {tuple(line.get_ydata()) for line in first.lines} == {(1.5, 1.5)}
    assert [each.get_title() for each in grid.axes[:3]] == [
        "hyperfitted,\ngreedy", "the true image", "nearest training\nimage",
    ]  # fmt: skip
    assert not grid.axes[3].axison  # the second example lacks the first arm
    maps = mapped_pictures(shown)
    assert (maps.axes[3].images[0].get_array() == shown[0].steps).all()
    assert maps.axes[4].get_xlabel() == "46 % repeated"
    assert not maps.axes[5].axison


def test_an_image_without_given_rows_or_with_other_colours_is_refused():
    with pytest.raises(ValueError, match="ids from 0 to 63 do not fit 40 colours"):
        continued_picture("x", image(np.arange(64).reshape(8, 8)), BASELINES)
