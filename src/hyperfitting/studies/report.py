"""The report of a study: a page with its figure, tables and findings, and all its cells as one
table, for whoever analyses them.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperfitting.errors import RunError
from hyperfitting.recipe import Overrides
from hyperfitting.records import MetricRow
from hyperfitting.report.study.write import write_study_page
from hyperfitting.spreadsheets import csv_table
from hyperfitting.studies.findings import study_page
from hyperfitting.studies.folder import StudyResults, study_folder
from hyperfitting.studies.grid import study_cells
from hyperfitting.studies.settings import StudySettings


@dataclass(frozen=True)
class StudyReport:
    """The files of a study's report, and how many of its cells they cover."""

    files: tuple[Path, ...]
    finished: int
    missing: int


def study_results(
    study: StudySettings, *, out: Path | None = None, overrides: Overrides = ()
) -> StudyResults:
    """The finished cells of a study, as an analysis reads them.

    Raises:
        InputError: the study is wrong, or a cell cannot be read.
    """
    cells = study_cells(study, overrides, allow_many=True)
    return study_folder(study, out).results(study, cells)


def report_study(
    study: StudySettings, *, out: Path | None = None, overrides: Overrides = ()
) -> StudyReport:
    """Write the report on the cells that are finished: index.html and what it links to. Files are
    read only, so it can be made while the study runs.

    Raises:
        RunError: none is.
        RecipeError: the study names an analysis that is not there.
    """
    results = study_results(study, out=out, overrides=overrides)
    if not results.finished:
        command = shlex.join(["hyperfit", "study", "run", *_place(study, out, overrides)])
        raise RunError(f"{results.folder} has no finished cell: run `{command}` first")
    folder = study_folder(study, out).report_folder
    page = study_page(results, folder)
    index = write_study_page(page, folder, {"cells.csv": cells_table(results)})
    files = (index, folder / "report.md", folder / "cells.csv")
    return StudyReport(files, len(results.finished), len(results.missing))


def _place(study: StudySettings, out: Path | None, overrides: Overrides) -> Iterator[str]:
    """The study as a verb takes it."""
    yield study.called
    for each in overrides:
        yield from (
            "--set",
            f"{each}={overrides[each]}" if isinstance(overrides, Mapping) else each,
        )
    if out is not None:
        yield from ("--out", str(out))


def cells_table(results: StudyResults) -> str:
    """Every metric row of every finished cell as CSV, after where the cell stands on each axis."""
    axes = [*(axis.name for axis in results.study.axes), "seed"]
    columns = [field.name for field in dataclasses.fields(MetricRow)]
    return csv_table(["cell", *axes, *columns], _table_rows(results, axes, columns))


def _table_rows(results: StudyResults, axes: list[str], columns: list[str]) -> Iterator[list[Any]]:
    for cell in results.finished:
        place = [cell.cell.folder_name, *(cell.coordinates[axis] for axis in axes)]
        for row in cell.metrics:
            yield [*place, *(getattr(row, column) for column in columns)]
