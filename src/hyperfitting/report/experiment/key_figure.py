"""The key picture of a report: its losses and key metrics of all domains, dots with intervals
beside those of the true texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from hyperfitting.metrics.specs import DataKind, key_metrics, metric
from hyperfitting.recipe import Recipe
from hyperfitting.records import REFERENCE, Arm, MetricRow
from hyperfitting.report.kit.figures import CLASS_COLOURS, GRID, INK, TRUE
from hyperfitting.report.kit.variants import variant_classes

_MARKERS = "osD^vPX*"


def key_figure(recipe: Recipe, rows: Sequence[MetricRow], data: DataKind) -> Figure | None:
    """A panel for the losses and for each key metric that was measured: a line of dots for each
    domain, an arm a dot, coloured by variant and shaped by strategy. The interval of the true texts
    is a band. None where nothing was written.
    """
    found = {(row.name, row.domain, row.variant, row.strategy): row for row in rows}
    names = [name for name in key_metrics(data) if any(key[0] == name for key in found)]
    if not names:
        return None
    domains = [each.name for each in recipe.data.domains]
    columns = 3 if len(names) > 1 else 2
    lines = -(-(len(names) + 1) // columns)
    height = 0.9 + 0.42 * max(len(domains), 2)
    figure = Figure(figsize=(4.1 * columns, height * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    colours = _colours(recipe)
    _losses(next(panels), found, colours)
    arms = list(_written_arms(recipe))
    for name in names:
        _panel(next(panels), name, domains, arms, found, colours)
    for unused in panels:
        unused.set_visible(False)
    _legend(figure, arms, colours)
    return figure


def _written_arms(recipe: Recipe) -> Iterator[Arm]:
    for strategy in recipe.generate.strategies:
        for variant in recipe.variant_names:
            yield Arm(variant, strategy.name)


def _colours(recipe: Recipe) -> dict[str, str]:
    """The colour of each variant, as everywhere on the page."""
    classes = variant_classes(recipe.variant_names)
    return {variant: CLASS_COLOURS.get(of_class, INK) for variant, of_class in classes.items()}


_Found = Mapping[tuple[str, str, str, str | None], MetricRow]
_Colours = Mapping[str, str]


def _losses(axes: Any, found: _Found, colours: _Colours) -> None:
    """Training and validation loss of each variant."""
    sets = ("train", "validation")
    for line, name in enumerate(sets):
        for arm, offset in _spread([Arm(each) for each in colours]):
            if row := found.get((f"{name}_loss", name, arm.variant, None)):
                _dot(axes, row, line + offset, colours[arm.variant], "o")
    _dress(axes, "loss (nats per token)", ["training", "validation"])


def _panel(
    axes: Any,
    name: str,
    domains: Sequence[str],
    arms: Sequence[Arm],
    found: _Found,
    colours: _Colours,
) -> None:
    shapes = list(dict.fromkeys(arm.strategy for arm in arms))
    for line, domain in enumerate(domains):
        _band(axes, found.get((name, domain, REFERENCE, None)), line)
        for arm, offset in _spread(arms):
            if row := found.get((name, domain, arm.variant, arm.strategy)):
                shape = _MARKERS[shapes.index(arm.strategy) % len(_MARKERS)]
                _dot(axes, row, line + offset, colours[arm.variant], shape)
    if metric(name).log_distance:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    _dress(axes, metric(name).label, domains)


def _spread(arms: Sequence[Arm]) -> Iterator[tuple[Arm, float]]:
    """Arms from top to bottom within a line."""
    step = min(0.72 / max(len(arms) - 1, 1), 0.18)
    for index, arm in enumerate(arms):
        yield arm, (index - (len(arms) - 1) / 2) * step


def _band(axes: Any, row: MetricRow | None, line: int) -> None:
    """The true texts: their value as a stroke, their interval as a band."""
    if row is None:
        return
    if row.low is not None and row.high is not None:
        axes.fill_betweenx([line - 0.45, line + 0.45], row.low, row.high, color=TRUE, alpha=0.2)
    axes.plot([row.value] * 2, [line - 0.45, line + 0.45], color=TRUE, lw=1.4)


def _dot(axes: Any, row: MetricRow, place: float, colour: str, shape: str) -> None:
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=colour, lw=1.6, clip_on=False)
    axes.plot([row.value], [place], shape, color=colour, ms=5, clip_on=False)


def _dress(axes: Any, title: str, lines: Sequence[str]) -> None:
    axes.set_title(title, color=INK, fontsize=10.5, loc="left")
    axes.set_yticks(range(len(lines)), lines)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(colors=INK, left=False, labelsize=9)
    axes.grid(axis="x", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    if axes.get_xscale() == "linear":
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)


def _legend(figure: Figure, arms: Sequence[Arm], colours: _Colours) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shapes = list(dict.fromkeys(arm.strategy for arm in arms))
    variants = dict.fromkeys(arm.variant for arm in arms)
    handles: list[Any] = [
        Line2D([], [], color=colours[variant], lw=1.6, marker="o", label=variant)
        for variant in variants
    ]
    if len(shapes) > 1:
        handles += [
            Line2D([], [], color=INK, lw=0, marker=shape, label=strategy)
            for strategy, shape in zip(shapes, _MARKERS, strict=False)
        ]
    handles.append(Patch(color=TRUE, alpha=0.35, label="true texts"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 6),
        frameon=False,
        labelcolor=INK,
        fontsize=9.5,
    )
