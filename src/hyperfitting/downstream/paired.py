"""Two models on the same items: who was right where, intervals of the difference, and the loss that
a sample excludes.

Shapes: N items, K clusters, D draws, M counts that a metric is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS, cluster_weights
from hyperfitting.runs.answers import AnsweredItem

_Floats = NDArray[np.float64]
_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Discordance:
    """Items that only one of two models answered right: `lost` by the first, `gained` by the
    second; `p` is exact.
    """

    lost: int
    gained: int
    p: float


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> Discordance:
    """McNemar's exact test of two models on the same items: are losses and gains equally likely?

    Two-sided p-value of `lost` out of `lost + gained` under a binomial of 1/2, in [0, 1]; 1 without
    a discordant item. Items on which both are right, or both wrong, say nothing. It takes items for
    independent. Source: McNemar 1947; the papers are silent.

    Raises:
        ValueError: the two are not of one length.
    """
    pairs = list(zip(before, after, strict=True))
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    total = lost + gained
    tail = sum(math.comb(total, each) for each in range(min(lost, gained) + 1))
    return Discordance(lost, gained, float(min(1, 2 * tail / 2**total)))


def score_interval(lost: int, gained: int, items: int) -> tuple[float, float]:
    """The 95 % interval of the difference in accuracy, after minus before, of paired items.

    Range [-1, 1]. Unlike a bootstrap it has a width where no item is discordant: 0 of N excludes a
    loss of more than 3.84 / (N + 3.84). It takes items for independent. Source: Tango 1998, by
    score; the papers are silent.

    Raises:
        ValueError: there are no items, or more discordant ones than items.
    """
    if not 0 < items >= lost + gained:
        raise ValueError("a difference needs items, and no more discordant ones than these")
    value = (gained - lost) / items
    low = _boundary(lambda delta: _score(lost, gained, items, delta) - _Z, -1.0, value)
    high = _boundary(lambda delta: -_Z - _score(lost, gained, items, delta), 1.0, value)
    return low, high


def _score(lost: int, gained: int, items: int, delta: float) -> float:
    """Tango's statistic for a true difference `delta`; it falls as `delta` grows."""
    difference = gained - lost - items * delta
    a = 2 * items
    b = -lost - gained + (2 * items - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = items * (2 * q + delta * (1 - delta))
    if variance <= 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / math.sqrt(variance)


def _boundary(excess: Callable[[float], float], outer: float, inner: float) -> float:
    """Between `outer`, where the statistic exceeds its bound, and `inner`, where it does not."""
    if excess(outer) <= 0:
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if excess(middle) > 0 else (outer, middle)
    return (outer + inner) / 2


def accuracy(counts_M: _Floats) -> _Floats:
    """Share of right answers, of counts (right, items) on the last axis."""
    return _ratio(counts_M[..., 0], counts_M[..., 1])


def f1(counts_M: _Floats) -> _Floats:
    """F1 of class 1, of counts (true positive, false positive, false negative, true negative) on
    the last axis; range [0, 1], 0 without a true positive (target: higher).
    """
    hit, false, missed, _ = np.moveaxis(counts_M, -1, 0)
    return _ratio(2 * hit, 2 * hit + false + missed)


def matthews(counts_M: _Floats) -> _Floats:
    """Matthews' correlation of the same counts; range [-1, 1], 0 if one class is never chosen or
    never right (target: higher).
    """
    hit, false, missed, true = np.moveaxis(counts_M, -1, 0)
    product = (hit + false) * (hit + missed) * (true + false) * (true + missed)
    return _ratio(hit * true - false * missed, np.sqrt(product))


def _ratio(above: _Floats, below: _Floats) -> _Floats:
    zeros = np.zeros(np.broadcast(above, below).shape)
    return np.divide(above, below, out=zeros, where=below > 0)


SCORES: dict[str, Callable[[_Floats], _Floats]] = {"acc": accuracy, "f1": f1, "mcc": matthews}
"""The metrics that are computed from counts."""

OF_CLASSES = ("f1", "mcc")
"""Those of true and false positives and negatives."""

_RIGHT = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_WRONG = ((0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0))
"""The counts of one item of class 1 and of one of class 0, answered right and answered wrong."""


def item_counts(items: Sequence[AnsweredItem], metric: str) -> _Floats:
    """What each item adds to the counts of a metric, (N, M). An unparsed answer counts as wrong:
    as the other class than the right one.
    """
    if metric not in OF_CLASSES:
        return np.array([[each.score, 1.0] for each in items])
    rows = []
    for each in items:
        says = (1 - (each.gold or 0)) if each.chosen is None else each.chosen
        rows.append([(says, each.gold) == pair for pair in ((1, 1), (1, 0), (0, 1), (0, 0))])
    return np.array(rows, dtype=np.float64)


@dataclass(frozen=True)
class PairedInterval:
    """A value and its 95 % interval; None of both bounds below 10 clusters."""

    value: float
    low: float | None
    high: float | None
    clusters: int


def bootstrap_difference(
    after_NM: _Floats,
    before_NM: _Floats | None,
    clusters: Sequence[str],
    score: Callable[[_Floats], _Floats],
    *,
    draws: int,
    seed: int = 0,
) -> PairedInterval:
    """The score after minus that before, with a percentile bootstrap over clusters of items.

    Whole clusters are drawn, and both models are scored on the same draw. Without `before_NM` it is
    the score itself. Bounds are None below 10 clusters. Source: the papers are silent.

    Raises:
        ValueError: there are no items, or not one cluster for each.
    """
    if not len(after_NM) or len(clusters) != len(after_NM):
        raise ValueError("a score needs items, and a cluster for each")
    names = {name: number for number, name in enumerate(sorted(set(clusters)))}
    place_N = np.array([names[each] for each in clusters])

    def drawn(counts_NM: _Floats, weights_DK: NDArray[np.int64]) -> _Floats:
        sums_KM = np.zeros((len(names), counts_NM.shape[1]))
        np.add.at(sums_KM, place_N, counts_NM)
        return score(weights_DK @ sums_KM)

    def difference(weights_DK: NDArray[np.int64]) -> _Floats:
        after_D = drawn(after_NM, weights_DK)
        return after_D if before_NM is None else after_D - drawn(before_NM, weights_DK)

    value = float(difference(np.ones((1, len(names)), dtype=np.int64))[0])
    if len(names) < LEAST_CLUSTERS:
        return PairedInterval(value, None, None, len(names))
    found_D = difference(cluster_weights(len(names), draws=draws, seed=seed))
    low, high = np.quantile(found_D, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return PairedInterval(value, float(low), float(high), len(names))


def with_added_items(
    after_NM: _Floats,
    before_NM: _Floats,
    clusters: Sequence[str],
    score: Callable[[_Floats], _Floats],
    *,
    draws: int,
    seed: int = 0,
) -> PairedInterval:
    """`bootstrap_difference` of F1 or Matthews' correlation with four items added: of each class
    one that is lost and one that is gained.

    A bootstrap never draws what its sample lacks: of one gained and no lost item it would exclude
    every loss. The four give it the width that Wilson's interval has, which adds two successes and
    two failures to a share. Source: Agresti and Coull 1998 for shares; the papers are silent.
    """
    added_after, added_before = np.array([*_WRONG, *_RIGHT]), np.array([*_RIGHT, *_WRONG])
    found = bootstrap_difference(
        np.concatenate([after_NM, added_after]),
        np.concatenate([before_NM, added_before]),
        [*clusters, *(f"added {number}" for number in range(len(added_after)))],
        score,
        draws=draws,
        seed=seed,
    )
    few = len(set(clusters)) < LEAST_CLUSTERS
    return replace(found, low=None, high=None) if few else found


def excluded_loss(
    interval: PairedInterval, discordance: Discordance, *, items: int, metric: str
) -> float | None:
    """The loss that the sample excludes with 95 % confidence: a larger one is not compatible with
    it. Range [0, 1], in the unit of the metric; None: the sample excludes nothing.

    Of an accuracy it is the larger of two bounds, the bootstrap over clusters and `score_interval`:
    the first alone would exclude every loss where no item is discordant. Of F1 and Matthews'
    correlation there is only the bootstrap: give it that of `with_added_items`.
    """
    lows = [] if interval.low is None else [interval.low]
    if metric not in OF_CLASSES:
        lows.append(score_interval(discordance.lost, discordance.gained, items)[0])
    return max(0.0, -min(lows)) if lows else None
