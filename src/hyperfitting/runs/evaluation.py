"""The answers of one model to benchmarks: a sheet for each benchmark and form.

EVALUATION/
  <sheet>.json    what was in effect, written before the first item
  <sheet>.part    only while the sheet is unfinished: the items so far
  <sheet>.jsonl   all items, in the order of the file

A sheet is called after its benchmark and form, and after chat, examples and limit where there are
any: `mmlu-letters-chat-limit-20`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hyperfitting.errors import RunError
from hyperfitting.facts import read_facts, write_facts
from hyperfitting.files import appending, read_rows, write_rows
from hyperfitting.runs.answers import AnsweredItem, SheetFacts, SheetIdentity


class AnswerSheet:
    """The answers of one model to one benchmark in one form."""

    def __init__(self, folder: Path, name: str):
        self.name = name
        self.facts_file = folder / f"{name}.json"
        self.part_file = folder / f"{name}.part"
        self.items_file = folder / f"{name}.jsonl"

    @property
    def done(self) -> bool:
        """All items are answered."""
        return self.items_file.is_file()

    def facts(self) -> SheetFacts:
        """What was in effect.

        Raises:
            RunError: the file is missing, or damaged.
        """
        return read_facts(self.facts_file, SheetFacts)

    def items(self) -> list[AnsweredItem]:
        """All items, in the order of the file.

        Raises:
            RunError: they are not answered yet, a row is damaged, or some are missing.
        """
        rows = self._read(self.items_file)
        if len(rows) != (asked := self.facts().identity.items):
            raise RunError(f"{self.items_file} holds {len(rows)} of {asked} items: {self._remedy}")
        return rows

    @property
    def _remedy(self) -> str:
        return f"remove {self.name}.* there, and evaluate again"

    def _read(self, path: Path) -> list[AnsweredItem]:
        rows = read_rows(path, AnsweredItem)
        for number, row in enumerate(rows, 1):
            if not row.is_whole:
                raise RunError(
                    f"{path} is damaged: row {number} has a choice that its likelihoods do not "
                    f"have: {self._remedy}"
                )
        return rows

    def begin(self, facts: SheetFacts) -> None:
        """Write what is in effect, or go on under it.

        Raises:
            RunError: other answers stand there; the message names the first setting that differs.
        """
        if self.facts_file.is_file():
            self._refuse_others(facts.identity)
        else:
            write_facts(self.facts_file, facts)

    def _refuse_others(self, now: SheetIdentity) -> None:
        held = self.facts().identity
        for name in SheetIdentity.model_fields:
            before, after = getattr(held, name), getattr(now, name)
            if before != after:
                raise RunError(
                    f"{self.facts_file}: its answers were given with {name} = {_brief(before)}, "
                    f"and {_brief(after)} is asked for: remove {self.name}.* there, or set it back"
                )

    @contextmanager
    def continuing(self, answered: Sequence[AnsweredItem]) -> Iterator[Callable[[Any], None]]:
        """A function that appends an item after those `answered`, and no others."""
        write_rows(self.part_file, answered)
        with appending(self.part_file) as keep:
            yield keep

    def part(self, asked: Sequence[tuple[int, str]]) -> list[AnsweredItem]:
        """The items of an unfinished sheet; a line that a kill cut off is left out.

        Args:
            asked: `item` and `item_sha256` of all that the sheet will hold, in order.

        Raises:
            RunError: a row is damaged, or of another item than the one asked in its place.
        """
        rows = self._read(self.part_file) if self.part_file.is_file() else []
        for number, row in enumerate(rows, 1):
            if (row.item, row.item_sha256) not in asked[number - 1 : number]:
                raise RunError(
                    f"{self.part_file}: row {number} is not of the item that is asked there: "
                    f"{self._remedy}"
                )
        return rows

    def finish(self, items: Sequence[AnsweredItem], facts: SheetFacts) -> None:
        """Write what is known at the end, then all items."""
        write_facts(self.facts_file, facts)
        write_rows(self.items_file, items)
        self.part_file.unlink(missing_ok=True)


class EvaluationFolder:
    """All sheets of one model."""

    def __init__(self, folder: Path):
        self.folder = folder

    def sheet(self, name: str) -> AnswerSheet:
        """The sheet of this name (`SheetIdentity.name`), begun or not."""
        return AnswerSheet(self.folder, name)

    def finished(self) -> list[AnswerSheet]:
        """The sheets all items of which are answered, by name."""
        files = sorted(self.folder.glob("*.jsonl"))
        return [AnswerSheet(self.folder, file.stem) for file in files]

    def refuse_other_files(self) -> None:
        """Refuse a folder that holds anything but sheets.

        Raises:
            RunError: it does, or a file stands there.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is a file, and a folder is needed: choose another --out")
        names = {file.stem for file in self.folder.glob("*.json")}
        held = self.folder.iterdir() if self.folder.is_dir() else ()
        others = [each.name for each in held if each.stem not in names or each.is_dir()]
        if others := [name for name in sorted(others) if not name.startswith(".")]:
            raise RunError(
                f"{self.folder} holds {others[0]}, which is no sheet of answers: choose another "
                "--out"
            )

    def drop_stale(self, weights: str | None) -> bool:
        """Remove all sheets if one was answered with other weights than these; whether it was."""
        sheets = [AnswerSheet(self.folder, file.stem) for file in self.folder.glob("*.json")]
        stale = weights is not None and any(
            sheet.facts().identity.weights != weights for sheet in sheets
        )
        if stale:
            shutil.rmtree(self.folder)
        return stale


def _brief(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
