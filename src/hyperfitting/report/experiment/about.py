"""The words and the metrics that a page explains."""

from __future__ import annotations

from collections.abc import Iterable

from hyperfitting.metrics.specs import MetricSpec
from hyperfitting.report.experiment.tables import Table

WORDS = {
    "variant": "Which model: the original, the hyperfitted one, or another of the recipe.",
    "strategy": "How the next token is chosen. Greedy takes the most probable one.",
    "arm": "A variant with a strategy.",
    "domain": "A set of contexts that are continued.",
    "reference": "The true continuations, by the authors of the contexts.",
    "interval": "95 %, by bootstrap over clusters: how far the value would move with other texts "
    "of the same kind. It says nothing of other trainings.",
    "cluster": "Texts that are not independent, such as those of one book.",
}


def shown_metrics(tables: Iterable[Table]) -> list[MetricSpec]:
    """The metrics of the tables, each once, for the glossary."""
    return list(dict.fromkeys(spec for table in tables for spec, _ in table.rows))
