"""An experiment that hyperfitting 0.1 wrote is refused by every verb, in one line that says what to
do.
"""

import json
import shutil

import pytest

from hyperfitting.cli import main
from tests.support.cli import refused


def as_version_0_1(file):
    """Rename the settings of a recipe.json as they were called."""
    tree = json.loads(file.read_text())
    tree["generate"]["arms"] = tree["generate"].pop("strategies")
    tree["data"]["contexts"] = tree["data"].pop("domains")
    tree["controls"] = [each["name"] for each in tree.pop("variants")]
    for section, key in (("generate", "seed"), ("data", "seed"), ("train", "order_seed")):
        del tree[section][key]
    file.write_text(json.dumps(tree))


@pytest.fixture
def former(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "former")
    for file in (folder / "recipe.json", *folder.glob("*/recipe.json")):
        as_version_0_1(file)
    for file in folder.glob("*/run.json"):
        facts = json.loads(file.read_text())
        facts["train"] |= {"python": "3.11", "batch": [8, 64]}
        file.write_text(json.dumps(facts))
    return folder


def said_of(folder):
    return (
        f"{folder} was written by hyperfitting 0.1, whose settings and files have other names: run "
        "its recipe again with this version, or read it with hyperfitting 0.1\n"
    )


@pytest.mark.parametrize("verb", ["generate", "measure", "report", "compare"])
def test_verbs_that_read_an_experiment_refuse_it(former, capsys, verb):
    before = {path: path.stat().st_mtime_ns for path in former.rglob("*")}
    assert refused(capsys, verb, str(former)) == f"hyperfit: {said_of(former)}"
    assert {path: path.stat().st_mtime_ns for path in former.rglob("*")} == before


@pytest.mark.parametrize("verb", ["run", "train", "check"])
def test_verbs_that_would_go_on_with_it_refuse_it(former, capsys, verb):
    arguments = [verb, "demo", "--out", str(former)]
    assert refused(capsys, *arguments) == f"hyperfit: {said_of(former)}"


def test_writing_refuses_its_runs(former, capsys):
    for run in ("original", "hyperfitted"):
        expected = f"hyperfit: {said_of(former / run)}"
        assert refused(capsys, "write", str(former / run), "once") == expected


def test_a_preference_study_refuses_it(former, tmp_path, capsys):
    said = refused(capsys, "preference", "create", str(former), "--out", str(tmp_path / "study"))
    assert "was written by hyperfitting 0.1, whose settings and files have other names" in said
    assert not (tmp_path / "study").exists()


def test_a_listing_names_it_among_the_others(former, finished, tmp_path, capsys):
    shutil.copytree(finished.folder, tmp_path / "now")
    assert main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"damaged    {said_of(former)}" in out
    assert "reported   tiny-" in out


def test_its_recipe_gives_the_new_names(former, tmp_path, capsys):
    said = refused(capsys, "run", str(former / "recipe.json"), "--out", str(tmp_path / "out"))
    for words in (
        "data.contexts is now data.domains",
        "generate.arms is now generate.strategies",
        "controls is now variants: write [[variants]]",
    ):
        assert words in said


def test_the_former_option_of_plan_names_the_new_one(capsys):
    said = refused(capsys, "plan", "demo", "--device", "80GiB")
    assert said.startswith(
        "hyperfit: argument --device: a device's memory is now given by --memory 80GiB"
    )
