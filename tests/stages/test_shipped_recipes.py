"""`check` and `plan` of every shipped recipe end in words: a table, or one line that says what is
missing.
"""

import json

import pytest

from hyperfitting.assets import PREFIX, asset_path
from hyperfitting.cli import main
from hyperfitting.recipe import load_recipe, shipped_recipes


def two_layers(name, folder):
    """The change to a recipe by which its plan is that of two layers, where its architecture or its
    model ships.
    """
    model = load_recipe(name).model
    shape = model.architecture or model.source
    if not shape.startswith(PREFIX):
        return []
    config = json.loads((asset_path(shape) / "config.json").read_text())
    config |= {key: 2 for key in ("n_layer", "num_hidden_layers") if key in config}
    (folder / "config.json").write_text(json.dumps(config))
    return ["--set", f"model.architecture={folder}"]


@pytest.mark.parametrize("verb", ["check", "plan"])
@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_checked_and_planned_in_words(
    verb, name, tmp_path_factory, monkeypatch, capsys
):
    monkeypatch.chdir(folder := tmp_path_factory.mktemp("here"))
    fewer = two_layers(name, tmp_path_factory.mktemp("architecture")) if verb == "plan" else []
    code = main(
        [verb, name, *fewer, *(["--memory", "80GiB"] if verb == "plan" else ["--device", "cpu"])]
    )
    captured = capsys.readouterr()
    if code == 2:
        assert captured.err.startswith("hyperfit: ")
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    else:
        assert code == 0
        assert load_recipe(name).run_name in captured.out
        assert captured.err == ""
    assert code == 0 or not fewer
    assert list(folder.iterdir()) == []
