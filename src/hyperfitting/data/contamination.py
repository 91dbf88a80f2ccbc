"""Does a held-out text stand in the training texts? Runs of words, whatever their case, punctuation and script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LEAST = 5
"""A shorter training text than this many words is no sign of a leak: it stands in many texts."""
_PLAIN_WORD = re.compile(r"\w+")
_WITHOUT_SPACES = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai ... Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f"  # kana, Han
    "\U00020000-\U000323af"
)
"""Letters of scripts that put no space between words: each, with its marks, counts as a word."""


class LeakIndex:
    """All runs of `order` words of some texts, each as 64 bits: a corpus of millions of words fits in memory.

    Words are compared after NFKC and case folding, without format characters. In scripts that are written without
    spaces a character counts as a word; in a text without any letter or digit, a sign does. Among 10 million runs, a
    text of 1,000 words is taken for a leak by chance once in 2 x 10^9 times.
    """

    def __init__(self, order: int):
        self._order = order
        self._texts: list[
            NDArray[np.uint64]
        ] = []  # the words of each text that was added, as hashes
        self._sorted: dict[int, NDArray[np.uint64]] = {}  # all runs of a length in them, each once
        self._short: dict[
            int, set[int]
        ] = {}  # the texts of fewer words than a run, by their length

    def add(self, texts: Iterable[str]) -> None:
        """Take in the words of these texts."""
        for text in texts:
            hashes = _hashes(words_of(text))
            self._texts.append(hashes)
            length = _whole_words(len(hashes))
            if _LEAST <= length < self._order:
                self._short.setdefault(length, set()).add(int(_runs(hashes, length)[0]))
        self._sorted.clear()

    def shared_run(self, text: str) -> str | None:
        """The first run of `text` that stands in a text added before, or None.

        Of a text of fewer words than a run, on either side, all of it has to stand in the other; but for its last word,
        which the end of a block may have cut.
        """
        words = words_of(text)
        hashes, order = _hashes(words), min(self._order, _whole_words(len(words)))
        if order and (start := self._first_known(_runs(hashes, order), order)) is not None:
            return " ".join(words[start : start + order])
        for length, known in self._short.items():
            runs = _runs(hashes, length)
            if (start := _first(np.array([each in known for each in runs.tolist()]))) is not None:
                return " ".join(words[start : start + length])
        return None

    def _first_known(self, runs: NDArray[np.uint64], order: int) -> int | None:
        known = self._known(order)
        return _first(
            np.searchsorted(known, runs, side="right") > np.searchsorted(known, runs, side="left")
        )

    def _known(self, order: int) -> NDArray[np.uint64]:
        if order not in self._sorted:
            empty = np.empty(0, dtype=np.uint64)
            self._sorted[order] = np.unique(
                np.concatenate([empty, *(_runs(each, order) for each in self._texts)])
            )
        return self._sorted[order]


def words_of(text: str) -> list[str]:
    """The words that leaks are made of: folded, and a character each in scripts without spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    special, dropped, word = _patterns()
    if not special.search(folded):
        word = _PLAIN_WORD
    folded = dropped.sub("", folded)
    return word.findall(folded) or [each for each in folded if not each.isspace()]


def _whole_words(count: int) -> int:
    """How many of a text's words are surely whole; of very few all are taken, as one or two stand anywhere."""
    return count - 1 if count > _LEAST else count


def _first(found: NDArray[np.bool_]) -> int | None:
    return int(found.argmax()) if found.any() else None


def _hashes(words: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([hash(word) for word in words], dtype=np.int64).astype(np.uint64)


def _runs(hashes: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    """A polynomial in the words' hashes for each run."""
    count = max(0, len(hashes) - order + 1)
    runs: NDArray[Any] = np.zeros(count, dtype=np.uint64)
    for place in range(order):
        runs = runs * _FACTOR + hashes[place : place + count]
    return runs


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What a word is not simply made of, format characters, and a word, which goes on over marks such as vowel signs.

    The first is there for speed: a text without any such character is split ten times as fast.
    """
    marks, formats = _class_of("M"), _class_of("Cf")
    letters = f"[^\\W{_WITHOUT_SPACES}]"
    many = f"{letters}+(?:[{marks}]+{letters}*)*"
    one = f"[{_WITHOUT_SPACES}](?<=\\w)[{marks}]*"
    patterns = f"[{_WITHOUT_SPACES}{marks}]", f"[{formats}]", f"{many}|{one}"
    return re.compile(patterns[0]), re.compile(patterns[1]), re.compile(patterns[2])


def _class_of(category: str) -> str:
    """The characters of a Unicode category as ranges of a regular expression's class: `re` is slow with many others."""
    numbers = (*range(0x80, 0x20000), *range(0xE0000, 0xE0200))
    found = [each for each in numbers if unicodedata.category(chr(each)).startswith(category)]
    starts = [each for each, before in zip(found, [-1, *found], strict=False) if each != before + 1]
    ends = [each for each, after in zip(found, [*found[1:], -1], strict=True) if after != each + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))
