"""The door to matplotlib: colours, axes, and figures as SVG in a page's colours or as PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

# Drawn in these colours for PNG; in the SVG each becomes a CSS variable, so that one drawing serves
# light and dark.
INK, GRID, BEFORE, AFTER, TRUE = "#1f2430", "#d5d9e0", "#c2571a", "#1f6fb2", "#4d8a3d"
CARD = "#fffffe"  # ink on a coloured ground
OTHERS = ("#8456a8", "#b08900", "#2a8c8c", "#a04a6a")
_VARIABLES = {
    CARD: "--card",
    INK: "--ink",
    GRID: "--grid",
    BEFORE: "--before",
    AFTER: "--after",
    TRUE: "--true",
    **{colour: f"--other-{number}" for number, colour in enumerate(OTHERS, 1)},
}
CLASS_COLOURS = {
    "reference": TRUE,
    "original": BEFORE,
    "hyperfitted": AFTER,
    **{f"other-{number}": colour for number, colour in enumerate(OTHERS, 1)},
}
"""The colour of a variant in pictures, by its class (`kit.variants`)."""

LINE: dict[str, Any] = {"marker": "o", "ms": 3}
"""How a curve is drawn."""


class ShownFigure(Figure):
    """A figure that a notebook shows as a picture, also where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        """A picture on white."""
        buffer = io.BytesIO()
        with _any_script():
            self.savefig(buffer, format="png", dpi=110, facecolor="white")
        return buffer.getvalue()


def dress_axes(axes: Any, title: str, *, x: str) -> None:
    """Title, axis labels, legend and grid in the colours of the page; y from 0."""
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


@contextmanager
def _any_script() -> Iterator[None]:
    """Without the warning for each character that matplotlib's own font lacks. A page shows it in
    the font of its reader; a PNG shows it if one of `_FURTHER_FONTS` is installed, else as a box.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


@contextmanager
def _laid_out_once(figure: Figure) -> Iterator[None]:
    """The layout is found before the figure's first file and stays for the others. A figure that
    still looks for its layout is drawn twice for each file.
    """
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    yield


_FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai",
    "Noto Sans Devanagari", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)  # fmt: skip


def save_png(figure: Figure, path: Path) -> None:
    """A picture on white, for README, slides and Markdown."""
    installed = get_font_names()
    if further := [name for name in _FURTHER_FONTS if name in installed]:
        for text in figure.findobj(Text):
            text.set_fontfamily(["sans-serif", *further])
    with _any_script(), _laid_out_once(figure):
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


def save_svg(figure: Figure, path: Path) -> None:
    """The same as lines and letters; equal figures make equal files."""
    settings = {"svg.fonttype": "none", "svg.hashsalt": "hyperfitting"}
    with matplotlib.rc_context(settings), _laid_out_once(figure):
        figure.savefig(path, facecolor="white", metadata={"Date": None, "Creator": None})


def svg(figure: Figure, name: str) -> str:
    """The figure to stand in a page, transparent, in the page's colours and font; its ids begin
    with `name`.
    """
    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "hyperfitting", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings), _any_script(), _laid_out_once(figure):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = re.sub(r'( id="|url\(#|href="#)', rf"\1{name}-", text[text.index("<svg") :])
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return re.sub(r' width="[\d.]+pt"| height="[\d.]+pt"', "", text, count=2)
