"""Intervals and tests over clusters: the split groups (books, articles), since texts of one book
are not independent.

Shapes: K clusters, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_CLUSTERS = 10
"""No interval is given below this many clusters."""

CONFIDENCE = 0.95

EXACT_CLUSTERS = 14
"""Up to here `sign_flip_p` looks at every way to flip the signs: 16,384 of them."""


@dataclass(frozen=True)
class Estimate:
    """A value and the bounds of its 95 % interval; none below `LEAST_CLUSTERS` clusters."""

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int


def ratio_of_sums(
    numerators: Sequence[float],
    denominators: Sequence[float],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int = 0,
    transform: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda value: value,
) -> Estimate:
    """sum(numerators) / sum(denominators) over texts, with a percentile bootstrap over clusters.

    A mean over texts has denominators of 1; perplexity has summed losses over token counts and
    `transform` exp. Whole clusters are drawn with replacement, `draws` times from `seed`.

    Raises:
        ValueError: if there are no texts, or the denominators add up to 0.
    """
    names = sorted(set(groups))
    if not names or sum(denominators) == 0:
        raise ValueError("nothing to average")
    sums = np.stack([by_cluster(each, groups, names) for each in (numerators, denominators)])
    value = float(transform(np.array(sums[0].sum() / sums[1].sum())))
    if len(names) < LEAST_CLUSTERS:
        return Estimate(value, None, None, len(groups), len(names))
    weights = cluster_weights(len(names), draws=draws, seed=seed)
    drawn = sums @ weights.T
    usable = drawn[1] > 0
    low, high = np.quantile(
        transform(drawn[0, usable] / drawn[1, usable]), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    )
    return Estimate(value, float(low), float(high), len(groups), len(names))


def jackknife(value: float, without_each: Sequence[float], *, n: int) -> Estimate:
    """A measure of a whole set, with a normal interval from its values with each cluster left out
    in turn.

    For metrics that a bootstrap would ruin: drawing a text twice repeats its n-grams. The interval
    speaks of the spread between clusters; it is not a test, and sets are comparable at equal number
    and length of texts only.
    """
    clusters = len(without_each)
    if clusters < LEAST_CLUSTERS:
        return Estimate(value, None, None, n, clusters)
    spread = np.sum((np.array(without_each) - np.mean(without_each)) ** 2)
    margin = 1.959963984540054 * float(np.sqrt((clusters - 1) / clusters * spread))
    return Estimate(value, value - margin, value + margin, n, clusters)


def paired_difference(
    one: Sequence[float],
    other: Sequence[float],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int = 0,
) -> Estimate:
    """Mean over texts of `one` - `other`, two values of the same text, with a percentile bootstrap
    over clusters.

    Unit and range are those of the measure's differences. Above 0, `one` is larger; whether that is
    better is the measure's target to say. A pair shares its text, and its interval is narrower than
    two intervals side by side let one think. Give it values of texts (summed or mean losses, not
    perplexities). Source: the papers are silent.

    Raises:
        ValueError: if there are no texts, or the three are not of one length.
    """
    differences = [a - b for a, b, _ in zip(one, other, groups, strict=True)]
    return ratio_of_sums(differences, [1.0] * len(differences), groups, draws=draws, seed=seed)


def sign_flip_p(
    differences: Sequence[float], groups: Sequence[str], *, draws: int, seed: int = 0
) -> float:
    """Two-sided p-value of a mean paired difference of 0, by flipping the signs of whole clusters.

    The share of flips whose mean is at least as far from 0 as the one observed. With at most
    `EXACT_CLUSTERS` clusters, every flip is looked at: range [2 / 2^K, 1]. With more, `draws`
    random ones and the observed one: range [1 / (draws + 1), 1]. It supposes that without a
    difference a cluster's sum is as likely above 0 as as far below. Below 6 clusters it cannot fall
    under 0.05. Source: the papers are silent.

    Raises:
        ValueError: if there are no differences, one is not finite, or there is not one group each.
    """
    if (
        not len(differences)
        or len(differences) != len(groups)
        or not np.isfinite(differences).all()
    ):
        raise ValueError("a sign-flip test needs finite differences, and a group for each")
    sums_K = by_cluster(differences, groups, sorted(set(groups)))
    exact = len(sums_K) <= EXACT_CLUSTERS
    signs_DK = _every_sign(len(sums_K)) if exact else _random_signs(draws, len(sums_K), seed)
    rounding = 1e-12 * float(np.abs(sums_K).sum())  # an equal sum in another order counts as equal
    extreme = int((np.abs(signs_DK @ sums_K) >= abs(sums_K.sum()) - rounding).sum())
    return extreme / len(signs_DK) if exact else (extreme + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family, adjusted so that calling those below 0.05 errs once in twenty
    families at most.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below one before
    it, nor rises above
    1. In the order given; range [0, 1], never below the raw value. Holds however the tests depend
    on each other. Source: Holm 1979; the papers are silent.

    Raises:
        ValueError: if a value is not in [0, 1].
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("p-values lie in [0, 1]")
    order = raw.argsort(kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(np.arange(len(raw), 0, -1) * raw[order]).clip(max=1)
    return [float(p) for p in adjusted]


def cluster_weights(clusters: int, *, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each cluster stands in each bootstrap sample, (D, K)."""
    even_K = np.full(clusters, 1 / clusters)
    return np.random.default_rng(seed).multinomial(clusters, even_K, size=draws)


def by_cluster(
    values: Sequence[float], groups: Sequence[str], clusters: Sequence[str]
) -> NDArray[np.float64]:
    """Values summed over the texts of each cluster, in the order given; 0 for a cluster without a
    text.
    """
    position = {name: index for index, name in enumerate(clusters)}
    sums_K = np.zeros(len(clusters))
    np.add.at(sums_K, [position[group] for group in groups], values)
    return sums_K


def _every_sign(clusters: int) -> NDArray[np.int64]:
    return 1 - 2 * (np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1)


def _random_signs(draws: int, clusters: int, seed: int) -> NDArray[np.int64]:
    return 2 * np.random.default_rng(seed).integers(2, size=(draws, clusters)) - 1
