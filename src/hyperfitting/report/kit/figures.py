"""The door to matplotlib: the curves of A, Figure 2, and the coloured texts of Figure 1, as SVG and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from hyperfitting.records import ProbeRow

# Drawn in these colours for PNG; in the SVG each becomes a CSS variable, so that one drawing serves light and dark.
INK, GRID, BEFORE, AFTER, TRUE = "#1f2430", "#d5d9e0", "#c2571a", "#1f6fb2", "#4d8a3d"
CARD = "#fffffe"  # ink on a coloured ground
_VARIABLES = {
    CARD: "--card",
    INK: "--ink",
    GRID: "--grid",
    BEFORE: "--before",
    AFTER: "--after",
    TRUE: "--true",
}
HEAT = ("#ffffff", "#fde9c9", "#fbc98a", "#f59a5a", "#e0603f")
"""Backgrounds of Figure 1 by step of `heat_step`."""


def heat_step(run: int) -> int:
    """0 to 4: how strongly a token is coloured whose longest repeated run is `run` tokens."""
    return sum(run >= bound for bound in (3, 5, 9, 17))


def curves(probes: Sequence[ProbeRow]) -> Figure:
    """Loss and greedy type-token ratio by epoch, on validation texts (A, Figure 2), side by side."""
    figure = Figure(figsize=(9, 3.1), layout="constrained")
    for draw, axes in zip((_loss, _type_token_ratio), figure.subplots(1, 2), strict=True):
        draw(axes, probes)
    return figure


def curve_svgs(probes: Sequence[ProbeRow]) -> list[str]:
    """The same two pictures apart, so that a page can stack them on a phone."""
    made = []
    for name, draw in (("loss", _loss), ("ttr", _type_token_ratio)):
        figure = Figure(figsize=(5, 3.1), layout="constrained")
        draw(figure.subplots(), probes)
        made.append(svg(figure, name))
    return made


def _loss(axes: Any, probes: Sequence[ProbeRow]) -> None:
    trained = [row for row in probes if row.train_loss is not None]
    axes.plot(
        [row.epoch for row in probes],
        [row.validation_loss for row in probes],
        color=BEFORE,
        **_LINE,
        label="validation",
    )
    axes.plot(
        [row.epoch for row in trained],
        [row.train_loss for row in trained],
        color=AFTER,
        **_LINE,
        label="training",
    )
    _dress(axes, "loss (nats per token)")


def _type_token_ratio(axes: Any, probes: Sequence[ProbeRow]) -> None:
    axes.axhline(probes[-1].reference_ttr, color=TRUE, lw=1.5, ls="--", label="true continuations")
    axes.plot(
        [row.epoch for row in probes],
        [row.ttr for row in probes],
        color=AFTER,
        **_LINE,
        label="greedy continuations",
    )
    axes.set_ylim(0, 1)
    _dress(axes, "type-token ratio")


_LINE: dict[str, Any] = {"marker": "o", "ms": 3}


def _dress(axes: Any, title: str, *, x: str = "epoch") -> None:
    axes.set_title(title, color=INK, fontsize=11, loc="left")
    axes.set_xlabel(x, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


_COLOURS = {"reference": TRUE, "original": BEFORE, "hyperfitted": AFTER}
_OTHERS = ("#8456a8", "#b08900", "#2a8c8c", "#a04a6a")


def _colour(title: str, number: int) -> str:
    """The colour of a column: the three that every page has in theirs, others in turn."""
    model = title.rsplit(": ", 1)[-1].split(",")[0]
    return _COLOURS.get(model, _OTHERS[number % len(_OTHERS)])


def by_position(curves_: Sequence[tuple[str, str, dict[int, float]]]) -> Figure:
    """Type-token ratio of the 96 tokens that end at a position (A, Figure 9): (set, title, {position: TTR})."""
    sets = list(dict.fromkeys(name for name, _, _ in curves_))
    figure = Figure(figsize=(3.4 * max(1, len(sets)), 3.3), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, max(1, len(sets)), sharey=True, squeeze=False)[0], sets, strict=False
    ):
        for number, (title, means) in enumerate(
            (title, held) for own, title, held in curves_ if own == name
        ):
            dash = "--" if title == "reference" else "-"
            axes.plot(
                list(means),
                list(means.values()),
                color=_colour(title, number),
                ls=dash,
                label=title,
                **_LINE,
            )
        _dress(axes, name, x="position of the window's end (tokens)")
        axes.set_ylim(0, 1)
        axes.get_legend().remove()  # one for all of them, under them: in a picture it would cover a curve
    figure.legend(
        *axes.get_legend_handles_labels(),
        frameon=False,
        labelcolor=INK,
        ncols=4,
        loc="outside lower center",
    )
    return figure


def rank_bars(shares: Sequence[tuple[str, str, list[float]]]) -> Figure:
    """Shares of tokens by their rank under the original (B, the rank map), a bar a column: (set, title, shares)."""
    figure = Figure(figsize=(9, 0.9 + 0.32 * max(1, len(shares))), layout="constrained")
    axes = figure.subplots()
    labels = [f"{name}: {title}" for name, title, _ in shares]
    left = [0.0] * len(shares)
    for colour, words, part in zip(
        HEAT[1:], _RANKS, zip(*(each for _, _, each in shares), strict=True), strict=False
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


def coloured_texts(
    columns: Sequence[tuple[str, Sequence[str], Sequence[int]]], *, width: int = 44
) -> Figure:
    """Texts side by side, each token on the colour of its repeated run (A, Figure 1): (title, pieces, run lengths)."""
    laid = [(title, *_lay_out(pieces, runs, width)) for title, pieces, runs in columns]
    lines = max(count for _, _, count in laid)
    figure = Figure(figsize=(_CHARACTER_INCHES * (width + 3) * len(laid), 0.17 * (lines + 2.5)))
    for index, (title, placed, _) in enumerate(laid):
        axes = figure.add_axes((index / len(laid), 0, 1 / len(laid), 1))
        axes.set(xlim=(-1, width + 2), ylim=(lines + 0.2, -2))
        axes.axis("off")
        axes.text(0, -1, title, color=INK, fontsize=10, weight="bold", va="center")
        for text, row, column, step in placed:
            if step:
                axes.add_patch(Rectangle((column, row - 0.5), len(text), 1, color=HEAT[step], lw=0))
            axes.text(
                column,
                row,
                text,
                color=INK,
                fontsize=_FONT_POINTS,
                family="monospace",
                va="center",
                parse_math=False,
            )
    return figure


_FONT_POINTS = 8.5
_CHARACTER_INCHES = 0.602 * _FONT_POINTS / 72  # the advance of DejaVu Sans Mono, matplotlib's own


def _lay_out(
    pieces: Sequence[str], runs: Sequence[int], width: int
) -> tuple[list[tuple[str, int, int, int]], int]:
    """Every token's parts as (text, line, column, heat), lines broken between words, and the number of lines."""
    placed, line, column = [], 0, 0
    for index, (piece, run) in enumerate(zip(pieces, runs, strict=True)):
        for number, part in enumerate(_drawable(piece).split("\n")):
            if number and column:
                line, column = line + 1, 0
            if (
                part[:1].isspace()
                and column + len(part.rstrip()) + _rest_of_word(pieces, index) > width
            ):
                line, column = line + 1, 0
            text = part.lstrip() if column == 0 else part
            if text:
                placed.append((text, line, column, heat_step(run)))
                column += len(text)
    return placed, line + 1


def _drawable(text: str) -> str:
    """The text with a box for what the font does not hold: byte-level models write any character there is."""
    return "".join(
        each if each == "\n" or ord(each) in _glyphs() else "\N{WHITE SQUARE}" for each in text
    )


@lru_cache(maxsize=1)
def _glyphs() -> set[int]:
    return set(get_font(findfont("DejaVu Sans Mono")).get_charmap())


def _rest_of_word(pieces: Sequence[str], index: int) -> int:
    """Characters of the tokens that go on the word of this one."""
    length = 0
    for piece in pieces[index + 1 :]:
        if not piece or piece[0].isspace():
            break
        length += len(piece)
    return length


def save_png(figure: Figure, path: Path) -> None:
    """A picture on white, for README, slides and Markdown."""
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


def svg(figure: Figure, name: str) -> str:
    """The figure to stand in a page, transparent, in the page's colours and font; its ids begin with `name`."""
    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "hyperfitting", "font.family": "sans-serif"}
    ):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = re.sub(r'( id="|url\(#|href="#)', rf"\1{name}-", text[text.index("<svg") :])
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return re.sub(r' width="[\d.]+pt"| height="[\d.]+pt"', "", text, count=2)
