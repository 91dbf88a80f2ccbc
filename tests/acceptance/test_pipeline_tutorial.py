"""The tutorial and the README's own-model section: every line for a shell, in order, from an empty
folder, on tiny settings. The tutorial's last part has a test of its own in tests/stages.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from hyperfitting.cli import main, parser
from tests.support.pages import code_blocks
from tests.support.source import ROOT

pytestmark = pytest.mark.slow

TINY = (
    "train.epochs=1",
    "data.train_blocks=8",
    "data.validation_blocks=4",
    'data.domains=[{name="fiction", count=10}]',
    "probe.contexts=4",
    "probe.new_tokens=8",
    "generate.new_tokens=104",
)
TUTORIAL = sorted((ROOT / "docs" / "tutorial").glob("[1-4]-*.md"))
ONLY_PARSED = {"serve", "plan"}
"""It goes on until it is stopped; or it plans models of seventy thousand times the size."""


def lines(text: str) -> list[list[str]]:
    """The lines that call `hyperfit`, as words."""
    code = "".join(code_blocks(text, "sh")).replace("\\\n", " ")
    words = [shlex.split(line, comments=True) for line in code.splitlines()]
    return [each[1:] for each in words if each[:1] == ["hyperfit"]]


def tiny(words: list[str]) -> list[str]:
    """The same command with settings that take seconds."""
    if words[0] in ("demo", "run", "check", "train"):
        return [*words, *(part for setting in TINY for part in ("--set", setting))]
    return [*words, "--draws", "20"] if words[:2] == ["preference", "analyse"] else words


def follow(commands: list[list[str]], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Call each, and give what it said."""
    said = {}
    for words in commands:
        if ONLY_PARSED & set(words[:2]):
            assert parser().parse_args(words).function
            continue
        assert main(tiny(words)) == 0, (words, capsys.readouterr().err)
        said[" ".join(words)] = capsys.readouterr().out
    return said


def test_the_tutorial_from_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = [words for page in TUTORIAL for words in lines(page.read_text(encoding="utf-8"))]
    rest = [words for words in commands if words != ["preference", "analyse", "study"]]
    said = follow(rest, capsys)
    for place in ("demo/report/index.html", "mine-1/recipe.json", "comparison/index.html"):
        assert Path(place).is_file()
    assert Path("rehearsal/report-simulated/index.html").is_file()
    assert said["preference analyse rehearsal"]
    assert len(said["preference invite study --count 5"].split("/i/")) == 6
    assert len({tuple(words) for words in commands}) >= 18


def test_the_readme_with_a_model_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = follow([words for words in lines(readme) if words[0] != "demo"], capsys)
    assert Path("mine/report/index.html").is_file()
    assert any(words.startswith("write mine") for words in said)


def test_the_study_of_learning_rates(tmp_path, monkeypatch, capsys):
    """The how-to's file is run, and its lines of Python read the cells."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "howto" / "learning-rate.md").read_text(encoding="utf-8")
    (study,) = (code for code in code_blocks(page, "toml") if "[[axes]]" in code)
    Path("rate.toml").write_text(study, encoding="utf-8")
    assert main(["recipes", "copy", "demo", "mine.toml"]) == 0
    (run,) = (words for words in lines(page) if words[:2] == ["study", "run"])
    short = [*TINY[:-1], "generate.new_tokens=16"]
    changes = [part for setting in short for part in ("--set", setting)]
    assert main([*run, *changes]) == 0, capsys.readouterr().err
    capsys.readouterr()
    (code,) = code_blocks(page, "python")
    exec(compile(code, "learning-rate.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 * (1 + 2)
    assert [float(number) for line in said if " " in line for number in line.split()[2:]]
