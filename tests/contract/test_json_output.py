"""`--json`: standard output is one JSON document, with the values that the words say."""

import json
import shutil

import pytest

from hyperfitting.cli import main
from tests.support.recipes import write_recipe


@pytest.fixture
def printed(capsys):
    """What a command prints, read as JSON."""

    def run(*arguments):
        assert main([str(each) for each in (*arguments, "--json")]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_runs(printed, finished, tmp_path):
    (found,) = printed("runs", finished.folder)
    assert found["state"] == "reported"
    assert found["run_name"] == finished.recipe.run_name
    assert found["training"]["ttr"] == finished.run("hyperfitted").probes()[-1].ttr
    assert printed("runs", tmp_path) == []


def test_check_and_plan(printed, tree, tmp_path):
    recipe = write_recipe(tree, tmp_path / "r.json")
    checked = printed("check", recipe, "--device", "cpu")
    assert checked["updates"] == 12
    assert checked["recipe"]["train"]["learning_rate"] == tree["train"]["learning_rate"]
    planned = printed("plan", recipe, "--memory", "8GiB")
    assert planned["device_bytes"] == 8 * 1024**3
    assert all(each["fits"] for each in planned["fits"])


def test_measure_of_an_experiment_and_of_a_file(printed, finished, tmp_path):
    rows = printed("measure", finished.folder, "--device", "cpu")
    assert {row["variant"] for row in rows} >= {"original", "hyperfitted", "reference"}
    assert len(rows) == sum(len(run.metrics()) for run in finished.runs().values())
    texts = tmp_path / "texts.txt"
    texts.write_text("once upon a time " * 30)
    rows = printed("measure", texts)
    assert "repeated_4gram_share" in {row["name"] for row in rows}
    assert {(row["file"], row["tokenizer"]) for row in rows} == {(str(texts), "words")}
    true, out, model = tmp_path / "true.txt", tmp_path / "out.json", finished.recipe.model.source
    true.write_text("the old house by the river")
    both = ("--reference", true, "--tokenizer", model)
    rows = printed("measure", texts, *both, "--out", out)
    files = {row["variant"]: row["file"] for row in rows}
    assert (files["texts"], files["reference"]) == (str(texts), str(true))
    assert files["shuffled"] == str(true)
    assert {row["tokenizer"] for row in rows} == {model}
    kept = json.loads(out.read_text())
    assert [(row["file"], row["tokenizer"]) for row in kept] == [
        (row["file"], row["tokenizer"]) for row in rows
    ]


def test_compare(printed, finished, tmp_path):
    folder = tmp_path / "finished"
    shutil.copytree(finished.folder, folder)
    rows = printed("compare", folder, "--out", tmp_path / "compared")
    assert rows == json.loads((tmp_path / "compared" / "summary.json").read_text())
    assert {row["variant"] for row in rows} >= {"original", "hyperfitted"}
