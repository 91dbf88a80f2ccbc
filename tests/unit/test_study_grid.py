"""A study's file becomes a grid of resolved recipes, or one line that says what is wrong."""

import json
import pickle
from dataclasses import replace

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.studies import Cell, load_study, study_cells

STUDY = """
name = "quantity"
base = "demo"
seeds = [0, 1]
set = { "train.epochs" = "none", "train.updates" = 40 }

[[axes]]
name = "texts"
values = { "data.train_blocks" = [8, 32], "train.batch_blocks" = [4, 8] }

[[axes]]
name = "order"
[[axes.points]]
name = "given"
[[axes.points]]
name = "other"
set = { train.order_seed = 7 }
threads = 2
"""


@pytest.fixture
def study(tmp_path):
    def written(text=STUDY, **changes):
        for old, new in changes.values():
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "study.toml").write_text(text)
        return load_study(tmp_path / "study.toml")

    return written


def test_settings_of_an_axis_are_zipped_and_axes_are_crossed(study):
    cells = study_cells(study())
    assert len(cells) == 2 * 2 * 2
    assert [cell.title for cell in cells[:3]] == [
        "texts 8, order given, seed 0",
        "texts 8, order given, seed 1",
        "texts 8, order other, seed 0",
    ]
    assert [
        (
            cell.recipe.data.train_blocks,
            cell.recipe.train.batch_blocks,
            cell.recipe.train.order_seed,
            cell.recipe.seed,
            cell.threads,
        )
        for cell in cells
    ] == [
        (8, 4, None, 0, None),
        (8, 4, None, 1, None),
        (8, 4, 7, 0, 2),
        (8, 4, 7, 1, 2),
        (32, 8, None, 0, None),
        (32, 8, None, 1, None),
        (32, 8, 7, 0, 2),
        (32, 8, 7, 1, 2),
    ]
    assert {(cell.recipe.train.epochs, cell.recipe.train.updates) for cell in cells} == {(None, 40)}


def test_a_cells_folder_has_a_name_that_does_not_change(study):
    first, *others = [cell.folder_name for cell in study_cells(study())]
    assert first.startswith("texts-8-order-given-seed-0-")
    assert len({first, *others}) == 8
    more = study_cells(
        study(
            seeds=("[0, 1]", "[2, 0]"), points=("[8, 32]", "[32, 8]"), blocks=("[4, 8]", "[8, 4]")
        )
    )
    assert more[4 + 1].folder_name == first


def test_a_name_is_made_once_and_a_worker_is_given_the_same_cell(study):
    cell = study_cells(study())[0]
    assert cell.folder_name is cell.folder_name
    given = pickle.loads(pickle.dumps(cell))
    assert (given, given.folder_name) == (cell, cell.folder_name)
    assert replace(cell, repeat=1).folder_name != cell.folder_name


def test_overrides_change_all_cells(study):
    cells = study_cells(study(), ["train.learning_rate=1e-4"])
    assert {cell.recipe.train.learning_rate for cell in cells} == {1e-4}


def test_paths_count_from_the_studys_folder(study, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    recipe = {"based_on": "demo", "data": {"train": {"path": "mine.jsonl"}}}
    (tmp_path / "base.json").write_text(json.dumps(recipe))
    text = 'name = "s"\nbase = "base.json"\n[[axes]]\nname = "texts"\n'
    text += 'values = { "data.train.path" = ["a.jsonl", "b.jsonl"] }\n'
    places = [cell.recipe.data.train.place("path") for cell in study_cells(study(text))]
    assert places == [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    (alone,) = study_cells(study('name = "s"\nbase = "base.json"\n'))
    assert alone.recipe.data.train.place("path") == tmp_path / "mine.jsonl"
    given = study_cells(study('name = "s"\nbase = "base.json"\n'), ["data.train.path=c.jsonl"])
    assert str(given[0].recipe.data.train.place("path")) == "/c.jsonl"


REFUSED = {
    "no such setting": (
        ('"train.batch_blocks" =', '"train.batch_block" ='),
        r"quantity: axis texts, point 8, axis order, point given: train.batch_block is not a "
        r"setting; did you mean train.batch_blocks\?",
    ),
    "a value that does not fit": (
        ("[8, 32]", '[8, "many"]'),
        'axis texts, point many, .*data.train_blocks = "many": a whole number is needed',
    ),
    "lists of different length": (
        ("[8, 32]", "[8, 32, 64]"),
        "axis texts: .*data.train_blocks has 3, train.batch_blocks has 2",
    ),
    "equal values": (
        ("[8, 32]", "[8, 8]"),
        "axis texts: the values 8 and 8 make the same name, 8: write points, each with a name",
    ),
    "values with the same name": (
        ("[8, 32]", "[0.1, 0.10000001]"),
        r"the values 0\.1 and 0\.10000001 make the same name, 0-1: write points",
    ),
    "equal points": (
        ('name = "other"', 'name = "given"'),
        "two points of axis order have the same name, given: rename or drop one",
    ),
    "no values": (("[8, 32]", "[]"), "axis texts: data.train_blocks has no values: give it a list"),
    "a wrong seed": (("[0, 1]", "[1.5]"), r"toml: seeds\.0 = 1\.5: a whole number is needed$"),
    "values nested too deep": (
        ("[8, 32]", f"{'[' * 300}1{']' * 300}"),
        r"study\.toml: lists or tables are nested too deep$",
    ),
    "a file that is no TOML": (("seeds =", "seeds"), "toml: not a readable study: line 4: "),
    "two axes that set the same": (
        ("train.order_seed = 7", "data.train_blocks = 7"),
        r"two axes set data.train_blocks: let one axis vary it \(texts, order\)",
    ),
    "an axis that sets a part of what another one sets": (
        ("train.order_seed = 7", "data.train_blocks.x = 7"),
        "two axes set data.train_blocks and data.train_blocks.x, of which one holds the other",
    ),
    "two axes with threads": (
        ("[[axes]]\n", '[[axes]]\nname = "x"\npoints = [{ name = "a", threads = 1 }]\n[[axes]]\n'),
        r"two axes set threads: let one axis vary them \(x, order\)",
    ),
    "an axis of seeds": (("train.order_seed = 7", "seed = 7"), "axis order sets seed"),
    "a seed of the base": (
        ('"train.updates" = 40', "seed = 7"),
        r"set sets seed, which seeds does: write seeds = \[\.\.\.\]",
    ),
    "threads of a point that another setting overrides": (
        ('"train.updates" = 40', '"train.updates" = 40, "engine.threads" = 1'),
        r"axis texts, point 8, axis order, point other: engine\.threads = 1 would override the "
        "point's threads = 2: leave out one of them",
    ),
    "the same seed twice": (("[0, 1]", "[0, 0]"), "seeds holds the same seed twice"),
    "the same cell twice": (
        ("set = { train.order_seed = 7 }\nthreads = 2", ""),
        "the cells 'texts 8, order given, seed 0' and 'texts 8, order other, seed 0' are the same "
        "experiment twice: drop a point, or give one of them another repeat",
    ),
    "no such base": (('"demo"', '"dmeo"'), r"toml: base: no recipe 'dmeo': .*mean demo\?"),
    "an unknown key": (("seeds =", "seed ="), "seed is not a setting; did you mean seeds?"),
    "a fault of the base": (
        ('"train.updates" = 40', '"train.update" = 40'),
        r"quantity: base demo: train.update is not a setting; did you mean train.updates\?",
    ),
    "an explosion": (
        ("[0, 1]", str(list(range(300)))),
        r"quantity has 1,200 cells \(texts 2 x order 2 x seeds 300\): shorten an axis, or confirm "
        "more than 1,000 with --yes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_study_is_one_line(study, case):
    change, words = REFUSED[case]
    with pytest.raises(RecipeError, match=words) as refused:
        study_cells(study(change=change))
    assert "\n" not in str(refused.value)


def test_many_cells_can_be_confirmed(study):
    many = study(change=("[0, 1]", str(list(range(251)))))
    assert len(study_cells(many, allow_many=True)) == 1004


@pytest.mark.parametrize(
    ("override", "setter"),
    [
        ("data.train_blocks", "axis texts"),
        ("data.train_blocks.x", "axis texts"),
        ("seed", "seeds"),
    ],
)
def test_an_override_that_would_change_nothing_is_refused(study, override, setter):
    words = f"--set {override} would change nothing: {setter} of quantity sets it"
    with pytest.raises(RecipeError, match=words):
        study_cells(study(), [f"{override}=9"])


def test_threads_of_the_recipe_count_where_no_point_says_otherwise(study):
    points = study(threads=("threads = 2", ""))
    assert {cell.threads_of(4) for cell in study_cells(points, ["engine.threads=3"])} == {3}
    assert study_cells(study(threads=("threads = 2", "threads = 3")), ["engine.threads=3"])


PUBLISHED = """
[[published]]
metric = "ttr"
value = 0.5
source = "a paper"
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("low = 0.9\nhigh = 0.1", "value of ttr: value 0.5 is not between low 0.9 and high 0.1"),
        ("low = 0.1", "value of ttr: set both low and high, or neither"),
        ('at = { text = "8" }', "at text = 8: no axis is called so; did you mean texts?"),
        ('at = { texts = "9" }', "at texts = 9: name 8, 32 or none, or drop the value"),
        ('at = { order = "gven" }', "at order = gven: name given, other or none, or drop the"),
    ],
)
def test_a_published_value_stands_at_a_place_of_the_study(study, more, words):
    with pytest.raises(RecipeError) as refused:
        study(STUDY + PUBLISHED + more)
    assert words in str(refused.value)


@pytest.mark.parametrize("place", ['texts = "8"', "texts = 2000", 'order = "none"', "epoch = 3"])
def test_a_published_value_may_stand_between_the_points(study, place):
    more = f"low = 0.1\nhigh = 0.9\nat = {{ {place} }}"
    assert len(study(STUDY + PUBLISHED + more).published) == 1


def test_repeats_tell_equal_cells_apart(study):
    one, two = study_cells(
        study(
            'name = "again"\nbase = "demo"\n[[axes]]\nname = "time"\n'
            'points = [{ name = "first" }, { name = "second", repeat = 1 }]\n'
        )
    )
    assert one.recipe.digest == two.recipe.digest
    assert one.folder_name != two.folder_name
    assert isinstance(one, Cell)


def test_there_is_no_such_study(tmp_path):
    with pytest.raises(RecipeError, match="no study 'quantty': neither a file nor shipped"):
        load_study("quantty")
    with pytest.raises(RecipeError, match="is a folder, not a study's file"):
        load_study(tmp_path)
    with pytest.raises(RecipeError, match="no study '': neither a file nor shipped"):
        load_study("")
