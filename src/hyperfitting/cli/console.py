"""The terminal: errors in one line, text that it cannot show, progress."""

from __future__ import annotations

import io
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from hyperfitting.progress import Bar, Clock

UTF8_LOCALE = "give UTF-8, in a locale that has it (such as LC_ALL=C.UTF-8)"
"""What to do about text that the locale cannot hold."""
PLAIN_LINE_SECONDS = 30.0


def take_any_text() -> None:
    """Have standard output and error show ? for a character that their encoding lacks, where they
    would fail.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


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


class Console:
    """Progress on standard error: lines that stay, and a bar while something runs. Where standard
    error is no terminal, the bar is a plain line every half a minute.
    """

    def __init__(self, clock: Clock = time.monotonic):
        self._clock, self._said = clock, clock()

    def log(self, line: str) -> None:
        """Print above whatever bar is drawn."""
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)

    @contextmanager
    def bar(self, label: str, total: int, start: int = 0) -> Iterator[Bar]:
        """A bar with the time left, and the loss where there is one. Gone when done."""
        if not sys.stderr.isatty():
            yield _PlainBar(self, label, total, start)
            return
        from tqdm import tqdm

        with tqdm(
            total=total,
            initial=start,
            desc=label,
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        ) as drawn:
            yield _DrawnBar(drawn)

    def is_due(self) -> bool:
        """Whether it is time for a plain line. If so, the next one is due half a minute later."""
        due = self._clock() - self._said >= PLAIN_LINE_SECONDS
        if due:
            self._said = self._clock()
        return due


class _DrawnBar:
    def __init__(self, drawn: Any):
        self._drawn = drawn

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._drawn.set_postfix_str(note, refresh=False)
        self._drawn.update(steps)


class _PlainBar:
    def __init__(self, console: Console, label: str, total: int, start: int):
        self._console, self._label, self._total, self._done = console, label, total, start

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        if self._console.is_due():
            said = f"{self._label}: {self._done:,} of {self._total:,}"
            self._console.log(f"{said}, {note}" if note else said)
