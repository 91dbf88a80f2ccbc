"""Judgements in files (JSON lines or CSV), for other programs and from other sources."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from hyperfitting.errors import StudyError
from hyperfitting.files import refuse_to_replace, write_rows, write_text
from hyperfitting.preference.records import Judgement
from hyperfitting.preference.store.store import open_store
from hyperfitting.preference.study import Study

_FIELDS = [field.name for field in dataclasses.fields(Judgement)]
_REQUIRED = [field.name for field in dataclasses.fields(Judgement) if field.default is dataclasses.MISSING]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@dataclasses.dataclass(frozen=True)
class ExportedJudgements:
    """An exported file and its number of judgements."""

    file: Path
    rows: int


def export_judgements(study: Study, out: Path, *, database: str | None = None) -> ExportedJudgements:
    """Write every judgement of a study to a .jsonl or .csv file, whole or not at all.

    An earlier export of the same study is replaced.

    Raises:
        InputError: another ending, or `out` holds something else.
    """
    refuse_to_replace(out, ours=lambda path: _is_export_of(path, study.digest), what="export of this study")
    with open_store(study, database) as store:
        rows = store.judgements()
    write_judgements(out, rows)
    return ExportedJudgements(out, len(rows))


def write_judgements(path: Path, rows: Iterable[Judgement]) -> None:
    """Write a .jsonl or .csv file, whole or not at all.

    In CSV, a text that a spreadsheet would take for a formula gets an apostrophe in front; reading
    removes it.

    Raises:
        StudyError: another ending.
    """
    if _format(path) == "jsonl":
        write_rows(path, rows)
    else:
        write_text(path, _csv_text(rows))


def _is_export_of(path: Path, study: str) -> bool:
    """Whether a file holds judgements of one study, given by its digest, and no column that an
    export lacks.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = [values for _, values in (_csv_rows if _format(path) == "csv" else _json_rows)(path, text)]
    except (UnicodeDecodeError, StudyError):
        return False
    if not rows:
        return text.strip() in ("", ",".join(_FIELDS))
    return all(row.get("study") == study and row.keys() <= set(_FIELDS) for row in rows)


def _format(path: Path) -> Literal["jsonl", "csv"]:
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise StudyError(f"{path}: judgements are kept in .jsonl or .csv files")
    return "csv" if path.suffix.lower() == ".csv" else "jsonl"


def _csv_text(rows: Iterable[Judgement]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_FIELDS)
    for row in rows:
        writer.writerow(_cell(getattr(row, name)) for name in _FIELDS)
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else str(value)


def read_judgements(path: Path) -> list[Judgement]:
    """The judgements of a .jsonl or .csv file, exported here or made elsewhere. Unknown columns are
    skipped.

    Raises:
        StudyError: the file cannot be read, or a row is not a judgement; the message names the row
            and the field.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    rows = _csv_rows(path, text) if _format(path) == "csv" else _json_rows(path, text)
    judgements = [_judgement(f"{path}, row {number}", values) for number, values in rows]
    if not judgements:
        raise StudyError(f"{path}: no judgement in it")
    _each_once(path, judgements)
    return judgements


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values = json.loads(line)
            except ValueError as error:
                raise StudyError(f"{path}, row {number}: not JSON: {error}") from error
            if not isinstance(values, dict):
                raise StudyError(f"{path}, row {number}: an object is needed, with a judgement's fields")
            yield number, values


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        for number, cells in enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), start=1):
            if None in cells or None in cells.values():
                raise StudyError(f"{path}, row {number}: it has not as many cells as the header")
            yield number, {name: _value(name, cell) for name, cell in cells.items() if cell != ""}
    except csv.Error as error:
        raise StudyError(f"{path}: not CSV: {error}") from error


def _value(name: str, cell: str) -> Any:
    kind = _HINTS.get(name)
    if kind is bool:
        return {"true": True, "false": False}.get(cell.lower(), cell)
    if kind in (int, float):
        try:
            return int(cell) if kind is int else float(cell)
        except ValueError:
            return cell
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _judgement(where: str, values: dict[str, Any]) -> Judgement:
    missing = [name for name in _REQUIRED if values.get(name) is None]
    if missing:
        raise StudyError(f"{where}: no {missing[0]!r}")
    kept: dict[str, Any] = {name: values[name] for name in _FIELDS if name in values}
    for name, value in kept.items():
        if not _fits(_HINTS[name], value):
            raise StudyError(
                f"{where}: {name} = {json.dumps(value, default=str)[:60]}: {_expected_value(_HINTS[name])}"
            )
    if kept["answer"] != "equal" and kept["arm_first"] == kept["arm_second"]:
        raise StudyError(f"{where}: arm_first and arm_second are the same")
    fitted: dict[str, Any] = {name: float(v) if _HINTS[name] is float else v for name, v in kept.items()}
    return Judgement(**fitted)


_HINTS: dict[str, Any] = typing.get_type_hints(Judgement)


def _fits(hint: Any, value: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_fits(inner, value) for inner in typing.get_args(hint))
    if hint in (int, float):
        fitting = isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
        return fitting and math.isfinite(value) and value >= 0
    return isinstance(value, hint)


def _expected_value(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return f"it is one of {', '.join(typing.get_args(hint))}"
    return {str: "a text is needed", bool: "true or false is needed"}.get(hint, "a number from 0 on is needed")


def _each_once(path: Path, judgements: Iterable[Judgement]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(judgements, start=1):
        key = (row.study, row.assignment)
        if key in seen:
            raise StudyError(
                f"{path}, judgement {number}: the assignment {row.assignment} has one already (judgement {seen[key]})"
            )
        seen[key] = number
