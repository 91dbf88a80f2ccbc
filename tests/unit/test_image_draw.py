"""Sets of images drawn by seed: one block an image, groups whole, repeats found and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hyperfitting.data import draw_images
from hyperfitting.errors import DataError
from hyperfitting.palette import Palette
from hyperfitting.recipe import parse_recipe
from tests.support.images import COLOURS, colours, image_tree, noise

PALETTE = Palette(colours())


def write(path: Path, images, **arrays) -> Path:
    np.savez(path, images=images, **arrays)
    return path


def draw(path, palette=PALETTE, **changes):
    tree = image_tree(Path("model"), path)
    recipe = parse_recipe({**tree, "data": {**tree["data"], **changes}}, source="t")
    return draw_images(recipe, recipe.data.images, palette, COLOURS)


def test_a_block_is_the_start_token_and_the_nearest_colours(tmp_path):
    images = noise(40)
    drawn, _ = draw(write(tmp_path / "a.npz", images))
    train, _, domain = drawn.sets
    assert [each.ids_NT.shape for each in drawn.sets] == [(16, 65), (4, 65), (10, 65)]
    assert train.ids_NT.dtype == np.int32
    assert (train.ids_NT[:, 0] == COLOURS).all()
    assert (train.ids_NT[:, 1:] < COLOURS).all()
    first = images[train.origins[0].row - 1]
    assert (train.ids_NT[0, 1:] == PALETTE.nearest(first).ravel()).all()
    rows = [origin.row for each in drawn.sets for origin in each.origins]
    assert len(set(rows)) == 30
    facts = drawn.manifest.set_named("train")
    assert (facts.unit, facts.characters, facts.blocks, facts.tokens) == ("image", None, 16, 65)
    assert domain.codec == drawn.manifest.codec == PALETTE.fingerprint(8)


def test_the_seed_decides_the_draw(tmp_path):
    path = write(tmp_path / "a.npz", noise(60))
    one, same, other = (draw(path, seed=seed).drawn.sets[0].ids_NT for seed in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).all()


def test_groups_are_never_split(tmp_path):
    path = write(tmp_path / "a.npz", noise(80), labels=np.arange(80) % 10)
    drawn, _ = draw(path, train={"path": str(path), "column": "images", "group": "labels"})
    groups = [set(each.groups) for each in drawn.sets]
    assert all(a.isdisjoint(b) for a, b in [(groups[0], groups[1]), (groups[0], groups[2])])
    assert groups[1].isdisjoint(groups[2])


def test_equal_images_are_taken_once(tmp_path):
    images = noise(40)
    drawn, _ = draw(write(tmp_path / "a.npz", np.concatenate([images, images])))
    train, validation, domain = drawn.manifest.sets
    assert len(np.unique(drawn.sets[0].ids_NT, axis=0)) == 16
    assert train.documents_seen == 16 + train.repeated
    assert validation.leaked + domain.leaked > 0  # copies of what trains
    assert domain.leaks_left_out[0].words.startswith(str(tmp_path / "a.npz"))


def test_a_mirrored_copy_of_a_training_image_leaks_from_a_named_source(tmp_path):
    images = noise(40)
    train, _, _ = draw(write(tmp_path / "a.npz", images)).drawn.sets
    held = np.stack([images[train.origins[0].row - 1][:, ::-1], *noise(20, seed=9)])
    path = write(tmp_path / "b.npz", held)
    domain = {"name": "d", "count": 20, "source": {"path": str(path), "column": "images"}}
    with pytest.raises(DataError, match=r"b\.npz, row 1: the set 'd' leaks: it repeats .*a\.npz"):
        draw(tmp_path / "a.npz", domains=[domain])
    domain |= {"leaks": "leave-out", "count": 19}
    drawn, _ = draw(tmp_path / "a.npz", domains=[domain])
    assert [each.row for each in drawn.manifest.set_named("d").leaks_left_out] == [1]


def test_training_images_and_their_mirror_images(tmp_path):
    drawn, _ = draw(
        write(tmp_path / "a.npz", noise(40)), images={"side": 8, "mirrored": True}, train_blocks=16
    )
    train, validation, _ = drawn.sets
    grids = train.ids_NT[:, 1:].reshape(16, 8, 8)
    assert (grids[0::2] == grids[1::2, :, ::-1]).all()
    assert [origin.row for origin in train.origins[0::2]] == [
        each.row for each in train.origins[1::2]
    ]
    assert len(validation) == 4


def test_too_few_images_are_refused(tmp_path):
    path = write(tmp_path / "a.npz", noise(20))
    with pytest.raises(DataError, match=r"the set 'pictures' needs 10 images, and there are 0"):
        draw(path)


def test_colours_are_fitted_to_the_training_images_alone(tmp_path):
    """Images that train are dark, all others bright, by their groups."""
    pytest.importorskip("sklearn")
    images = noise(60) // 3
    images[20:] += 150
    labels = np.repeat(["dark", "bright", "light"], 20)
    path = write(tmp_path / "a.npz", images, labels=labels)
    train = {"path": str(path), "column": "images", "group": "labels"}
    for seed in range(20):
        drawn, palette = draw(path, None, train=train, seed=seed, train_blocks=8)
        if set(drawn.sets[0].groups) == {"dark"}:
            break
    assert palette.levels.max() < 100
    assert len(palette) == COLOURS
