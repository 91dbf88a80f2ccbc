"""Experiments side by side as a page, the same in Markdown, tidy rows as CSV and JSON, and two pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hyperfitting.compare import CONTROLS, Column, Comparison, Difference, SetTable
from hyperfitting.errors import RunError
from hyperfitting.files import new_folder, write_text
from hyperfitting.report.experiment.tables import LABELS, interval, number
from hyperfitting.report.kit.page import style, templates

_SIGNS = {"nearest": "●", "among": "○", "": ""}
_BINS = (1, 10, 100)


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write the pages of a comparison and return the first one's path. Always anew, whole or not at all."""
    from hyperfitting.report.kit import figures

    refuse_other_folder(folder)
    pictures: dict[str, Callable[[], Any]] = {}
    if curves := positions(comparison):
        pictures["ttr-by-position"] = lambda: figures.by_position(curves)
    if bars := ranks(comparison):
        pictures["ranks"] = lambda: figures.rank_bars(bars)
    with new_folder(folder.resolve()) as partial:  # a link to an earlier comparison stays one
        for name, draw in pictures.items():
            figures.save_png(draw(), partial / f"{name}.png")
        write_text(
            partial / "summary.json",
            json.dumps(list(_cells(comparison)), indent=0, ensure_ascii=False) + "\n",
        )
        write_text(partial / "table.csv", _csv(list(_cells(comparison))))
        write_text(
            partial / "differences.csv",
            _csv([_difference(each) for each in comparison.differences]),
        )
        write_text(partial / "report.md", markdown(comparison, list(pictures)))
        svgs = {name: figures.svg(draw(), name) for name, draw in pictures.items()}
        write_text(partial / "index.html", _page(comparison, svgs))
    return folder / "index.html"


_PICTURES = {"ttr-by-position.png", "ranks.png"}
_WRITTEN = {"summary.json", "table.csv", "differences.csv", "report.md", "index.html"} | _PICTURES


def refuse_other_folder(folder: Path) -> None:
    """Writing anew replaces the whole folder: only an earlier comparison, and nothing beside it, may stand there.

    Raises:
        RunError: something else would be lost.
    """
    if blocker := next((each for each in (folder, *folder.parents) if each.is_file()), None):
        raise RunError(f"{blocker} is a file, and a folder is needed there: choose another --out")
    held = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    if held and "differences.csv" not in held:
        raise RunError(f"{folder} is not empty and holds no comparison: choose another --out")
    if others := sorted(held - _WRITTEN):
        raise RunError(
            f"{folder} holds {others[0]} beside a comparison, which would be lost: choose another --out"
        )


def _cells(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """A row for every column, measure, set and seed."""
    for table in comparison.tables:
        for (column, measure), row in table.cells.items():
            yield {
                "domain": table.domain,
                "seed": table.seed,
                "column": column.title,
                "variant": column.variant,
                "strategy": column.strategy,
                "measure": measure,
                "value": row.value,
                "low": row.low,
                "high": row.high,
                "n": row.n,
                "clusters": row.clusters,
                "unit": row.unit,
                "target": row.target,
                "left_out": row.left_out,
                "mark": table.marks.get((column, measure), ""),
                "run": row.run,
            }


def _difference(each: Difference) -> dict[str, Any]:
    return {**vars(each), "column": each.column.title, "baseline": each.baseline.title}


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def of_set(comparison: Comparison, name: str) -> list[SetTable]:
    """The tables of one set, a seed each."""
    return [table for table in comparison.tables if table.domain == name]


def spread(values: Sequence[float]) -> str:
    """The standard deviation over seeds, where there are several."""
    return f"sd {number(stdev(values))}" if len(values) > 1 else ""


def size(tables: Sequence[SetTable]) -> str:
    """How many texts and clusters stand behind each column of a set, in words."""
    rows = [row for table in tables for row in table.cells.values()]
    texts, clusters = max(row.n for row in rows), max(row.clusters for row in rows)
    return f"{texts} texts in {clusters} clusters a column" + (
        " and seed" if len(tables) > 1 else ""
    )


def cell(
    tables: Sequence[SetTable], column: Column, measure: str
) -> list[tuple[str, str, str, str]]:
    """One cell: for every seed its value, its mark, its interval, and n and run in words."""
    made = []
    for table in tables:
        row = table.cells.get((column, measure))
        if row is not None:
            words = f"seed {table.seed}: n = {row.n}, {row.clusters} clusters; run {row.run}"
            made.append(
                (
                    number(row.value),
                    _SIGNS[table.marks.get((column, measure), "")],
                    interval(row),
                    words,
                )
            )
    return made


def spread_of(tables: Sequence[SetTable], column: Column, measure: str) -> str:
    """The spread over seeds of one cell."""
    return spread(
        [row.value for table in tables if (row := table.cells.get((column, measure))) is not None]
    )


def nearest_lines(comparison: Comparison) -> list[str]:
    """For every set and measure the columns that are nearest to the true texts, and at how many seeds."""
    lines = []
    for name in comparison.sets:
        tables = of_set(comparison, name)
        lines.append(name)
        for measure in tables[0].measures:
            if not any(own == measure for _, own in tables[0].marks):
                continue
            if marked := _times_marked(tables, measure):
                lines.append(f"  {LABELS[measure]}: {_shortly(marked, len(tables))}")
    return lines


def _times_marked(tables: Sequence[SetTable], measure: str) -> dict[str, int]:
    """How often each column is nearest, or not told apart from the nearest; most often first, then the nearer ones."""
    marked: dict[str, list[float]] = {}
    for table in tables:
        true = next(
            row.value
            for (column, own), row in table.cells.items()
            if (column.variant, own) == ("reference", measure)
        )
        for (column, own), mark in table.marks.items():
            if own == measure and mark:
                marked.setdefault(column.title, []).append(
                    abs(table.cells[column, measure].value - true)
                )
    order = sorted(marked.items(), key=lambda pair: (-len(pair[1]), fmean(pair[1])))
    return {title: len(distances) for title, distances in order}


def _shortly(marked: dict[str, int], seeds: int) -> str:
    shown = [
        title if seeds == 1 else f"{title} ({count} of {seeds})"
        for title, count in list(marked.items())[:4]
    ]
    more = len(marked) - len(shown)
    return "; ".join(shown) + (f"; and {more} more that cannot be told apart" if more else "")


def verdict_lines(comparison: Comparison) -> list[str]:
    """The models that were not hyperfitted, a line each: what their training reached, and what to raise."""
    runs = [each.run("hyperfitted") for same in comparison.experiments.values() for each in same]
    return [
        f"{run.name}: {run.verdict}"
        for run in runs
        if run.verdict is not None and not run.verdict.near_zero
    ]


def markdown(comparison: Comparison, pictures: Sequence[str] = ()) -> str:
    """The comparison in Markdown: a table a set, every seed's value in each cell; pictures by their files' names."""
    parts = ["# Comparison", *(f"**{line}**" for line in verdict_lines(comparison))]
    parts += [_sources(comparison), _LEGEND.format(baseline=comparison.baseline.title)]
    for name in comparison.sets:
        tables = of_set(comparison, name)
        head = "| | " + " | ".join(LABELS[measure] for measure in tables[0].measures) + " |"
        lines = [head, "|---|" + "---|" * len(tables[0].measures)]
        for column in tables[0].columns:
            cells = [_markdown_cell(tables, column, measure) for measure in tables[0].measures]
            lines.append(f"| {column.title} | " + " | ".join(cells) + " |")
        parts += [f"## {name}", f"{size(tables)}.", "\n".join(lines)]
    parts += [f"![{name.replace('-', ' ')}]({name}.png)" for name in pictures]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(tables: Sequence[SetTable], column: Column, measure: str) -> str:
    made = cell(tables, column, measure)
    values = " / ".join(
        f"{value}{sign}" + (f" ({bounds})" if bounds else "") for value, sign, bounds, _ in made
    )
    own = spread_of(tables, column, measure)
    return f"{values}; {own}" if own else values


_LEGEND = (
    "Seeds stand one by one, with their spread; with each value its 95 % interval, none below 10 clusters. ● is "
    "nearest to the true texts and told apart from all others, ○ cannot be told apart from the nearest (95 %, over all "
    "pairs of a table). Differences in differences.csv are to {baseline}."
)


def _sources(comparison: Comparison) -> str:
    names = [each.recipe.run_name for same in comparison.experiments.values() for each in same]
    return "Of " + ", ".join(f"`{name}`" for name in names) + "."


def positions(comparison: Comparison) -> list[tuple[str, str, dict[int, float]]]:
    """(set, title, {position: TTR of the 96 tokens that end there}): the first seed's first strategy, and the true texts."""
    made = []
    for panel in _first_seed(comparison):
        for column in _drawn_columns(panel.columns):
            held = [text.values for text in panel.texts[column]]
            names = [name for name in held[0] if name.startswith("ttr_window96_at")]
            means = {
                int(name.rsplit("at", 1)[1]): fmean(each[name][0] for each in held if name in each)
                for name in names
            }
            if means:
                made.append((panel.domain, column.title, means))
    return made


def ranks(comparison: Comparison) -> list[tuple[str, str, list[float]]]:
    """(set, title, shares of tokens of rank 1, 2-10, 11-100 and above under the original), as in B's rank map."""
    made = []
    for panel in _first_seed(comparison):
        for column in _drawn_columns(panel.columns):
            above = [
                panel.rows.get((column, f"rank_above{bound}_share_under_original"))
                for bound in _BINS
            ]
            bounds = [1.0, *(row.value for row in above if row is not None), 0.0]
            if len(bounds) == len(_BINS) + 2:
                made.append((panel.domain, column.title, [a - b for a, b in pairwise(bounds)]))
    return made


def _first_seed(comparison: Comparison) -> list[Any]:
    return [panel for panel in comparison.panels if panel.seed == comparison.seeds[0]]


def _drawn_columns(columns: Sequence[Column]) -> list[Column]:
    """The first strategy of each model, and the true texts: what a picture can hold."""
    strategy = next(column.strategy for column in columns if column.variant not in CONTROLS)
    return [
        column
        for column in columns
        if column.variant == "reference" or (column.strategy == strategy and column.strategy)
    ]


def _page(comparison: Comparison, pictures: dict[str, str]) -> str:
    differences: dict[tuple[str, str, str], list[Difference]] = {}
    for each in comparison.differences:
        differences.setdefault((each.domain, each.column.title, each.measure), []).append(each)
    return (
        templates()
        .get_template("comparison/page.html.j2")
        .render(
            comparison=comparison,
            verdicts=verdict_lines(comparison),
            controls=CONTROLS,
            of_set=of_set,
            cell=cell,
            size=size,
            spread_of=spread_of,
            differences=differences,
            nearest=nearest_lines(comparison),
            labels=LABELS,
            number=number,
            legend=_LEGEND.format(baseline=comparison.baseline.title),
            pictures=pictures,
            style=style(),
        )
    )
