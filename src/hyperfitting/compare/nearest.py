"""Arms x measures: each value with its interval, and the columns nearest to the target as far as the data tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperfitting.compare.load import Column, Panel
from hyperfitting.metrics.multiple_comparisons import (
    by_cluster,
    cluster_weights,
    drawn_pseudo_values,
    drawn_ratios,
    not_told_apart_from_nearest,
)
from hyperfitting.records import MetricRow

Mark = Literal["nearest", "among", ""]
"""`nearest`: alone nearest to the target. `among`: one of several that cannot be told apart from the nearest."""

MEASURES = (
    "ttr_last96",
    "repeated_4gram_share",
    "looping_share",
    "compression_ratio",
    "distinct_2gram_share",
    "self_bleu",
    "perplexity_under_original",
    "perplexity_under_scorer",
    "mauve",
    "longest_overlap_tokens",
    "overlap_above10_share",
    "recited_8gram_share",
    "dataset_bleu",
)
"""What a comparison shows, where it was measured: variety and loops, then fluency, then recitation."""


@dataclass(frozen=True)
class SetTable:
    """One set at one seed: for every column and measure its row, and how near it is to the target."""

    domain: str
    seed: int
    columns: tuple[Column, ...]
    measures: tuple[str, ...]
    cells: dict[tuple[Column, str], MetricRow]
    marks: dict[tuple[Column, str], Mark]


def set_table(panel: Panel, *, draws: int, seed: int) -> SetTable:
    """The table of a set at a seed. Only what a model wrote is marked, and only against the true texts' value.

    A measure of whole sets is marked where they are as large as the true texts, in texts and in tokens.
    Distances are |value - value of the true texts|, of perplexities |difference of their logarithms|.
    """
    measures = tuple(
        name for name in MEASURES if any((column, name) in panel.rows for column in panel.columns)
    )
    cells = {key: row for key, row in panel.rows.items() if key[1] in measures}
    marks: dict[tuple[Column, str], Mark] = {}
    for measure in measures:
        marks |= {
            (column, measure): mark for column, mark in _marks(panel, measure, draws, seed).items()
        }
    return SetTable(panel.domain, panel.seed, panel.columns, measures, cells, marks)


def _marks(panel: Panel, measure: str, draws: int, seed: int) -> dict[Column, Mark]:
    reference = panel.reference()
    columns = [column for column in panel.written() if (column, measure) in panel.rows]
    clusters = sorted({text.group for text in panel.texts[reference]})
    if (reference, measure) in panel.sets:
        columns = [column for column in columns if panel.size(column) == panel.size(reference)]
    if (reference, measure) not in panel.rows or measure in panel.unlike or not columns:
        return {}
    weights_DK = cluster_weights(len(clusters), draws=draws, seed=seed)
    value_C, drawn_CD = _drawn(panel, [*columns, reference], measure, clusters, weights_DK)
    distance_C, drawn_distance_CD = (
        np.abs(value_C[:-1] - value_C[-1]),
        np.abs(drawn_CD[:-1] - drawn_CD[-1]),
    )
    held = not_told_apart_from_nearest(distance_C, drawn_distance_CD, clusters=len(clusters))
    alone: Mark = "nearest" if sum(held) == 1 and len(held) > 1 else "among"
    return {column: alone if each else "" for column, each in zip(columns, held, strict=True)}


def _drawn(
    panel: Panel,
    columns: Sequence[Column],
    measure: str,
    clusters: list[str],
    weights_DK: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The measure of each column (C,), perplexity as its logarithm, and its bootstrap samples (C, D)."""
    if (columns[0], measure) in panel.sets:
        found = [panel.sets[column, measure] for column in columns]
        value_C = np.array([each.value for each in found])
        without_CK = np.array(
            [[each.without.get(name, each.value) for name in clusters] for each in found]
        )
        return value_C, drawn_pseudo_values(value_C, without_CK, weights_DK)
    kept = [[text for text in panel.texts[column] if measure in text.values] for column in columns]
    sums_CK, counts_CK = (
        np.array(
            [
                by_cluster(
                    [text.values[measure][i] for text in own],
                    [text.group for text in own],
                    clusters,
                )
                for own in kept
            ]
        )
        for i in (0, 1)
    )
    return drawn_ratios(sums_CK, counts_CK, weights_DK)
