"""Recipes of images: the lengths that follow from the size, and the settings that are for texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import load_recipe, parse_recipe
from tests.support.images import image_tree

TREE = image_tree(Path("model"), Path("a.npz"))


def with_settings(**sections):
    return {**TREE, **{name: {**TREE.get(name, {}), **held} for name, held in sections.items()}}


def test_lengths_follow_from_the_size():
    recipe = parse_recipe(with_settings(probe={"contexts": 2}), source="t")
    assert recipe.data.block_tokens == 65
    assert recipe.data.context_tokens == 17
    assert recipe.generate.new_tokens == 48
    assert recipe.probe.new_tokens == 8
    assert (recipe.text_tokens, recipe.read_tokens) == (65, 64)


def test_a_probe_continues_the_rest_of_a_small_image():
    tree = {name: held for name, held in TREE.items() if name != "probe"}
    assert parse_recipe(tree, source="t").probe.new_tokens == 48


def test_rows_of_the_context():
    recipe = parse_recipe(
        with_settings(data={"images": {"side": 8, "context_rows": 4}}), source="t"
    )
    assert (recipe.data.context_tokens, recipe.generate.new_tokens) == (33, 32)


def test_the_column_of_a_source_is_image_where_none_is_named():
    domain = {"name": "d", "count": 2, "source": {"path": "b", "column": "img"}}
    sets = {"train": {"path": "a"}, "domains": [domain, {"name": "e", "count": 2}]}
    recipe = parse_recipe(with_settings(data=sets), source="t")
    assert recipe.data.train.column == "image"
    assert recipe.data.domains[0].source.column == "img"


def test_the_tree_that_is_given_stays_as_it_is():
    before = repr(TREE)
    parse_recipe(TREE, source="t")
    assert repr(TREE) == before


def test_a_kept_recipe_is_read_again(tmp_path):
    recipe = parse_recipe(TREE, source="t")
    (tmp_path / "r.json").write_text(recipe.canonical_json())
    assert load_recipe(tmp_path / "r.json").digest == recipe.digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"block_tokens": 64}}, "data.block_tokens = 64: images of 8 x 8 .* need 65"),
        ({"data": {"context_tokens": 16}}, "data.context_tokens = 16: .* of 2 rows need 17"),
        ({"generate": {"new_tokens": 40}}, "generate.new_tokens = 40: .* need 48"),
        ({"data": {"images": {"side": 8, "context_rows": 8}}}, "an image has 8 rows, and some"),
        ({"data": {"blocks": "packed"}}, "data.blocks is for texts, and data.images asks"),
        ({"data": {"context_format": "chat"}}, "data.context_format is for texts"),
        ({"model": {"beginning_of_text": "none"}}, "beginning_of_text = .none. is for texts"),
        ({"generate": {"end_of_text": "stop"}}, "generate.end_of_text = .stop. is for texts"),
        ({"measure": {"bleu": True}}, "measure.bleu is for texts"),
        ({"measure": {"scorer": "gpt2"}}, "measure.scorer is for texts"),
        ({"measure": {"mauve": "gpt2"}}, "measure.mauve is for texts"),
        ({"data": {"images": {"side": 8, "mirrored": True}, "train_blocks": 5}}, "an even number"),
        ({"data": {"images": {"side": 2}}}, "data.images.side = 2: it must be at least 4"),
        ({"data": {"images": {"side": "x"}}}, "data.images.side = .x.: a whole number is needed"),
        ({"data": {"images": 8}}, "data.images = 8: a section is needed"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(RecipeError, match=said) as error:
        parse_recipe(with_settings(**changes), source="t")
    assert "\n" not in str(error.value)


def test_the_papers_recipe_has_the_papers_lengths():
    data = load_recipe("paper-imagegpt").data
    assert (data.block_tokens, data.context_tokens, data.train_blocks) == (1025, 257, 2000)
