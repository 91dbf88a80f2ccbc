"""What the page of a study shows, as data: an analysis makes it, `write` and `figures` draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Style = Literal["line", "dashed", "marks"]
"""How a series is drawn: as a line, as a dashed one, or as marks alone."""


@dataclass(frozen=True)
class Point:
    """A value at `x` with the bounds of its interval, where it has them."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points that belong together. `colour` is a class of the style sheet (`kit.variants`).

    `source` says where published values come from; empty: they are ours.
    """

    label: str
    points: tuple[Point, ...]
    colour: str
    style: Style = "line"
    source: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Args:
        title: what the vertical axis shows, with its unit.
        x: what the horizontal axis shows, with its unit.
        series: drawn in this order.
        logarithmic: whether the horizontal axis is.
        ticks: names of the places 0, 1, ... of the horizontal axis; empty: it is a number.
        limits: of the vertical axis; None: from 0 to where the values end.
        shaded_from: the place from which on the panel is shaded.
        shaded: what the shading says.
    """

    title: str
    x: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    ticks: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    shaded_from: float | None = None
    shaded: str = ""


@dataclass(frozen=True)
class Heatmap:
    """A matrix of shares in [0, 1]: `values` row by row, None where there is none."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class StudyFigure:
    """Panels side by side in one file called `name`; `caption` says what is compared."""

    name: str
    caption: str
    panels: tuple[Panel | Heatmap, ...]


@dataclass(frozen=True)
class StudyTable:
    """A table as it is read, and the typed rows behind it, which become `name`.csv: a column for
    each field, and for each field of a mean that a row holds.
    """

    name: str
    title: str
    note: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    rows: Sequence[Any]


@dataclass(frozen=True)
class Findings:
    """What an analysis found: sentences made from the numbers, figures and tables.

    `commands`: what can be done next, in words, and the command that does it.
    """

    sentences: tuple[str, ...]
    figures: tuple[StudyFigure, ...]
    tables: tuple[StudyTable, ...]
    commands: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CellLink:
    """One experiment of the study: its place in the grid, its run, and its page or folder."""

    title: str
    run: str
    href: str


@dataclass(frozen=True)
class StudyPage:
    """All that stands on a study's page.

    Args:
        name: the study's.
        description: one line.
        account: what the paper did, what it is silent about, what the study adds: heading, words.
        findings: what the analysis found.
        published: values of papers: what, where, value and source.
        cells: links to every run.
        missing: titles of the cells that are not finished.
    """

    name: str
    description: str
    account: tuple[tuple[str, str], ...]
    findings: Findings
    published: tuple[tuple[str, ...], ...]
    cells: tuple[CellLink, ...]
    missing: tuple[str, ...]
