"""Metrics of texts -> rows of the table: one number each, with its interval and its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from hyperfitting.metrics.specs import MetricSpec, metric
from hyperfitting.metrics.stats import Estimate, jackknife, ratio_of_sums
from hyperfitting.records import Continuation, MetricRow, PooledMetric, TextMetrics


class Intervals(NamedTuple):
    """How bootstrap intervals are drawn."""

    draws: int
    seed: int


@dataclass(frozen=True)
class ModelOnDomain:
    """What the rows of a model's metrics on true texts name as their origin."""

    variant: str
    domain: str
    run: str
    strategy: None = None


_Text = TypeVar("_Text", Continuation, TextMetrics)


def by_arm(texts: Sequence[_Text]) -> Iterator[list[_Text]]:
    """The texts of each arm in each domain, in the order in which these first come."""
    cells: dict[tuple[str, str, str | None], list[_Text]] = {}
    for text in texts:
        cells.setdefault((text.variant, text.domain, text.strategy), []).append(text)
    yield from cells.values()


def text_rows(measured: Sequence[TextMetrics], how: Intervals) -> list[MetricRow]:
    """A row for each metric of each arm and domain, by cluster bootstrap; texts without a value are
    counted.
    """
    return [
        _text_row(cell, metric(name), index, how)
        for cell in by_arm(measured)
        for name in dict.fromkeys(name for text in cell for name in text.values)
        for index in range(max(len(text.values.get(name, ())) for text in cell))
    ]


def _text_row(
    cell: Sequence[TextMetrics], spec: MetricSpec, index: int, how: Intervals
) -> MetricRow:
    """The row of one metric; `index` counts the positions at which it was taken."""
    kept = [text for text in cell if len(text.values.get(spec.name, ())) > index]
    sums, counts = zip(*(text.values[spec.name][index] for text in kept), strict=True)
    groups = [text.group for text in kept]
    estimate = ratio_of_sums(
        sums, counts, groups, draws=how.draws, seed=how.seed, transform=spec.transform
    )
    left_out = len(cell) - len(kept)
    return metric_row(cell[0], spec, estimate, left_out=left_out, position=spec.position(index))


def pooled_rows(measured: Sequence[PooledMetric]) -> list[MetricRow]:
    """A row for each pooled metric, with a jackknife over its clusters."""
    return [
        metric_row(each, metric(each.name), estimate, left_out=each.left_out)
        for each in measured
        for estimate in [jackknife(each.value, list(each.without.values()), n=each.n)]
    ]


def metric_row(
    of: Continuation | TextMetrics | PooledMetric | ModelOnDomain,
    spec: MetricSpec,
    estimate: Estimate,
    *,
    left_out: int = 0,
    position: int | None = None,
) -> MetricRow:
    """An estimate as a row of the table, of what `of` was measured of."""
    return MetricRow(
        of.variant,
        of.domain,
        of.strategy,
        spec.name,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        estimate.clusters,
        spec.unit,
        spec.target,
        of.run,
        left_out,
        position,
    )
