"""The documents tell the truth: settings, metrics, verbs, rooms, links and commands."""

from __future__ import annotations

import re

from hyperfitting.cli import parser
from hyperfitting.metrics.specs.reference import metrics_markdown
from hyperfitting.recipe import settings_markdown, shipped_recipes
from tests.support.source import FILES, ROOT, room


def test_every_setting_is_documented():
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_markdown()


def test_every_metric_is_documented():
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_markdown()


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
