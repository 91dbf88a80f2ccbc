"""How near one set of texts is to another as a whole: MAUVE (Pillutla et al. 2021), from features,
with numpy alone.

Shapes: N texts of one set, M of both, D features, K clusters, H of them held, W mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperfitting.metrics.stats import LEAST_CLUSTERS

KEPT_VARIANCE = 0.9
RESTARTS = 5
ROUNDS = 500
MIXTURES = 1_001

_Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Mauve:
    """MAUVE, its value with each seed of the clustering, the texts of the smaller side, and the
    clusters.
    """

    value: float
    by_seed: tuple[float, ...]
    n: int
    clusters: int


def mauve(
    features_ND: ArrayLike,
    other_ND: ArrayLike,
    *,
    clusters: int | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    scaling: float = 5.0,
    smoothing: float = 0.0,
    least_texts: int = 1,
) -> Mauve:
    """The area under the divergence curve of two sets of texts, one row of features a text; the
    mean over the seeds.

    Range [0, 1], no unit. Target: higher, nearer. Rows are brought to length 1 and reduced to the
    principal axes that hold 90 % of the variance of both sets; k-means on both together
    (`clusters`, or a tenth of the smaller set, at least 2; k-means++, the best of 5 starts) makes a
    histogram of each, of which `mauve_of_histograms` is taken. `smoothing` is added to every count:
    0 as in Pillutla et al. 2021 and their code, 0.5 for MAUVE* (Pillutla et al. 2023). Source:
    Pillutla et al. 2021, with the last state of GPT-2 large as features; Li et al. 2026, the table
    of domains.

    Known failure: with a tenth as many clusters as texts, two samples of one and the same source
    get about 0.96, not 1, however many they are; with few texts, below about 1,000 a side, chance
    decides. The value depends on the features, the number of texts and the clusters: compare equal
    ones only. The seeds are those of the clustering, and say nothing of other texts.

    Raises:
        ValueError: if a side has fewer than `least_texts` texts; if a feature is not finite; if
            there are no seeds, or fewer than 1 cluster.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (features_ND, other_ND)]
    n = min(map(len, sides))
    if n < least_texts:
        raise ValueError(
            f"MAUVE of {n} texts is mostly chance: {least_texts:,} a side are the least"
        )
    clusters = max(2, round(n / 10)) if clusters is None else clusters
    points_MD = principal_components(np.concatenate(sides))

    def value(seed: int) -> float:
        labels_M = cluster(points_MD, clusters, seed=seed)
        parts = np.split(labels_M, [len(sides[0])])
        counts = [np.bincount(part, minlength=clusters) + smoothing for part in parts]
        return mauve_of_histograms(*counts, scaling=scaling)

    values = tuple(map(value, seeds))
    return Mauve(fmean(values), values, n, clusters)


def mauve_standard_error(
    features_ND: ArrayLike,
    other_ND: ArrayLike,
    groups: Sequence[str],
    other_groups: Sequence[str],
    *,
    draws: int = 20,
    seed: int = 0,
) -> float | None:
    """The standard deviation of MAUVE over random halves of the clusters, which estimates that of
    the whole.

    Range >= 0, no unit; none below 10 clusters on a side. A half is drawn without replacement, and
    the texts of a cluster go together, on both sides: in a bootstrap a text would meet its own
    copy. Over halves of n clusters the variance of a mean is s^2 / (n / 2) x (1 - 1 / 2) = s^2 / n,
    as of the whole. It holds the chance of the clustering too (one seed a draw). Source: Politis
    and Romano 1994; the papers are silent.

    Known failure: MAUVE depends on the number of texts, and halves are half as many: the spread is
    theirs. Somewhat too wide, as one clustering varies more than the mean of five.

    Raises:
        ValueError: as `mauve`, or if features and groups differ in number.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (features_ND, other_ND)]
    names = [np.asarray(list(each)) for each in (groups, other_groups)]
    if [len(each) for each in names] != [len(each) for each in sides]:
        raise ValueError("there is not one group for every row of features")
    if min(len(set(each.tolist())) for each in names) < LEAST_CLUSTERS:
        return None
    every, random = np.unique(np.concatenate(names)), np.random.default_rng(seed)
    halves = [random.permutation(every)[: len(every) // 2] for _ in range(draws)]
    values = [
        mauve(
            *(side[np.isin(own, half)] for side, own in zip(sides, names, strict=True)),
            seeds=(draw,),
        ).value
        for draw, half in enumerate(halves)
    ]
    return float(np.std(values, ddof=1))


def mauve_of_histograms(p_K: ArrayLike, q_K: ArrayLike, *, scaling: float = 5.0) -> float:
    """The area under (exp(-c KL(q|r)), exp(-c KL(p|r))) over the mixtures r = w p + (1 - w) q, w in
    [0, 1].

    Range [0, 1], no unit: 1 if p = q; without a common bin 1 / binomial(2c, c), which is 0.004 for
    the scaling c = 5 of that source. Target: higher, nearer. Symmetric. `p` and `q` are counts or
    probabilities of the same bins. 1,001 mixtures, closer at both ends, stand for all: the area is
    exact to 1e-4, where the 25 of its code give 0.0041 for histograms without a common bin.
    Source: Pillutla et al. 2021, section 2.

    Raises:
        ValueError: if the histograms differ in shape, hold a negative or infinite count, or hold
            nothing.
    """
    p, q = _probabilities(p_K), _probabilities(q_K)
    if p.shape != q.shape:
        raise ValueError(f"histograms of {len(p)} and {len(q)} bins cannot be compared")
    weights_W1 = (1 - np.cos(np.linspace(0, np.pi, MIXTURES)))[:, None] / 2
    mixtures_WK = weights_W1 * p + (1 - weights_W1) * q
    x = np.append(np.exp(-scaling * _divergences(q, mixtures_WK)), 0.0)
    y = np.append(np.exp(-scaling * _divergences(p, mixtures_WK)), 1.0)
    return min(1.0, float(((x[:-1] - x[1:]) * (y[:-1] + y[1:])).sum() / 2))


def principal_components(points_MD: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows brought to length 1 and centred, along the fewest principal axes that hold 90 % of their
    variance.

    Raises:
        ValueError: if a value is not finite.
    """
    if not np.isfinite(points_MD).all():
        raise ValueError("the features hold values that are not finite")
    lengths_M1 = np.linalg.norm(points_MD, axis=1, keepdims=True)
    unit_MD = points_MD / np.where(lengths_M1 > 0, lengths_M1, 1)
    centred_MD = unit_MD - unit_MD.mean(axis=0)
    variances_D, axes_DD = np.linalg.eigh(centred_MD.T @ centred_MD)
    held_D = np.cumsum(variances_D[::-1])
    kept = int(np.searchsorted(held_D, KEPT_VARIANCE * held_D[-1])) + 1
    reduced_MD: NDArray[np.float64] = centred_MD @ axes_DD[:, ::-1][:, :kept]
    return reduced_MD.astype(np.float32)


def cluster(points_MD: _Floats, clusters: int, *, seed: int) -> NDArray[np.int64]:
    """The cluster of each point by k-means: Lloyd's rounds from k-means++ centres, the tightest of
    5 starts.

    A cluster that loses its last point keeps its centre.

    Raises:
        ValueError: if there are fewer than 1 cluster.
    """
    if clusters < 1:
        raise ValueError(f"{clusters} clusters hold nothing")
    starts = [
        _lloyd(points_MD, clusters, np.random.default_rng([seed, start]))
        for start in range(RESTARTS)
    ]
    return min(starts, key=lambda found: found[1])[0]


def _lloyd(
    points_MD: _Floats, clusters: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Labels, and the summed squared distance to the centres less a constant of the points."""
    centres_KD = _spread_centres(points_MD, clusters, random)
    labels_M, spread = _nearest(points_MD, centres_KD)
    for _ in range(ROUNDS):
        centres_KD = _means(points_MD, labels_M, centres_KD)
        before_M, (labels_M, spread) = labels_M, _nearest(points_MD, centres_KD)
        if np.array_equal(labels_M, before_M):
            break
    return labels_M, spread


def _spread_centres(points_MD: _Floats, clusters: int, random: np.random.Generator) -> _Floats:
    """k-means++: each next centre is a point, drawn by its squared distance to the nearest centre
    so far.
    """
    squares_M = (points_MD**2).sum(axis=1)
    chosen = [int(random.integers(len(points_MD)))]
    gaps_M = np.full(len(points_MD), np.inf)
    while len(chosen) < clusters:
        last = chosen[-1]
        gaps_M = np.minimum(
            gaps_M, np.maximum(0, squares_M - 2 * (points_MD @ points_MD[last]) + squares_M[last])
        )
        ladder_M = np.cumsum(gaps_M)
        drawn = np.searchsorted(ladder_M, random.random() * ladder_M[-1], side="right")
        chosen.append(min(int(drawn), len(points_MD) - 1))
    return points_MD[chosen]


def _nearest(points_MD: _Floats, centres_KD: _Floats) -> tuple[NDArray[np.int64], float]:
    gaps_MK = (centres_KD**2).sum(axis=1) - 2 * (points_MD @ centres_KD.T)
    labels_M = gaps_MK.argmin(axis=1)
    return labels_M, float(gaps_MK[np.arange(len(labels_M)), labels_M].sum(dtype=np.float64))


def _means(points_MD: _Floats, labels_M: NDArray[np.int64], centres_KD: _Floats) -> _Floats:
    sorted_M = np.argsort(labels_M, kind="stable")
    held, starts, counts = np.unique(labels_M[sorted_M], return_index=True, return_counts=True)
    moved_KD = centres_KD.copy()
    moved_KD[held] = np.add.reduceat(points_MD[sorted_M], starts) / counts[:, None]
    return moved_KD


def _probabilities(histogram_K: ArrayLike) -> NDArray[np.float64]:
    counts_K = np.asarray(histogram_K, dtype=np.float64)
    if not np.isfinite(counts_K).all() or (counts_K < 0).any() or counts_K.sum() <= 0:
        raise ValueError("a histogram holds counts from 0 up, and at least one above 0")
    shares_K: NDArray[np.float64] = counts_K / counts_K.sum()
    return shares_K


def _divergences(p_K: NDArray[np.float64], mixtures_WK: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(p | mixture) in nats, by mixture; infinite where a mixture lacks a bin that p holds."""
    p_H, mixtures_WH = p_K[p_K > 0], mixtures_WK[:, p_K > 0]
    with np.errstate(divide="ignore"):
        divergences_W: NDArray[np.float64] = (p_H * (np.log(p_H) - np.log(mixtures_WH))).sum(axis=1)
    return divergences_W
