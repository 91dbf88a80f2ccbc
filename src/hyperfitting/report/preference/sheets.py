"""Tables of a preference report: one sheet serves the page, Markdown and a CSV file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from hyperfitting.preference.analysis.agreement import Coefficient
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.report.kit.tables import csv_text, markdown_grid

CellKind = Literal["text", "count", "share", "number"]
"""How the values of a column are shown."""


@dataclass(frozen=True)
class SheetColumn:
    """One column: its name in CSV, its heading, and the kind of its values."""

    name: str
    title: str
    kind: CellKind = "text"


@dataclass(frozen=True)
class Sheet:
    """One table. `columns[0]` names the rows. A cell is a text, a number, an Interval, a
    Coefficient or None.
    """

    name: str
    title: str
    columns: tuple[SheetColumn, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""

    def readable(self) -> Sheet:
        """The sheet without an empty column of notes, which only the CSV file keeps."""
        kept = [
            index
            for index, column in enumerate(self.columns)
            if column.name != "note" or any(row[index] for row in self.rows)
        ]
        columns = tuple(self.columns[index] for index in kept)
        return replace(
            self, columns=columns, rows=[tuple(row[index] for index in kept) for row in self.rows]
        )


def shown(value: Any, kind: CellKind) -> tuple[str, str]:
    """A cell as (main text, small text): the value, and its bounds or the reason why there are
    none.
    """
    if value is None:
        return "–", ""
    if isinstance(value, Coefficient):
        return number_text(value.value, kind), bounds(value.low, value.high, kind)
    if not isinstance(value, Interval):
        return (value if isinstance(value, str) else number_text(value, kind)), ""
    if value.bound is not None and value.value is None:
        sign, end = ("<", value.high) if value.bound == "upper" else (">", value.low)
        return f"{sign} {number_text(end, kind)}", "one-sided bound"
    if value.bound is not None:
        end = value.high if value.bound == "upper" else value.low
        return number_text(
            value.value, kind
        ), f"{'at most' if value.bound == 'upper' else 'at least'} {number_text(end, kind)}"
    return number_text(value.value, kind), bounds(value.low, value.high, kind)


def bounds(low: float | None, high: float | None, kind: CellKind) -> str:
    """The bounds of an interval as text, without the unit."""
    if low is None or high is None:
        return ""
    join = " to " if low < 0 or high < 0 else "–"
    return _bare(low, kind) + join + _bare(high, kind)


def number_text(value: float | None, kind: CellKind) -> str:
    """A number as text."""
    if value is None:
        return "–"
    if kind == "share":
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    return (
        f"{value:,.0f}"
        if kind == "count"
        else f"{value:.3f}"
        if abs(value) < 0.0995
        else f"{value:.2f}"
    )


def _bare(value: float, kind: CellKind) -> str:
    return number_text(value, kind).removesuffix("\N{NO-BREAK SPACE}%")


def sheet_csv(sheet: Sheet) -> str:
    """A sheet as CSV. An interval has four fields (value, low, high, bound); nothing is rounded."""
    wide = {
        index
        for index in range(len(sheet.columns))
        if any(isinstance(row[index], Interval | Coefficient) for row in sheet.rows)
    }
    ends = ("", "_low", "_high", "_bound")
    names = [
        [column.name + end for end in (ends if index in wide else ends[:1])]
        for index, column in enumerate(sheet.columns)
    ]
    rows = [
        {
            name: field
            for own, cell in zip(names, row, strict=True)
            for name, field in zip(own, _fields(cell, len(own) > 1), strict=True)
        }
        for row in sheet.rows
    ]
    return csv_text(rows)


def _fields(cell: Any, wide: bool) -> list[Any]:
    if not wide:
        return [cell]
    if isinstance(cell, Interval):
        return [cell.value, cell.low, cell.high, cell.bound]
    return (
        [cell.value, cell.low, cell.high, None]
        if isinstance(cell, Coefficient)
        else [cell, None, None, None]
    )


def sheet_markdown(sheet: Sheet) -> str:
    """A sheet in Markdown, bounds in brackets."""
    return markdown_grid(
        [_in_a_cell(column.title) for column in sheet.columns],
        [
            [
                _markdown_cell(cell, column.kind)
                for cell, column in zip(row, sheet.columns, strict=True)
            ]
            for row in sheet.rows
        ],
    )


def _markdown_cell(cell: Any, kind: CellKind) -> str:
    main, small = shown(cell, kind)
    return _in_a_cell(main + (f" ({small})" if small else ""))


def _in_a_cell(text: str) -> str:
    """A text that ends neither its cell nor its line."""
    return " ".join(filter(None, text.splitlines())).replace("|", r"\|")
