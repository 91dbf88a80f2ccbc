"""The picture of benchmarks: each difference to the original with its interval, and where chance
would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from hyperfitting.downstream.tables import EvaluationRow
from hyperfitting.report.kit.figures import CLASS_COLOURS, GRID, INK
from hyperfitting.report.kit.variants import variant_classes


def difference_figure(rows: Sequence[EvaluationRow]) -> Figure | None:
    """Differences by benchmark and form, a colour for each variant; a cross marks the difference
    that would take the original to chance. None where nothing is compared.
    """
    shown = [row for row in rows if row.difference is not None]
    if not shown:
        return None
    before = {row.label: row for row in rows if row.difference is None}
    labels = list(dict.fromkeys(row.label for row in shown))
    figure = Figure(figsize=(7, 1.2 + 0.42 * len(labels)), layout="constrained")
    axes: Any = figure.subplots()
    classes = variant_classes(row.variant for row in shown)
    variants = list(dict.fromkeys(row.variant for row in shown))
    for number, variant in enumerate(variants):
        own = [row for row in shown if row.variant == variant]
        shift = 0.0 if len(variants) == 1 else 0.5 * (number / (len(variants) - 1) - 0.5)
        heights = [labels.index(row.label) + shift for row in own]
        _draw(axes, own, heights, CLASS_COLOURS[classes[variant]], variant)
    _mark_chance(axes, labels, [before.get(row.label) for row in shown])
    _dress(axes, labels)
    return figure


def _draw(
    axes: Any, rows: Sequence[EvaluationRow], heights: Sequence[float], colour: str, label: str
) -> None:
    intervals = [row.difference.interval for row in rows if row.difference is not None]
    values = [each.value for each in intervals]
    below = [0.0 if each.low is None else each.value - each.low for each in intervals]
    above = [0.0 if each.high is None else each.high - each.value for each in intervals]
    axes.errorbar(
        values, heights, xerr=[below, above], fmt="o", ms=5, color=colour, capsize=3, label=label
    )


def _mark_chance(axes: Any, labels: Sequence[str], rows: Sequence[EvaluationRow | None]) -> None:
    marks = {
        row.label: row.chance - row.score.value
        for row in rows
        if row is not None and row.chance is not None
    }
    axes.plot(
        list(marks.values()),
        [labels.index(label) for label in marks],
        ls="",
        marker="x",
        color=INK,
        label="chance",
    )


def _dress(axes: Any, labels: Sequence[str]) -> None:
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("score minus that of the original, 95 % interval", color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, lw=0.7, axis="x")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)
