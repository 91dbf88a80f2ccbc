"""The table of all cells, for a study without an analysis of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import Findings, StudyTable
from hyperfitting.studies.analyses.summary import domains_of, metric_of
from hyperfitting.studies.folder import FinishedCell, StudyResults

_OF_TEXTS = ("ttr_last96", "repeated_4gram_share", "recited_8gram_share")


@dataclass(frozen=True)
class CellRow:
    """One metric of the hyperfitted model of a cell."""

    cell: str
    domain: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    run: str


def find_cells(results: StudyResults) -> Findings:
    """Losses and the headline metrics of each cell, greedy text of the first domain."""
    rows = [row for cell in results.finished for row in _rows(cell)]
    names = list(dict.fromkeys((row.domain, row.metric) for row in rows))
    body = []
    for cell in dict.fromkeys(row.cell for row in rows):
        held = {(row.domain, row.metric): row.value for row in rows if row.cell == cell}
        body.append((cell, *(number(held[each]) if each in held else "" for each in names)))
    total = len(results.finished) + len(results.missing)
    table = StudyTable(
        name="every-cell",
        title="Every cell",
        note="The hyperfitted model, greedy text.",
        head=("", *(f"{metric}, {domain}" for domain, metric in names)),
        body=tuple(body),
        rows=rows,
    )
    return Findings((f"{len(results.finished)} of {total} cells are finished.",), (), (table,))


def _rows(cell: FinishedCell) -> Iterator[CellRow]:
    domain = domains_of([cell])[0]
    wanted = [("train", "train_loss", None), ("validation", "validation_loss", None)]
    for where, name, strategy in [*wanted, *((domain, each, "greedy") for each in _OF_TEXTS)]:
        row = metric_of(cell, name, variant=HYPERFITTED, domain=where, strategy=strategy)
        if row is not None:
            yield CellRow(
                cell.cell.title,
                where,
                name,
                row.value,
                row.low,
                row.high,
                row.n,
                row.clusters,
                row.run,
            )
