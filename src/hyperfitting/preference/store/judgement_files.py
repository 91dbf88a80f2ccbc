"""Judgements in files (JSON lines or CSV): for other programs, from other sources, in archives."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from hyperfitting.errors import StudyError
from hyperfitting.files import read_rows, refuse_to_replace, write_rows, write_text
from hyperfitting.preference.records import Judgement
from hyperfitting.preference.store.llm_judgements import LlmJudge
from hyperfitting.preference.store.store import open_store
from hyperfitting.preference.study import Study

_FIELDS = [field.name for field in dataclasses.fields(Judgement)]
_URL_USER = re.compile(r"//[^/@\s\"]*@")  # a name and password in the address of an endpoint
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@dataclasses.dataclass(frozen=True)
class ExportedJudgements:
    """An exported file and its number of judgements."""

    file: Path
    rows: int


@dataclasses.dataclass(frozen=True)
class CollectedJudgements:
    """Every judgement of a study, and the language models among its annotators."""

    rows: list[Judgement]
    llm_judges: list[LlmJudge]


def collected_judgements(study: Study, *, database: str | None = None) -> CollectedJudgements:
    """The judgements of a study from its database, or of an archive from its files.

    Settings of language models are without the name and password of the endpoint's address.

    Raises:
        StudyError: the database cannot be opened, or a file of the archive is damaged.
    """
    if database is None and study.archive is not None:
        judges = read_rows(study.llm_judges_file, LlmJudge)
        return CollectedJudgements(read_judgements(study.judgements_file), judges)
    with open_store(study, database) as store:
        rows, judges = store.judgements(), store.llm.judges()
    public = [
        dataclasses.replace(each, settings=_URL_USER.sub("//", each.settings)) for each in judges
    ]
    return CollectedJudgements(rows, public)


def export_judgements(
    study: Study, out: Path, *, database: str | None = None
) -> ExportedJudgements:
    """Write every judgement of a study to a .jsonl or .csv file, whole or not at all.

    An earlier export of the same study is replaced.

    Raises:
        InputError: another ending, or `out` holds something else.
    """
    refuse_to_replace(
        out, ours=lambda path: _is_export_of(path, study.digest), what="export of this study"
    )
    rows = collected_judgements(study, database=database).rows
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
        rows = list(
            _csv_rows(path, text)
            if _format(path) == "csv"
            else map(json.loads, _json_lines(text).values())
        )
        if not rows:
            return text.strip() in ("", ",".join(_FIELDS))
        return all(row["study"] == study and row.keys() <= set(_FIELDS) for row in rows)
    except (UnicodeDecodeError, ValueError, LookupError, TypeError, AttributeError, StudyError):
        return False


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
        raise StudyError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        ) from error
    if _format(path) == "csv":
        cells = enumerate(_csv_rows(path, text), start=1)
        judgements = [
            _judgement(f"{path}, row {number}", _ROW.validate_strings, row) for number, row in cells
        ]
    else:
        lines = _json_lines(text).items()
        judgements = [
            _judgement(f"{path}, row {number}", _strict_json, line) for number, line in lines
        ]
    if not judgements:
        raise StudyError(f"{path}: no judgement in it")
    _each_once(path, judgements)
    return judgements


_ROW = TypeAdapter(Judgement)


def _strict_json(line: str) -> Judgement:
    return _ROW.validate_json(line, strict=True)


def _json_lines(text: str) -> dict[int, str]:
    """The lines that are not empty, by number."""
    return {number: line for number, line in enumerate(text.split("\n"), start=1) if line.strip()}


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    """The cells of each row by column, without empty ones and without the apostrophes of an
    export.
    """
    try:
        for number, cells in enumerate(
            csv.DictReader(io.StringIO(text, newline=""), strict=True), start=1
        ):
            if None in cells or None in cells.values():
                raise StudyError(f"{path}, row {number}: it has not as many cells as the header")
            yield {
                name: cell.removeprefix("'") if _is_guarded(cell) else cell
                for name, cell in cells.items()
                if cell
            }
    except csv.Error as error:
        raise StudyError(f"{path}: not CSV: {error}") from error


def _is_guarded(cell: str) -> bool:
    return cell.startswith("'") and cell[1:].startswith(_FORMULA)


def _judgement(where: str, parse: Callable[[Any], Judgement], values: object) -> Judgement:
    try:
        row = parse(values)
    except ValidationError as error:
        raise StudyError(f"{where}: {_in_words(error.errors()[0])}") from error
    if row.answer != "equal" and row.arm_first == row.arm_second:
        raise StudyError(f"{where}: arm_first and arm_second are the same")
    return row


def _in_words(problem: ErrorDetails) -> str:
    kind, name, value = problem["type"], ".".join(map(str, problem["loc"][:1])), problem["input"]
    if kind == "json_invalid":
        return f"not JSON: {problem['msg']}"
    if not name:
        return "an object is needed, with a judgement's fields"
    if kind == "missing" or value is None:
        return f"no {name!r}"
    needed = {
        "string_type": "a text",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
    }.get(kind)
    if kind == "literal_error":
        needed = f"one of {problem['ctx']['expected']}"
    return (
        f"{name} = {json.dumps(value, default=str)[:60]}: {needed or 'a number from 0 on'} is "
        "needed"
    )


def _each_once(path: Path, judgements: Iterable[Judgement]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(judgements, start=1):
        key = (row.study, row.assignment)
        if key in seen:
            raise StudyError(
                f"{path}, judgement {number}: the assignment {row.assignment} has one already "
                f"(judgement {seen[key]})"
            )
        seen[key] = number
