"""Does a held-out text stand in the training texts? Runs of words, whatever their case and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class LeakIndex:
    """All runs of `order` words of some texts, each as 64 bits: a corpus of millions of words fits in memory.

    Among 10 million runs, a text of 1,000 words is taken for a leak by chance once in 2 x 10^9 times.
    """

    def __init__(self, order: int):
        self._order = order
        self._known: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)  # sorted, each once

    def add(self, texts: Iterable[str]) -> None:
        """Take in the runs of these texts."""
        self._known = np.unique(np.concatenate([self._known, *(self._runs(_words(text)) for text in texts)]))

    def shared_run(self, text: str) -> str | None:
        """The first run of `text` that stands in a text added before, or None."""
        words = _words(text)
        runs = self._runs(words)
        known = np.searchsorted(self._known, runs, side="right") > np.searchsorted(self._known, runs, side="left")
        if not known.any():
            return None
        start = int(known.argmax())
        return " ".join(words[start : start + self._order])

    def _runs(self, words: list[str]) -> NDArray[np.uint64]:
        """A polynomial in the words' hashes for each run."""
        count = max(0, len(words) - self._order + 1)
        hashes: NDArray[np.uint64] = np.array([hash(word) for word in words], dtype=np.int64).astype(np.uint64)
        runs: NDArray[Any] = np.zeros(count, dtype=np.uint64)
        for place in range(self._order):
            runs = runs * _FACTOR + hashes[place : place + count]
        return runs


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
