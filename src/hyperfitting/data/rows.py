"""The fields of one row of a source, and the errors of rows."""

from __future__ import annotations

import datetime
import decimal
from collections import Counter
from collections.abc import Callable
from typing import Any

from hyperfitting.data.decode import NUL
from hyperfitting.encoding import plain_line_ends
from hyperfitting.errors import DataError

_SCALARS = (int, float, decimal.Decimal, datetime.date, datetime.time)


class RowError(DataError):
    """A row that cannot be used. `mistake` is equal for all rows with the same problem."""

    def __init__(self, name: str, row: int, mistake: str, detail: str = ""):
        super().__init__(f"{name}, row {row}: {mistake}{detail}")
        self.mistake = mistake


class Mistakes:
    """Warns of rows that cannot be used, in at most three lines for each mistake: three rows, or
    two and a count.
    """

    def __init__(self, on_warning: Callable[[str], None]):
        self._on_warning = on_warning
        self._counts: Counter[str] = Counter()
        self._third: dict[str, str] = {}

    def add(self, error: RowError) -> None:
        """Warn of a row, or count it."""
        self._counts[error.mistake] += 1
        count = self._counts[error.mistake]
        if count < 3:
            self._on_warning(str(error))
        elif count == 3:
            self._third[error.mistake] = str(error)

    def close(self) -> None:
        """Warn of the rows that were only counted."""
        for mistake, line in self._third.items():
            more = self._counts[mistake] - 2
            self._on_warning(line if more == 1 else f"... and {more:,} more rows: {mistake}")


def look_up(row: dict[str, Any], column: str) -> Any:
    """The value of a field; a dotted name also looks inside objects and lists: `data.text`,
    `all.0`.

    Raises:
        KeyError: the row has no such field.
    """
    if column in row:
        return row[column]
    node: Any = row
    for part in column.split("."):
        if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        elif node is None:
            return None
        else:
            raise KeyError(column)
    return node


def has_field(row: dict[str, Any], column: str) -> bool:
    """Whether `look_up` finds the field."""
    try:
        look_up(row, column)
    except KeyError:
        return False
    return True


def is_null(value: Any) -> bool:
    """Whether a value is None or NaN, which tables hold for missing values."""
    return value is None or (isinstance(value, float) and value != value)


def text_of(row: dict[str, Any], column: str, name: str, number: int) -> str | None:
    """The text of a field; None if it is null.

    Raises:
        RowError: there is no such field, or it does not hold text.
    """
    value = value_of(row, column, name, number)
    if is_null(value):
        return None
    if not isinstance(value, str):
        raise RowError(
            name,
            number,
            f"the field {column!r} holds {_kind(value)}, not text",
            ": correct the row, or name another field as the source's column",
        )
    return _as_text(value, column, name, number)


def label_of(row: dict[str, Any], column: str, name: str, number: int) -> str:
    """The value of a field that names something, such as a group, as text; numbers and dates are
    converted.

    Raises:
        RowError: there is no such field, it is null, or it holds a list or an object.
    """
    value = value_of(row, column, name, number, setting="group")
    if not is_label(value):
        raise RowError(
            name,
            number,
            f"the field {column!r} holds {_kind(value)}, not text or a number",
            ": correct the row, or name another field as the source's group",
        )
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return _as_text(written, column, name, number)


def is_label(value: Any) -> bool:
    """Whether a value can name something: text, a number, a date."""
    return isinstance(value, (str, *_SCALARS)) and not is_null(value)


def value_of(
    row: dict[str, Any], column: str, name: str, number: int, *, setting: str = "column"
) -> Any:
    """The value of a field, whatever it holds.

    Raises:
        RowError: there is no such field; names those that there are.
    """
    try:
        return look_up(row, column)
    except KeyError:
        there = ", ".join(str(key) for key in row) or "none"
        raise RowError(
            name,
            number,
            f"no field {column!r}",
            f"; there are: {there[:300]}: name one as the source's {setting}",
        ) from None


def _as_text(value: str, column: str, name: str, number: int) -> str:
    if "\0" in value:
        raise RowError(name, number, f"the field {column!r}: {NUL}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        mistake = (
            f"the field {column!r} holds half of a surrogate pair, which is not a character: "
            "correct the row"
        )
        raise RowError(name, number, mistake) from error
    return plain_line_ends(value)


def _kind(value: Any) -> str:
    return "null" if is_null(value) else type(value).__name__
