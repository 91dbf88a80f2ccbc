"""Bytes of a text file, packed or not, -> its text. What cannot be decoded is refused with its line
and a remedy.
"""

from __future__ import annotations

import gzip
import importlib
import lzma
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyperfitting.encoding import decode_text, encoding_of, line_of, line_of_end, line_of_error
from hyperfitting.errors import DataError, name_the_extra

_UNPACKERS = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
PACKED = tuple(_UNPACKERS)
"""Endings of packed files."""


def read_bytes(path: Path, name: str) -> bytes:
    """A file's bytes, unpacked if its ending is that of a packed file. Messages call it `name`.

    Raises:
        DataError: the file cannot be read, is damaged or is truncated.
        MissingExtra: a `.zst` file in a Python that cannot unpack it.
    """
    packing = path.suffix.lower()
    opened, damaged = _opener(packing)
    try:
        with opened(path, "rb") as file:
            return bytes(file.read())
    except damaged as error:
        raise DataError(
            f"{name}: cannot be read: damaged, truncated, or not a {packing} file: create or "
            "download it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"{name}: cannot be read: {error.strerror or type(error).__name__}"
        ) from error


def _opener(packing: str) -> tuple[Callable[..., Any], tuple[type[Exception], ...]]:
    """The function that opens a file of this packing, and the errors that it raises for a damaged
    one.
    """
    if packing == ".gz":
        return gzip.open, (EOFError, gzip.BadGzipFile, zlib.error)
    if packing == ".xz":
        return lzma.open, (EOFError, lzma.LZMAError)
    if packing == ".zst":
        zstd = _zstd()
        return zstd.open, (EOFError, zstd.ZstdError)
    return open, ()


def _zstd() -> Any:
    """Python's own module, from 3.14 on; before that its backport, in the extra `zst`."""
    try:
        return importlib.import_module("compression.zstd")
    except ModuleNotFoundError:
        return optional("backports.zstd")


def optional(module: str) -> Any:
    """A module that one of our extras installs.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error


def decode(data: bytes, path: Path, name: str) -> str:
    r"""The text of a file's bytes, without its mark; `\r\n` and `\r` are `\n`.

    Raises:
        DataError: names the line and a command that converts the file.
    """
    if encoding_of(data) == "utf-8" and b"\0" in data:
        raise DataError(f"{name}, line {_nul(data, path)}")
    try:
        text = decode_text(data)
    except UnicodeDecodeError as error:
        row = line_of_error(data, error)
        raise DataError(f"{name}, line {row}: {_not_decoded(data, error, path)}") from error
    if "\0" in text:
        raise DataError(f"{name}, line {line_of(text, text.index(chr(0)))}: {NUL}")
    return text


NUL = "it holds a NUL character, which is not text: remove it"


def _nul(data: bytes, path: Path) -> str:
    """The line and the problem of bytes with NULs and without a mark: a NUL, or UTF-16 or
    UTF-32.
    """
    wide = _wide(data)
    if wide is None:
        return f"{line_of_end(data[: data.index(0)], 'latin-1')}: {NUL}"
    return f"1: it looks like {wide[:6]} without a mark: convert the file: {_iconv(path, wide)}"


def _wide(data: bytes) -> str | None:
    """The encoding with units of 2 or 4 bytes that the positions of the NULs suggest, if any."""
    shares = [data[column::4].count(0) / max(1, len(data[column::4])) for column in range(4)]
    if min(shares[2:]) > 0.5 > shares[0] or min(shares[:2]) > 0.5 > shares[3]:
        return "UTF-32LE" if shares[3] > 0.5 else "UTF-32BE"
    high, low = shares[0] + shares[2], shares[1] + shares[3]
    if (
        20 * min(high, low) <= max(high, low)
        and data.count(0) > 1
        and (high + low > 0.2 or not _is_utf8(data))
    ):
        return "UTF-16LE" if low > high else "UTF-16BE"
    return None


def _is_utf8(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def _not_decoded(data: bytes, error: UnicodeDecodeError, path: Path) -> str:
    if "8" not in error.encoding:
        return f"damaged {error.encoding.upper()}: save the file as UTF-8"
    if error.reason == "unexpected end of data" and not data[: error.start].isascii():
        return (
            "it ends in the middle of a UTF-8 character: the file is truncated: download it again"
        )
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return (
            "not UTF-8: convert the file, from the encoding in which it was saved "
            f"(`file -i` guesses it): {_iconv(path, 'ENCODING')}"
        )
    return (
        f"not UTF-8: convert the file, if it was saved by Windows: {_iconv(path, 'WINDOWS-1252')}"
    )


def _iconv(path: Path, encoding: str) -> str:
    """A command that converts a file to UTF-8."""
    quoted, packing = shlex.quote(str(path)), path.suffix.lower()
    plain = path.with_suffix("") if packing in PACKED else path
    made = shlex.quote(f"{plain.stem}-utf8{plain.suffix}")
    if packing in PACKED:
        return f"{_UNPACKERS[packing]} -dc {quoted} | iconv -f {encoding} -t UTF-8 > {made}"
    return f"iconv -f {encoding} -t UTF-8 {quoted} > {made}"
