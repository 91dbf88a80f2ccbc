"""`check` and `plan` of every shipped recipe end in words: a table, or one line that says what is missing."""

import pytest

from hyperfitting.cli import main
from hyperfitting.recipes import load_recipe, shipped_recipes

@pytest.mark.parametrize("verb", ["check", "plan"])
@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_checked_and_planned_in_words(verb, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main([verb, name, *(["--device", "80GiB"] if verb == "plan" else ["--device", "cpu"])])
    captured = capsys.readouterr()
    assert code in (0, 2)
    if code == 2:
        assert captured.err.startswith("hyperfit: ")
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    else:
        assert load_recipe(name).run_name in captured.out
        assert captured.err == ""
    assert list(tmp_path.iterdir()) == []


def test_recipes_with_an_architecture_are_planned_offline(capsys):
    assert main(["plan", "paper-imagegpt", "--device", "80GiB"]) == 0
    assert "bf16-stochastic" in capsys.readouterr().out
