"""One rule for the encoding of text files: UTF-8, or UTF-16 and UTF-32 with a byte-order mark."""

from __future__ import annotations

import codecs

_MARKS = (  # UTF-32's little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(data: bytes) -> str:
    """The name of Python's codec for a file's bytes, by their byte-order mark; without one it is
    `utf-8`.
    """
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")


def plain_line_ends(text: str) -> str:
    r"""The text with `\n` for `\r\n` and `\r`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode_text(data: bytes) -> str:
    r"""The text of a file's bytes without its mark; line ends are `\n`.

    Raises:
        UnicodeDecodeError: the bytes are not in the encoding that `encoding_of` names.
    """
    return plain_line_ends(data.decode(encoding_of(data)))


def line_of(text: str, place: int) -> int:
    """The number of the line, from 1 on, of the character at index `place`."""
    return text.count("\n", 0, place) + 1


def line_of_error(data: bytes, error: UnicodeDecodeError) -> int:
    """The number of the line at which `decode_text` failed."""
    encoding = "latin-1" if "8" in error.encoding else encoding_of(data)
    return line_of_end(data[: error.start], encoding)


def line_of_end(before: bytes, encoding: str) -> int:
    """The number of the line in which these bytes end."""
    return plain_line_ends(before.decode(encoding, errors="ignore")).count("\n") + 1
