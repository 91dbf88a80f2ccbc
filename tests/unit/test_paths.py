"""Where a relative path counts from: the recipe's folder, or the working folder for --set and
shipped recipes.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from hyperfitting.assets import local_path
from hyperfitting.cli import main
from hyperfitting.data import draw_data, read_texts
from hyperfitting.errors import DataError, RecipeError
from hyperfitting.recipe import TextSource, load_recipe, stored_recipe
from tests.support.codecs import WordCodec


@pytest.fixture
def project(tmp_path, tree, monkeypatch):
    """A recipe in a folder of its own, with its texts beside it; the working folder is another
    one.
    """
    folder, here = tmp_path / "project", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    shutil.copy(tree["data"]["train"]["path"], folder / "texts.jsonl")
    tree["data"]["train"]["path"] = "texts.jsonl"
    tree["model"] = {"source": "base"}
    tree["measure"] |= {"scorer": "../scorer", "mauve": None}
    (folder / "r.json").write_text(json.dumps(tree))
    monkeypatch.chdir(here)
    return folder


def test_relative_paths_count_from_the_recipes_folder(project, tmp_path, monkeypatch):
    recipe = load_recipe("../project/r.json")
    assert os.path.samefile(recipe.data.train.place("path"), project / "texts.jsonl")
    assert len(draw_data(recipe, WordCodec()).sets[0]) == 16
    assert recipe.model.place("source") is None  # nothing of that name: it may be on the hub
    (project / "base").mkdir()
    (tmp_path / "scorer").mkdir()
    assert os.path.samefile(recipe.model.place("source"), project / "base")
    assert os.path.samefile(recipe.measure.model_named("scorer"), tmp_path / "scorer")
    assert recipe.measure.model_named("mauve") is None
    monkeypatch.chdir(tmp_path)  # what was read stays where it is
    assert len(read_texts(recipe.data.train).documents) == 60


def test_what_is_given_with_set_counts_from_the_working_folder(project, tmp_path):
    shutil.copy(project / "texts.jsonl", "texts.jsonl")
    here = Path.cwd()
    sets = [
        "data.train.path=texts.jsonl",
        'data.train={path="texts.jsonl"}',
        'data.domains=[{name="a",count=2,source={path="texts.jsonl"}}]',
        'data.domains.0.source.path="texts.jsonl"',
    ]
    for change in sets:
        recipe = load_recipe(project / "r.json", [change])
        assert recipe.data.sources[-1].place("path") == here / "texts.jsonl"
        assert recipe.model.folder_of("source") == project
    recipe = load_recipe(
        project / "r.json",
        ["data.validation.path=texts.jsonl", "measure.mauve=m", "measure.force_mauve=true"],
    )
    assert recipe.data.validation.place("path") == here / "texts.jsonl"
    assert recipe.data.train.place("path") == project / "texts.jsonl"
    assert recipe.data.train != recipe.data.validation  # two files, though they are called the same
    assert (recipe.measure.folder_of("mauve"), recipe.measure.folder_of("scorer")) == (
        here,
        project,
    )


def test_the_digest_does_not_know_where_recipe_and_reader_stand(project, tmp_path, monkeypatch):
    recipe = load_recipe(project / "r.json")
    shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(project)
    same = [
        load_recipe("r.json"),
        load_recipe(tmp_path / "copy" / "r.json"),
        load_recipe("r.json", ["model.source=base"]),
    ]
    assert {each.digest for each in same} == {recipe.digest}
    assert all(each.canonical_json() == recipe.canonical_json() for each in same)
    assert str(tmp_path) not in recipe.canonical_json()


def test_a_recipe_on_a_shipped_one_and_a_link_to_a_recipe_count_from_where_they_are_named(
    project, tmp_path
):
    (project / "mine.toml").write_text('based_on = "three-domains"\nname = "mine"\n')
    assert (
        load_recipe(project / "mine.toml").data.train.tried("path") == project / "fiction.jsonl.gz"
    )
    (tmp_path / "linked").symlink_to(project)
    assert (
        load_recipe(tmp_path / "linked" / "r.json").data.train.tried("path")
        == tmp_path / "linked" / "texts.jsonl"
    )
    assert load_recipe("three-domains").data.train.tried("path") == Path.cwd() / "fiction.jsonl.gz"


def test_home_and_absolute_paths_count_from_nowhere(project, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(project / "texts.jsonl", tmp_path / "mine.jsonl")
    recipe = load_recipe(project / "r.json", ["data.train.path=~/mine.jsonl"])
    assert recipe.data.train.place("path") == tmp_path / "mine.jsonl"
    assert len(read_texts(recipe.data.train).documents) == 60
    assert local_path("~/gone") == tmp_path / "gone"
    assert local_path("asset:tales/fiction.jsonl", project).is_file()
    assert local_path(str(project), Path("elsewhere")) == project


def test_what_is_missing_is_told_with_the_path_that_was_tried(project):
    recipe = load_recipe(project / "r.json", ["data.train.path=gone.jsonl"])
    with pytest.raises(DataError) as caught:
        draw_data(recipe, WordCodec())
    assert (
        str(caught.value)
        == f"gone.jsonl: no such file or folder (tried {Path.cwd() / 'gone.jsonl'})"
    )
    (project / "texts.jsonl").rename("texts.jsonl")
    with pytest.raises(DataError) as caught:
        draw_data(load_recipe(project / "r.json"), WordCodec())
    assert str(caught.value) == (
        f"texts.jsonl: no such file or folder (tried {project / 'texts.jsonl'}); relative paths "
        "count from the recipe's folder, and from the working folder only with --set"
    )


@pytest.mark.parametrize(
    "name", ["my novel", "a/b/c", "novel.TXT", "novel.md.zst", "-x", "../x", "C:\\x", "x//y"]
)
def test_what_no_hub_would_take_for_a_name_is_a_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_path(name, tmp_path) == tmp_path / name
    with pytest.raises(DataError, match="no such file or folder"):
        read_texts(TextSource(path=name))


def test_a_typo_without_the_library_datasets_is_told_as_one(project, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "datasets", None)
    arguments = [
        "check",
        str(project / "r.json"),
        "--set",
        "model.source=asset:reference-lm",
        "--set",
        "measure.scorer=none",
    ]
    assert main([*arguments, "--set", "data.train.path=mynovel"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"hyperfit: mynovel: no such file or folder (tried {Path.cwd() / 'mynovel'}), and the "
        "library datasets, which would look for a hub data set of that name, is not installed: "
        "check the path, or pip install 'hyperfitting[hub]'\n"
    )


def test_an_empty_path_is_refused(project):
    with pytest.raises(RecipeError, match=r'data\.train\.path = ""'):
        load_recipe(project / "r.json", ['data.train.path=""'])


# What an experiment keeps


def stored(recipe, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(stored_recipe(recipe, folder))
    return folder / "recipe.json"


def test_an_experiments_recipe_finds_the_same_files_from_anywhere(project, tmp_path, monkeypatch):
    shutil.copy(project / "texts.jsonl", "texts.jsonl")
    recipe = load_recipe(project / "r.json", ["data.validation.path=texts.jsonl"])
    file = stored(recipe, tmp_path / "runs" / "out")
    monkeypatch.chdir(tmp_path / "runs")
    again = load_recipe(file)
    assert again == recipe
    assert again.digest == recipe.digest
    assert os.path.samefile(again.data.validation.place("path"), tmp_path / "here" / "texts.jsonl")
    assert os.path.samefile(again.data.train.place("path"), project / "texts.jsonl")


def test_an_experiment_is_moved_alone_or_with_all_that_it_was_made_of(project, tmp_path):
    recipe = load_recipe(project / "r.json")
    stored(recipe, project / "runs" / "out")
    (project / "runs" / "out").rename(tmp_path / "alone")
    assert (
        load_recipe(tmp_path / "alone" / "recipe.json").data.train.place("path")
        == project / "texts.jsonl"
    )
    stored(recipe, project / "runs" / "out")
    project.rename(tmp_path / "moved")
    moved = load_recipe(tmp_path / "moved" / "runs" / "out" / "recipe.json")
    assert moved.data.train.place("path") == tmp_path / "moved" / "texts.jsonl"


def test_a_recipe_without_relative_paths_is_stored_as_before(tmp_path):
    recipe = load_recipe("demo", [])
    assert json.loads(stored_recipe(recipe, tmp_path)) == json.loads(recipe.canonical_json())


@pytest.mark.parametrize(
    "damage", [[], {"data.train.path": "x"}, {"data.train.path": {"folder": 1}}]
)
def test_a_damaged_note_of_folders_is_passed_over_or_told(project, damage):
    tree = json.loads((project / "r.json").read_text()) | {"paths_from": damage}
    (project / "r.json").write_text(json.dumps(tree))
    assert load_recipe(project / "r.json").data.train.tried("path").name == "texts.jsonl"
