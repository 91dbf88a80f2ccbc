"""How long work reports itself: stages speak to a `Progress`, the command line draws it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Bar(Protocol):
    """One piece of counted work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` stands beside the bar."""


class Progress(Protocol):
    """Where progress goes."""

    def log(self, line: str) -> None:
        """One line that stays."""

    def bar(self, label: str, total: int, start: int = 0) -> AbstractContextManager[Bar]:
        """A bar of `total` steps, `start` of them done before."""


class NoProgress:
    """The progress of library use: says nothing."""

    def log(self, line: str) -> None:
        """Nothing."""

    @contextmanager
    def bar(self, label: str, total: int, start: int = 0) -> Iterator[Bar]:
        """A bar that is not drawn."""
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing."""


NO_PROGRESS = NoProgress()


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request that is asked for between two steps; a second one
    interrupts at once.

    So is SIGTERM, which clusters send some time before they kill; it never interrupts.
    """
    requested = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if number == signal.SIGINT and requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
