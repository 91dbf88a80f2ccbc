"""The generated pages of docs/reference are what the code says, and the site knows every page."""

from __future__ import annotations

import re

import pytest

import hyperfitting
from pages import PAGES, REFERENCE
from pages.models import MODELS, NOT_MEASURED, recipes_without_a_model
from tests.support.source import ROOT, shown

NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"models"}))
def test_the_page_is_what_the_code_says(name):
    assert page(name) == PAGES[name](), f"python -m pages {name}"


@pytest.mark.slow
def test_sizes_and_memory_of_models_are_those_of_the_plan():
    """Two minutes: the shapes of the papers' models are planned, the largest on eight devices."""
    assert page("models") == PAGES["models"](), "python -m pages models"


def test_models_of_all_shipped_recipes_are_on_their_page():
    assert recipes_without_a_model() == set()
    text = page("models")
    for model in MODELS:
        recipes = ", ".join(f"`{name}`" for name in model.recipes)
        assert re.search(rf"^\| {re.escape(model.name)} \| {recipes} \| [\d,]+ \|", text, re.M)
        assert f"| {model.licence} |" in text
        assert f"| {model.name} | {model.measured} |" in text


def test_what_was_measured_of_models_stands_in_the_results():
    results = "".join(
        (ROOT / "results" / name).read_text(encoding="utf-8")
        for name in ("claims.md", "benchmarks.md")
    )
    said = [model.measured for model in MODELS if model.measured != NOT_MEASURED]
    figures = [each for text in said for each in re.findall(r"21 min 39 s|[\d,.]+ tokens/s", text)]
    assert len(figures) == 3
    assert [each for each in figures if each.removesuffix(" tokens/s") not in results] == []
    assert re.findall(r"(\d+) to (\d+) s for `hyperfit demo`", said[0]) == [("84", "86")]
    table = results[results.index("| seed | train loss") : results.index("(Wall: the whole")]
    seconds = [int(row.split("|")[-3]) for row in table.strip().splitlines()[2:]]
    assert (min(seconds), max(seconds)) == (84, 86)


def test_every_public_name_is_on_the_page_of_the_library():
    named = re.findall(r"^::: hyperfitting\.(\w+)$", page("python"), re.M)
    assert sorted(named) == sorted(set(hyperfitting.__all__) - {"__version__"})


def test_the_navigation_names_every_page():
    """`make docs` says so too, but it is no test."""
    named = re.findall(r"^ +- (?:[\w ]+: )?(\S+\.md)$", NAVIGATION, re.M)
    assert len(named) == len(set(named))
    inside = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    results = {shown(path) for path in (ROOT / "results").glob("*.md")}
    assert set(named) == inside | results | {"CHANGELOG.md", "LOG.md", "CONTRIBUTING.md"}


def test_nothing_on_the_site_comes_from_elsewhere():
    assert re.findall(r"https?:", NAVIGATION) == []
    assert "font: false" in NAVIGATION
    for path in (ROOT / "docs" / "site").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?:|@import|url\(", text) == [], path


def test_the_page_of_files_names_each_file_whose_fields_are_described():
    from pages.fields import FILES

    text = page("files")
    names = [file.rpartition("/")[2] for file, _ in FILES]
    assert [name for name in names if name not in text and f"`{name[7:]}`" not in text] == []
