"""Read the documents of a source: local files, with errors that name the row, or a hub data set
(door to datasets).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hyperfitting import hub
from hyperfitting.data.folders import Found, find_files
from hyperfitting.data.formats import (
    FORMATS,
    IMAGE_FORMATS,
    IN_WORDS,
    PLAIN,
    SourceRow,
    format_of,
    read_source_rows,
)
from hyperfitting.data.rows import (
    Mistakes,
    RowError,
    has_field,
    is_label,
    label_of,
    look_up,
    text_of,
)
from hyperfitting.errors import DataError, name_the_extra
from hyperfitting.facts import PassedOver, SourceFacts
from hyperfitting.files import changed_files, file_hashes
from hyperfitting.recipe import DataSettings, TextSource
from hyperfitting.records import Document


class SourceTexts(NamedTuple):
    """All documents of one source, texts or images, and its facts: counts of files, rows and nulls,
    and the hashes of its content.
    """

    documents: list[Any]
    facts: SourceFacts


def read_texts(
    source: TextSource,
    *,
    on_warning: Callable[[str], None] | None = None,
    whole_files: bool = False,
) -> SourceTexts:
    """Read every document of a source.

    For `.txt` and `.md` files `source.documents` says what a document is; `auto` means the whole
    file with `whole_files`, else a paragraph. In other formats each row is a document. Rows whose
    text is null are counted and skipped. Rows that cannot be used are skipped with a call of
    `on_warning`, in at most three lines for each mistake; without `on_warning` the first one is an
    error.

    Raises:
        DataError: one line that names the file, the row and the remedy.
        MissingExtra: a file's format needs a library that is not installed.
    """
    kind = SourceKind(
        what="text",
        formats=FORMATS,
        in_words=IN_WORDS,
        read_rows=lambda file, name, inside: read_source_rows(
            file, name, source, inside=whole_files or inside
        ),
        document=lambda row, name, number: _document(row, source, name, number),
    )
    return read_source(source, kind, on_warning=on_warning)


@dataclass(frozen=True)
class SourceKind:
    """What is read from a source, texts or images: the endings of its files, their rows, and the
    document of a row.

    `read_rows` takes a file, its name, and whether it stands in a folder. `document` takes a row,
    the name of its file or data set, and its number; it gives None for a null. `prepare` is applied
    to a data set of the library datasets.
    """

    what: str
    formats: tuple[str, ...]
    in_words: str
    read_rows: Callable[[Path, str, bool], Iterable[SourceRow]]
    document: Callable[[Any, str, int], Any]
    prepare: Callable[[Any], Any] = lambda loaded: loaded


def read_source(
    source: TextSource, kind: SourceKind, *, on_warning: Callable[[str], None] | None = None
) -> SourceTexts:
    """Read every document of a source of this kind, as `read_texts` does.

    Raises:
        DataError: there is no such file or folder, or it cannot be read.
    """
    path = source.place("path")
    if path is None:
        return _from_hub(source, kind)
    if not os.path.exists(path):
        raise DataError(
            f"{source.path}: no such file or folder (tried {path}){_elsewhere(source, path)}"
        )
    if _is_saved_set(path):
        return _from_hub(source, kind, saved=path)
    found = _find(source, path, kind)
    mistakes = Mistakes(on_warning) if on_warning else None
    reading = _Reading(source, kind, mistakes)
    for file in found.files:
        name = source.path if file == path else f"{source.path}/{file.relative_to(path).as_posix()}"
        reading.take(kind.read_rows(file, name, file != path), name)
    if mistakes is not None:
        mistakes.close()
    over = PassedOver(count=len(found.passed_over), names=tuple(found.passed_over[:20]))
    return reading.texts(
        files_read=len(found.files), files_passed_over=over, sha256=_hashes(path, found.files)
    )


def _elsewhere(source: TextSource, path: Path) -> str:
    """A hint, if the path exists relative to the working folder but not relative to the recipe's
    folder.
    """
    here = Path(source.path).absolute()
    if here == path or not os.path.exists(here):
        return ""
    return (
        "; relative paths count from the recipe's folder, and from the working folder only with "
        "--set"
    )


def _find(source: TextSource, path: Path, kind: SourceKind) -> Found:
    """The files of a source that have a known format; refuses a source without any, or without any
    for its settings.
    """
    found = find_files(path, source.path, lambda file: format_of(file) in kind.formats)
    if not found.files:
        raise DataError(
            f"{source.path}: the folder holds no {kind.in_words}{_for_instance(found.passed_over)}"
        )
    if not os.path.isdir(path) and not (os.path.isfile(path) and format_of(path) in kind.formats):
        raise DataError(f"{source.path}: not a {kind.in_words}")
    if source.documents != "auto" and not any(format_of(file) in PLAIN for file in found.files):
        raise DataError(
            f'{source.path}: documents = "{source.documents}" is for .txt and .md files, and there '
            "is none: elsewhere "
            "each row is a document"
        )
    return found


def _for_instance(names: list[str]) -> str:
    return f"; it holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""


def refuse_changed(sources: Iterable[SourceFacts], data: DataSettings, where: str) -> None:
    """Refuse local sources whose files have changed since the data were drawn.

    `sources` are the facts that `read_texts` returned then; `data` are the settings that locate the
    sources now. Hub data sets are pinned by their fingerprint and not loaded again. `where` names
    the experiment in the message.

    Raises:
        DataError: names the first changed source, its files, and how to continue.
    """
    formats = FORMATS if data.images is None else IMAGE_FORMATS
    for facts in sources:
        named = [source for source in data.sources if source.path == facts.path]
        places = [source.place("path") or source.tried("path") for source in named]
        changes = [
            _changes(place, facts.sha256, formats) for place in places if facts.sha256 is not None
        ]
        if changes and all(changes):
            raise DataError(
                f"{facts.path} {changes[0]} since the data of {where} were drawn: choose another "
                "--out, or continue with the data as drawn (--keep-data)"
            )


def _changes(path: Path, before: dict[str, str], formats: tuple[str, ...]) -> str:
    if not os.path.exists(path):
        return f"is missing (tried {path})"
    files = sorted(path.rglob("*")) if _is_saved_set(path) else _files_of(path, formats)
    found = changed_files(before, _hashes(path, files))
    which = f" ({found})" if path.is_dir() else ""
    return f"has changed{which}" if found else ""


def _files_of(path: Path, formats: tuple[str, ...]) -> list[Path]:
    return find_files(path, str(path), lambda file: format_of(file) in formats).files


def _hashes(path: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by the files' paths inside a folder, or by the name of a single file."""
    return file_hashes(
        path if path.is_dir() else path.parent, (file for file in files if file.is_file())
    )


def _is_saved_set(path: Path) -> bool:
    """Whether this is a folder written by `save_to_disk` of the library datasets."""
    return any(os.path.isfile(path / name) for name in ("dataset_info.json", "dataset_dict.json"))


class _Reading:
    """The documents made from a source's rows so far, and counts."""

    def __init__(self, source: TextSource, kind: SourceKind, mistakes: Mistakes | None = None):
        self._source, self._kind, self._mistakes = source, kind, mistakes
        self._documents: list[Any] = []
        self._counts: Counter[str] = Counter()

    def take(self, rows: Iterable[SourceRow], name: str) -> None:
        """Take in the rows of one file or data set."""
        for number, row in rows:
            self._counts["rows"] += 1
            try:
                document = self._kind.document(row, name, number)
            except RowError as error:
                if self._mistakes is None:
                    raise
                self._mistakes.add(error)
                continue
            if document is None:
                self._counts["nulls"] += 1
            else:
                self._documents.append(document)

    def texts(self, **facts: Any) -> SourceTexts:
        """All documents, with the counts and further facts."""
        path, rows, nulls = self._source.path, self._counts["rows"], self._counts["nulls"]
        if not self._documents:
            why = (
                f"the field {self._source.column!r} of all its {rows:,} rows is null: name another "
                "as the source's column"
                if rows == nulls > 0
                else "name a source that holds some"
            )
            raise DataError(f"{path}: no {self._kind.what} in it: {why}")
        documents = len(self._documents)
        return SourceTexts(
            self._documents,
            SourceFacts(path=path, documents=documents, rows=rows, nulls=nulls, **facts),
        )


def _document(
    row: str | dict[str, Any] | RowError, source: TextSource, name: str, number: int
) -> Document | None:
    """The document of a row; None if its text is null."""
    if isinstance(row, RowError):
        raise row
    if isinstance(row, str):
        if source.group is not None:
            raise RowError(
                name, number, f"no field {source.group!r}: a .txt or .md file has no fields"
            )
        return Document(name, number, row, f"{name}:{number}", "")
    text = text_of(row, source.column, name, number)
    if text is None:
        return None
    group = (
        f"{name}:{number}" if source.group is None else label_of(row, source.group, name, number)
    )
    return Document(name, number, text, group, title_of(row, source, name, number))


def title_of(row: dict[str, Any], source: TextSource, name: str, number: int) -> str:
    """The row's title; empty if it has no such field, or one that holds no text or number."""
    column = source.title
    if column is None or not has_field(row, column) or not is_label(look_up(row, column)):
        return ""
    return label_of(row, column, name, number)


def _from_hub(source: TextSource, kind: SourceKind, saved: Path | None = None) -> SourceTexts:
    """The documents of a hub data set, or of a folder that `save_to_disk` wrote."""
    datasets = _library(source, saved)
    datasets.disable_progress_bars()
    try:
        if saved is None:
            hub.go_offline_if_unreachable()
            loaded = datasets.load_dataset(source.path, source.config, split=source.split)
        else:
            loaded = datasets.load_from_disk(str(saved))
            loaded = loaded[source.split] if isinstance(loaded, datasets.DatasetDict) else loaded
    except Exception as error:
        raise DataError(f"{source.path}: {_explain(error, source)}") from error
    reading = _Reading(source, kind)
    reading.take(enumerate(kind.prepare(loaded), 1), source.path)
    hashes = None if saved is None else _hashes(saved, sorted(saved.rglob("*")))
    return reading.texts(
        config=source.config,
        split=source.split,
        fingerprint=loaded._fingerprint,
        sha256=hashes,
    )


def _library(source: TextSource, saved: Path | None) -> Any:
    """The library datasets; if it is missing, an error that explains when a name needs it."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        if saved is not None or (error.name or "").split(".")[0] != "datasets":
            raise name_the_extra(error) from error
        tried = source.tried("path")
        raise DataError(
            f"{source.path}: no such file or folder (tried {tried}), and the library datasets, "
            "which would look for a hub data set of that name, is not installed: check the path, "
            f"or pip install 'hyperfitting[hub]'{_elsewhere(source, tried)}"
        ) from error
    return datasets


def _explain(error: Exception, source: TextSource) -> str:
    kind, text = type(error).__name__, " ".join(str(error).split())
    here, tried = "no such file or folder here", source.tried("path")
    if "Offline" in kind or "Connect" in kind or "LocalEntryNotFound" in text:
        reason = (
            f"{here}, and the hub cannot be reached: check the name, or download the data first "
            f"(tried {tried})"
        )
        return reason + _elsewhere(source, tried)
    if "NotFound" in kind:
        return f"{here}, and no such data set on the hub (tried {tried}){_elsewhere(source, tried)}"
    if isinstance(error, KeyError) or "Unknown split" in text:
        return f"no split {source.split!r} in it"
    return text[:200] or kind
