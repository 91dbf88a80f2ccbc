"""The documents tell the truth: settings, metrics, verbs, rooms, links and commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hyperfitting.cli import parser
from hyperfitting.recipe import shipped_recipes
from tests.support.pages import code_blocks
from tests.support.source import FILES, ROOT, room, shown

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "results").rglob("*.md")),
]


def commands(page: Path) -> list[str]:
    """The lines of a page's sh blocks that call `hyperfit`, without their comments."""
    blocks = code_blocks(page.read_text(encoding="utf-8"), "sh")
    whole = (block.replace("\\\n", " ") for block in blocks)
    lines = [line.strip().split(" > ")[0] for block in whole for line in block.splitlines()]
    lines = [re.sub(r"^torchrun .* -m hyperfitting ", "hyperfit ", line) for line in lines]
    return [line for line in lines if line.startswith("hyperfit ")]


COMMANDS = sorted({(command, shown(page)) for page in PAGES for command in commands(page)})


@pytest.mark.parametrize(("command", "page"), COMMANDS)
def test_every_command_parses(command, page):
    arguments = shlex.split(command, comments=True)[1:]
    try:
        assert parser().parse_args(arguments).function
    except SystemExit:
        pytest.fail(f"{page}: {command}")


def test_the_tutorial_shows_commands():
    shown_in = {page for _, page in COMMANDS if page.startswith("docs/tutorial/")}
    assert len(shown_in) == len(list((ROOT / "docs" / "tutorial").glob("*.md"))) == 5


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [each for each in found if not each.startswith(("http://", "https://"))]


def anchors(page: Path) -> set[str]:
    """The names that headings of a page can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_index():
    """By links from page to page, so that nobody has to guess a name."""
    reached: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
            waiting += [each for each in targets if each.suffix == ".md" and each.exists()]
    pages = [each for folder in ("docs", "results") for each in (ROOT / folder).rglob("*.md")]
    assert [shown(page) for page in sorted(pages) if page not in reached] == []


def test_every_verb_and_recipe_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = next(action.choices for action in parser()._actions if action.dest == "verb")
    assert [verb for verb in verbs if f"hyperfit {verb}" not in text] == []
    assert [name for name in shipped_recipes() if f"`{name}`" not in text] == []


def test_every_room_is_in_the_readmes_tree():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert [
        name for name in sorted(rooms) if not re.search(rf"^\s+{name}(\.py|/)\s", text, re.M)
    ] == []


def test_the_readmes_tree_names_nothing_else():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text[text.index("src/hyperfitting/\n") : text.index("\ntests/  ")]
    named = set(re.findall(r"^  (\w+)(?:\.py|/)\s", tree, re.M))
    assert sorted(named - {room(path) for path in FILES}) == []


def test_the_documents_name_no_machine():
    shown = [
        path
        for path in ROOT.rglob("*.md")
        if ".venv" not in path.parts and "runs" not in path.parts
    ]
    for path in [*shown, ROOT / "Makefile", *FILES]:
        assert not re.search(
            r"(?<![\w.~])/(home|root|work|opt|Users)/", path.read_text(encoding="utf-8")
        ), path


WRITTEN = [page for page in PAGES if not page.match("docs/reference/*.md")]
_WHOLE_LINES = ("|", "#", "!")  # of tables, headings and pictures


@pytest.mark.parametrize("page", WRITTEN, ids=shown)
def test_prose_is_wrapped_at_100_characters(page):
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith(_WHOLE_LINES)]
    assert [line for line in lines if len(line) > 100] == []
