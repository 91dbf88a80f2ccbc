"""Arms x metrics: each value with its interval, and the arms nearest to the true texts as far as
the data tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperfitting.comparing.load import DomainMetrics
from hyperfitting.comparing.seeds import Seeds
from hyperfitting.metrics.multiple_comparisons import (
    drawn_pseudo_values,
    drawn_ratios,
    not_told_apart_from_nearest,
)
from hyperfitting.metrics.specs import MetricSpec, compared_metrics
from hyperfitting.metrics.stats import by_cluster, cluster_weights
from hyperfitting.records import Arm, MetricRow

Mark = Literal["nearest", "among", ""]
"""`nearest`: alone nearest to the true texts. `among`: one of several that cannot be told apart
from the nearest.
"""


@dataclass(frozen=True)
class MarkedTable:
    """One domain at one choice of seeds: for every arm and metric its row, and whether the arm is
    nearest to the true texts.

    Cells and marks are kept by arm and name of the metric.
    """

    domain: str
    seeds: Seeds
    arms: tuple[Arm, ...]
    metrics: tuple[MetricSpec, ...]
    cells: dict[tuple[Arm, str], MetricRow]
    marks: dict[tuple[Arm, str], Mark]


def marked_table(held: DomainMetrics, *, draws: int) -> MarkedTable:
    """The table of a domain at a seed. Only what a model wrote is marked, by its distance to the
    true texts' value.

    A pooled metric is marked where the arm has as many texts and tokens as the true texts.
    Distances are |value - value of the true texts|, of perplexities |difference of their
    logarithms|.
    """
    arms = held.arms
    specs = tuple(
        spec for spec in compared_metrics() if any((arm, spec.name) in held.rows for arm in arms)
    )
    names = {spec.name for spec in specs}
    cells = {key: row for key, row in held.rows.items() if key[1] in names}
    marks: dict[tuple[Arm, str], Mark] = {
        (arm, name): mark
        for name in (spec.name for spec in specs)
        for arm, mark in _marks(held, name, draws).items()
    }
    return MarkedTable(held.domain, held.seeds, arms, specs, cells, marks)


def _marks(held: DomainMetrics, name: str, draws: int) -> dict[Arm, Mark]:
    reference = held.reference
    arms = [arm for arm in held.arms if arm.is_model and (arm, name) in held.rows]
    if (reference, name) in held.pooled:
        arms = [arm for arm in arms if held.size(arm) == held.size(reference)]
    if (reference, name) not in held.rows or name in held.unlike or not arms:
        return {}
    clusters = sorted({text.group for text in held.texts[reference]})
    # One set of draws for all columns of a table.
    weights_DK = cluster_weights(len(clusters), draws=draws, seed=held.seeds.seed).astype(
        np.float64
    )
    value_A, drawn_AD = _drawn(held, [*arms, reference], name, clusters, weights_DK)
    distance_A, drawn_distance_AD = (
        np.abs(value_A[:-1] - value_A[-1]),
        np.abs(drawn_AD[:-1] - drawn_AD[-1]),
    )
    near = not_told_apart_from_nearest(distance_A, drawn_distance_AD, clusters=len(clusters))
    alone: Mark = "nearest" if sum(near) == 1 and len(near) > 1 else "among"
    return {arm: alone if each else "" for arm, each in zip(arms, near, strict=True)}


def _drawn(
    held: DomainMetrics,
    arms: Sequence[Arm],
    name: str,
    clusters: list[str],
    weights_DK: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The metric of each arm (A,), perplexity as its logarithm, and its bootstrap samples (A,
    D).
    """
    if (arms[0], name) in held.pooled:
        found = [held.pooled[arm, name] for arm in arms]
        value_A = np.array([each.value for each in found])
        without_AK = np.array(
            [[each.without.get(cluster, each.value) for cluster in clusters] for each in found]
        )
        return value_A, drawn_pseudo_values(value_A, without_AK, weights_DK)
    kept = [[text for text in held.texts[arm] if name in text.values] for arm in arms]
    sums_AK, counts_AK = (
        np.array(
            [
                by_cluster(
                    [text.values[name][0][part] for text in own],
                    [text.group for text in own],
                    clusters,
                )
                for own in kept
            ]
        )
        for part in (0, 1)
    )
    return drawn_ratios(sums_AK, counts_AK, weights_DK)
