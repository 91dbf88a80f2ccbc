"""Find texts that nearly repeat another one: candidates by min-hashes, then exact comparison of
5-character runs.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.contamination import run_hashes
from hyperfitting.records import Document

NEAR = 0.8
"""Two texts nearly repeat each other if they share more than this share of their 5-character runs
(Jaccard index).
"""
_RUN, _BANDS, _ROWS = 5, 16, 4
_CHARACTERS = 100_000
"""Only this many characters of a document are compared."""
_FACTORS = np.random.default_rng(0).integers(
    2**31, size=_BANDS * _ROWS, dtype=np.uint32
) * np.uint32(2) + np.uint32(1)
_BASE, _MIX = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
_ALIKE = 32
"""Common min-hashes, of 64, that a candidate needs: at a share of 0.8, one pair in 10 million has
fewer.
"""


class NearRepeats:
    """An index of documents by their runs of 5 characters.

    Candidates agree in one of 16 bands of 4 min-hashes (Broder 1997) and are then compared run by
    run, so there are no false matches. At a share of exactly 0.8 one pair in 4,000 is missed, at
    higher shares fewer.
    """

    def __init__(self) -> None:
        self._documents: list[Document] = []
        self._signatures: list[NDArray[np.uint32]] = []
        self._bands: defaultdict[int, list[int]] = defaultdict(list)

    def find(self, document: Document) -> Document | None:
        """An added document that this one nearly repeats, or None."""
        return self._find(document.text, _signature(document.text))

    def add(self, document: Document) -> Document | None:
        """Add a document; returns what `find` gave before."""
        signature = _signature(document.text)
        found = self._find(document.text, signature)
        for band in _keys(signature):
            self._bands[band].append(len(self._documents))
        self._documents.append(document)
        self._signatures.append(signature)
        return found

    def _find(self, text: str, signature: NDArray[np.uint32]) -> Document | None:
        for each in sorted(
            {each for band in _keys(signature) for each in self._bands.get(band, ())}
        ):
            alike = np.count_nonzero(self._signatures[each] == signature) >= _ALIKE
            if alike and near_share(text, self._documents[each].text) > NEAR:
                return self._documents[each]
        return None


def near_share(text: str, other: str) -> float:
    """The Jaccard index of the 5-character runs of two texts, in [0, 1]."""
    runs, others = _runs(text), _runs(other)
    common = len(np.intersect1d(runs, others, assume_unique=True))
    return common / max(1, len(runs) + len(others) - common)


@lru_cache(maxsize=2)  # a text is compared with several others
def _runs(text: str) -> NDArray[np.uint64]:
    """The 5-character runs of a text as 64-bit hashes, sorted and unique; a shorter text is one
    run.
    """
    codes = np.frombuffer(text[:_CHARACTERS].encode("utf-32-le"), dtype=np.uint32).astype(
        np.uint64
    ) + np.uint64(1)
    codes = np.pad(codes, (0, max(0, _RUN - len(codes))))
    runs = run_hashes(codes, _RUN, _BASE)
    runs = (runs ^ (runs >> np.uint64(29))) * _MIX
    return np.unique(runs ^ (runs >> np.uint64(32)))


@lru_cache(maxsize=2)  # a text is looked up in several indices
def _signature(text: str) -> NDArray[np.uint32]:
    """64 min-hashes; two texts agree in each with a probability equal to their Jaccard index."""
    low = _runs(text).astype(np.uint32)
    parts = [low[start : start + 2048, None] * _FACTORS for start in range(0, len(low), 2048)]
    least: NDArray[np.uint32] = np.min([part.min(axis=0) for part in parts], axis=0)
    return least


def _keys(signature: NDArray[np.uint32]) -> list[int]:
    rows = signature.astype(np.uint64).reshape(_BANDS, _ROWS)
    keys = np.arange(_BANDS, dtype=np.uint64)
    for row in range(_ROWS):
        keys = (keys ^ rows[:, row]) * _MIX
    return keys.tolist()
