"""The pictures of an experiment: curves of the training, and texts with their repeats coloured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle

from hyperfitting.records import ProbeRow
from hyperfitting.report.kit.figures import (
    AFTER,
    BEFORE,
    CLASS_COLOURS,
    INK,
    LINE,
    TRUE,
    ShownFigure,
    dress_axes,
    svg,
)
from hyperfitting.report.kit.heat import HEAT, heat_step
from hyperfitting.report.kit.variants import variant_classes


@dataclass(frozen=True)
class TrainingCurve:
    """The probes of one trained variant, and the update whose weights it kept."""

    variant: str
    probes: Sequence[ProbeRow]
    kept_update: int


Draw = Callable[[Any, Sequence[TrainingCurve]], None]


def curves(trained: Sequence[TrainingCurve]) -> Figure:
    """Loss and greedy type-token ratio by epoch, on validation texts, of every trained variant
    (Carlsson et al. 2025, Figure 2), and token accuracy on training texts where the probes hold it,
    side by side.
    """
    pictures = _pictures(trained)
    figure = ShownFigure(figsize=(4.5 * len(pictures), 3.1), layout="constrained")
    for draw, axes in zip(pictures.values(), figure.subplots(1, len(pictures)), strict=True):
        draw(axes, trained)
    return figure


def _pictures(trained: Sequence[TrainingCurve]) -> dict[str, Draw]:
    counted = any(row.token_accuracy is not None for one in trained for row in one.probes)
    accuracy: dict[str, Draw] = {"token-accuracy": _token_accuracy} if counted else {}
    return {"loss": _loss, "ttr": _type_token_ratio, **accuracy}


_PLACE = (0.11, 0.15, 0.87, 0.75)
"""Of the axes in a picture of one quantity. Its labels are short, and finding a layout takes as
long as drawing.
"""


def curve_svgs(trained: Sequence[TrainingCurve]) -> list[str]:
    """The same pictures apart, so that a page can stack them on a phone."""
    made = []
    for name, draw in _pictures(trained).items():
        figure = Figure(figsize=(5, 3.1))
        draw(figure.add_axes(_PLACE), trained)
        made.append(svg(figure, name))
    return made


def _loss(axes: Any, trained: Sequence[TrainingCurve]) -> None:
    """One variant has a colour for each of its two losses, several have a colour each."""
    several = len(trained) > 1
    for one, colour in _coloured(trained):
        name = f"{one.variant}, " if several else ""
        validation, training = (colour, colour) if several else (BEFORE, AFTER)
        _draw_line(
            axes, one, lambda row: row.validation_loss, color=validation, label=f"{name}validation"
        )
        _draw_line(
            axes,
            one,
            lambda row: row.train_loss,
            color=training,
            label=f"{name}training",
            ls="--" if several else "-",
        )
    dress_axes(axes, "loss (nats per token)", x="epoch")


def _type_token_ratio(axes: Any, trained: Sequence[TrainingCurve]) -> None:
    true = trained[-1].probes[-1].reference_ttr
    axes.axhline(true, color=TRUE, lw=1.5, ls="--", label="true continuations")
    for one, colour in _coloured(trained):
        label = f"{one.variant}, greedy" if len(trained) > 1 else "greedy continuations"
        _draw_line(axes, one, lambda row: row.ttr, color=colour, label=label)
    axes.set_ylim(0, 1)
    dress_axes(axes, "type-token ratio", x="epoch")


def _token_accuracy(axes: Any, trained: Sequence[TrainingCurve]) -> None:
    for one, colour in _coloured(trained):
        label = one.variant if len(trained) > 1 else "training"
        _draw_line(axes, one, lambda row: row.token_accuracy, color=colour, label=label)
    dress_axes(axes, "token accuracy", x="epoch")
    axes.set_ylim(0, 1)


def _coloured(trained: Sequence[TrainingCurve]) -> list[tuple[TrainingCurve, str]]:
    """The curves with their colours, those that end first last: variants of one training share
    their beginning.
    """
    classes = variant_classes(one.variant for one in trained)
    order = sorted(trained, key=lambda one: -one.kept_update)
    return [(one, CLASS_COLOURS[classes[one.variant]]) for one in order]


def _draw_line(
    axes: Any, one: TrainingCurve, value: Callable[[ProbeRow], float | None], **style: Any
) -> None:
    """A line up to the weights that were kept, and a faint one from there on, behind all others; a
    larger dot between the two.
    """
    points = [(row, each) for row in one.probes if (each := value(row)) is not None]
    kept = [point for point in points if point[0].update <= one.kept_update]
    rest = points[max(0, len(kept) - 1) :]
    _plot(axes, kept, **LINE, **style)
    if len(rest) > 1 or not kept:
        _plot(axes, rest, **LINE, **style | {"alpha": 0.3, "zorder": 1, "label": None})
        _plot(axes, kept[-1:], marker="o", ms=7, color=style["color"])


def _plot(axes: Any, points: Sequence[tuple[ProbeRow, float]], **style: Any) -> None:
    axes.plot([row.epoch for row, _ in points], [each for _, each in points], **style)


def coloured_texts(
    context: str, columns: Sequence[tuple[str, Sequence[str], Sequence[int]]]
) -> Figure:
    """The context, and its continuations side by side, each token on the colour of its repeated
    run: (title, pieces, run lengths).

    Source: Carlsson et al. 2025, Figure 1.
    """
    laid = [(title, *_lay_out(pieces, runs, _LINE_CHARACTERS)) for title, pieces, runs in columns]
    above = wrap(_drawable(" ".join(context.split())), (_LINE_CHARACTERS + 3) * len(laid) - 3)
    lines, top = max(count for _, _, count in laid), -4 - len(above)
    figure = ShownFigure(
        figsize=(_CHARACTER_INCHES * (_LINE_CHARACTERS + 3) * len(laid), 0.17 * (lines - top))
    )
    for index, (title, placed, _) in enumerate(laid):
        axes = figure.add_axes((index / len(laid), 0, 1 / len(laid), 1))
        axes.set(xlim=(-1, _LINE_CHARACTERS + 2), ylim=(lines, top))
        axes.axis("off")
        axes.text(0, -1, title, color=INK, fontsize=10, weight="bold", va="center")
        if index == 0:
            axes.text(0, top + 1, "the context", color=INK, fontsize=10, weight="bold", va="center")
            for row, line in enumerate(above, start=top + 2):
                _write(axes, line, 0, row)
        for text, row, column, step in placed:
            if step:
                axes.add_patch(Rectangle((column, row - 0.5), len(text), 1, color=HEAT[step], lw=0))
            _write(axes, text, column, row)
    return figure


def _write(axes: Axes, text: str, column: int, row: int) -> None:
    font: dict[str, Any] = {"fontsize": _FONT_POINTS, "family": "monospace"}
    axes.text(column, row, text, color=INK, va="center", parse_math=False, **font)


_FONT_POINTS = 8.5
_LINE_CHARACTERS = 44
_CHARACTER_INCHES = 0.602 * _FONT_POINTS / 72  # the advance of DejaVu Sans Mono, matplotlib's own


def _lay_out(
    pieces: Sequence[str], runs: Sequence[int], width: int
) -> tuple[list[tuple[str, int, int, int]], int]:
    """Every token's parts as (text, line, column, heat), lines broken between words, and the number
    of lines.
    """
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
    """The text with a box for what the font does not hold: byte-level models write any character
    there is.
    """
    return "".join(
        each if each == "\n" or ord(each) in _glyphs() else "\N{WHITE SQUARE}" for each in text
    )


@lru_cache(maxsize=1)
def _glyphs() -> set[int]:
    return set(get_font(findfont("DejaVu Sans Mono")).get_charmap())


def _rest_of_word(pieces: Sequence[str], index: int) -> int:
    """Characters of the tokens that go on the word of this one."""
    goes_on = takewhile(lambda piece: piece and not piece[0].isspace(), pieces[index + 1 :])
    return sum(map(len, goes_on))
