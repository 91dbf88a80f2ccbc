"""The table of metrics as the page docs/reference/metrics.md."""

from __future__ import annotations

from collections.abc import Iterator

from hyperfitting.metrics import specs
from hyperfitting.metrics.images.features import LEAST_ROWS
from hyperfitting.metrics.specs.spec import (
    AgainstTrueImages,
    AgainstTrueTexts,
    EachText,
    MetricSpec,
    PooledTexts,
    TrueTexts,
)

_SECTIONS = (
    (
        EachText,
        "Of each text",
        "A number for each continuation, or a sum and what it is divided by. Over texts: the sum "
        "of the sums / the sum of the counts, with a bootstrap interval over clusters.",
    ),
    (
        PooledTexts,
        "Of all texts of an arm together",
        "One number for the texts of an arm in a domain, with a jackknife interval over clusters.",
    ),
    (
        AgainstTrueTexts,
        "Of the texts of an arm against the true texts",
        "One number for two sets of texts, with an interval from random halves of the clusters.",
    ),
    (
        AgainstTrueImages,
        "Of the images of an arm against the true images",
        "One number for two sets of written rows, from features in the space that the definition "
        "names, with an interval from random halves of the clusters.",
    ),
    (
        TrueTexts,
        "Of a model on true texts",
        "Over all tokens but the first of a text, which nothing predicts, with a bootstrap "
        "interval over clusters.",
    ),
)


def metrics_markdown() -> str:
    """The page docs/reference/metrics.md: every metric, what it is, and where it misleads."""
    lines = ["# Metrics", "", _INTRODUCTION]
    for kind, title, explanation in _SECTIONS:
        lines += ["", f"## {title}", "", explanation, "", *_table(kind)]
    return "\n".join(lines) + "\n"


_INTRODUCTION = (
    "Every metric that is measured, in the order of a report's rows. This page is generated from "
    "the table of metrics; [measuring](../explain/measuring.md) explains intervals, words, ranks "
    "and tests, with worked examples. `reference` as a target means: as near as can be to the "
    "true texts' value."
)


def _table(
    kind: type[EachText | PooledTexts | AgainstTrueTexts | AgainstTrueImages | TrueTexts],
) -> Iterator[str]:
    yield (
        "| name | in tables | family | data | definition | range, unit | target | needs | source | "
        "known failure |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for spec in specs.METRICS:
        if isinstance(spec.measured, kind):
            yield f"| {' | '.join(_cells(spec))} |"


def _cells(spec: MetricSpec) -> list[str]:
    cells = [
        spec.label if spec.in_tables else "not shown",
        spec.family,
        ", ".join(spec.data),
        spec.definition,
        f"{spec.range}, {spec.unit}" if spec.unit else spec.range,
        f"{spec.target}; {spec.target_note}" if spec.target_note else spec.target,
        _needs(spec),
        spec.source,
        spec.failure,
    ]
    return [f"`{spec.name}`", *(cell.replace("|", "\\|") for cell in cells)]


def _needs(spec: MetricSpec) -> str:
    """What a text, or a set of them, must have, and the setting that asks for the metric."""
    how, needs = spec.measured, []
    if isinstance(how, EachText | PooledTexts) and how.least > 1:
        needs.append(f"{how.least} {'words' if how.reads == 'words' else 'tokens'} of a text")
    if isinstance(how, PooledTexts | AgainstTrueTexts) and how.least_texts > 1:
        needs.append(f"{how.least_texts:,} texts")
    if isinstance(how, AgainstTrueImages):
        rows = LEAST_ROWS[how.space]
        written = f" of {rows} written rows" if rows > 1 else ""
        needs.append(f"{how.least_images:,} images{written}")
    if spec.setting:
        needs.append(f"`{spec.setting}`")
    return ", ".join(needs)
