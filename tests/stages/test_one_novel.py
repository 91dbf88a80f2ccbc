"""One long text as a .txt, through `check` and `run`: what is trained on, what is held out, what is
in no block.
"""

import json
import re

import pytest

from hyperfitting import pipeline
from hyperfitting.cli.text import check_lines
from hyperfitting.models import load_codec
from hyperfitting.recipe import parse_recipe
from hyperfitting.stages.check import check_recipe
from tests.support.novels import HEADING, write_novel
from tests.support.recipes import tiny_tree


def recipe_of(model, path, **data):
    tree = tiny_tree(model, path)
    tree["data"] |= {"blocks": "passages", "train_blocks": 40, "block_tokens": 64, **data}
    tree["train"]["epochs"], tree["report"] = 1, {"examples": 0}
    tree["generate"]["strategies"] = [
        {"name": "greedy", "method": "greedy"},
        {"name": "blocked", "method": "greedy", "blocker": {"tokens": 1}},
    ]
    return parse_recipe(tree, source="test")


@pytest.mark.parametrize("blank_lines", [True, False])
def test_a_novel_goes_through_check_and_run(tmp_path, tiny_model, blank_lines):
    path = write_novel(tmp_path / "novel.txt", blank_lines=blank_lines)
    text, recipe = path.read_text(), recipe_of(tiny_model, path)
    said = check_lines(check_recipe(recipe, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    experiment = pipeline.run(recipe, tmp_path / "out", device="cpu")
    assert (tmp_path / "out" / "report" / "index.html").is_file()

    # The blocks stand in the book word for word, and nothing held out stands where training may
    # take from.
    codec, places = load_codec(recipe.model), {}
    for name in ("train", "validation", "pieces"):
        parts = [codec.decode(ids) for ids in experiment.blocks(name).ids_NT.tolist()]
        assert all(text.count(part) == 1 for part in parts)
        places[name] = sorted((text.index(part), text.index(part) + len(part)) for part in parts)
    spans = [(each[0][0], each[-1][1]) for each in places.values()]
    assert spans[0][1] <= spans[1][0] < spans[1][1] <= spans[2][0]

    # What is told of each set is what was drawn.
    facts = {each.name: each.passages for each in experiment.manifest.sets}
    for name, found in places.items():
        told = facts[name]
        assert told.taken_characters == sum(end - start for start, end in found)
        assert (
            f"{len(found)} of {told.passages} passages: {told.taken_characters / len(text):.1%} of "
            "the" in said
        )
    assert sum(each.kept_characters for each in facts.values()) == pytest.approx(len(text), abs=3)
    assert said.count("fewer than 10 groups: its values get no intervals") == 1

    # A passage is cited by its number, and the blocker reads the passages as training text.
    assert all(
        re.fullmatch(r"passage \d+", each.title) for each in experiment.blocks("train").origins
    )
    blocked = [
        json.loads(line)
        for line in experiment.run("hyperfitted").blocked_file.read_text().splitlines()
    ]
    assert blocked
    assert set(blocked[0]) >= {"passages", "citation"}

    # How often it forbade the model's choice is a metric of the strategy that has it.
    forbidden = sum(row["changed_greedy"] and not row["gave_way"] for row in blocked)
    [measured] = [
        row for row in experiment.run("hyperfitted").metrics() if row.name == "blocked_greedy_share"
    ]
    texts = experiment.run("hyperfitted").continuations()
    written = sum(len(each.ids) for each in texts if each.strategy == "blocked")
    assert (measured.strategy, measured.n) == ("blocked", 12)
    assert measured.value == pytest.approx(forbidden / written)
    assert measured.value > 0
    assert {each.group for each in texts if each.variant == "hyperfitted"} == {
        f"{path}:1, contexts"
    }


def test_chapters_give_groups_of_their_own(tmp_path, tiny_model):
    path = write_novel(tmp_path / "novel.txt", chapters=30, paragraphs=8)
    recipe = recipe_of(
        tiny_model,
        path,
        chapter_pattern=HEADING,
        shares=[0.4, 0.1, 0.5],
        domains=[{"name": "own", "count": 40}],
    )
    said = check_lines(check_recipe(recipe, tmp_path / "out"))
    assert "all groups are chapters of one document: the intervals hold for it alone" in said
    assert "no intervals" not in said
