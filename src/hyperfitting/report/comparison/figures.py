"""The pictures of a comparison: type-token ratio by position, and ranks under the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hyperfitting.records import REFERENCE, Arm
from hyperfitting.report.kit.figures import (
    CLASS_COLOURS,
    INK,
    LINE,
    dress_axes,
)
from hyperfitting.report.kit.heat import HEAT
from hyperfitting.report.kit.variants import variant_classes

_LEAST_INCHES = 9
"""A page is as wide as this beside its letters, and so is a legend of four arms."""


def position_figure(curves: Mapping[tuple[str, Arm], Mapping[int, float]]) -> Figure:
    """Type-token ratio of the 96 tokens that end at a position, domain by domain (Carlsson et al.
    2025, Figure 9).
    """
    domains = list(dict.fromkeys(domain for domain, _ in curves))
    figure = Figure(figsize=(max(_LEAST_INCHES, 3.4 * len(domains)), 3.3), layout="constrained")
    panels = figure.subplots(1, len(domains), sharey=True, squeeze=False)[0]
    for axes, domain in zip(panels, domains, strict=True):
        _draw_curves(axes, {arm: ratios for (own, arm), ratios in curves.items() if own == domain})
        dress_axes(axes, domain, x="position of the window's end (tokens)")
        axes.set_ylim(0, 1)
        # One for all of them, under them: in a picture it would cover a curve.
        axes.get_legend().remove()
    handles = panels[-1].get_legend_handles_labels()
    place = "outside lower center"
    figure.legend(*handles, frameon=False, labelcolor=INK, ncols=4, loc=place)
    return figure


def _draw_curves(axes: Any, curves: Mapping[Arm, Mapping[int, float]]) -> None:
    classes = variant_classes(arm.variant for arm in curves)
    for arm, ratios in curves.items():
        axes.plot(
            list(ratios),
            list(ratios.values()),
            color=CLASS_COLOURS[classes[arm.variant]],
            ls="--" if arm.variant == REFERENCE else "-",
            label=arm.title,
            **LINE,
        )


def rank_figure(shares: Mapping[tuple[str, Arm], Sequence[float]]) -> Figure:
    """Shares of tokens by their rank under the original, a bar for each arm (Li et al. 2026, the
    rank map).
    """
    figure = Figure(figsize=(9, 0.9 + 0.32 * len(shares)), layout="constrained")
    axes = figure.subplots()
    labels, left = [f"{domain}: {arm.title}" for domain, arm in shares], np.zeros(len(shares))
    for colour, words, part in zip(HEAT[1:], _RANKS, np.array([*shares.values()]).T, strict=True):
        axes.barh(labels, part, left=left, color=colour, label=words, height=0.75)
        left = left + part
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
