"""Continued images as pictures for Markdown, README and slides: one example with its maps, and all
examples as one grid (Carlsson et al. 2025, Figure 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from hyperfitting.report.experiment.pictures import ExamplePicture
from hyperfitting.report.kit.figures import CARD, GRID, INK
from hyperfitting.report.kit.heat import HEAT

_INCHES = 1.5


def mapped_pictures(pictures: Sequence[ExamplePicture]) -> Figure:
    """The images of one example side by side, each above the map of its repeats."""
    figure, axes = _panels(2, len(pictures))
    for upper, lower, each in zip(axes[0], axes[1], pictures, strict=True):
        upper.set_title(_wrapped(each.title), color=INK, fontsize=8)
        _draw_image(upper, each)
        if each.runs_HW is None:
            lower.axis("off")
            continue
        lower.imshow(each.steps, cmap=ListedColormap(HEAT), vmin=0, vmax=len(HEAT) - 1)
        lower.set_xlabel(f"{each.repeated_percent} repeated", color=INK, fontsize=7)
    return figure


def picture_grid(examples: Sequence[Sequence[ExamplePicture]]) -> Figure:
    """All examples, one a row: each column is an arm, the true image or the nearest training image.

    Source: Carlsson et al. 2025, Figure 6.
    """
    titles = list(dict.fromkeys(each.title for pictures in examples for each in pictures))
    figure, axes = _panels(len(examples), len(titles))
    for column, title in enumerate(titles):
        axes[0][column].set_title(_wrapped(title), color=INK, fontsize=8)
    for row, pictures in enumerate(examples):
        held = {each.title: each for each in pictures}
        for column, title in enumerate(titles):
            if title in held:
                _draw_image(axes[row][column], held[title])
            else:
                axes[row][column].axis("off")
    return figure


def _panels(rows: int, columns: int) -> tuple[Figure, Any]:
    size = (_INCHES * columns, _INCHES * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.set(xticks=[], yticks=[])
        for spine in each.spines.values():
            spine.set_color(GRID)
    return figure, axes


def _draw_image(axes: Any, picture: ExamplePicture) -> None:
    """The image, with a line below its given rows."""
    axes.imshow(picture.pixels_HWC, interpolation="nearest")
    for colour, width, style in ((CARD, 2.6, "-"), (INK, 1.2, (0, (4, 2)))):
        axes.axhline(picture.given_rows - 0.5, color=colour, lw=width, ls=style)


def _wrapped(title: str) -> str:
    return title.replace(", ", ",\n").replace("training ", "training\n")
