"""Finished experiments are used again: of other studies, and of any folder that is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hyperfitting import data
from hyperfitting.errors import InputError
from hyperfitting.facts import write_facts
from hyperfitting.files import new_folder
from hyperfitting.recipe import HYPERFITTED, ORIGINAL, read_tree
from hyperfitting.runs import Experiment, find_experiments
from hyperfitting.studies.agreement import first_disagreement, settings_at_default
from hyperfitting.studies.folder import (
    CellFacts,
    StudyFolder,
    cell_experiment,
    cell_facts_file,
    read_cell_facts,
)
from hyperfitting.studies.grid import Cell
from hyperfitting.studies.predictions import has_predictions
from hyperfitting.weights import hash_model, ordinary_folder

_LEFT_BEHIND = shutil.ignore_patterns("model", "checkpoint", "parts", ".lock", ".*.partial")


@dataclass(frozen=True)
class ReusableExperiment:
    """An experiment that nothing is left to do of."""

    experiment: Experiment

    @cached_property
    def stored(self) -> dict[str, Any]:
        """Its recipe as it is stored."""
        return read_tree(self.experiment.recipe_file)

    @cached_property
    def facts(self) -> CellFacts | None:
        """Its facts, if it was a cell."""
        return read_cell_facts(self.experiment.folder)

    def is_that_of(self, cell: Cell, *, predictions: bool) -> bool:
        """Whether it is the experiment that a cell asks for, made of the same files."""
        facts, recipe = self.facts, cell.recipe
        known = facts.at_default if facts else ()
        about_engine = cell.repeat > 0  # a control may be about nothing else
        if first_disagreement(self.stored, recipe, known, engine=about_engine):
            return False
        if (facts.repeat if facts else 0) != cell.repeat:
            return False
        try:
            runs = self.experiment.runs().values()
            threads = {run.train_facts.threads for run in runs}
            if cell.threads is not None and threads != {cell.threads}:
                return False
            if predictions and not has_predictions(self.experiment):
                return False
            data.refuse_changed(self.experiment.manifest.sources, recipe.data, "")
        except InputError:
            return False
        return self._has_original_of(cell)

    def _has_original_of(self, cell: Cell) -> bool:
        """Whether its original has the files that stand where the cell's model is; taken for
        granted of a hub's.
        """
        place = ordinary_folder(cell.recipe.model)
        weights = self.experiment.run(ORIGINAL).weights
        return place is None or (weights is not None and weights.sha256 == hash_model(place))


def reusable_experiments(study: StudyFolder, others: Iterable[Path]) -> list[ReusableExperiment]:
    """The finished experiments of the studies that stand beside this one, and of other folders.

    Raises:
        RunError: one of the other folders is not there.
    """
    found: dict[Path, Path] = {}
    for folder in _folders(study, others):
        found.setdefault(folder.resolve(), folder)
    finished = filter(None, map(_finished, found.values()))
    return [ReusableExperiment(each) for each in finished]


def _folders(study: StudyFolder, others: Iterable[Path]) -> Iterator[Path]:
    own = study.folder.resolve()
    beside = [
        StudyFolder(file.parent).cells_folder
        for file in sorted(own.parent.glob(f"*/{study.study_file.name}"))
        if file.parent != own
    ]
    for place in (*filter(Path.is_dir, beside), *others):
        yield from (each.folder for each in find_experiments(place))


def _finished(folder: Path) -> Experiment | None:
    """The experiment in a folder, or the archive of one, if all its runs are measured, and asked
    the benchmarks, if there are any; a cell may be at work still.
    """
    try:
        facts, experiment = read_cell_facts(folder), cell_experiment(folder)
        if facts is not None and not facts.finished:
            return None
        if experiment.recipe.evaluate.tasks and experiment.state() != "reported":
            return None  # the report is made when all are answered
        measured = all(run.measured for run in experiment.runs().values())
        return experiment if measured else None
    except InputError:
        return None


def take_over(found: ReusableExperiment, cell: Cell, folder: Path) -> None:
    """Copy a finished experiment, without its weights, as a cell."""
    made = found.experiment.run(HYPERFITTED).train_facts
    facts = CellFacts(
        hyperfitting=made.environment.versions["hyperfitting"],
        coordinates=cell.coordinates,
        threads=made.threads,
        repeat=cell.repeat,
        at_default=found.facts.at_default if found.facts else settings_at_default(cell.recipe),
        finished=True,
        taken_from=str(found.experiment.folder),
    )
    with new_folder(folder) as partial:
        shutil.copytree(found.experiment.folder, partial, ignore=_LEFT_BEHIND, dirs_exist_ok=True)
        write_facts(cell_facts_file(partial), facts)
