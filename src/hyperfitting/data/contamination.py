"""Find held-out texts that share a run of words with the training texts; case and punctuation are
ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LEAST = 5
"""A training text of fewer words is ignored, because it occurs in many texts."""
_PLAIN_WORD = re.compile(r"\w+")
_WITHOUT_SPACES = (
    # Thai to Khmer, kana, Han
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U000323af"
)
"""Letters of scripts without spaces between words: each letter, with its marks, counts as a
word.
"""


class LeakIndex:
    """All runs of `order` words of some texts as 64-bit hashes, so that millions of words fit in
    memory.

    Words are compared after NFKC and case folding, without format characters. In scripts written
    without spaces a character counts as a word; in a text without letters and digits, any other
    character does. Against 10 million runs, a text of 1,000 words is reported as a leak by a hash
    collision once in 2 x 10^9 times.
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
        """Add the words of these texts."""
        for text in texts:
            hashes = _hashes(words_of(text))
            self._texts.append(hashes)
            length = _whole_words(len(hashes))
            if _LEAST <= length < self._order:
                self._short.setdefault(length, set()).add(int(_runs(hashes, length)[0]))
        self._sorted.clear()

    def shared_run(self, text: str) -> str | None:
        """The first run of words of `text` that also occurs in an added text, or None.

        If either text has fewer words than a run, all its words must occur in the other one, except
        the last, which the end of a block may have cut.
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
    """The words that are compared: case-folded, and one for each character in scripts without
    spaces.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    special, dropped, word = _patterns()
    if not special.search(folded):
        word = _PLAIN_WORD
    folded = dropped.sub("", folded)
    return word.findall(folded) or [each for each in folded if not each.isspace()]


def _whole_words(count: int) -> int:
    """The number of a text's words that are certainly complete; all of them if there are very
    few.
    """
    return count - 1 if count > _LEAST else count


def _first(found: NDArray[np.bool_]) -> int | None:
    return int(found.argmax()) if found.any() else None


def _hashes(words: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([hash(word) for word in words], dtype=np.int64).astype(np.uint64)


def _runs(hashes: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    """A polynomial hash of each run of words."""
    return run_hashes(hashes, order, _FACTOR)


def run_hashes(numbers: NDArray[np.uint64], order: int, factor: np.uint64) -> NDArray[np.uint64]:
    """The polynomial hash, modulo 2^64, of each run of `order` numbers; empty if there are
    fewer.
    """
    powers = factor ** np.arange(order - 1, -1, -1, dtype=np.uint64)
    if len(numbers) < order:
        return numbers[:0]
    hashes: NDArray[np.uint64] = sliding_window_view(numbers, order) @ powers
    return hashes


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Patterns for special characters, for format characters, and for a word with its marks, such
    as vowel signs.

    The first is for speed: a text without special characters is split by a plain pattern, ten times
    as fast.
    """
    marks, formats = _class_of("M"), _class_of("Cf")
    letters = f"[^\\W{_WITHOUT_SPACES}]"
    many = f"{letters}+(?:[{marks}]+{letters}*)*"
    one = f"[{_WITHOUT_SPACES}](?<=\\w)[{marks}]*"
    patterns = f"[{_WITHOUT_SPACES}{marks}]", f"[{formats}]", f"{many}|{one}"
    return re.compile(patterns[0]), re.compile(patterns[1]), re.compile(patterns[2])


def _class_of(category: str) -> str:
    """The characters of a Unicode category as ranges of a regular expression; `re` is slow with
    single characters.
    """
    numbers = (*range(0x80, 0x20000), *range(0xE0000, 0xE0200))
    found = [each for each in numbers if unicodedata.category(chr(each)).startswith(category)]
    starts = [each for each, before in zip(found, [-1, *found], strict=False) if each != before + 1]
    ends = [each for each, after in zip(found, [*found[1:], -1], strict=True) if after != each + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))
