"""Two-way clustered standard errors: answers to one context, and answers of one annotator, are not
independent.

Shapes: N judgements, P estimates side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS
from hyperfitting.preference.analysis.arrays import FloatArray, IntArray

Generalises = Literal["both", "contexts", "annotators"]
"""What an interval generalises to: new contexts and new annotators, or new ones of one kind."""


@dataclass(frozen=True)
class Interval:
    """A value, its standard error and interval, and the numbers of judgements, contexts and
    annotators.

    The level is 95 % unless the protocol sets another. `over`: what the interval generalises to.
    With one annotator it is new contexts alone, with one context new annotators alone; with one of
    each there are no error and no bounds. With `bound` the value is missing or at the edge, and
    only this one-sided bound is known: `upper` (see `high`) or `lower` (see `low`).
    """

    value: float | None
    error: float | None
    low: float | None
    high: float | None
    n: int
    contexts: int
    annotators: int
    bound: Literal["upper", "lower"] | None = None
    over: Generalises = "both"


@dataclass(frozen=True)
class Variance:
    """Variances of P estimates: by context, by annotator, and by their intersection. `least_P` is
    what their total is at least.
    """

    context_P: FloatArray
    annotator_P: FloatArray
    both_P: FloatArray
    contexts: int
    annotators: int
    least_P: FloatArray | float = 0.0

    def total(self) -> FloatArray:
        """By context + by annotator - by their intersection, never below the larger of the first
        two. With a single context or annotator, the other alone.
        """
        if self.over == "both":
            larger_P = np.maximum(self.context_P, self.annotator_P)
            total_P = np.maximum(self.context_P + self.annotator_P - self.both_P, larger_P)
        else:
            total_P = self.context_P if self.over == "contexts" else self.annotator_P
        return np.asarray(np.maximum(total_P, self.least_P))

    @property
    def over(self) -> Generalises:
        """What an interval of this variance generalises to."""
        return generalises(self.contexts, self.annotators)

    @property
    def clusters(self) -> int:
        """The smaller of the two counts, a single context or annotator aside."""
        return effective_clusters(self.contexts, self.annotators)

    def reach(self, level: float, counts: tuple[int, int] | None = None) -> FloatArray:
        """Half-widths of two-sided intervals of this level: t x the standard error.

        `counts`: the contexts and annotators behind the estimates, where they are fewer than those
        of the variance. With G the smaller count, t has G - 1 degrees of freedom. Below
        `LEAST_CLUSTERS` it has Satterthwaite's where they are more: G - 1 would suppose that all
        variance is between the few. Source: Satterthwaite 1946, "An Approximate Distribution of
        Estimates of Variance Components".
        """
        contexts, annotators = counts or (self.contexts, self.annotators)
        least = effective_clusters(contexts, annotators)
        if least < 2:
            return np.full(len(self.both_P), np.nan)
        freedom_P = np.full(len(self.both_P), least - 1.0)
        if least < LEAST_CLUSTERS and generalises(contexts, annotators) == "both":
            parts_P = self.context_P**2 / (contexts - 1) + self.annotator_P**2 / (annotators - 1)
            with np.errstate(divide="ignore", invalid="ignore"):
                freedom_P = np.fmax(freedom_P, self.total() ** 2 / parts_P)
        return np.asarray(student.ppf((1 + level) / 2, freedom_P) * np.sqrt(self.total()))


def effective_clusters(contexts: int, annotators: int) -> int:
    """The number of clusters that an interval rests on: the smaller one, but a single context or
    annotator leaves the other.
    """
    least, most = sorted((contexts, annotators))
    return most if least == 1 else least


def generalises(contexts: int, annotators: int) -> Generalises:
    """What an interval from so many contexts and annotators generalises to."""
    return "both" if min(contexts, annotators) > 1 else "contexts" if contexts > 1 else "annotators"


def two_way(influence_PN: FloatArray, context_N: IntArray, annotator_N: IntArray) -> Variance:
    """The variance of estimates from the influence of each judgement on them; influences sum to 0.

    Each of the three sums over clusters is multiplied by G / (G - 1), with its own number of
    clusters G: the small-sample factor CR1, with which the coverage is right
    (docs/explain/preference-analysis.md). Source: Cameron, Gelbach and Miller 2011, "Robust
    Inference With Multiway Clustering".
    """
    both_N = context_N * (int(annotator_N.max(initial=0)) + 1) + annotator_N
    parts = [_clustered(influence_PN, ids_N) for ids_N in (context_N, annotator_N, both_N)]
    (context_P, contexts), (annotator_P, annotators), (both_P, _) = parts
    return Variance(context_P, annotator_P, both_P, contexts, annotators)


def _clustered(influence_PN: FloatArray, ids_N: IntArray) -> tuple[FloatArray, int]:
    order_N = np.argsort(ids_N, kind="stable")
    starts_G = np.flatnonzero(np.diff(ids_N[order_N], prepend=-1))
    clusters = len(starts_G)
    if clusters < 2:
        return np.full(len(influence_PN), np.nan), clusters
    sums_PG = np.add.reduceat(influence_PN[:, order_N], starts_G, axis=1)
    return (sums_PG**2).sum(axis=1) * clusters / (clusters - 1), clusters


def share_intervals(
    hits_PN: FloatArray, context_N: IntArray, annotator_N: IntArray, *, level: float = CONFIDENCE
) -> tuple[FloatArray, FloatArray, FloatArray, Variance]:
    """P shares of the same N judgements, each with the bounds of its interval.

    The interval is symmetric in the log-odds (delta method), and so stays within 0 and 1 and holds
    for rare answers, where one symmetric in the share falls short. A share of exactly 0 or 1 gets a
    one-sided bound, 1 - (1 - level)^(1/G) away, with G the smaller count of clusters: as if each of
    the G gave one answer. Below `LEAST_CLUSTERS`, where sums over few clusters may cancel by
    chance, no interval is narrower than from as many independent answers. Without two clusters of
    a kind the bounds are NaN.
    """
    number = hits_PN.shape[1]
    share_P = hits_PN.mean(axis=1)
    variance = two_way((hits_PN - share_P[:, None]) / number, context_N, annotator_N)
    inside_P = (share_P > 0) & (share_P < 1)
    middle_P = np.where(inside_P, share_P, 0.5)
    slope_P = middle_P * (1 - middle_P)
    if variance.clusters < LEAST_CLUSTERS:
        variance = replace(variance, least_P=slope_P / number)
    reach_P = variance.reach(level) / slope_P
    edge = 1 - (1 - level) ** (1 / variance.clusters)
    low_P = np.where(inside_P, expit(logit(middle_P) - reach_P), np.where(share_P > 0, 1 - edge, 0))
    high_P = np.where(inside_P, expit(logit(middle_P) + reach_P), np.where(share_P > 0, 1, edge))
    return share_P, low_P, high_P, variance


def share(
    hits_N: NDArray[np.bool_],
    context_N: IntArray,
    annotator_N: IntArray,
    *,
    level: float = CONFIDENCE,
) -> Interval:
    """The share of judgements that are hits, with its two-way clustered interval.

    Range [0, 1]. No interval from one context and one annotator.

    Raises:
        ValueError: there are no judgements.
    """
    if not len(hits_N):
        raise ValueError("no judgements, no share")
    hits_PN = hits_N[None].astype(np.float64)
    share_P, low_P, high_P, variance = share_intervals(hits_PN, context_N, annotator_N, level=level)
    value, counts = float(share_P[0]), (len(hits_N), variance.contexts, variance.annotators)
    if variance.clusters < 2:
        return Interval(value, None, None, None, *counts)
    bound: Literal["upper", "lower"] | None = (
        "upper" if value == 0 else "lower" if value == 1 else None
    )
    error = None if bound else float(np.sqrt(variance.total()[0]))
    bounds = float(low_P[0]), float(high_P[0])
    return Interval(value, error, *bounds, *counts, bound, variance.over)
