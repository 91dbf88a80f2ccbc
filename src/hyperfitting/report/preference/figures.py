"""The figures of a preference report: shares as bars, intervals as lines with a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from hyperfitting.preference.analysis import Analysis
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.preference.analysis.shares import PairShares
from hyperfitting.report.kit.figures import AFTER, BEFORE, CARD, GRID, INK, TRUE
from hyperfitting.report.preference.sheets import CellKind, number_text
from hyperfitting.report.preference.tables import (
    PRIMARY_SHARES,
    pair_name,
    primary_share,
    slice_name,
    whole_shares,
)

WIDTHS = {"wide": 9.2, "narrow": 3.8}
"""Width in inches of each drawing of a figure: across a page, and on a phone, where words keep
their size.
"""

_Row = tuple[str, str, Interval]
"""A line of a forest: the heading of its group, its own label, its interval."""

_SMALL = 8.5


@dataclass(frozen=True)
class PreferenceFigure:
    """One figure, drawn in each of `WIDTHS`, and what it shows."""

    widths: dict[str, Figure]
    description: str


def preference_figures(analysis: Analysis, primary: str) -> dict[str, PreferenceFigure]:
    """Every figure by the name of its file; intervals are of the primary share. A figure without
    rows is left out.
    """
    what, whole = PRIMARY_SHARES[primary], whole_shares(analysis)
    slices, worths = _slices(analysis, primary), _worths(analysis)
    sensitivity = _sensitivity(analysis, primary)
    drawn: dict[str, tuple[Sequence[Any], Callable[[float], Figure], str]] = {
        "shares": (
            whole,
            partial(shares_bars, whole, primary),
            "Shares preferred, equal and not preferred, by pair of arms",
        ),
        "slices": (slices, partial(shares_forest, slices), f"Share {what}, by domain and length"),
        "worths": (worths, partial(worth_forest, worths), "Log-worths of all arms"),
        "sensitivity": (
            sensitivity,
            partial(shares_forest, sensitivity),
            f"Share {what}, by set of annotators",
        ),
    }
    return {
        name: PreferenceFigure({each: draw(width) for each, width in WIDTHS.items()}, description)
        for name, (rows, draw, description) in drawn.items()
        if rows
    }


def _slices(analysis: Analysis, primary: str) -> list[_Row]:
    """The primary share by domain and by length; empty where there is only one of both."""
    sliced = [row for row in analysis.shares if "all" in (row.domain, row.tokens)]
    if len(sliced) <= len(whole_shares(analysis)):
        return []
    return [
        (pair_name(row.one, row.other), slice_name(row), primary_share(row, primary))
        for row in sliced
    ]


def _worths(analysis: Analysis) -> list[_Row]:
    return [
        (f"{scale.baseline} = 0", each.arm, each.log_worth)
        for scale in analysis.scales
        for each in scale.worths
        if each.arm != scale.baseline
    ]


def _sensitivity(analysis: Analysis, primary: str) -> list[_Row]:
    """The primary share by set of annotators; empty where there is only one."""
    if len(analysis.sensitivity) < 2:
        return []
    return [
        (pair_name(row.one, row.other), name, primary_share(row, primary))
        for pair in dict.fromkeys((row.one, row.other) for row in analysis.shares)
        for name, kept in analysis.sensitivity.items()
        for row in kept
        if (row.one, row.other) == pair
    ]


def shares_bars(rows: Sequence[PairShares], primary: str, width: float) -> Figure:
    """One bar a pair, preferred from the left; the line is the interval of the primary share."""
    figure = Figure(figsize=(width, 0.95 + 0.72 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _bar(axes, place, row, primary_share(row, primary))
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.45, -0.75), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    _legend(axes, PRIMARY_SHARES[primary], columns=4 if width == WIDTHS["wide"] else 2)
    _mark(axes, 0.5, "50 %")
    _dress(axes)
    return figure


def _bar(axes: Any, place: int, row: PairShares, score: Interval) -> None:
    start = 0.0
    for interval, colour in (
        (row.preferred, AFTER),
        (row.equal, GRID),
        (row.not_preferred, BEFORE),
    ):
        value = interval.value or 0.0
        axes.barh(place, value, left=start, color=colour, height=0.34)
        if value > 0.08:
            ink = INK if colour == GRID else CARD
            axes.text(
                start + value / 2,
                place,
                f"{value:.0%}",
                color=ink,
                ha="center",
                va="center",
                fontsize=_SMALL,
            )
        start += value
    if score.low is not None and score.high is not None:
        axes.plot(
            [score.low, score.high], [place + 0.26] * 2, color=INK, lw=1.6, solid_capstyle="butt"
        )
        axes.plot([score.value], [place + 0.26], marker="o", ms=3.6, color=INK, clip_on=False)
    axes.text(
        0,
        place - 0.26,
        pair_name(row.one, row.other),
        color=INK,
        fontsize=9,
        va="bottom",
        parse_math=False,
    )


def _mark(axes: Any, at: float, label: str) -> None:
    """A dashed line down the picture, with what it means at its foot."""
    axes.axvline(at, color=TRUE, lw=1.2, ls="--", zorder=0.5)
    axes.annotate(
        label, (at, 0), (3, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
        color=TRUE, fontsize=_SMALL, va="bottom",
    )  # fmt: skip


def _legend(axes: Any, what: str, *, columns: int) -> None:
    for label, colour in (("preferred", AFTER), ("equal", GRID), ("not preferred", BEFORE)):
        axes.barh(0, 0, color=colour, label=label)
    axes.plot([], [], color=INK, marker="o", ms=3.6, lw=1.6, label=f"interval, {what}")
    axes.legend(
        frameon=False, labelcolor=INK, fontsize=_SMALL, ncols=columns, loc="lower left",
        bbox_to_anchor=(-0.02, 1), borderpad=0, handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def shares_forest(rows: Sequence[_Row], width: float) -> Figure:
    """Intervals of shares, grouped by pair. The dashed line is one half."""
    figure, axes = _forest(rows, width)
    _mark(axes, 0.5, "50 %")
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    _dress(axes)
    return figure


def worth_forest(rows: Sequence[_Row], width: float) -> Figure:
    """Log-worths with their intervals; a bound is an arrow. The dashed line is the baseline."""
    scales = dict.fromkeys(heading for heading, _, _ in rows)
    several = len(scales) > 1
    shown = rows if several else [("", arm, interval) for _, arm, interval in rows]
    figure, axes = _forest(shown, width, share=False)
    _mark(axes, 0, "baseline" if several else next(iter(scales)))
    ends = [
        abs(end)
        for _, _, each in rows
        for end in (each.low, each.high, each.value)
        if end is not None
    ]
    reach = 1.25 * max([0.5, *ends])
    axes.set(xlim=(-reach, reach))
    axes.set_xlabel("log-worth", color=INK, fontsize=_SMALL)
    _dress(axes, percent=False)
    return figure


def _forest(rows: Sequence[_Row], width: float, *, share: bool = True) -> tuple[Figure, Any]:
    """Lines under each other; a pair's name stands above its first."""
    places, heads, line = [], [], -1.0
    for index, (pair, _, _) in enumerate(rows):
        if pair and (index == 0 or rows[index - 1][0] != pair):
            line += 1.15
            heads.append((line, pair))
        line += 0.9
        places.append(line)
    figure = Figure(figsize=(width, 0.8 + 0.27 * (line + 1.8)), layout="constrained")
    axes = figure.subplots()
    for place, (_, _, interval) in zip(places, rows, strict=True):
        _line(axes, place, interval, share)
    axes.set_yticks(places, [label for _, label, _ in rows])
    axes.set_ylim(line + 1.2, -0.7)
    for place, pair in heads:
        # At the left edge of the picture, where a long name has room; the layout need not make any
        # for it.
        across = blended_transform_factory(figure.transFigure, axes.transData)
        axes.text(
            0.02, place, pair, transform=across, color=INK,
            fontsize=9, va="center", parse_math=False, in_layout=False,
        )  # fmt: skip
    return figure, axes


def _line(axes: Any, place: float, interval: Interval, share: bool) -> None:
    kind: CellKind = "share" if share else "number"
    words = "no estimate" if interval.value is None else number_text(interval.value, kind)
    if interval.low is not None and interval.high is not None:
        axes.plot(
            [interval.low, interval.high], [place] * 2, color=AFTER, lw=2, solid_capstyle="butt"
        )
    elif interval.bound is not None:
        end, way = (interval.high or 0, -1) if interval.bound == "upper" else (interval.low or 0, 1)
        arrow = {"arrowstyle": "->", "color": AFTER, "lw": 1.6}
        axes.annotate("", (end + 0.4 * way, place), (end, place), arrowprops=arrow)
        words = f"{'below' if way < 0 else 'above'} {number_text(end, kind)}"
    if interval.value is not None:
        axes.plot([interval.value], [place], marker="o", ms=4.2, color=AFTER, clip_on=False)
    axes.annotate(
        words, (1, place), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=INK, fontsize=_SMALL, va="center",
    )  # fmt: skip


def _dress(axes: Any, *, percent: bool = True) -> None:
    if percent:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(colors=INK, labelsize=_SMALL, length=0)
    axes.grid(color=GRID, lw=0.7, axis="x")
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)
