"""The JSON schema of recipes: what an editor would say of a recipe that is right, or is not."""

import json
import tomllib

import pytest
from jsonschema import Draft202012Validator

from hyperfitting.cli import main
from hyperfitting.recipe import copy_recipe, load_recipe, recipe_schema, shipped_recipes


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(recipe_schema())
    return Draft202012Validator(recipe_schema())


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_and_its_copy_are_right(validator, tmp_path, name):
    copied = copy_recipe(name, tmp_path / "mine.toml")
    assert list(validator.iter_errors(tomllib.loads(copied.read_text()))) == []
    assert load_recipe(copied).digest == load_recipe(name).digest
    kept = json.loads(load_recipe(name).model_dump_json())
    assert list(validator.iter_errors(kept)) == []


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({"modle": {}}, []),
        ({"train": {"batch_blocks": 0}}, ["train", "batch_blocks"]),
        ({"train": {"learning_rate": "1e-3"}}, ["train", "learning_rate"]),
        ({"generate": {"strategies": [{"name": "x", "method": "beam"}]}}, ["generate"]),
    ],
)
def test_what_is_wrong_is_marked_where_it_stands(validator, tree, where):
    (error,) = validator.iter_errors(tree)
    assert list(error.absolute_path)[: len(where)] == where


def test_every_setting_is_explained(validator):
    schema = recipe_schema()
    unexplained = [
        f"{section}.{name}"
        for section, table in schema["$defs"].items()
        for name, setting in table["properties"].items()
        if "$ref" not in setting and not setting.get("description")
    ]
    assert unexplained == []


def test_the_copy_names_the_file_that_the_command_makes(tmp_path, monkeypatch, capsys):
    copied = copy_recipe("demo", tmp_path / "mine.toml")
    assert copied.read_text().startswith("#:schema ./recipe.schema.json\n")
    assert main(["recipes", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == recipe_schema()
