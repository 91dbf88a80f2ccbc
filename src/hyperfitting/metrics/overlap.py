"""What a text shares with the training blocks, token for token: is it only reciting?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECITED_ORDER = 8
"""Tokens of a run that counts as recited."""


@dataclass(frozen=True)
class SharedRun:
    """The longest run that one text shares with the training blocks."""

    length: int
    start: int
    block: int
    block_start: int


class TrainingIndex:
    """Training blocks, ready to be searched for runs that a text shares with them; none crosses a block's border."""

    def __init__(self, blocks: Sequence[Sequence[int]]):
        # One -1 behind each block: no text holds it, so no run goes past it.
        self._tokens = np.concatenate([np.array([*block, -1], dtype=np.int64) for block in blocks])
        self._starts = np.cumsum([0, *(len(block) + 1 for block in blocks)])
        self._order = np.argsort(self._tokens, kind="stable")
        self._sorted = self._tokens[self._order]

    def shared_run_lengths(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """For each position, the length in tokens of the longest run starting there that stands in a training block."""
        return self._search(ids)[0]

    def longest_shared_run(self, ids: Sequence[int]) -> SharedRun:
        """The longest token run of `ids` that stands in a training block, and where (the first of equals; 0 if none).

        Unit: tokens. Target: the reference text's value; more means recitation. Source: A, Table 2 (mean 5.8 for
        hyperfitted models against 4.0).

        Raises:
            ValueError: if `ids` is empty.
        """
        if not len(ids):
            raise ValueError("an empty continuation shares no run")
        lengths, places = self._search(ids)
        start = int(lengths.argmax())
        block = int(np.searchsorted(self._starts, places[start], side="right")) - 1
        return SharedRun(int(lengths[start]), start, block, int(places[start] - self._starts[block]))

    def recited_ngrams(self, ids: Sequence[int], *, order: int = RECITED_ORDER) -> tuple[int, int]:
        """How many of a text's n-grams stand in a training block, and how many n-grams it has.

        Their quotient over a set of texts is the share of recited n-grams: range [0, 1]. Target: the reference
        text's value. Source: the papers are silent; the order is ours.
        """
        total = max(0, len(ids) - order + 1)
        return int((self.shared_run_lengths(ids)[:total] >= order).sum()), total

    def _search(self, ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lengths of the longest shared run by start, and one place of it among the training tokens.

        All pairs (text position, training position) that agree on n tokens, extended by one token at a time: the
        pairs thin out so fast that the first round is most of the work.
        """
        text = np.asarray([*ids, -2], dtype=np.int64)
        lengths, places = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
        here, there = self._equal_pairs(text[:-1])
        length = 1
        while len(here):
            lengths[here] = length
            places[here[::-1]] = there[::-1]  # reversed, so that the first training place stays
            agree = text[here + length] == self._tokens[np.minimum(there + length, len(self._tokens) - 1)]
            here, there = here[agree], there[agree]
            length += 1
        return lengths, places

    def _equal_pairs(self, text: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every (text position, training position) of equal tokens, in order of the first, then the second."""
        first = np.searchsorted(self._sorted, text, side="left")
        count = np.searchsorted(self._sorted, text, side="right") - first
        here = np.repeat(np.arange(len(text)), count)
        offset = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
        return here, self._order[np.repeat(first, count) + offset]
