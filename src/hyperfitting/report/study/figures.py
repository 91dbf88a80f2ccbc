"""The pictures of a study: ours with intervals, and published values as hollow marks beside
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from hyperfitting.report.kit.figures import (
    CARD,
    CLASS_COLOURS,
    GRID,
    INK,
    LINE,
    dress_axes,
)
from hyperfitting.report.kit.heat import HEAT
from hyperfitting.report.study.content import Heatmap, Panel, Series, StudyFigure

_PANELS_A_ROW = 3

_PUBLISHED: dict[str, Any] = {"marker": "D", "ms": 7, "mfc": "none", "mew": 1.8, "ls": "none"}
"""How a published value is drawn."""


def study_figure(drawn: StudyFigure) -> Figure:
    """The panels side by side, in rows of at most three, with one legend under them."""
    columns = len(drawn.panels) if len(drawn.panels) <= _PANELS_A_ROW else 2
    rows = -(-len(drawn.panels) // columns)
    width = columns * max(_width(panel) for panel in drawn.panels)
    height = rows * max(_height(panel) for panel in drawn.panels)
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    handles: dict[str, Any] = {}
    for axes, panel in zip(grid, drawn.panels, strict=False):
        if isinstance(panel, Heatmap):
            _draw_heatmap(axes, panel)
        else:
            _draw_panel(axes, panel)
            found, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, found, strict=True))
            axes.get_legend().remove()
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            frameon=False,
            labelcolor=INK,
            ncols=max(1, min(len(handles), int(width / 2.6))),
            loc="outside lower center",
        )
    for axes in grid:
        axes.axis("off")
    return figure


def _width(panel: Panel | Heatmap) -> float:
    return 2.2 + 0.62 * len(panel.columns) if isinstance(panel, Heatmap) else 4.2


def _height(panel: Panel | Heatmap) -> float:
    return 1.6 + 0.42 * len(panel.rows) if isinstance(panel, Heatmap) else 3.9


def _draw_panel(axes: Any, panel: Panel) -> None:
    for series in panel.series:
        _draw_series(axes, series)
    dress_axes(axes, panel.title, x=panel.x)
    _set_limits(axes, panel)
    if panel.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted(_places(panel.series))))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.tick_params(axis="x", labelrotation=45)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=30, ha="right")
        axes.set_xlim(-0.5, len(panel.ticks) - 0.5)
    if panel.shaded_from is not None and max(_places(panel.series)) > panel.shaded_from:
        _shade(axes, panel.shaded_from, panel.shaded)


def _draw_series(axes: Any, series: Series) -> None:
    colour = CLASS_COLOURS[series.colour]
    xs, ys = [each.x for each in series.points], [each.y for each in series.points]
    if series.source:
        axes.plot(xs, ys, color=colour, label=f"{series.label} ({series.source})", **_PUBLISHED)
    else:
        styles = {"line": "-", "dashed": "--", "marks": "none"}
        axes.plot(xs, ys, color=colour, label=series.label, ls=styles[series.style], **LINE)
    bounded = [each for each in series.points if each.low is not None and each.high is not None]
    axes.vlines(
        [each.x for each in bounded],
        [each.low for each in bounded],
        [each.high for each in bounded],
        color=colour,
        lw=1.4,
        alpha=0.6,
    )


def _set_limits(axes: Any, panel: Panel) -> None:
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
        return
    points = [each for series in panel.series for each in series.points]
    lowest = min([each.y if each.low is None else each.low for each in points], default=0.0)
    if lowest < 0:
        axes.set_ylim(bottom=None)
        axes.relim()
        axes.autoscale(axis="y")


def _places(series: Sequence[Series]) -> set[float]:
    return {point.x for each in series for point in each.points}


def _shade(axes: Any, start: float, words: str) -> None:
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.add_patch(
        Rectangle((start, bottom), high - start, top - bottom, color=GRID, alpha=0.5, zorder=0)
    )
    axes.set_xlim(low, high)
    axes.text(
        start + 0.02 * (high - low),
        top - 0.04 * (top - bottom),
        words,
        color=INK,
        fontsize=9,
        va="top",
    )


def _draw_heatmap(axes: Any, heatmap: Heatmap) -> None:
    """Cells coloured between the least and the largest share, each with its number."""
    held = [value for row in heatmap.values for value in row if value is not None]
    low, high = min(held, default=0.0), max(held, default=1.0)
    for y, row in enumerate(heatmap.values):
        for x, value in enumerate(row):
            if value is None:
                continue
            step = 0 if high == low else round((high - value) / (high - low) * (len(HEAT) - 1))
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=HEAT[step], edgecolor=GRID, lw=0.7))
            # Always dark: the grounds are light in both of the page's colours.
            axes.text(x + 0.5, y + 0.5, f"{100 * value:.1f}", ha="center", va="center", fontsize=9)
    axes.set(xlim=(0, len(heatmap.columns)), ylim=(len(heatmap.rows), 0), facecolor=CARD)
    axes.set_xticks([x + 0.5 for x in range(len(heatmap.columns))], heatmap.columns)
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_yticks([y + 0.5 for y in range(len(heatmap.rows))], heatmap.rows)
    axes.tick_params(colors=INK, length=0)
    axes.set_title(heatmap.title, color=INK, fontsize=11, loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)
