"""Agreement by what differs between two trainings: over all positions, by confidence, and by
position in the text.

The share of a kind is the mean over its comparisons, each of which counts once. Two trainings
enter a kind only if they differ in that one thing. Of "another order" a comparison is a pair of
orders, so with K orders, each trained on once, it is the mean over all K (K - 1) / 2 pairs: the
unbiased estimate (a U-statistic) of how often two trainings in orders drawn at random agree. An
order that was trained on several times makes several pairs with another; these are averaged first.
Repeats that are one model to the bit, as on a processor, thus count once, and repeats that are not
give no order more weight than others. Source: Carlsson et al. 2025, Figure 5, left, silent on how
its pairs were taken together.

Shapes: N texts, P positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperfitting.studies.analyses.pairs import (
    KINDS,
    OTHER_ORDER,
    SWAP,
    Pair,
    TextSums,
    over_texts,
    ratio_over_seeds,
    text_sums,
)
from hyperfitting.studies.analyses.summary import SeedMean, seed_difference

ROUNDING = tuple(kind for kind in KINDS if kind not in (SWAP, OTHER_ORDER))
"""The controls: kinds of pairs in which nothing but rounding differs."""

_CONFIDENCE_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_POSITION_STEP = 32


@dataclass(frozen=True)
class BinRow:
    """The share of a kind at the positions of one bin.

    `by` is `confidence` (the mean of both probabilities of the most probable tokens) or `position`
    (in tokens of the text); the bin is from `start` to below `end`, and a confidence of 1 is in the
    last one. `positions` are those of all its pairs.
    """

    kind: str
    by: str
    start: float
    end: float
    mean: SeedMean
    positions: int


@dataclass(frozen=True, eq=False)
class Kind:
    """What all pairs of a kind come to: sums by seed, and the most comparisons that a seed has."""

    sums: dict[int, TextSums]
    comparisons: int

    @property
    def share(self) -> SeedMean:
        """The share of positions with the same most probable token."""
        return ratio_over_seeds(self.sums, share=True)


def kinds_of(pairs: Sequence[Pair]) -> dict[str, Kind]:
    """Every kind that has a pair."""
    found = {}
    for kind in KINDS:
        mine = [each for each in pairs if each.kind == kind]
        if mine:
            counts = Counter(seed for seed, _ in {(each.seed, each.comparison) for each in mine})
            found[kind] = Kind(_sums(mine, _everywhere), max(counts.values()))
    return found


def _everywhere(pair: Pair) -> NDArray[np.bool_]:
    return np.ones(len(pair.same_P), dtype=bool)


def _sums(
    pairs: Sequence[Pair], inside: Callable[[Pair], NDArray[np.bool_]]
) -> dict[int, TextSums]:
    """Sums by seed, in which each comparison weighs 1 in all, divided among its pairs."""
    shared = Counter((each.seed, each.comparison) for each in pairs)
    held: dict[int, list[tuple[float, TextSums]]] = {}
    for each in pairs:
        weight = 1 / shared[each.seed, each.comparison]
        held.setdefault(each.seed, []).append((weight, text_sums(each, inside(each))))
    return {seed: _weighted(parts) for seed, parts in held.items()}


def _weighted(parts: Sequence[tuple[float, TextSums]]) -> TextSums:
    """The weighted mean of sums over the same texts."""
    weights = sum(weight for weight, _ in parts)
    above_N = sum((weight * each.above_N for weight, each in parts), np.zeros(1)) / weights
    below_N = sum((weight * each.below_N for weight, each in parts), np.zeros(1)) / weights
    return TextSums(above_N, below_N, parts[0][1].groups)


def changed_against(control: Kind, order: Kind) -> SeedMean | None:
    """Of a control: how many positions it changes, as a multiple of those that another order does.

    Paired by seed; None where an order changes nothing.
    """
    both = [seed for seed in order.sums if seed in control.sums]
    sums = {seed: _changed(control.sums[seed], order.sums[seed]) for seed in both}
    held = {seed: each for seed, each in sums.items() if each.ratio is not None}
    return ratio_over_seeds(held) if held else None


def _changed(control: TextSums, order: TextSums) -> TextSums:
    one_N, other_N = (each.below_N - each.above_N for each in (control, order))
    return TextSums(one_N, other_N, order.groups)


def share_difference(one: Kind, other: Kind) -> SeedMean | None:
    """The share of one kind minus that of another, paired by seed; None without a common seed. Of
    one seed the interval is over clusters of texts.
    """
    shares = [
        {seed: ratio for seed, each in kind.sums.items() if (ratio := each.ratio) is not None}
        for kind in (one, other)
    ]
    apart = seed_difference(*shares)
    if apart is None or apart.seeds > 1:
        return apart
    (seed,) = shares[0].keys() & shares[1].keys()
    a, b = one.sums[seed], other.sums[seed]
    return over_texts(TextSums(a.above_N - b.above_N, a.below_N, a.groups))  # the same positions


def bin_rows(pairs: Sequence[Pair], by: Literal["confidence", "position"]) -> Iterator[BinRow]:
    """A row for every kind of pair and every bin that holds positions."""
    last = max((int(each.position_P.max()) for each in pairs), default=0)
    edges = {
        "confidence": _CONFIDENCE_EDGES,
        "position": tuple(range(0, last + 1 + _POSITION_STEP, _POSITION_STEP)),
    }[by]
    for kind in KINDS:
        mine = [each for each in pairs if each.kind == kind]
        for start, end in pairwise(edges):
            inside = _inside(by, start, np.inf if end == edges[-1] else end)
            sums = _sums(mine, inside)
            if any(each.ratio is not None for each in sums.values()):
                bounds = (float(start), float(end) if by == "confidence" else min(end, last + 1.0))
                count = sum(int(inside(each).sum()) for each in mine)
                yield BinRow(kind, by, *bounds, ratio_over_seeds(sums, share=True), count)


def _inside(by: str, start: float, end: float) -> Callable[[Pair], NDArray[np.bool_]]:
    """Which positions of a pair are in a bin; the last bin has no end."""

    def inside(pair: Pair) -> NDArray[np.bool_]:
        value_P = pair.confidence_P if by == "confidence" else pair.position_P
        found: NDArray[np.bool_] = (value_P >= start) & (value_P < end)
        return found

    return inside
