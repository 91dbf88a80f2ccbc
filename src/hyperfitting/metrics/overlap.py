"""What a text shares with the training blocks, token for token: is it only reciting?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECITED_ORDER = 8
"""Tokens of a run that counts as recited."""

LONG_OVERLAP_TOKENS = 10
"""Carlsson et al. 2025, Table 2, count the texts whose longest shared run is longer than this."""

_Ints = NDArray[np.int64]

_BORDER = -1
_NO_TOKEN = -2
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class SharedRun:
    """The longest token run of one text that stands in a training block, and where (the first of
    equals).

    Unit of `length`: tokens, 0 if nothing is shared. Target: the reference text's value; more means
    recitation. Source: Carlsson et al. 2025, Table 2 (mean 5.8 for hyperfitted models against 4.0).
    """

    length: int
    start: int
    block: int
    block_start: int


@dataclass(frozen=True, eq=False)
class Shared:
    """What one text shares: `lengths` (T,), the longest shared run from each token on, and the
    longest of all.
    """

    lengths: _Ints
    longest: SharedRun

    def __len__(self) -> int:
        """The number of the text's tokens."""
        return len(self.lengths)

    def recited_ngrams(self, *, order: int = RECITED_ORDER) -> tuple[int, int]:
        """How many of the text's n-grams stand in a training block, and how many n-grams it has.

        Their quotient over a set of texts is the share of recited n-grams: range [0, 1]. Target:
        the reference text's value. Source: the papers are silent; the order is ours.
        """
        total = max(0, len(self.lengths) - order + 1)
        return int((self.lengths[:total] >= order).sum()), total


class TrainingIndex:
    """Training blocks, ready to be searched for runs that a text shares with them; none crosses a
    block's border.

    `blocks` are lists of ids (at least 0) of any lengths, or one (N, T) array. They are kept as a
    suffix array: all positions in the order of the tokens from there to the end of the block, so
    that the places of a run are one range. With n tokens it is built in n log n steps and about 90
    bytes a token, however often the blocks repeat themselves.

    Raises:
        ValueError: if there are no blocks.
    """

    def __init__(self, blocks: Sequence[Sequence[int]] | NDArray[np.integer[Any]]):
        if not len(blocks):
            raise ValueError("no training blocks to search")
        self._tokens, self._starts = _joined(blocks)
        self._order = _suffix_array(self._tokens, self._starts)

    def search(self, texts: Sequence[Sequence[int]]) -> Iterator[Shared]:
        """What each text shares with the training blocks, in order; hundreds at once, which is ten
        times as fast.

        Raises:
            ValueError: if a text is empty.
        """
        for begin in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[begin : begin + _TEXTS_AT_ONCE]
            found = np.stack(self._search([id_ for text in some for id_ in (*text, _NO_TOKEN)]))
            ends = np.cumsum([len(text) + 1 for text in some])
            for own in np.split(found, ends[:-1], axis=1):
                yield self._shared(*own[:, :-1])

    def _shared(self, lengths: _Ints, first: _Ints, behind: _Ints) -> Shared:
        if not len(lengths):
            raise ValueError("an empty continuation shares no run")
        start = int(lengths.argmax())
        place = int(self._order[first[start] : behind[start]].min())
        block = int(np.searchsorted(self._starts, place, side="right")) - 1
        block_start = place - int(self._starts[block])
        return Shared(lengths, SharedRun(int(lengths[start]), start, block, block_start))

    def _search(self, ids: Sequence[int]) -> tuple[_Ints, _Ints, _Ints]:
        """Lengths of the longest shared run by start, and the range of `_order` that lists its
        places.

        All starts at once, one token deeper each round: those that no training position follows
        drop out.
        """
        text = np.asarray([*ids, _NO_TOKEN], dtype=np.int64)
        here, depth = np.arange(len(ids)), 0
        lengths, first, behind = (
            np.full(len(ids), fill, dtype=np.int64) for fill in (0, 0, len(self._order))
        )
        while len(here):
            wanted = text[here + depth]
            low = self._bound(first[here], behind[here], depth, wanted)
            high = self._bound(low, behind[here], depth, wanted + 1)
            found, depth = low < high, depth + 1
            here = here[found]
            lengths[here], first[here], behind[here] = depth, low[found], high[found]
        return lengths, first, behind

    def _bound(self, low: _Ints, high: _Ints, depth: int, wanted: _Ints) -> _Ints:
        """Where, in each range of positions that agree on `depth` tokens, the next one is no longer
        below `wanted`.

        A binary search in all ranges at once.
        """
        low, high = low.copy(), high.copy()
        open_ = np.flatnonzero(low < high)
        while len(open_):
            middle = (low[open_] + high[open_]) // 2
            below = self._tokens[self._order[middle] + depth] < wanted[open_]
            low[open_[below]] = middle[below] + 1
            high[open_[~below]] = middle[~below]
            open_ = open_[low[open_] < high[open_]]
        return low


def _joined(blocks: Sequence[Sequence[int]] | NDArray[np.integer[Any]]) -> tuple[_Ints, _Ints]:
    """The tokens of all blocks with a border behind each, which no text holds, and where each block
    starts.
    """
    starts = np.cumsum([0, *(len(block) + 1 for block in blocks)], dtype=np.int64)
    tokens = np.full(starts[-1], _BORDER, dtype=np.int64)
    for block, start in zip(blocks, starts.tolist(), strict=False):
        tokens[start : start + len(block)] = block
    return tokens, starts


def _suffix_array(tokens: _Ints, starts: _Ints) -> _Ints:
    """All positions in the order of the tokens from there to the block's border, by prefix
    doubling.

    A round sorts the positions that agree on `depth` tokens by the rank of what stands `depth`
    tokens on, and so tells twice the depth apart. A rank is the first slot of a group of equals;
    who is alone, or has met the border, is done.
    """
    rooms = np.repeat(starts[1:] - 1, np.diff(starts)) - np.arange(len(tokens))
    order, tied = np.arange(len(tokens)), np.arange(len(tokens))
    ranks = np.zeros(len(tokens), dtype=np.int64)
    keys, depth = _packed(tokens, rooms)
    while len(tied):
        turn = keys.argsort()
        keys, here = keys[turn], order[tied][turn]
        first = np.append(True, keys[1:] != keys[:-1])
        order[tied], ranks[here] = here, np.maximum.accumulate(np.where(first, tied, 0))
        left = ~(first & np.append(first[1:], True)) & (rooms[here] >= depth)
        tied, here = tied[left], here[left]
        keys, depth = ranks[here] * len(tokens) + ranks[here + depth], 2 * depth
    return order


def _packed(tokens: _Ints, rooms: _Ints) -> tuple[_Ints, int]:
    """For each position the first tokens from there as one number, in their order, and how many
    tokens those are.

    As many as 63 bits hold, 8 at most; whatever lies past the block is 0, as its border is.
    """
    digits, base = tokens + 1, max(2, int(tokens.max()) + 2)
    keys, depth = digits, 1
    while depth < 8 and base ** (depth + 1) <= 2**63:
        keys = keys * base + np.where(rooms > depth, np.roll(digits, -depth), 0)
        depth += 1
    return keys, depth
