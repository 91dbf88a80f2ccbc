"""A file of pairs of texts, from anywhere: its columns, its rows, and everything that is wrong with
them, told together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from hyperfitting.data.formats import format_of, read_source_rows
from hyperfitting.data.rows import RowError, is_null, label_of, look_up, text_of
from hyperfitting.errors import StudyError
from hyperfitting.files import file_sha256, first_few
from hyperfitting.preference.records import AGAIN, SHUFFLED, PairColumn
from hyperfitting.recipe import TextSource

PAIR_FORMATS = (".csv", ".tsv", ".jsonl", ".json")
_COLUMNS: tuple[PairColumn, ...] = get_args(PairColumn)
_NEEDED: tuple[PairColumn, ...] = ("a", "b")
_MOST_LABEL = 100  # characters
_MOST_ID = 50  # characters: the database takes 60 with the ending of a repeat
_MOST_ROWS = 20  # named for one mistake


@dataclass(frozen=True)
class GivenPair:
    """A row of a file of pairs. `id` and `group` are empty where the file has no such column."""

    row: int
    context: str
    texts: tuple[str, str]
    arms: tuple[str, str]
    domain: str
    group: str
    id: str


@dataclass(frozen=True)
class PairsFile:
    """The pairs of a file, the columns that they were taken from, and the rows that are blank."""

    name: str
    sha256: str
    columns: dict[PairColumn, str]
    pairs: tuple[GivenPair, ...]
    blank: tuple[int, ...]


def rows_in_words(rows: Sequence[int]) -> str:
    """The numbers of rows, the first twenty of many."""
    return f"row{'s' * (len(rows) > 1)} {first_few([str(row) for row in rows], _MOST_ROWS)}"


def read_columns(options: Sequence[str]) -> dict[PairColumn, str]:
    """Columns of a file by what they hold, from options such as `a=answer_1`.

    Raises:
        StudyError: an option is none, or names something that no column holds.
    """
    found: dict[PairColumn, str] = {}
    for option in options:
        what, sign, column = (part.strip() for part in option.partition("="))
        known = [each for each in _COLUMNS if each == what]
        if not known or not sign or not column:
            raise StudyError(
                f"--column {option}: write it as a=COLUMN; there are: {', '.join(_COLUMNS)}"
            )
        found[known[0]] = column
    return found


def read_pairs(path: Path, columns: Mapping[PairColumn, str] | None = None) -> PairsFile:
    """The pairs of a .csv, .tsv, .jsonl or .json file.

    Rows are counted from 1, under the header. Without `arm_a` and `arm_b` the arms are called like
    the columns of the texts, without `domain` the domain like the file.

    Args:
        path: the file.
        columns: the columns where they are not called `context`, `a`, `b`, `arm_a`, `arm_b`,
            `domain`, `group` or `id`; `data.text` is the field `text` inside `data`.

    Raises:
        StudyError: a column is missing, or rows cannot be used; the message names all of them.
        DataError: the file cannot be read.
    """
    if format_of(path) not in PAIR_FORMATS:
        raise StudyError(f"{path}: pairs are read from {', '.join(PAIR_FORMATS)} files")
    source = TextSource(path=str(path), column=(columns or {}).get("a", "a"))
    rows = dict(read_source_rows(path, str(path), source, inside=False))
    filled = {number: row for number, row in rows.items() if not _is_blank(row)}
    if not filled:
        raise StudyError(f"{path}: no pair in it")
    found = _found_columns(path, filled, columns or {})
    reading = _Reading(path, found)
    pairs = tuple(reading.pair(number, row) for number, row in filled.items())
    reading.refuse_mistakes(pairs)
    return PairsFile(
        path.name, file_sha256(path), found, pairs, tuple(sorted(rows.keys() - filled.keys()))
    )


def _is_blank(row: Any) -> bool:
    return isinstance(row, dict) and all(map(_is_empty, row.values()))


def _is_empty(value: Any) -> bool:
    return is_null(value) or (isinstance(value, str) and not value.strip())


def _is_missing(row: dict[str, Any], column: str) -> bool:
    """Whether a row has no such field, or an empty one."""
    try:
        return _is_empty(look_up(row, column))
    except KeyError:
        return True


def _found_columns(
    path: Path, rows: Mapping[int, Any], asked: Mapping[PairColumn, str]
) -> dict[PairColumn, str]:
    """The column of each value that the file has."""
    fields = [row for row in rows.values() if isinstance(row, dict)]
    there = list(dict.fromkeys(str(key) for row in fields for key in row))
    if there and there[0].lower().startswith("sep="):
        raise StudyError(f"{path}: remove the first line, {there[0]!r}, which only Excel reads")
    names = {what: asked.get(what, what) for what in _COLUMNS}
    found = {
        what: column
        for what, name in names.items()
        if (column := _column(name, there, fields if what in asked else ())) is not None
    }
    missing = [
        f"--column {what}={name}" if what in asked else repr(what)
        for what, name in names.items()
        if what not in found and (what in asked or what in _NEEDED)
    ]
    if fields and missing:
        raise StudyError(
            f"{path}: no column for {' and '.join(missing)}; there are: "
            f"{first_few(there, _MOST_ROWS)}; name yours with --column a=COLUMN"
        )
    twice = [column for column, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise StudyError(f"{path}: the column {twice[0]!r} is used for two things")
    if "context" in found and all(_is_missing(row, found["context"]) for row in fields):
        del found["context"]
    return found


def _column(name: str, there: Sequence[str], nested_in: Sequence[dict[str, Any]]) -> str | None:
    """The column of a name; capitals and white space at its ends do not matter where only one is
    called so, and it may be a field inside another of some row of `nested_in`.
    """
    if name in there or not all(_is_missing(row, name) for row in nested_in):
        return name
    like = [each for each in there if each.strip().lower() == name.strip().lower()]
    return like[0] if len(like) == 1 else None


def _defaults(path: Path, columns: Mapping[PairColumn, str]) -> dict[PairColumn, str]:
    """What stands for a column that the file does not have. The arms are called like the columns of
    the texts, the domain like the file.
    """
    domain = path.name.split(".")[0]
    arms = [columns.get(what, what).strip() for what in _NEEDED]
    for arm in arms:
        if problem := _problem("arm_a", arm):
            raise StudyError(f"{path}: the column {arm!r} {problem}: give columns arm_a and arm_b")
    return dict.fromkeys(_COLUMNS, "") | {
        "arm_a": arms[0],
        "arm_b": arms[1],
        "domain": "pairs" if _problem("domain", domain) or not domain else domain,
    }


class _Reading:
    """The rows of one file, and what is wrong with them."""

    def __init__(self, path: Path, columns: Mapping[PairColumn, str]):
        self._path, self._columns = path, columns
        self._defaults = _defaults(path, columns)
        self._mistakes: dict[str, list[int]] = defaultdict(list)

    def pair(self, number: int, row: Any) -> GivenPair:
        """The pair of a row, with empty texts in the place of what cannot be used."""
        if isinstance(row, RowError):
            self._mistakes[row.mistake].append(number)
        values = {what: self._value(what, number, row) for what in _COLUMNS}
        arms = values["arm_a"], values["arm_b"]
        if arms[0] == arms[1] != "":
            self._mistakes["arm_a and arm_b are the same"].append(number)
        return GivenPair(
            number,
            values["context"],
            (values["a"], values["b"]),
            arms,
            values["domain"],
            values["group"],
            values["id"],
        )

    def _value(self, what: PairColumn, number: int, row: Any) -> str:
        """The text or label of a row; empty where it cannot be used."""
        column = self._columns.get(what)
        if column is None or isinstance(row, RowError):
            return self._defaults[what]
        is_text = what in ("context", "a", "b")
        try:
            if _is_missing(row, column):
                raise RowError("", number, f"{what} is empty")
            value = (text_of if is_text else label_of)(row, column, "", number) or ""
            if not is_text and (problem := _problem(what, value := value.strip())):
                raise RowError("", number, f"{what} {problem}")
            return value
        except RowError as error:
            self._mistakes[error.mistake].append(number)
            return ""

    def refuse_mistakes(self, pairs: Sequence[GivenPair]) -> None:
        """Refuse the file for all mistakes of its rows at once."""
        rows_of = defaultdict(list)
        for pair in pairs:
            rows_of[pair.id].append(pair.row)
        for id_, rows in rows_of.items():
            if id_ and len(rows) > 1:
                self._mistakes[f"the id {id_!r} stands in several rows"] += rows
        if self._mistakes:
            each = (
                f"{mistake} ({rows_in_words(rows)})" for mistake, rows in self._mistakes.items()
            )
            raise StudyError(f"{self._path}: {'; '.join(each)}: correct or remove these rows")


def _problem(what: PairColumn, label: str) -> str:
    """What is wrong with a label; empty if nothing is."""
    most = _MOST_ID if what == "id" else _MOST_LABEL
    if len(label) > most or not label.isprintable():
        return f"is longer than {most} characters, or not printable"
    if what in ("arm_a", "arm_b") and label == SHUFFLED:
        return f"is {SHUFFLED!r}, the arm of attention checks"
    if what == "id" and label.endswith(AGAIN):
        return f"ends in {AGAIN!r}, as only repeats do"
    if what == "domain" and label == "all":
        return "is 'all', which stands for every domain in the report"
    return ""
