"""The figures of a preference report: shares as bars, intervals as lines with a point."""

from __future__ import annotations

from collections.abc import Sequence
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
)

_WIDTH = 3.8  # inches, at which words keep their size on a phone
_SMALL = 8.5


def preference_figures(analysis: Analysis, primary: str) -> dict[str, tuple[Figure, str]]:
    """Every figure by the name of its file, with its description; intervals are of the primary
    share.
    """
    what = PRIMARY_SHARES[primary]
    whole = [row for row in analysis.shares if (row.domain, row.tokens) == ("all", "all")]
    sliced = [row for row in analysis.shares if "all" in (row.domain, row.tokens)]
    made = {
        "shares": (
            shares_bars(whole, primary),
            "Shares preferred, equal and not preferred, by pair of arms",
        )
    }
    if len(sliced) > len(whole):
        rows = [
            (pair_name(row.one, row.other), slice_name(row), primary_share(row, primary))
            for row in sliced
        ]
        made["slices"] = (shares_forest(rows), f"Share {what}, by domain and length")
    worths = [
        (each.arm, each.log_worth)
        for each in analysis.davidson.worths
        if each.arm != analysis.davidson.baseline
    ]
    made["worths"] = (
        worth_forest(worths, analysis.davidson.baseline),
        "Log-worths of all arms on one scale",
    )
    tried = [
        (pair_name(row.one, row.other), name, primary_share(row, primary))
        for pair in dict.fromkeys((row.one, row.other) for row in whole)
        for name, kept in analysis.sensitivity.items()
        for row in kept
        if (row.one, row.other) == pair
    ]
    made["sensitivity"] = (shares_forest(tried), f"Share {what}, by set of annotators")
    return made


def shares_bars(rows: Sequence[PairShares], primary: str) -> Figure:
    """One bar a pair, preferred from the left; the line is the interval of the primary share."""
    figure = Figure(figsize=(_WIDTH, 0.85 + 0.72 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _bar(axes, place, row, primary_share(row, primary))
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.45, -0.75), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    _legend(axes, PRIMARY_SHARES[primary])
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


def _legend(axes: Any, what: str) -> None:
    for label, colour in (("preferred", AFTER), ("equal", GRID), ("not preferred", BEFORE)):
        axes.barh(0, 0, color=colour, label=label)
    axes.plot([], [], color=INK, marker="o", ms=3.6, lw=1.6, label=f"interval, {what}")
    axes.legend(
        frameon=False, labelcolor=INK, fontsize=_SMALL, ncols=2, loc="lower left",
        bbox_to_anchor=(-0.02, 1), borderpad=0, handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def shares_forest(rows: Sequence[tuple[str, str, Interval]]) -> Figure:
    """Intervals of shares, grouped by pair: (pair, slice, interval). The dashed line is one
    half.
    """
    figure, axes = _forest(rows)
    axes.axvline(0.5, color=TRUE, lw=1.2, ls="--", zorder=0)
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    _dress(axes)
    return figure


def worth_forest(rows: Sequence[tuple[str, Interval]], baseline: str) -> Figure:
    """Log-worths with their intervals; a bound is an arrow. The dashed line is the baseline."""
    figure, axes = _forest([("", arm, interval) for arm, interval in rows], share=False)
    axes.axvline(0, color=TRUE, lw=1.2, ls="--", zorder=0)
    ends = [
        abs(end) for _, each in rows for end in (each.low, each.high, each.value) if end is not None
    ]
    reach = 1.25 * max([0.5, *ends])
    axes.set(xlim=(-reach, reach))
    axes.set_xlabel(f"log-worth ({baseline} = 0)", color=INK, fontsize=_SMALL)
    _dress(axes, percent=False)
    return figure


def _forest(rows: Sequence[tuple[str, str, Interval]], *, share: bool = True) -> tuple[Figure, Any]:
    """Lines under each other; a pair's name stands above its first."""
    places, heads, line = [], [], -1.0
    for index, (pair, _, _) in enumerate(rows):
        if pair and (index == 0 or rows[index - 1][0] != pair):
            line += 1.15
            heads.append((line, pair))
        line += 0.9
        places.append(line)
    figure = Figure(figsize=(_WIDTH, 0.7 + 0.27 * (line + 1.5)), layout="constrained")
    axes = figure.subplots()
    for place, (_, _, interval) in zip(places, rows, strict=True):
        _line(axes, place, interval, share)
    axes.set_yticks(places, [label for _, label, _ in rows])
    axes.set_ylim(line + 0.7, -0.7)
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
