"""Does a held-out text stand in the training texts? Runs of words, whatever their case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+")


class LeakIndex:
    """All runs of `order` words of some texts."""

    def __init__(self, order: int):
        self._order = order
        self._runs: set[tuple[str, ...]] = set()

    def add(self, texts: Iterable[str]) -> None:
        """Take in the runs of these texts."""
        for text in texts:
            self._runs.update(self._runs_of(text))

    def shared_run(self, text: str) -> str | None:
        """The first run of `text` that stands in a text added before, or None."""
        return next((" ".join(run) for run in self._runs_of(text) if run in self._runs), None)

    def _runs_of(self, text: str) -> Iterable[tuple[str, ...]]:
        words = _WORD.findall(text.lower())
        return zip(*(words[start:] for start in range(self._order)), strict=False)
