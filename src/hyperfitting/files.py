"""Files and folders that appear whole or not at all, rows that survive a kill, and one writer to a
folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

from pydantic import ConfigDict, TypeAdapter, ValidationError

from hyperfitting.errors import InputError, RunError

Row = TypeVar("Row")
Content = TypeVar("Content")


def write_text(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a whole file or nothing. `shared`: other processes may write it at the same time, and
    the last one's stays.
    """
    with replacing(path, shared=shared) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass rows as JSON lines, the whole file or nothing."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(_json_line(row) for row in rows)


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Any], None]]:
    """A function that adds a dataclass row to a file and hands it to the system at once: a kill
    loses no row.
    """
    make_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:

        def append(row: Any) -> None:
            file.write(_json_line(row))
            file.flush()

        yield append


def _json_line(row: Any) -> str:
    return json.dumps(_fields(row), ensure_ascii=False, default=_fields) + "\n"


def _fields(row: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are: `asdict` would copy every token of a text."""
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read what `write_rows` wrote; a last line cut off by a kill is left out.

    Raises:
        RunError: the file is missing, or a line is no such row; the message names row and field.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the stage that writes it has not finished") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: it is not UTF-8") from error
    return [_row(path, number, kind, line) for number, line in enumerate(lines[:-1], 1)]


def read_last_row(path: Path, kind: type[Row]) -> Row | None:
    """The last whole row of a file that may still grow; None where there is none, or no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST_ROW))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    return _row(path, 0, kind, lines[-1].decode()) if lines else None


_LONGEST_ROW = 2**18
"""Bytes at the end of a file in which its last row is looked for."""


def _row(path: Path, number: int, kind: Any, line: str) -> Any:
    try:
        return _row_reader(kind).validate_json(f"[{line}]")[0]
    except ValidationError as error:
        found = f"row {number} is no {kind.__name__}: {problem_in_words(error, outer=1)}"
        raise RunError(f"{path} is damaged: {found}") from error


@cache
def _row_reader(kind: Any) -> TypeAdapter[Any]:
    """Reads a row in brackets: a dataclass is strict only inside a type that is configured so."""
    return TypeAdapter(tuple[kind], config=ConfigDict(strict=True, extra="forbid"))


class StoredFile(Generic[Content]):
    """What a file holds, parsed once, and again only after another file has taken its place.

    So a write, by whichever process, is seen by all that read the file.
    """

    def __init__(self, path: Path, parse: Callable[[Path], Content]):
        self._path, self._parse = path, parse
        self._held: tuple[tuple[int, int, int], Content] | None = None

    def read(self) -> Content:
        """The content; whatever `parse` raises where there is no such file."""
        state = _state(self._path) if self._path.is_file() else None
        if self._held is None or self._held[0] != state:
            content = self._parse(self._path)
            if state is None:
                return content
            self._held = state, content
        return self._held[1]


def problem_in_words(error: ValidationError, *, outer: int = 0) -> str:
    """The first problem of stored values: its dotted key, without `outer` first parts, and why."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"][outer:]))
    return f"{key}: {first['msg']}" if key else str(first["msg"])


def refuse_to_replace(
    path: Path, *, ours: Callable[[Path], bool], what: str, read: Iterable[Path] = ()
) -> None:
    """Refuse, before any work, a file to write in whose place something stands that would be lost.

    Only a file that `ours` knows as an earlier one of the same kind, `what`, may stand there, and
    neither one of the files to `read` nor a place in a folder of them, whatever links lead there.

    Raises:
        InputError: names the path and the remedy.
    """
    for each in read:
        if path.exists() and each.exists() and path.samefile(each):
            raise InputError(
                f"{path} is the file that is read, and would be lost: choose another --out"
            )
        if each.is_dir() and path.resolve().is_relative_to(each.resolve()):
            raise InputError(
                f"{path} lies in the folder {each}, which is read: choose another --out"
            )
    if path.exists() and not (path.is_file() and ours(path)):
        raise InputError(f"{path} is there already and is no {what}: choose another --out")
    refuse_blocked_folder(path.parent)


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A path to write to beside `path`, which takes its place only if the block ends well; one of
    its own where `path` is shared with other processes.
    """
    make_folder(path.parent)
    own = f".{uuid4().hex}" if shared else ""
    partial = path.with_name(f".{path.name}{own}.partial")
    try:
        yield partial
        _to_disk(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` only if the block ends well."""
    partial, former = (
        path.with_name(f".{path.name}.partial"),
        path.with_name(f".{path.name}.former"),
    )
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        for each in [*partial.rglob("*"), partial]:
            _to_disk(each)
        shutil.rmtree(former, ignore_errors=True)
        if path.exists():
            path.rename(former)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def remove_folder_on_input_error(
    folder: Path, *, unless: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """If what the user gave is refused inside, a folder that was not there before is not there
    afterwards.

    `unless` says that it holds work by then that is not to be lost. A RunError takes nothing back:
    it speaks of a folder that another process may have begun at the same moment.
    """
    new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    try:
        yield
    except RunError:
        raise
    except InputError:
        if new and not unless():
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def exclusive_lock(folder: Path, part: str = "") -> Iterator[None]:
    """Hold a folder, or a named part of it, against a second process that would write to it: the
    system lets go when this one ends, however.

    Raises:
        RunError: another process holds it.
        InputError: this system has no file locks.
    """
    fcntl = _file_locks()
    make_folder(folder)
    path = folder / f".{part}.lock" if part else folder / ".lock"
    while True:
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{folder / part}: another process is at work there: wait for it, or stop it"
                ) from error
            if not _is_open_at(path, lock.fileno()):
                continue  # its holder removed it between our opening and our locking
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_open_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one that stands at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _file_locks() -> Any:
    """The module that locks files, which Linux and macOS have.

    Raises:
        InputError: this system has none.
    """
    try:
        import fcntl
    except ModuleNotFoundError as error:
        raise InputError(
            "experiments need file locks, which this system lacks: use Linux or macOS (WSL on "
            "Windows)"
        ) from error
    return fcntl


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Raises:
        RunError: if a file stands where a folder should be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        refuse_blocked_folder(path)
        raise


def refuse_blocked_folder(folder: Path) -> None:
    """Refuse a folder to write in whose place, or in that of one of its parents, a file stands.

    Raises:
        RunError: names the file and the remedy.
    """
    for each in (folder, *folder.parents):
        if each.exists() and not each.is_dir():
            raise RunError(f"{each} is a file, and a folder is needed there: choose another --out")


def names_in(folder: Path) -> set[str]:
    """What a folder holds, by name, but for what macOS's Finder leaves in it; nothing where there
    is no folder.
    """
    held = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    return held - {".DS_Store"}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_in_hash(text: str) -> str:
    """What stands in the place of a text that is not kept: `sha256:` and the hash."""
    return f"sha256:{text_sha256(text)}"


def file_hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256, in hex, of files by their path inside `folder`; each is read once in a process,
    unless it changes.
    """
    return {
        path.relative_to(folder).as_posix(): _sha256_once(path.resolve(), *_state(path))
        for path in files
    }


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@cache
def _sha256_once(path: Path, *state: int) -> str:
    return file_sha256(path)


def changed_at(path: Path) -> str:
    """When a file was last changed, in local time: `2026-11-28 14:05`."""
    return datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")


def changed_files(before: dict[str, str], now: dict[str, str]) -> str:
    """Which files have changed, are gone or are new, in words; nothing where the hashes are
    equal.
    """
    kinds = {
        "changed": [name for name in before if name in now and now[name] != before[name]],
        "gone": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
    }
    return "; ".join(
        f"{kind}: {first_few(sorted(names), 3)}" for kind, names in kinds.items() if names
    )


def first_few(names: list[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
