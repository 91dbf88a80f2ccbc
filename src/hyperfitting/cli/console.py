"""The terminal: errors in one line, text that it cannot show, and lines folded to its width."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import TextIO

UTF8_LOCALE = "give UTF-8, in a locale that has it (such as LC_ALL=C.UTF-8)"
"""What to do about text that the locale cannot hold."""


def take_any_text() -> None:
    """Have standard output and error show ? for a character that their encoding lacks, where they
    would fail.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def is_too_wide(text: str) -> bool:
    """Whether a terminal would cut or wrap a line of the text; never where a program reads it."""
    widest = max(map(len, text.splitlines()), default=0)
    return sys.stdout.isatty() and widest > shutil.get_terminal_size().columns


def folded(text: str, indent: int) -> str:
    """Lines folded at words to the terminal's width, each going on `indent` columns in; as they are
    where standard output is no terminal, since programs read lines.
    """
    if not sys.stdout.isatty():
        return text
    fold = textwrap.TextWrapper(
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(fold.fill(line) for line in text.splitlines())


def say(
    message: str, *, start: str = "", file: TextIO | None = None, verbose: bool = False
) -> None:
    """An error in one line, whatever the names in it hold; with its traceback where `verbose` or
    HYPERFIT_DEBUG asks for it.
    """
    debug = verbose or os.environ.get("HYPERFIT_DEBUG", "0") not in ("", "0")
    if debug and sys.exc_info()[1] is not None:
        traceback.print_exc()
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], message)
    print(f"{start}hyperfit: {line}", file=file or sys.stderr)


def not_text(arguments: Sequence[str]) -> str | None:
    """What to say of the first argument whose bytes are no text in the locale's encoding; None
    where all are.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            shown = argument.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
            return (
                f"the argument '{shown}' is not text in {sys.getfilesystemencoding()}: "
                f"{UTF8_LOCALE}"
            )
    return None
