"""The pictures that the project draws: the same everywhere, enough of them, no two alike."""

import hashlib
import runpy
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from hyperfitting.assets import asset_names, asset_path
from hyperfitting.data.drawn import PICTURE_KINDS, draw_pictures
from hyperfitting.data.drawn.canvas import Canvas, Curve, Dice, colours

NUMBER = 128


@pytest.fixture(scope="module")
def pictures():
    return list(draw_pictures(NUMBER, side=32, seed=0))


@pytest.fixture(scope="module")
def arrays(pictures):
    return np.stack([picture.colours_HWC for picture in pictures])


def test_there_are_as_many_as_asked_for_in_equal_shares_of_each_kind(pictures, arrays):
    assert arrays.shape == (NUMBER, 32, 32, 3)
    assert arrays.dtype == np.uint8
    counts = Counter(picture.kind for picture in pictures)
    assert set(counts) == set(PICTURE_KINDS)
    assert set(counts.values()) <= {NUMBER // 9, NUMBER // 9 + 1}
    for picture in pictures:
        assert picture.title.startswith(f"{picture.kind}: ")


def test_no_two_are_alike(arrays):
    """The nearest two differ by more than a tenth of the colour range, root mean square."""
    flat = arrays.reshape(NUMBER, -1).astype(np.float64)
    nearest = [
        np.sqrt(((np.delete(flat, index, axis=0) - row) ** 2).mean(axis=1)).min()
        for index, row in enumerate(flat)
    ]
    assert min(nearest) > 15


def test_each_has_contrast_and_all_but_patterns_have_many_colours(pictures):
    for picture in pictures:
        colours_NC = np.unique(picture.colours_HWC.reshape(-1, 3), axis=0)
        assert len(colours_NC) >= (2 if picture.kind == "pattern" else 20), picture.title
        assert picture.colours_HWC.std() > 15, picture.title


def test_a_longer_series_begins_with_the_shorter_one(pictures):
    for one, other in zip(draw_pictures(5, side=32, seed=0), pictures, strict=False):
        assert (one.colours_HWC == other.colours_HWC).all()
        assert one.title == other.title


def test_another_seed_draws_other_pictures(pictures):
    other = next(draw_pictures(1, side=32, seed=1))
    assert (other.colours_HWC != pictures[0].colours_HWC).any()


def test_a_smaller_side_is_the_same_picture(pictures):
    for small, large in zip(draw_pictures(3, side=16, seed=0), pictures, strict=False):
        means = large.colours_HWC.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
        assert np.abs(small.colours_HWC - means).max() <= 1  # rounded once more
    with pytest.raises(ValueError, match="a side of 24 does not divide 128"):
        next(draw_pictures(1, side=24))


def test_they_are_the_same_on_every_machine(arrays):
    """Pinned: whoever changes what is drawn changes data that experiments name."""
    assert hashlib.sha256(arrays.tobytes()).hexdigest() == PINNED


PINNED = "6842be022f2a9a98ac27dc8d173a0fe9a21d000b0f49425093fd8f609abaf442"


def test_those_that_ship_are_drawn_by_the_program(pictures):
    with np.load(asset_path("asset:pictures/drawn.npz")) as held:
        assert len(held["image"]) == len(held["kind"]) == len(held["title"]) == 192
        for number, picture in enumerate(pictures):
            assert (held["image"][number] == picture.colours_HWC).all()
            assert held["kind"][number] == picture.kind
            assert held["title"][number] == picture.title
    assert "asset:pictures/drawn.npz" in asset_names()


def test_the_program_writes_a_file(pictures, tmp_path, monkeypatch):
    file = tmp_path / "new" / "p.npz"
    monkeypatch.setattr("sys.argv", ["drawn", str(file), "--number", "2", "--side", "16"])
    runpy.run_module("hyperfitting.data.drawn", run_name="__main__")
    with np.load(file) as held:
        assert held["image"].shape == (2, 16, 16, 3)
    assert [path.name for path in file.parent.iterdir()] == ["p.npz"]
    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr("sys.argv", ["drawn", str(sheet), "--number", "13"])
    runpy.run_module("hyperfitting.data.drawn", run_name="__main__")
    shown = np.asarray(Image.open(sheet))
    assert shown.shape == (3 * (2 * 33 - 1), 3 * (12 * 33 - 1), 3)
    assert (shown[3 * 33 :: 3, : 3 * 32 : 3] == pictures[12].colours_HWC).all()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["p.gif"], "'p.gif' ends neither in .npz nor in .png"),
        (["p.npz", "--number", "0"], "'0' is no number of pictures: give 1 or more"),
        (["p.npz", "--side", "24"], "invalid choice: 24"),
        (["folder.npz"], "'folder.npz' is a folder: name a file in it"),
        (["plain/p.npz"], "'plain' is a file, and a folder is needed there: name another file"),
        (["plain/a/b/p.npz"], "'plain' is a file, and a folder is needed there: name another"),
        (["p" * 300 + ".npz", "--number", "1"], "cannot be written (File name too long): name"),
    ],
)
def test_the_program_says_in_a_line_why_it_writes_nothing(
    wrong, why, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "plain").touch()
    monkeypatch.setattr("sys.argv", ["drawn", *wrong])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("hyperfitting.data.drawn", run_name="__main__")
    assert caught.value.code == 2
    assert why in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.npz", "plain"]


def test_dice_are_fair_within_their_bounds():
    dice = Dice("test", 0)
    wholes = Counter(dice.whole(1, 6) for _ in range(3_000))
    assert sorted(wholes) == [1, 2, 3, 4, 5, 6]
    assert min(wholes.values()) > 400
    assert all(2 <= dice.number(2, 3) < 3 for _ in range(100))
    assert sorted(dice.several("abcd", 4)) == list("abcd")
    assert 400 < sum(dice.chance(0.5) for _ in range(1_000)) < 600


def test_a_curve_goes_through_its_points():
    for smooth in (True, False):
        curve = Curve((0.1, 0.5, 0.3), smooth)
        assert curve.at(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])) == pytest.approx(
            [0.1, 0.1, 0.5, 0.3, 0.3]
        )
        assert curve.at(np.array([0.25])) == pytest.approx([0.3])


def area(mask):
    return mask.mean()


def test_shapes_have_the_areas_of_geometry():
    canvas = Canvas.blank()
    assert area(canvas.rectangle(0.25, 0.5, 0.75, 1)) == 0.25
    assert area(canvas.ellipse(0.5, 0.5, 0.4, 0.2)) == pytest.approx(np.pi * 0.08, abs=0.005)
    assert area(canvas.polygon((0, 0), (1, 0), (0, 1))) == pytest.approx(0.5, abs=0.005)
    assert area(canvas.stroke((0.2, 0.5), (0.8, 0.5), 0.1)) == pytest.approx(
        0.06 + np.pi * 0.0025, abs=0.005
    )
    assert area(canvas.stroke((0.5, 0.5), (0.5, 0.5), 0.2)) == pytest.approx(
        np.pi * 0.01, abs=0.005
    )
    assert area(canvas.below(Curve((0.25, 0.25)))) == 0.75


def test_paint_covers_what_it_should_and_parts_have_their_own_coordinates():
    red, [grey] = (255.0, 0.0, 0.0), colours("808080")
    canvas = Canvas.blank()
    canvas.part(canvas.x * 2, canvas.y * 2).fill(red)  # the upper left quarter
    assert area((canvas.pixels == red).all(axis=2)) == 0.25
    assert (canvas.pixels[63, 63] == red).all()
    canvas.paint(canvas.rectangle(0.5, 0.5, 1, 1), grey, 0.5)
    assert canvas.pixels[100, 100].tolist() == [191.5] * 3
    assert canvas.reduced(2).tolist() == [
        [[255, 0, 0], [255, 255, 255]],
        [[255, 255, 255], [192, 192, 192]],
    ]


def test_drawing_takes_nothing_from_outside(pictures):
    """Other random numbers in between change nothing."""
    np.random.default_rng(0).random(10)
    again = list(islice(draw_pictures(3), 3))
    assert all(
        (one.colours_HWC == other.colours_HWC).all()
        for one, other in zip(again, pictures, strict=False)
    )
