"""Two-way clustered standard errors: answers to one context, and answers of one annotator, are not
independent.

Shapes: N judgements, P estimates side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS
from hyperfitting.preference.analysis.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Interval:
    """A value, its standard error and interval, and the numbers of judgements, contexts and
    annotators.

    The level is 95 % unless the protocol sets another. Below `LEAST_CLUSTERS` contexts or
    annotators there are no error and no bounds. With `bound` the value is missing or at the edge,
    and only this one-sided bound is known: `upper` (see `high`) or `lower` (see `low`).
    """

    value: float | None
    error: float | None
    low: float | None
    high: float | None
    n: int
    contexts: int
    annotators: int
    bound: Literal["upper", "lower"] | None = None


@dataclass(frozen=True)
class Variance:
    """Variances of P estimates: by context, by annotator, and by their intersection."""

    context_P: FloatArray
    annotator_P: FloatArray
    both_P: FloatArray
    contexts: int
    annotators: int

    def total(self) -> FloatArray:
        """By context + by annotator - by their intersection, never below the larger of the first
        two.
        """
        return np.maximum(
            self.context_P + self.annotator_P - self.both_P,
            np.maximum(self.context_P, self.annotator_P),
        )

    @property
    def clusters(self) -> int:
        """The smaller of the two counts."""
        return min(self.contexts, self.annotators)

    @property
    def enough(self) -> bool:
        """Whether both counts allow an interval."""
        return self.clusters >= LEAST_CLUSTERS


def quantile(level: float, clusters: int) -> float:
    """The half-width of a two-sided interval of this level in standard errors: t with `clusters` -
    1 degrees of freedom.
    """
    return float(student.ppf((1 + level) / 2, clusters - 1))


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
    the G gave one answer. The caller checks that there are enough clusters.
    """
    share_P = hits_PN.mean(axis=1)
    variance = two_way((hits_PN - share_P[:, None]) / hits_PN.shape[1], context_N, annotator_N)
    inside_P = (share_P > 0) & (share_P < 1)
    middle_P = np.where(inside_P, share_P, 0.5)
    with np.errstate(invalid="ignore"):
        reach_P = (
            quantile(level, variance.clusters)
            * np.sqrt(variance.total())
            / (middle_P * (1 - middle_P))
        )
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

    Range [0, 1]. No interval below 10 contexts or 10 annotators.

    Raises:
        ValueError: there are no judgements.
    """
    if not len(hits_N):
        raise ValueError("no judgements, no share")
    hits_PN = hits_N[None].astype(np.float64)
    share_P, low_P, high_P, variance = share_intervals(hits_PN, context_N, annotator_N, level=level)
    value, counts = float(share_P[0]), (len(hits_N), variance.contexts, variance.annotators)
    if not variance.enough:
        return Interval(value, None, None, None, *counts)
    bound: Literal["upper", "lower"] | None = (
        "upper" if value == 0 else "lower" if value == 1 else None
    )
    error = None if bound else float(np.sqrt(variance.total()[0]))
    return Interval(value, error, float(low_P[0]), float(high_P[0]), *counts, bound)
