"""docs/howto/preference.md tells the truth: its tables are the code's, and every verb is there."""

import importlib
import re

import pytest

from hyperfitting.cli import main, parser
from hyperfitting.cli.preference_options import TABLE_NAMES
from hyperfitting.preference.settings_tables import preference_table
from tests.support.pages import code_blocks
from tests.support.source import ROOT

TEXT = (ROOT / "docs" / "howto" / "preference.md").read_text(encoding="utf-8")


def verbs(of):
    """The verbs of a parser, by name."""
    return next(
        action.choices
        for action in of._actions
        if hasattr(action, "choices") and isinstance(action.choices, dict)
    )


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_every_setting_and_field_is_documented(name, capsys):
    assert preference_table(name) in TEXT
    assert main(["preference", "settings", name]) == 0
    assert capsys.readouterr().out == preference_table(name)


def test_every_verb_is_documented():
    names = list(verbs(verbs(parser())["preference"]))
    assert {"create", "invite", "simulate", "judge", "export", "settings"} <= set(names)
    assert [name for name in names if f"hyperfit preference {name}" not in TEXT] == []


def test_the_protocol_shown_is_a_protocol(tmp_path):
    from hyperfitting.preference.design.create import read_protocol

    (block,) = code_blocks(TEXT, "toml")
    (tmp_path / "protocol.toml").write_text(block, encoding="utf-8")
    assert read_protocol(tmp_path / "protocol.toml", {}).items == 60


def test_every_function_in_the_document_is_there():
    names = sorted(set(re.findall(r"`(hyperfitting\.[a-z_.]+)`", TEXT)))
    assert len(names) >= 9
    for name in names:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function)), name
