"""Intervals over clusters: the split groups (books, articles), since texts of one book are not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_CLUSTERS = 10
"""No interval is given below this many clusters."""

CONFIDENCE = 0.95


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

    A mean over texts has denominators of 1; perplexity has summed losses over token counts and `transform` exp. Whole
    clusters are drawn with replacement, `draws` times from `seed`.

    Raises:
        ValueError: if there are no texts, or the denominators add up to 0.
    """
    names = sorted(set(groups))
    if not names or sum(denominators) == 0:
        raise ValueError("nothing to average")
    position = {name: index for index, name in enumerate(names)}
    sums = np.zeros((2, len(names)))
    index = [position[group] for group in groups]
    np.add.at(sums[0], index, numerators)
    np.add.at(sums[1], index, denominators)
    value = float(transform(np.array(sums[0].sum() / sums[1].sum())))
    if len(names) < LEAST_CLUSTERS:
        return Estimate(value, None, None, len(groups), len(names))
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    drawn = sums @ weights.T
    usable = drawn[1] > 0
    low, high = np.quantile(
        transform(drawn[0, usable] / drawn[1, usable]), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    )
    return Estimate(value, float(low), float(high), len(groups), len(names))


def jackknife(value: float, without_each: Sequence[float], *, n: int) -> Estimate:
    """A measure of a whole set, with a normal interval from its values with each cluster left out in turn.

    For measures that a bootstrap would ruin: drawing a text twice repeats its n-grams. The interval speaks of the
    spread between clusters; it is not a test, and sets are comparable at equal number and length of texts only.
    """
    clusters = len(without_each)
    if clusters < LEAST_CLUSTERS:
        return Estimate(value, None, None, n, clusters)
    spread = np.sum((np.array(without_each) - np.mean(without_each)) ** 2)
    margin = 1.959963984540054 * float(np.sqrt((clusters - 1) / clusters * spread))
    return Estimate(value, value - margin, value + margin, n, clusters)
