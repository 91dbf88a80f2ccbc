"""Which files of a folder are read: those that a person sees there, each once, whatever links lead to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hyperfitting.errors import DataError


class Found(NamedTuple):
    """The files of a source that are read, in order of their paths, and the names of those that are passed over."""

    files: list[Path]
    passed_over: list[str]


def find_files(path: Path, name: str, is_read: Callable[[Path], bool]) -> Found:
    """A file that is a source of its own, or all files below a folder, links followed.

    Left out is what has a part below the folder that begins with a dot, and a second way to the same file or folder.
    What is no file (a socket, a link that leads nowhere) and what `is_read` does not take is passed over.

    Raises:
        DataError: a folder in it cannot be read, or a file's name is no text.
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
    """As a person sorts names: whatever their case."""
    return [part.casefold() for part in path.parts], path


def refuse_name(path: Path, name: str) -> None:
    """Refuse the path of a file that is no text, since what is drawn from the file must cite it.

    Raises:
        DataError: shows the path with its bytes escaped.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise DataError(f"{shown}: the file name {str(path)!a} is not UTF-8: rename it") from error


def _walk(folder: Path, name: str, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """What is not a folder, not hidden, below a folder that was not seen before; what is no link comes first."""
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
    """Whether a file or folder is met for the first time, whatever its name."""
    found = path.stat()
    key = (found.st_dev, found.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True
