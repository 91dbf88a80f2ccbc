"""The table of metrics: one row a metric, read by everything that measures, compares, shows or
documents one.

A new metric is one function and one row. Tables show the metrics in the order of the table.

spec.py       what a row holds
of_models.py  rows for models on true texts
of_texts.py   rows for written texts
of_images.py  rows for continued images
fluency.py    rows for what models say of written texts
tokens.py     functions of a tensor with a number for each token
reference.py  the table as a page
"""

from __future__ import annotations

from typing import TypeVar

from hyperfitting.metrics.specs.of_images import OF_IMAGES
from hyperfitting.metrics.specs.of_models import OF_MODELS
from hyperfitting.metrics.specs.of_texts import OF_TEXTS, TTR_WINDOW_TOKENS
from hyperfitting.metrics.specs.spec import (
    AgainstTrueImages,
    AgainstTrueTexts,
    DataKind,
    EachText,
    Family,
    MetricSpec,
    ModelInput,
    PooledTexts,
    TextInput,
    TrueTexts,
    measuring_order,
)

__all__ = [
    "METRICS",
    "TTR_WINDOW_TOKENS",
    "AgainstTrueImages",
    "AgainstTrueTexts",
    "DataKind",
    "EachText",
    "Family",
    "MetricSpec",
    "ModelInput",
    "PooledTexts",
    "TextInput",
    "TrueTexts",
    "compared_metrics",
    "key_metrics",
    "metric",
    "metrics_measured_as",
    "metrics_of_tables",
]

_Measured = TypeVar(
    "_Measured", EachText, PooledTexts, AgainstTrueTexts, AgainstTrueImages, TrueTexts
)

METRICS: tuple[MetricSpec, ...] = (*OF_MODELS, *OF_IMAGES, *OF_TEXTS)
"""Every metric, in the order of a table's rows."""


def metric(name: str) -> MetricSpec:
    """The row of one metric.

    Raises:
        ValueError: there is no such metric.
    """
    found = next((spec for spec in METRICS if spec.name == name), None)
    if found is None:
        raise ValueError(f"no metric is called {name!r}")
    return found


def metrics_measured_as(
    kind: type[_Measured], data: DataKind | None = None
) -> list[tuple[MetricSpec, _Measured]]:
    """The metrics that are measured in one way, and how, in the order in which they are measured;
    with `data` only those of one kind of data.
    """
    found = [
        (spec, spec.measured)
        for spec in METRICS
        if isinstance(spec.measured, kind) and (data is None or data in spec.data)
    ]
    return sorted(found, key=lambda pair: measuring_order(pair[0]))


def metrics_of_tables() -> list[MetricSpec]:
    """The metrics that a report shows, in the order of its rows."""
    return [spec for spec in METRICS if spec.in_tables]


def compared_metrics() -> list[MetricSpec]:
    """The metrics that `hyperfit compare` shows: variety and repetition, then fluency, then
    recitation.
    """
    shown = [spec for spec in METRICS if spec.comparison_column is not None]
    return sorted(shown, key=lambda spec: spec.comparison_column or 0)


def key_metrics(data: DataKind) -> list[str]:
    """The names of the metrics in the key picture of a report on one kind of data, in its order."""
    return [spec.name for spec in METRICS if data in spec.key_of]
