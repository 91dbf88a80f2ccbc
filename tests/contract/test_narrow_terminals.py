"""What the command line prints fits a terminal of 80 columns; a program that reads it gets whole
lines.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from hyperfitting.cli import main
from hyperfitting.cli.console import folded
from hyperfitting.cli.study_text import StatusTable
from hyperfitting.progress import Console
from hyperfitting.recipe import load_recipe
from hyperfitting.recipe.load import shipped_descriptions
from hyperfitting.stages.plan import plan_memory
from hyperfitting.studies.status import StudyStatus


class Terminal(io.StringIO):
    """Text as a terminal gets it."""

    def isatty(self) -> bool:
        return True


@contextmanager
def terminal(columns: int = 80, kind: str = "xterm") -> Iterator[Terminal]:
    """Standard output and error as a terminal of so many columns."""
    drawn = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", "24")
        patch.setenv("TERM", kind)
        with redirect_stdout(drawn), redirect_stderr(drawn):
            yield drawn


def test_words_are_not_cut_at_the_terminals_edge():
    line = f"set       {'word ' * 30}asset:tales/{'x' * 90}"
    with terminal():
        lines = folded(line, 10).splitlines()
    *fit, name = lines
    assert max(map(len, fit)) <= 80
    assert name.strip() == f"asset:tales/{'x' * 90}"  # a name is never cut
    assert all(each.startswith(" " * 10) for each in lines[1:])
    assert " ".join(" ".join(lines).split()) == " ".join(line.split())


def test_lines_stay_whole_where_a_program_reads_them(capsys):
    assert folded("word " * 40, 10) == "word " * 40
    assert main(["recipes", "list"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(shipped_descriptions()) + 1


@pytest.mark.parametrize("arguments", [["recipes", "list"], ["study", "list"]])
def test_lists_fit_and_hang_under_their_second_column(arguments):
    with terminal() as drawn:
        assert main(arguments) == 0
    lines = drawn.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(" " * 19) and line[19] != " " for line in lines)


@pytest.mark.parametrize("group", [[], ["study"], ["preference"]])
def test_help_fits_and_its_verbs_stand_in_one_column(group):
    """It is printed where no verb is given, and ends with code 2."""
    with terminal() as drawn, pytest.raises(SystemExit, match="2"):
        raise SystemExit(main(group))
    lines = drawn.getvalue().splitlines()
    assert max(len(line) for line in lines if not line.startswith("Documents: ")) <= 80
    verbs = lines[lines.index("verbs:") + 1 :]
    starts = {found.end() for line in verbs if (found := re.match(r"  [a-z-]+ +(?=\S)", line))}
    assert len(starts) == 1


def test_a_plan_that_is_wider_than_the_terminal_is_told_in_lines(monkeypatch):
    plan = ["plan", "demo", "--memory", "64MiB"]
    made = functools.cache(lambda memory: plan_memory(load_recipe("demo"), memory=memory))
    monkeypatch.setattr(
        "hyperfitting.stages.plan.plan_memory", lambda *_, memory, count: made(memory)
    )
    with terminal() as drawn:
        assert main(plan) == 0
    lines = drawn.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    told = "bf16-autocast, micro-batch 8, checkpointing off: "
    (choice,) = (line for line in lines if line.startswith(told))
    assert choice.endswith("does not fit 64.0 MiB")
    with terminal(140) as drawn:
        assert main(plan) == 0
    assert "fits 64.0 MiB" in drawn.getvalue().splitlines()[1]


def test_an_experiment_is_listed_in_two_lines_where_one_is_too_wide(finished):
    with terminal(100) as drawn:
        assert main(["runs", str(finished.folder)]) == 0
    first, second = drawn.getvalue().splitlines()
    assert first.startswith("reported   tiny-")
    assert len(first) < 80
    assert second.startswith("           loss ")
    assert second.endswith(str(finished.folder))


def bar_of(total: int, columns: int = 80) -> str:
    """What is drawn of a bar with a long note."""
    with (
        terminal(columns) as drawn,
        Console().bar("training (stage 1 of 4)", total, start=2) as bar,
    ):
        if total:
            bar.advance(0, note="loss 4.958, about 12 min left in all")
            bar._drawn.refresh()
    return drawn.getvalue()


def test_the_time_left_for_all_stages_is_not_cut_off():
    drawn = bar_of(60)
    assert max(len(line.rstrip()) for line in re.split(r"[\r\n]", drawn)) <= 80
    assert "about 12 min left in all]" in drawn
    assert "it/s" not in drawn
    assert "it/s" in bar_of(60, columns=140)


def test_a_bar_without_steps_is_its_label():
    assert "training (stage 1 of 4) ..." in bar_of(0)
    assert "0it" not in bar_of(0)


@pytest.mark.parametrize(("kind", "moves"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(kind, moves):
    table, status = StatusTable(), StudyStatus("curves", Path("curves"), ())
    with terminal(kind=kind) as drawn:
        for _ in range(2):
            table.show(status)
    assert ("\x1b[" in drawn.getvalue()) == moves
