"""Judgements in files (JSON lines or CSV): for other programs, from other sources, in archives."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from hyperfitting.errors import StudyError
from hyperfitting.files import read_rows, refuse_to_replace, write_text
from hyperfitting.preference.records import Judgement, JudgementSource
from hyperfitting.preference.store.llm_judgements import KeptReply, LlmJudge
from hyperfitting.preference.store.store import reading_store
from hyperfitting.preference.study import Study
from hyperfitting.spreadsheets import csv_table, unguarded

NEEDED = ("comparison", "annotator", "arm_first", "arm_second", "answer")
"""The columns that rows from elsewhere need. All others are optional."""

_FIELDS = [field.name for field in dataclasses.fields(Judgement)]
_PEOPLE = ["label", "completion_code"]
_TEXTS = ["context_text", "text_first", "text_second"]
_URL_USER = re.compile(r"//[^/@\s\"]*@")  # a name and password in the address of an endpoint
_MOST_ERRORS = 20
_ROW = TypeAdapter(Judgement)


@dataclasses.dataclass(frozen=True)
class ExportedJudgements:
    """An exported file, its number of rows, and whether it holds labels or completion codes."""

    file: Path
    rows: int
    names_people: bool = False


@dataclasses.dataclass(frozen=True)
class CollectedJudgements:
    """Every judgement of a study, the language models among its annotators, and their replies."""

    rows: list[Judgement]
    llm_judges: list[LlmJudge]
    replies: list[KeptReply]


@dataclasses.dataclass(frozen=True)
class ReadJudgements:
    """Judgements from a file, and the optional columns that no row has."""

    rows: list[Judgement]
    missing: tuple[str, ...]


def collected_judgements(study: Study, *, database: str | None = None) -> CollectedJudgements:
    """The judgements of a study from its database, or of an archive from its files.

    Settings of language models are without the name and password of the endpoint's address.

    Raises:
        StudyError: the database cannot be opened, or a file of the archive is damaged.
    """
    if database is None and study.archive is not None:
        # Archives of earlier versions hold no replies.
        kept = study.llm_replies_file
        return CollectedJudgements(
            read_judgements(study.judgements_file),
            read_rows(study.llm_judges_file, LlmJudge),
            read_rows(kept, KeptReply) if kept.is_file() else [],
        )
    with reading_store(study, database) as store:
        rows, judges, replies = store.judgements(), store.llm.judges(), store.llm.every_reply()
    public = [
        dataclasses.replace(each, settings=_URL_USER.sub("//", each.settings)) for each in judges
    ]
    return CollectedJudgements(rows, public, replies)


def export_judgements(
    study: Study, out: Path, *, texts: bool = False, database: str | None = None
) -> ExportedJudgements:
    """Write every judgement of a study to a .jsonl or .csv file, whole or not at all.

    Each row has the annotator's label and completion code, and with `texts` the texts that were
    compared. An earlier export of the same study is replaced.

    Raises:
        InputError: another ending, or `out` holds something else.
        StudyError: `texts` of an archive without texts.
    """
    refuse_to_replace(
        out, ours=lambda path: _is_export_of(path, study.digest), what="export of this study"
    )
    if texts and study.archive is not None and not study.archive.texts:
        raise StudyError(f"{study.folder}: an archive without texts: export from the study itself")
    people = _people(study, database)
    rows = [
        dataclasses.asdict(row)
        | people.get(row.annotator, dict.fromkeys(_PEOPLE))
        | (_texts_of(study, row) if texts else {})
        for row in collected_judgements(study, database=database).rows
    ]
    _write(out, [*_FIELDS, *_PEOPLE, *(_TEXTS if texts else [])], rows)
    named = any(row[name] for row in rows for name in _PEOPLE)
    return ExportedJudgements(out, len(rows), named)


def export_replies(study: Study, out: Path, *, database: str | None = None) -> ExportedJudgements:
    """Write every reply of language models to a .jsonl or .csv file: those that hold an answer, and
    those that do not with the reason.

    Raises:
        InputError: another ending, or `out` holds something else.
    """
    refuse_to_replace(out, ours=_is_export_of_replies, what="export of replies")
    collected = collected_judgements(study, database=database)
    names = {each.annotator: each.name for each in collected.llm_judges}
    rows = []
    for each in collected.replies:
        shown = study.comparison(each.comparison)
        arms = [shown.one.arm, shown.other.arm][:: 1 if each.one_first else -1]
        values = dataclasses.asdict(each) | {"model": names.get(each.annotator)}
        rows.append(values | dict(zip(("arm_first", "arm_second"), arms, strict=True)))
    _write(out, _REPLY_FIELDS, rows)
    return ExportedJudgements(out, len(rows))


_REPLY_FIELDS = [
    "annotator", "model", "comparison", "arm_first", "arm_second", "answer", "text", "seconds",
    "problem",
]  # fmt: skip


def _people(study: Study, database: str | None) -> dict[str, dict[str, str | None]]:
    """Label and completion code of each annotator; an archive knows neither."""
    if database is None and study.archive is not None:
        return {}
    with reading_store(study, database) as store:
        return {
            each.id: {"label": each.label, "completion_code": each.completion_code}
            for each in store.progress().annotators
        }


def _texts_of(study: Study, row: Judgement) -> dict[str, str]:
    shown = study.comparison(row.comparison)
    texts = {each.arm: each.text for each in (shown.one, shown.other)}
    values = shown.context_text, texts[row.arm_first], texts[row.arm_second]
    return dict(zip(_TEXTS, values, strict=True))


def write_judgements(path: Path, rows: Iterable[Judgement]) -> None:
    """Write a .jsonl or .csv file, whole or not at all.

    Raises:
        StudyError: another ending.
    """
    _write(path, _FIELDS, map(dataclasses.asdict, rows))


def _write(path: Path, fields: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    if _format(path) == "jsonl":
        lines = (
            json.dumps({name: row[name] for name in fields}, ensure_ascii=False) for row in rows
        )
        write_text(path, "".join(f"{line}\n" for line in lines))
    else:
        cells = ([_cell(row[name]) for name in fields] for row in rows)
        write_text(path, csv_table(fields, cells, line_end="\r\n"))


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _is_export_of(path: Path, study: str) -> bool:
    """Whether a file holds judgements of one study, given by its digest, and no column that an
    export lacks.
    """
    try:
        rows = list(_values(path, _text_of(path)).values())
        known = {*_FIELDS, *_PEOPLE, *_TEXTS}
        if not rows:
            return set(_text_of(path).strip().split(",")) - {""} <= known
        return all(row["study"] == study and row.keys() <= known for row in rows)
    except (ValueError, LookupError, TypeError, AttributeError, StudyError):
        return False


def _is_export_of_replies(path: Path) -> bool:
    try:
        rows = list(_values(path, _text_of(path)).values())
        return all(row.keys() <= set(_REPLY_FIELDS) for row in rows)
    except (ValueError, AttributeError, StudyError):
        return False


def _format(path: Path) -> Literal["jsonl", "csv"]:
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise StudyError(f"{path}: judgements are kept in .jsonl or .csv files")
    return "csv" if path.suffix.lower() == ".csv" else "jsonl"


def read_judgements(path: Path) -> list[Judgement]:
    """The judgements of a .jsonl or .csv file, as `read_judgements_file` reads them."""
    return read_judgements_file(path).rows


def read_judgements_file(path: Path, *, source: JudgementSource = "human") -> ReadJudgements:
    """The judgements of a .jsonl or .csv file, exported here or made elsewhere.

    A row needs the columns `NEEDED`. Without the others it is a scored answer, its comparison is a
    context of its own, and an analysis that needs more says so. Unknown columns are skipped.

    Args:
        path: the file.
        source: whose the rows are that do not say it.

    Raises:
        StudyError: the file cannot be read, or rows are no judgements; the message names every such
            row, and the field.
    """
    values = _values(path, _text_of(path))
    if not values:
        raise StudyError(f"{path}: no judgement in it")
    named = {name for each in values.values() for name in each}
    if _WRONG not in named and (absent := [repr(each) for each in NEEDED if each not in named]):
        raise StudyError(
            f"{path}: no column {', '.join(absent)}: rows need {', '.join(NEEDED)}, and there are "
            f"{', '.join(sorted(named))}"
        )
    rows: dict[int, Judgement] = {}
    errors: dict[int, str] = {}
    for number, each in values.items():
        try:
            rows[number] = _judgement(each, source, strict=_format(path) == "jsonl")
        except StudyError as error:
            errors[number] = str(error)
    errors |= _contradictions(rows)
    if errors:
        raise StudyError(_all_errors(path, errors))
    return ReadJudgements(list(rows.values()), tuple(each for each in _FIELDS if each not in named))


def _all_errors(path: Path, errors: dict[int, str]) -> str:
    lines = [f"row {number}: {error}" for number, error in sorted(errors.items())]
    if len(lines) == 1:
        return f"{path}, {lines[0]}"
    more = [f"and {len(lines) - _MOST_ERRORS} more"] if len(lines) > _MOST_ERRORS else []
    return "\n  ".join([f"{path}: {len(lines)} rows are wrong:", *lines[:_MOST_ERRORS], *more])


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        ) from error


def _values(path: Path, text: str) -> dict[int, dict[str, Any]]:
    """The values of each row by column, by the row's number. Values that are empty are left out."""
    if _format(path) == "csv":
        # A spreadsheet leaves rows of empty cells behind.
        return {number: row for number, row in enumerate(_csv_rows(path, text), start=1) if row}
    lines = {number: line for number, line in enumerate(text.split("\n"), 1) if line.strip()}
    return {number: _json_row(line) for number, line in lines.items()}


def _json_row(line: str) -> dict[str, Any]:
    """The values of a line. What is wrong with it stands under the key `_WRONG`."""
    try:
        row = json.loads(line)
    except ValueError as error:
        return {_WRONG: f"not JSON: {error}"}
    if not isinstance(row, dict):
        return {_WRONG: "an object is needed, with a judgement's fields"}
    return {name: value for name, value in row.items() if value is not None}


_WRONG = ""


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    """The cells of each row by column, without empty ones and without the apostrophes of an
    export.
    """
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)  # a spreadsheet in German writes semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        for cells in reader:
            if None in cells or None in cells.values():
                yield {_WRONG: "it has not as many cells as the header"}
            else:
                yield {name: unguarded(cell) for name, cell in cells.items() if cell}
    except csv.Error as error:
        raise StudyError(f"{path}: not CSV: {error}") from error


def _judgement(values: dict[str, Any], source: JudgementSource, *, strict: bool) -> Judgement:
    """A judgement from the values of a row, with what it does not say filled in.

    Raises:
        StudyError: everything that is wrong with the row.
    """
    if _WRONG in values:
        raise StudyError(values[_WRONG])
    filled = dict.fromkeys(NEEDED, "") | _filled(values, source)
    missing = [f"no {name!r}" for name in NEEDED if name not in values]
    try:
        row = (
            _ROW.validate_json(json.dumps(filled), strict=True)
            if strict
            else _ROW.validate_strings(filled)
        )
    except ValidationError as error:
        wrong = [_in_words(each) for each in error.errors() if each["loc"][0] in values]
        raise StudyError("; ".join([*missing, *wrong])) from error
    if missing:
        raise StudyError("; ".join(missing))
    if row.arm_first == row.arm_second:
        raise StudyError("arm_first and arm_second are the same")
    return row


def _filled(values: dict[str, Any], source: JudgementSource) -> dict[str, Any]:
    """A row with defaults for the optional values that a judgement cannot be without."""
    texts = {name: str(values.get(name, "")) for name in (*NEEDED, "repeats")}
    context = str(values.get("context", texts["repeats"] or texts["comparison"]))
    return {
        "study": "",
        "assignment": f"{texts['annotator']} {texts['comparison']}",
        "kind": "scored",
        "domain": "all",
        "context": context,
        "group": context,
        "source": source,
        **values,
    }


def _in_words(problem: ErrorDetails) -> str:
    kind, name, value = problem["type"], ".".join(map(str, problem["loc"][:1])), problem["input"]
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


def _contradictions(rows: dict[int, Judgement]) -> dict[int, str]:
    """Rows that judge an assignment again, with which an annotator answers a comparison twice, or
    that name other arms than an earlier row of the comparison; in words by number.
    """
    errors: dict[int, str] = {}
    seen: dict[tuple[str, ...], int] = {}
    arms: dict[tuple[str, str], tuple[frozenset[str], int]] = {}
    for number, row in rows.items():
        pair = frozenset((row.arm_first, row.arm_second))
        before, first = arms.setdefault((row.study, row.comparison), (pair, number))
        claims: dict[tuple[str, ...], str] = {
            (row.study, row.assignment): f"the assignment {row.assignment} has one already"
        }
        if row.kind == "scored" and not row.surplus:
            answered = f"annotator {row.annotator} has answered comparison {row.comparison} already"
            claims["answer", row.study, row.annotator, row.comparison] = answered
        if before != pair:
            errors[number] = f"comparison {row.comparison} has other arms (row {first})"
        for claim, words in claims.items():
            if seen.setdefault(claim, number) != number:
                errors.setdefault(number, f"{words} (row {seen[claim]})")
    return errors
