"""Text of a file -> numbered rows, for each format. `rows` checks their fields."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from hyperfitting.data.decode import PACKED, decode, optional, read_bytes
from hyperfitting.data.rows import RowError, has_field
from hyperfitting.encoding import plain_line_ends
from hyperfitting.errors import DataError
from hyperfitting.recipe import TextSource

PLAIN = (".txt", ".md")
"""Endings of files without fields."""

FORMATS = (*PLAIN, ".jsonl", ".json", ".csv", ".tsv", ".parquet")
IN_WORDS = f"{', '.join(FORMATS)} file (also {', '.join(PACKED)})"

IMAGE_FILES = (".png", ".jpg", ".jpeg")
"""Endings of files that are one image."""

IMAGE_FORMATS = (*IMAGE_FILES, ".npz", ".parquet")
"""Endings of files that hold images."""

SourceRow = tuple[int, "str | dict[str, Any] | RowError"]
"""A row's number, from 1 on, and its content: a whole document, fields, or the error of a row that
cannot be used.
"""


def format_of(path: Path) -> str:
    """The ending that names a file's format, in lower case, without that of a packing."""
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower()


def read_source_rows(
    path: Path, name: str, source: TextSource, *, inside: bool
) -> Iterator[SourceRow]:
    """The rows of one file. Messages call it `name`; with `inside` a file without fields is one
    document.

    Raises:
        DataError: the file cannot be read, or is not of its format.
    """
    kind, data = format_of(path), read_bytes(path, name)
    if kind == ".parquet":
        return parquet_rows(data, name, source)
    text = decode(data, path, name)
    if kind in PLAIN:
        return _plain_rows(text, name, source, inside=inside)
    if kind in (".csv", ".tsv"):
        return _table_rows(text, name, "\t" if kind == ".tsv" else None)
    return (
        _json_rows(text, name) if kind == ".jsonl" else _whole_json_rows(text, name, source.column)
    )


def _plain_rows(text: str, name: str, source: TextSource, *, inside: bool) -> Iterator[SourceRow]:
    """The documents of a file without fields, without newlines at their ends; those of white space
    only are skipped.
    """
    kind = ("file" if inside else "paragraph") if source.documents == "auto" else source.documents
    if source.separator is not None:
        parts = text.split(plain_line_ends(source.separator))
        if len(parts) == 1 and not inside:
            raise DataError(
                f"{name}: the separator {source.separator!r} does not occur in it: check "
                "`separator`"
            )
    else:
        parts = [text] if kind == "file" else list(_paragraphs(text))
    return enumerate((part.strip("\n") for part in parts if part.strip()), 1)


def _paragraphs(text: str) -> Iterator[str]:
    """The parts of a text between blank lines; a line of white space is blank."""
    for is_blank, lines in groupby(text.split("\n"), key=lambda line: not line.strip()):
        if not is_blank:
            yield "\n".join(lines)


def _json_rows(text: str, name: str) -> Iterator[SourceRow]:
    """One object on each line; a row's number is that of its line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _json_row(line, name, number)


def _json_row(line: str, name: str, number: int) -> dict[str, Any] | RowError:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        if line.strip() == "[":
            return RowError(name, number, _ARRAY)
        return RowError(
            name,
            number,
            "not JSON",
            f", from character {error.pos + 1} on: correct or remove the line",
        )
    except (ValueError, RecursionError):
        return RowError(
            name, number, "not JSON that can be read: a number too long, or too many brackets"
        )
    if isinstance(row, list):
        return RowError(name, number, _ARRAY)
    return row if isinstance(row, dict) else RowError(name, number, _NO_OBJECT)


_NO_OBJECT = "not a JSON object with named fields"
_ARRAY = f"{_NO_OBJECT}, but a JSON array: give one object a line, or name the file .json"


def _whole_json_rows(text: str, name: str, column: str) -> Iterator[SourceRow]:
    """The rows of an array of objects, of an object with one such array, of a single object, or of
    an object a line.
    """
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Extra data") or not text.strip():
            yield from _json_rows(text, name)
            return
        raise DataError(
            f"{name}, line {error.lineno}: not JSON, from character {error.colno} on: correct it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}: not JSON that can be read: a number too long, or too many brackets"
        ) from error
    for number, row in enumerate(_list_in(tree, name, column), 1):
        yield number, row if isinstance(row, dict) else RowError(name, number, _NO_OBJECT)


def _list_in(tree: Any, name: str, column: str) -> list[Any]:
    if isinstance(tree, list):
        return tree
    if isinstance(tree, dict):
        lists = [] if has_field(tree, column) else list(filter(_are_objects, tree.values()))
        if len(lists) < 2:
            return lists[0] if lists else [tree]
    raise DataError(
        f"{name}: not JSON with rows: give an array of objects, an object with one such array, or "
        "lines"
    )


def _are_objects(values: Any) -> bool:
    """Whether this is a list of objects that is not empty."""
    return (
        isinstance(values, list) and bool(values) and all(isinstance(each, dict) for each in values)
    )


def _table_rows(text: str, name: str, delimiter: str | None) -> Iterator[SourceRow]:
    """The rows under a header. Missing fields at the end of a row are null; a row with too many
    fields is refused.
    """
    csv.field_size_limit(2**31 - 1)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter or _delimiter(text), strict=True)
    rows = filter(None, reader)  # an empty line is no row
    try:
        header = next(rows, [])
        for number, fields in enumerate(rows, 1):
            yield number, _table_row(header, fields, name, number)
    except csv.Error as error:
        raise DataError(
            f"{name}, line {reader.line_num}: not CSV: a quotation mark is not closed, or text "
            "follows it: double the marks inside a quoted text"
        ) from error


def _table_row(
    header: list[str], fields: list[str], name: str, number: int
) -> dict[str, Any] | RowError:
    if len(fields) > len(header):
        mistake = (
            "more fields than the header names: put texts that hold the delimiter in quotation "
            "marks"
        )
        return RowError(name, number, mistake)
    held = {
        key: (fields[place] if place < len(fields) else None) for place, key in enumerate(header)
    }
    twice = [key for key, count in Counter(header).items() if count > 1]
    return held | {
        key: [value for each, value in zip(header, fields, strict=False) if each == key]
        for key in twice
    }


def _delimiter(text: str) -> str:
    """Comma, semicolon or tab: the most frequent one in the header, outside quotation marks."""
    header = re.match(r'(?:"[^"]*"|[^"\n])*', text.lstrip("\n"))
    return max(",;\t", key=re.sub(r'"[^"]*"', "", header[0] if header else "").count)


def parquet_rows(data: bytes, name: str, source: TextSource) -> Iterator[SourceRow]:
    """The rows of a Parquet file, with the columns that are needed.

    Raises:
        DataError: the file is not whole, or pyarrow is missing.
    """
    pyarrow, number = optional("pyarrow"), 0
    try:
        file = optional("pyarrow.parquet").ParquetFile(pyarrow.BufferReader(data))
        names = file.schema_arrow.names
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.select(_wanted(names, source)).to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{name}, after row {number}: not a complete Parquet file, or damaged: download it "
            "again"
        ) from error


def _wanted(names: list[str], source: TextSource) -> list[str]:
    """The columns that can hold the requested fields; all columns if there is none, so that a
    message can name them.
    """
    asked = [
        (each, each.split(".")[0]) for each in (source.column, source.group, source.title) if each
    ]
    held = {part for parts in asked for part in parts}
    there = not {source.column, source.column.split(".")[0]}.isdisjoint(names)
    return [name for name in names if name in held or not there]
