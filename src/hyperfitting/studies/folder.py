"""A study's folder, and its finished cells as an analysis reads them.

STUDY/                          default: runs/studies/<name>
  study.json                    the settings, as they were resolved last
  base.json                     the base recipe that its cells are made of
  cells/<cell>/                 an ordinary experiment each, and beside its files
    cell.json                   where it stands in the grid, its threads, what it took
  claims/<cell>.<n>.json        who works on a cell now; the last one counts
  failures/<cell>.json          why a cell could not be made
  logs/<cell>.log               what its workers said
  slurm/                        scripts, pickles and logs of Slurm jobs
  progress.html                 reloads itself while the study runs
  report/                       the study's page, tables and pictures
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hyperfitting import __version__
from hyperfitting.errors import RecipeError
from hyperfitting.facts import Facts, read_facts
from hyperfitting.files import refuse_blocked_folder, write_text
from hyperfitting.recipe import Recipe, load_stored_recipe, read_tree, stored_recipe
from hyperfitting.records import MetricRow, ProbeRow, UpdateRow
from hyperfitting.runs import Experiment
from hyperfitting.studies.agreement import settings_at_default
from hyperfitting.studies.grid import Cell
from hyperfitting.studies.predictions import Predictions, read_predictions
from hyperfitting.studies.settings import StudySettings


class CellFacts(Facts):
    """cell.json: where an experiment stands in its study, and how it was made.

    Args:
        hyperfitting: the version that made it.
        coordinates: the name of a point by the name of its axis, and the seed.
        threads: that it computes with.
        repeat: which of several cells with equal settings it is.
        at_default: settings, by dotted key, that stood at their default; a section stands for all
            that is in it.
        finished: all its runs are measured; its weights may still be there after a kill.
        seconds: that its attempts took together, each of those that were killed up to the last
            beat of its heart; 0 of a cell that was taken over.
        taken_from: the finished experiment that it is a copy of, if it is one.
        data_from: the cell whose drawn data were copied.
        original_from: the cell whose original was copied, with its texts and metrics.
    """

    hyperfitting: str
    coordinates: dict[str, str]
    threads: int
    repeat: int
    at_default: tuple[str, ...]
    finished: bool = False
    seconds: float = 0.0
    taken_from: str | None = None
    data_from: str | None = None
    original_from: str | None = None


class CellFailure(Facts):
    """failures/<cell>.json: why a cell could not be made, in one line."""

    line: str


class StudyRecord(Facts):
    """study.json: the version that ran the study last, its settings, and those of its base, by
    dotted key, that stood at their default.
    """

    hyperfitting: str
    study: StudySettings
    base_at_default: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinishedCell:
    """A cell whose experiment is done: `experiment` reads its files, which need no weights."""

    cell: Cell
    experiment: Experiment
    facts: CellFacts

    @property
    def coordinates(self) -> dict[str, str]:
        """The name of a point by the name of its axis, the seed last."""
        return self.cell.coordinates

    def updates(self, variant: str) -> list[UpdateRow]:
        """One row an update of a variant's training."""
        return self.experiment.run(variant).updates()

    def probes(self, variant: str) -> list[ProbeRow]:
        """One row a probe of a variant's training."""
        return self.experiment.run(variant).probes()

    def predictions(self, variant: str) -> dict[str, Predictions]:
        """What a variant's model predicted on the true texts of `train`, `validation` and each
        domain.

        Raises:
            RunError: the study did not ask for predictions.
        """
        return read_predictions(self.experiment.run(variant))

    @cached_property
    def metrics(self) -> list[MetricRow]:
        """The metric rows of all variants; true texts and controls stand among the original's."""
        return self.experiment.metric_rows()

    def metric_rows(
        self,
        name: str,
        *,
        variant: str | None = None,
        domain: str | None = None,
        strategy: str | None = None,
    ) -> list[MetricRow]:
        """The rows of one metric; of one variant, domain or strategy where these are given."""
        asked = {"variant": variant, "domain": domain, "strategy": strategy}
        given = {key: value for key, value in asked.items() if value is not None}
        return [
            row
            for row in self.metrics
            if row.name == name and all(getattr(row, key) == given[key] for key in given)
        ]


@dataclass(frozen=True)
class StudyResults:
    """What an analysis reads: the study, its finished cells in the grid's order, and the others."""

    study: StudySettings
    folder: Path
    finished: tuple[FinishedCell, ...]
    missing: tuple[Cell, ...]

    def at(self, **coordinates: str | int) -> list[FinishedCell]:
        """The finished cells at some coordinates, such as `texts="8", seed=0`."""
        wanted = {name: str(value) for name, value in coordinates.items()}
        return [cell for cell in self.finished if wanted.items() <= cell.coordinates.items()]

    def points(self, axis: str) -> list[str]:
        """The names of the points of one axis, in their order."""
        return next(
            [point.name for point in each.all_points]
            for each in self.study.axes
            if each.name == axis
        )

    def by_point(self, axis: str) -> Iterator[tuple[str, list[FinishedCell]]]:
        """The finished cells of each point of an axis, all seeds together."""
        for point in self.points(axis):
            yield point, [cell for cell in self.finished if cell.coordinates[axis] == point]


class StudyFolder:
    """A study's folder: the only place that knows its file names."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.study_file = folder / "study.json"
        self.base_file = folder / "base.json"
        self.cells_folder = folder / "cells"
        self.claims_folder = folder / "claims"
        self.failures_folder = folder / "failures"
        self.logs_folder = folder / "logs"
        self.slurm_folder = folder / "slurm"
        self.progress_page = folder / "progress.html"
        self.report_folder = folder / "report"

    def holds_others(self) -> bool:
        """Whether files stand there that no study has."""
        own = {path.name for path in vars(self).values() if path != self.folder}
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return any(each.name not in own and not each.name.startswith(".") for each in found)

    def keep_study(self, study: StudySettings, base: Recipe) -> None:
        """Write the study as it is run now, and its base recipe; several commands may do so at
        once.
        """
        record = StudyRecord(
            hyperfitting=__version__, study=study, base_at_default=settings_at_default(base)
        )
        write_text(self.base_file, stored_recipe(base, self.folder), shared=True)
        write_text(self.study_file, record.model_dump_json(indent=1) + "\n", shared=True)

    def base(self) -> Recipe:
        """The base recipe that its cells are made of.

        Raises:
            RecipeError: it has a setting that is unknown here, and meant something.
        """
        at_default: tuple[str, ...] = ()
        with suppress(RecipeError):  # it is written after the base, and most are read without
            at_default = tuple(read_tree(self.study_file).get("base_at_default", ()))
        return load_stored_recipe(self.base_file, at_default)

    def cell_folder(self, cell: Cell) -> Path:
        """Where a cell's experiment stands."""
        return self.cells_folder / cell.folder_name

    def failure_file(self, cell: Cell) -> Path:
        """Where it stands why a cell could not be made."""
        return self.failures_folder / f"{cell.folder_name}.json"

    def failure(self, cell: Cell) -> CellFailure | None:
        """Why a cell could not be made; None of one that was, or is yet to be."""
        file = self.failure_file(cell)
        return read_facts(file, CellFailure) if file.is_file() else None

    def log_file(self, cell: Cell) -> Path:
        """What a cell's workers said."""
        return self.logs_folder / f"{cell.folder_name}.log"

    def finished(self, cell: Cell) -> FinishedCell | None:
        """A cell that is done; None of one that is not."""
        folder = self.cell_folder(cell)
        facts = read_cell_facts(folder)
        if facts is None or not facts.finished:
            return None
        return FinishedCell(cell, cell_experiment(folder), facts)

    def results(self, study: StudySettings, cells: Iterable[Cell]) -> StudyResults:
        """The finished cells of a study, and the cells that are not."""
        found = {cell.folder_name: (cell, self.finished(cell)) for cell in cells}
        return StudyResults(
            study,
            self.folder,
            tuple(done for _, done in found.values() if done is not None),
            tuple(cell for cell, done in found.values() if done is None),
        )


def cell_facts_file(folder: Path) -> Path:
    """Where the facts of the cell in this folder stand."""
    return folder / "cell.json"


def read_cell_facts(folder: Path) -> CellFacts | None:
    """The facts of the cell in this folder; None where it has not begun.

    Raises:
        RunError: they cannot be read, or are of another version, which is named.
    """
    file = cell_facts_file(folder)
    return read_facts(file, CellFacts) if file.is_file() else None


def cell_experiment(folder: Path) -> Experiment:
    """The experiment of the cell in this folder, which another version may have made: settings that
    are unknown here are left out where they stood at their default.

    Raises:
        RunError: the facts of the cell cannot be read.
    """
    facts = read_cell_facts(folder)
    return Experiment(folder, at_default=facts.at_default if facts else ())


def drop_weights(experiment: Experiment) -> None:
    """Remove the models of a measured experiment. Hashes, texts and metrics stay."""
    for run in experiment.begun_runs():
        shutil.rmtree(run.model_folder, ignore_errors=True)


def study_folder(study: StudySettings, out: Path | None = None) -> StudyFolder:
    """Where a study stands: `out`, or `runs/studies/<name>`.

    Raises:
        RunError: a file stands in its place, or in that of one of its parents.
    """
    folder = out or Path("runs") / "studies" / study.name
    refuse_blocked_folder(folder)
    return StudyFolder(folder)
