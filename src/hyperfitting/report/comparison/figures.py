"""The pictures of a comparison: type-token ratio by position, and ranks under the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from hyperfitting.records import REFERENCE
from hyperfitting.report.comparison.cells import PositionCurve, RankShares
from hyperfitting.report.kit.figures import (
    CLASS_COLOURS,
    HEAT,
    INK,
    LINE,
    dress_axes,
)
from hyperfitting.report.kit.variants import variant_classes


def position_figure(curves: Sequence[PositionCurve]) -> Figure:
    """Type-token ratio of the 96 tokens that end at a position, domain by domain (Carlsson et al.
    2025, Figure 9).
    """
    domains = list(dict.fromkeys(curve.domain for curve in curves))
    figure = Figure(figsize=(3.4 * max(1, len(domains)), 3.3), layout="constrained")
    panels = figure.subplots(1, max(1, len(domains)), sharey=True, squeeze=False)[0]
    for axes, domain in zip(panels, domains, strict=False):
        _draw_curves(axes, [curve for curve in curves if curve.domain == domain])
        dress_axes(axes, domain, x="position of the window's end (tokens)")
        axes.set_ylim(0, 1)
        # One for all of them, under them: in a picture it would cover a curve.
        axes.get_legend().remove()
    figure.legend(
        *panels[-1].get_legend_handles_labels(),
        frameon=False,
        labelcolor=INK,
        ncols=4,
        loc="outside lower center",
    )
    return figure


def _draw_curves(axes: Any, curves: Sequence[PositionCurve]) -> None:
    classes = variant_classes(curve.arm.variant for curve in curves)
    for curve in curves:
        axes.plot(
            list(curve.ratios),
            list(curve.ratios.values()),
            color=CLASS_COLOURS[classes[curve.arm.variant]],
            ls="--" if curve.arm.variant == REFERENCE else "-",
            label=curve.arm.title,
            **LINE,
        )


def rank_figure(held: Sequence[RankShares]) -> Figure:
    """Shares of tokens by their rank under the original, a bar for each arm (Li et al. 2026, the
    rank map).
    """
    figure = Figure(figsize=(9, 0.9 + 0.32 * max(1, len(held))), layout="constrained")
    axes = figure.subplots()
    labels = [f"{each.domain}: {each.arm.title}" for each in held]
    left = [0.0] * len(held)
    for colour, words, part in zip(
        HEAT[1:], _RANKS, zip(*(each.shares for each in held), strict=True), strict=False
    ):
        axes.barh(labels, part, left=left, color=colour, label=words, height=0.75)
        left = [a + b for a, b in zip(left, part, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title(
        "rank of the written tokens under the original", color=INK, fontsize=11, loc="left"
    )
    axes.legend(frameon=False, labelcolor=INK, ncols=4, loc="upper left", bbox_to_anchor=(0, -0.08))
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


_RANKS = ("rank 1", "2 to 10", "11 to 100", "above 100")
