"""Reading documents, and the door to datasets. Local files are read here, so that an error can name its row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hyperfitting import hub
from hyperfitting.assets import local_path
from hyperfitting.errors import DataError
from hyperfitting.files import differences, file_hashes
from hyperfitting.recipe import TextSource
from hyperfitting.records import Document

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_KINDS = (".txt", ".jsonl", ".csv")


class Texts(NamedTuple):
    """All documents of one source, and what pins its content."""

    documents: list[Document]
    facts: dict[str, Any]


def read_texts(source: TextSource, *, told: Callable[[str], None] | None = None) -> Texts:
    """Every document of a source.

    A `.txt` file holds documents separated by blank lines; in a folder, each `.txt` file is one document. With `told`,
    a row that cannot be used is named to it and passed over.

    Raises:
        DataError: one line that names the file, the row and the remedy.
    """
    path = local_path(source.path)
    if path is None:
        return _from_hub(source)
    if not path.exists():
        raise DataError(f"{source.path}: no such file or folder")
    if _is_saved_set(path):
        return _from_hub(source, saved=path)
    files = _text_files(path)
    if not files:
        raise DataError(f"{source.path}: the folder holds no {', '.join(_KINDS)} file (also .gz, .xz)")
    documents: list[Document] = []
    for file in files:
        rows = _rows(file, whole=path.is_dir())
        name = source.path if file is path else f"{source.path}/{file.relative_to(path)}"
        documents += _documents(rows, source, name=name, told=told)
    if not documents:
        raise DataError(f"{source.path}: no text in it")
    facts = {
        "path": source.path,
        "documents": len(documents),
        "sha256": _hashes(path, files),
    }
    return Texts(documents, facts)


def refuse_changed(sources: Iterable[dict[str, Any]], where: str) -> None:
    """Refuse local sources whose files are not those that the data were drawn from.

    `sources` are the facts that `read_texts` gave then. What came from the hub is pinned by its fingerprint, and not
    asked for again.

    Raises:
        DataError: names the first such source, its files, and how to go on.
    """
    for facts in sources:
        if "sha256" in facts and (changed := _changes(facts["path"], facts["sha256"])):
            raise DataError(
                f"{facts['path']} {changed} since the data of {where} were drawn: choose another --out, or go on with "
                "the data as drawn (--keep-data)"
            )


def _changes(name: str, before: dict[str, str]) -> str:
    path = local_path(name)
    if path is None or not path.exists():
        return "is gone"
    files = sorted(path.rglob("*")) if _is_saved_set(path) else _text_files(path)
    found = differences(before, _hashes(path, files))
    return f"has changed ({found})" if found else ""


def _hashes(path: Path, files: Iterable[Path]) -> dict[str, str]:
    """By the files' paths inside a folder; by its name of a file that is a source of its own."""
    return file_hashes(path if path.is_dir() else path.parent, (file for file in files if file.is_file()))


def _text_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(each for each in path.rglob("*") if _kind(each) in _KINDS)


def _is_saved_set(path: Path) -> bool:
    """Whether this is a folder that the data set library's `save_to_disk` wrote."""
    return (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file()


def _kind(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix in _OPENERS else path.suffix


Row = tuple[int, "dict[str, Any] | DataError"]
"""Its number and what it holds, or why it holds nothing; a .txt row has only its text, under the empty name."""


def _rows(path: Path, *, whole: bool) -> Iterator[Row]:
    kind = _kind(path)
    if kind not in _KINDS:
        raise DataError(f"{path}: not a {', '.join(_KINDS)} file (also .gz, .xz)")
    text = _read(path)
    if kind == ".txt":
        return enumerate([{"": text.strip()}] if whole else _paragraphs(text), 1)
    return _json_rows(path, text) if kind == ".jsonl" else enumerate(_csv_rows(path, text), 1)


def _read(path: Path) -> str:
    try:
        with _OPENERS.get(path.suffix, open)(path, "rb") as file:
            data: bytes = file.read()
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {row}: not UTF-8: convert the file, for example with iconv -t UTF-8") from error


def _paragraphs(text: str) -> Iterator[dict[str, Any]]:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            yield {"": "\n".join(lines)}
            lines = []


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            row = DataError(f"{path}, row {number}: not JSON: {error}")
        named = isinstance(row, dict | DataError)
        yield number, row if named else DataError(f"{path}, row {number}: not a JSON object with named fields")


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)
    try:
        yield from csv.DictReader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise DataError(f"{path}: not CSV: {error}") from error


def _documents(
    rows: Iterable[Row], source: TextSource, *, name: str, told: Callable[[str], None] | None = None
) -> Iterator[Document]:
    for number, row in rows:
        try:
            yield _document(row, source, name, number)
        except DataError as error:
            if told is None:
                raise
            told(str(error))


def _document(row: dict[str, Any] | DataError, source: TextSource, name: str, number: int) -> Document:
    if isinstance(row, DataError):
        raise row
    text = row[""] if "" in row else _field(row, source.column, name, number)
    group = _field(row, source.group, name, number) if source.group is not None else f"{name}:{number}"
    title = row.get(source.title) if source.title else None
    return Document(name, number, text, group, title if isinstance(title, str) else "")


def _field(row: dict[str, Any], column: str, name: str, number: int) -> str:
    if column not in row:
        there = ", ".join(str(key) for key in row if key) or "none, as a .txt file has no fields"
        raise DataError(f"{name}, row {number}: no field {column!r}; there are: {there}")
    if not isinstance(row[column], str):
        raise DataError(f"{name}, row {number}: the field {column!r} holds {type(row[column]).__name__}, not text")
    try:
        row[column].encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name}, row {number}: the field {column!r} holds half of a surrogate pair, which is no "
            "character: mend the row"
        ) from error
    return str(row[column])


def _from_hub(source: TextSource, saved: Path | None = None) -> Texts:
    """A hub data set, or a folder that `save_to_disk` wrote."""
    import datasets

    datasets.disable_progress_bars()
    try:
        if saved is None:
            hub.settle()
            loaded = datasets.load_dataset(source.path, source.config, split=source.split)
        else:
            loaded = datasets.load_from_disk(str(saved))
            loaded = loaded[source.split] if isinstance(loaded, datasets.DatasetDict) else loaded
    except Exception as error:
        raise DataError(f"{source.path}: {_explain(error, source)}") from error
    documents = list(_documents(enumerate(loaded, 1), source, name=source.path))
    if not documents:
        raise DataError(f"{source.path}: no text in it")
    facts = {"path": source.path, "config": source.config, "split": source.split, "documents": len(documents)}
    pinned = {} if saved is None else {"sha256": _hashes(saved, sorted(saved.rglob("*")))}
    return Texts(documents, {**facts, "fingerprint": loaded._fingerprint, **pinned})


def _explain(error: Exception, source: TextSource) -> str:
    kind, text = type(error).__name__, " ".join(str(error).split())
    if "Offline" in kind or "Connect" in kind or "LocalEntryNotFound" in text:
        return "no such file or folder here, and the hub cannot be reached: check the name, or download the data first"
    if "NotFound" in kind:
        return "no such file or folder here, and no such data set on the hub"
    if isinstance(error, KeyError) or "Unknown split" in text:
        return f"no split {source.split!r} in it"
    return text[:200] or kind
