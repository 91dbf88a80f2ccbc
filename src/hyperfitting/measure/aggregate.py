"""Measures of texts and sets -> rows of the table: one number, its interval and its run each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hyperfitting.metrics.stats import Estimate, jackknife, ratio_of_sums
from hyperfitting.records import MetricRow, PooledMetric, Target, TextMetrics

UNITS = {
    "longest_overlap_tokens": "tokens",
    "loop_start_tokens": "tokens",
    "self_bleu": "BLEU",
    "dataset_bleu": "BLEU",
    "dataset_bleu_best_text": "BLEU",
}
"""Of the measures that have one."""


class Intervals(NamedTuple):
    """How the intervals of per-text measures are drawn."""

    draws: int
    seed: int


def text_rows(measured: Sequence[TextMetrics], how: Intervals) -> list[MetricRow]:
    """A row for each measure of each model, set and strategy, by cluster bootstrap; texts without a value are counted."""
    return [
        row
        for cell in _cells(measured)
        for name in _names(cell)
        for row in [_text_row(cell, name, how)]
    ]


def _cells(measured: Sequence[TextMetrics]) -> Iterator[list[TextMetrics]]:
    cells: dict[Any, list[TextMetrics]] = {}
    for text in measured:
        cells.setdefault((text.variant, text.domain, text.strategy), []).append(text)
    yield from cells.values()


def _names(cell: Sequence[TextMetrics]) -> list[str]:
    return list(dict.fromkeys(name for text in cell for name in text.values))


def _text_row(cell: Sequence[TextMetrics], name: str, how: Intervals) -> MetricRow:
    kept = [text for text in cell if name in text.values]
    sums, counts = zip(*(text.values[name] for text in kept), strict=True)
    groups = [text.group for text in kept]
    estimate = ratio_of_sums(
        sums, counts, groups, draws=how.draws, seed=how.seed, transform=transform_of(name)
    )
    first = cell[0]
    row = metric_row(
        first.variant,
        first.domain,
        first.strategy,
        name,
        estimate,
        UNITS.get(name, ""),
        "reference",
        first.run,
    )
    return replace(row, left_out=len(cell) - len(kept))


def transform_of(name: str) -> Callable[[Any], Any]:
    """What makes the measure of its mean: a perplexity is the exponential of a mean loss."""
    return np.exp if name.startswith("perplexity") else lambda value: value


def set_rows(measured: Sequence[PooledMetric]) -> list[MetricRow]:
    """A row for each measure of a whole set, with a jackknife over its clusters."""
    return [_set_row(each) for each in measured]


def _set_row(each: PooledMetric) -> MetricRow:
    estimate = jackknife(each.value, list(each.without.values()), n=each.n)
    row = metric_row(
        each.variant,
        each.domain,
        each.strategy,
        each.name,
        estimate,
        UNITS.get(each.name, ""),
        "reference",
        each.run,
    )
    return replace(row, left_out=each.left_out)


def metric_row(
    model: str,
    name_of_set: str,
    strategy: str | None,
    name: str,
    estimate: Estimate,
    unit: str,
    target: Target,
    run: str,
) -> MetricRow:
    """An estimate as a row of the table."""
    return MetricRow(
        variant=model,
        domain=name_of_set,
        strategy=strategy,
        name=name,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        clusters=estimate.clusters,
        unit=unit,
        target=target,
        run=run,
    )
