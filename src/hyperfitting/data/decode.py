"""Bytes of a file -> its text: one rule for every format, packed or not, alone or in a folder.

UTF-8 is read, with a mark or without; UTF-16 and UTF-32 are read where a mark says so. Line ends become newlines, and
every other character stays as it is. NUL is no text. Anything else is refused by its line.
"""

from __future__ import annotations

import codecs
import gzip
import importlib
import lzma
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyperfitting.errors import DataError, name_the_extra

_UNPACKERS = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
PACKED = tuple(_UNPACKERS)
"""Endings of packed files."""

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_bytes(path: Path, name: str) -> bytes:
    """A file's bytes, unpacked where its ending says that they are packed. `name` is what messages call it.

    Raises:
        DataError: it cannot be read, is damaged or is cut off.
        MissingExtra: `.zst` in a Python that cannot unpack it.
    """
    packing = path.suffix.lower()
    opened, damaged = _opener(packing)
    try:
        with opened(path, "rb") as file:
            return bytes(file.read())
    except damaged as error:
        raise DataError(
            f"{name}: cannot be read: damaged, cut off, or no {packing} file: make or get it anew"
        ) from error
    except OSError as error:
        raise DataError(
            f"{name}: cannot be read: {error.strerror or type(error).__name__}"
        ) from error


def _opener(packing: str) -> tuple[Callable[..., Any], tuple[type[Exception], ...]]:
    """What opens a file, and what it raises of a damaged one."""
    if packing == ".gz":
        return gzip.open, (EOFError, gzip.BadGzipFile, zlib.error)
    if packing == ".xz":
        return lzma.open, (EOFError, lzma.LZMAError)
    if packing == ".zst":
        zstd = _zstd()
        return zstd.open, (EOFError, zstd.ZstdError)
    return open, ()


def _zstd() -> Any:
    """Python's own module from 3.14 on; before that, the same one in the extra `zst`."""
    try:
        return importlib.import_module("compression.zstd")
    except ModuleNotFoundError:
        return optional("backports.zstd")


def optional(module: str) -> Any:
    """A module that an extra of ours brings.

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
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise DataError(f"{name}, line {_nul(data, path)}")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = _line(data[: error.start], "latin-1" if "8" in encoding else encoding)
        raise DataError(f"{name}, line {row}: {_not_decoded(data, error, path)}") from error
    if "\0" in text:
        raise DataError(f"{name}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}: {NUL}")
    return plain_line_ends(text)


def plain_line_ends(text: str) -> str:
    r"""The text with `\n` for `\r\n` and `\r`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


NUL = "it holds a NUL, which is no character of a text: remove it"


def _line(before: bytes, encoding: str) -> int:
    return plain_line_ends(before.decode(encoding, errors="ignore")).count("\n") + 1


def _nul(data: bytes, path: Path) -> str:
    """Where and why bytes that hold NULs and no mark are refused: those of a wide encoding stand in columns."""
    wide = _wide(data)
    if wide is None:
        return f"{_line(data[: data.index(0)], 'latin-1')}: {NUL}"
    return f"1: it looks like {wide[:6]} without a mark: convert the file: {_iconv(path, wide)}"


def _wide(data: bytes) -> str | None:
    """The encoding of 2 or 4 bytes a unit that bytes are in, by where their NULs stand."""
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
        return f"damaged {error.encoding.upper()}: save the file anew as UTF-8"
    if error.reason == "unexpected end of data" and not data[: error.start].isascii():
        return "not UTF-8 to its end, which is in the middle of a character: the file is cut off"
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
    """A command line that converts a file."""
    quoted, packing = shlex.quote(str(path)), path.suffix.lower()
    made = shlex.quote(
        f"{(path.with_suffix('') if packing in PACKED else path).stem}-utf8{_plain_suffix(path)}"
    )
    if packing in PACKED:
        return f"{_UNPACKERS[packing]} -dc {quoted} | iconv -f {encoding} -t UTF-8 > {made}"
    return f"iconv -f {encoding} -t UTF-8 {quoted} > {made}"


def _plain_suffix(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix.lower() in PACKED else path.suffix
