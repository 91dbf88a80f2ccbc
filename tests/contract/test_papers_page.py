"""docs/papers.md has every value of the papers' recipes, as it is, beside what its source says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from hyperfitting.recipe import recipe_path, shipped_recipes
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
RECIPES = [name for name in shipped_recipes() if re.match("paper|public-code", name)]
SECTIONS = {"model", "data", "data.images", "train", "probe", "generate", "engine"}
SAYS_WHAT_IT_IS = {"name", "description", "based_on"}


def rows_of_the_page(recipe: str) -> dict[str, tuple[Any, str]]:
    """Of a recipe's table: setting -> its value and the words beside it."""
    part = PAGE[re.search(rf"^### `{recipe}`.*$", PAGE, re.M).end() :].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\S+)` \| `(.*)` \| (.+) \|$", part, re.M)
    return {key: (tomllib.loads(f"it = {value}")["it"], words) for key, value, words in rows}


def values_of_the_recipe(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that the file sets; a table in a list is one value."""
    for name, value in tree.items():
        key = prefix + name
        if key in SECTIONS:
            yield from values_of_the_recipe(value, f"{key}.")
        elif isinstance(value, list) and isinstance(value[0], dict):
            yield from ((f"{key}[{number}]", each) for number, each in enumerate(value))
        elif key not in SAYS_WHAT_IT_IS:
            yield key, value


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_table_has_every_value_that_the_recipe_sets(recipe):
    tree = tomllib.loads(recipe_path(recipe).read_text(encoding="utf-8"))
    shown = {key: value for key, (value, _) in rows_of_the_page(recipe).items()}
    assert shown == dict(values_of_the_recipe(tree))


@pytest.mark.parametrize("recipe", RECIPES)
def test_where_the_recipe_calls_the_paper_silent_the_page_does(recipe):
    lines = recipe_path(recipe).read_text(encoding="utf-8").splitlines()
    silent = {line.split(" = ")[0] for line in lines if re.search("# .*paper silent", line)}
    words = {key.rpartition(".")[2]: said for key, (_, said) in rows_of_the_page(recipe).items()}
    unsaid = {key for key in silent if "silent" not in words.get(key, "silent")}
    assert unsaid == set()


def test_numbers_that_the_paper_gives_are_those_that_are_set():
    for key, (value, words) in rows_of_the_page("paper").items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers = {
                float(each.replace(",", "")) for each in re.findall(r"\d[\d,.e-]*\d|\d", words)
            }
            said = value in numbers or (value == 0 and words == "no weight decay")
            assert said or "silent" in words, (key, value, words)


def test_there_are_tables_of_all_of_them():
    assert re.findall(r"^### `(\S+)`", PAGE, re.M) == [
        "paper",
        "paper-deepseek-7b",
        "paper-llama-8b",
        "paper-llama-70b",
        "paper-imagegpt",
        "public-code",
    ]
    assert len(RECIPES) == 6
