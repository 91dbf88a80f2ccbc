"""The files of a folder that are read: visible ones, each once, whatever links lead to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hyperfitting.errors import DataError


class Found(NamedTuple):
    """The files of a source that are read, sorted by path, and the names of those that are
    skipped.
    """

    files: list[Path]
    passed_over: list[str]


def find_files(path: Path, name: str, is_read: Callable[[Path], bool]) -> Found:
    """The file itself, or all files below a folder; links are followed.

    Hidden files and folders (a name with a leading dot) and further paths to the same file or
    folder are ignored. Sockets, broken links and files for which `is_read` is false are listed as
    passed over.

    Raises:
        DataError: a folder cannot be read, or a file's name is not UTF-8.
    """
    if not os.path.isdir(path):
        return Found([path], [])
    seen: set[tuple[int, int]] = set()
    files, passed_over = [], []
    for each in _walk(path, name, seen):
        if not os.path.isfile(each) or not is_read(each):
            passed_over.append(each.relative_to(path).as_posix().encode(errors="replace").decode())
        elif _is_new(each, seen):
            files.append(each)
            refuse_name(each.relative_to(path), name)
    return Found(sorted(files, key=_in_order), sorted(passed_over))


def _in_order(path: Path) -> tuple[list[str], Path]:
    """A sort key that ignores case."""
    return [part.casefold() for part in path.parts], path


def refuse_name(path: Path, name: str) -> None:
    """Refuse a path that is not UTF-8, because the blocks drawn from the file are cited by it.

    Raises:
        DataError: shows the path with escaped bytes.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise DataError(f"{shown}: the file name {str(path)!a} is not UTF-8: rename it") from error


def _walk(folder: Path, name: str, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """All visible entries below a folder that are not folders; links come last, and no folder is
    visited twice.
    """
    if not _is_new(folder, seen):
        return
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{name}: the folder {folder} cannot be read: {error.strerror}") from error
    for entry in sorted(shown, key=lambda entry: (entry.is_symlink(), entry.name)):
        path = folder / entry.name
        if os.path.isdir(path):
            yield from _walk(path, name, seen)
        else:
            yield path


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a file or folder was not seen before under any name; it is added to `seen`."""
    found = path.stat()
    key = (found.st_dev, found.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True
