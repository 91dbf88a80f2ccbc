"""What a study will cost, before it is run: trainings, what is shared, minutes, disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from hyperfitting import models
from hyperfitting.recipe import ORIGINAL, Overrides, Recipe
from hyperfitting.stages.plan import try_updates
from hyperfitting.stages.workload import (
    TRAINED_COST,
    saved_bytes,
    stage_work,
    trainings,
    working_bytes,
)
from hyperfitting.studies.folder import StudyFolder
from hyperfitting.studies.grid import Cell
from hyperfitting.studies.launchers.processes import core_count, refuse_more_than_cores
from hyperfitting.studies.reuse import reusable_experiments
from hyperfitting.studies.settings import StudySettings
from hyperfitting.studies.sharing import data_key, original_key
from hyperfitting.studies.study_run import runnable


@dataclass(frozen=True)
class StudyEstimate:
    """What is left of a study, and what it will take.

    Args:
        cells: all cells of the study.
        finished: those that are done in its folder.
        reusable: those of the others that a finished experiment will be used for.
        trainings: that are left, several of a cell where it has variants.
        draws: different draws of data that the cells which are left need.
        originals: different originals that they measure.
        tokens_per_second: of timed updates on this machine, the mean over the kinds of training.
        training_seconds: that the updates of all trainings take, one after another.
        other_seconds: that writing and measuring take, judged from the updates by what a token
            costs that is written or read: roughly.
        finished_seconds: that a finished cell took, on average; None where none was made here.
        workers: at work at once, no more than there are cells to make.
        weights_bytes: weights and checkpoints on the disk while so many workers train.
        kept_bytes: weights that `--keep-weights` would leave.
        results_bytes: what a finished cell leaves, on average; None where none is finished.
    """

    cells: int
    finished: int
    reusable: int
    trainings: int
    draws: int
    originals: int
    tokens_per_second: float
    training_seconds: float
    other_seconds: float
    finished_seconds: float | None
    workers: int
    weights_bytes: int
    kept_bytes: int
    results_bytes: float | None

    @property
    def to_make(self) -> int:
        """Cells that are neither finished nor taken over."""
        return self.cells - self.finished - self.reusable


def estimate_study(
    study: StudySettings,
    *,
    out: Path | None = None,
    overrides: Overrides = (),
    reuse: Sequence[Path] = (),
    workers: int = 1,
    threads: int | None = None,
    device: str = "auto",
    allow_many: bool = False,
) -> StudyEstimate:
    """What a study will take on this machine, with a few updates of each kind of training timed.

    `threads` are those of each cell whose recipe and study say nothing of them; none: the cores,
    divided among the workers.

    Raises:
        InputError: the study is wrong, its folder holds another one, a model is not there, or there
            are more workers than cores.
    """
    refuse_more_than_cores(workers)
    folder, _, cells = runnable(study, out, overrides, allow_many=allow_many)
    finished = [each for each in map(folder.finished, cells) if each is not None]
    left = [cell for cell in cells if folder.finished(cell) is None]
    found = reusable_experiments(folder, reuse)
    asked = study.predictions
    to_make = [
        cell
        for cell in left
        if folder.cell_folder(cell).is_dir()  # one that has begun goes on
        or not any(each.is_that_of(cell, predictions=asked) for each in found)
    ]
    given = threads or core_count() // workers
    at_once = min(workers, max(len(to_make), 1))
    rates = {
        kind: _tokens_per_second(cell, given, device)
        for kind, cell in training_kinds(to_make, given).items()
    }
    taken = [each.facts.seconds for each in finished if each.facts.seconds]
    return StudyEstimate(
        cells=len(cells),
        finished=len(finished),
        reusable=len(left) - len(to_make),
        trainings=sum(len(trainings(cell.recipe)) for cell in to_make),
        draws=len({data_key(cell.recipe) for cell in to_make}),
        originals=len({_original(cell, given) for cell in to_make}),
        tokens_per_second=fmean(rates.values()) if rates else 0.0,
        training_seconds=sum(_tokens(cell.recipe) / rates[_kind(cell, given)] for cell in to_make),
        other_seconds=sum(
            _other_seconds(cell.recipe, variants, rates[_kind(cell, given)])
            for cell, variants in _to_write(to_make, given)
        ),
        finished_seconds=fmean(taken) if taken else None,
        workers=at_once,
        weights_bytes=_weights_bytes(to_make, at_once),
        kept_bytes=sum(saved_bytes(cell.recipe) for cell in to_make),
        results_bytes=_results_bytes(folder, finished_cells=[each.cell for each in finished]),
    )


def training_kinds(cells: Iterable[Cell], given: int) -> dict[str, Cell]:
    """One cell for each kind of training whose updates may be faster or slower than others' are;
    `given` threads, where neither the recipe nor the study says how many.
    """
    return {_kind(cell, given): cell for cell in cells}


def _kind(cell: Cell, given: int) -> str:
    """What decides how fast a cell's updates are."""
    recipe, train = cell.recipe, cell.recipe.train
    shape = (train.parameters, train.lora, train.precision, train.batch_blocks, train.embeddings)
    machine = (recipe.engine, cell.threads_of(given))
    return repr((recipe.model, recipe.data.block_tokens, train.head, *shape, *machine))


def _tokens_per_second(cell: Cell, given: int, device: str) -> float:
    """Of timed updates, under the threads that the cell will have."""
    with models.threads(cell.threads_of(given)):
        return try_updates(cell.recipe, device=device).tokens_per_second


def _original(cell: Cell, given: int) -> tuple[str, int]:
    """What cells have in common that share an original."""
    return original_key(cell.recipe), cell.threads_of(given)


def _to_write(cells: Sequence[Cell], given: int) -> Iterator[tuple[Cell, list[str]]]:
    """The variants that each cell writes and measures itself: the original's texts are shared."""
    begun: set[tuple[str, int]] = set()
    for cell in cells:
        key = _original(cell, given)
        own = [each for each in cell.recipe.variant_names if each != ORIGINAL or key not in begun]
        begun.add(key)
        yield cell, own


def _other_seconds(recipe: Recipe, variants: Sequence[str], tokens_per_second: float) -> float:
    work = stage_work(recipe, (), variants, variants)
    return sum(each.steps * each.step_cost for each in work) / (TRAINED_COST * tokens_per_second)


def _tokens(recipe: Recipe) -> int:
    blocks = min(recipe.train.batch_blocks, recipe.data.train_blocks)
    return sum(trainings(recipe)) * blocks * (recipe.data.block_tokens - 1)


def _weights_bytes(cells: Iterable[Cell], workers: int) -> int:
    """Of the largest cells that may be at work at once."""
    sizes = sorted((working_bytes(cell.recipe) for cell in cells), reverse=True)
    return sum(sizes[:workers])


def _results_bytes(folder: StudyFolder, finished_cells: Sequence[Cell]) -> float | None:
    sizes = [
        sum(file.stat().st_size for file in folder.cell_folder(cell).rglob("*") if file.is_file())
        for cell in finished_cells
    ]
    return math.fsum(sizes) / len(sizes) if sizes else None
