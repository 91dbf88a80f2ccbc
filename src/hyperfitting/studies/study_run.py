"""Run a study: start workers on the cells that nobody holds, until every cell is finished or has
failed.

All state is in the study's folder, so the same command goes on after a stop, and may run on several
machines at once.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting import __version__
from hyperfitting.errors import DiskFull, Interrupted, RecipeError, RunError
from hyperfitting.facts import write_facts
from hyperfitting.progress import sigterm_interrupts
from hyperfitting.recipe import (
    Overrides,
    Recipe,
    differing_settings,
    read_tree,
)
from hyperfitting.runs import Experiment
from hyperfitting.studies.agreement import first_disagreement
from hyperfitting.studies.analyses import analysis_of
from hyperfitting.studies.claims import STALE_SECONDS, ClaimWatch, claim
from hyperfitting.studies.folder import (
    CellFailure,
    StudyFolder,
    drop_weights,
    read_cell_facts,
    study_folder,
)
from hyperfitting.studies.grid import Cell, base_recipe, study_cells
from hyperfitting.studies.jobs import CellJob, CellOptions, CellOutcome
from hyperfitting.studies.launchers.protocol import Launcher, WorkerHandle
from hyperfitting.studies.page import write_progress_page
from hyperfitting.studies.predictions import has_predictions
from hyperfitting.studies.reuse import ReusableExperiment, reusable_experiments, take_over
from hyperfitting.studies.settings import StudySettings
from hyperfitting.studies.status import CellStatus, StudyStatus, status_of

_SHOW_SECONDS = 2.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class RunOptions:
    """How a study is run.

    Args:
        device: as after `--device`.
        keep_weights: do not drop the weights of finished cells.
        retry_failed: begin again with cells that could not be made.
        reuse: folders in which finished experiments are looked for, beside those of the studies
            that stand next to this one.
        allow_many: run more than 1,000 cells.
        most_losses: a cell whose worker is lost so many times, without getting further, has failed.
        poll_seconds: between two looks at the workers.
        stale_seconds: after so long without a heartbeat, a worker of another machine is lost.
    """

    device: str = "auto"
    keep_weights: bool = False
    retry_failed: bool = False
    reuse: tuple[Path, ...] = ()
    allow_many: bool = False
    most_losses: int = 3
    poll_seconds: float = 0.2
    stale_seconds: float = STALE_SECONDS


def run_study(
    study: StudySettings,
    launcher: Launcher,
    *,
    out: Path | None = None,
    overrides: Overrides = (),
    options: RunOptions = RunOptions(),
    on_status: Callable[[StudyStatus], None] = lambda status: None,
) -> StudyStatus:
    """Make all cells of a study that are not finished yet. A cell that fails is left, and the
    others go on.

    Args:
        study: what to do.
        launcher: where the workers run.
        out: the study's folder; none: `runs/studies/<name>`.
        overrides: changes to the base for all cells.
        options: how it is run.
        on_status: called every few seconds with how far it has come.

    Raises:
        InputError: the study is wrong, its analysis reads something else, the folder holds another
            study, or finished cells lack the predictions that it asks for.
        DiskFull: the workers are stopped; the same call goes on.
        Interrupted: Ctrl-C or SIGTERM; the workers have written checkpoints, and the same call
            goes on.
    """
    folder, base, cells = runnable(study, out, overrides, allow_many=options.allow_many)
    with launcher:
        folder.keep_study(study, base)
        run = _StudyRun(study, folder, cells, launcher, options, on_status)
        run.prepare()
        try:
            with sigterm_interrupts():
                run.to_the_end()
        except KeyboardInterrupt as error:
            run.stop()
            raise Interrupted(run.how_far()) from error
        except BaseException:
            run.stop()
            raise
        finally:
            run.show(running=False)
    return run.status()


def runnable(
    study: StudySettings, out: Path | None, overrides: Overrides, *, allow_many: bool
) -> tuple[StudyFolder, Recipe, list[Cell]]:
    """The folder, the base and the cells of a study; what cannot end well is refused now, and not
    after the last cell.

    Raises:
        InputError: as `run_study`.
    """
    analysis_of(study)
    cells = study_cells(study, overrides, allow_many=allow_many)
    folder, base = study_folder(study, out), base_recipe(study, overrides)
    refuse_other_study(folder, base, cells)
    _refuse_without_predictions(study, folder, cells)
    return folder, base, cells


def refuse_other_study(folder: StudyFolder, base: Recipe, cells: Iterable[Cell]) -> None:
    """Refuse a folder that holds anything else than this study.

    Raises:
        RunError: it holds other files, was made of another base, or has a cell with other settings,
            as another version may have made it.
    """
    if not folder.base_file.is_file():
        if folder.holds_others():
            raise RunError(f"{folder.folder} is not empty and holds no study: choose another --out")
        return
    try:
        found = differing_settings(folder.base(), base)
    except RecipeError as error:  # a setting that is no more
        found = str(error)
    if found:
        raise RunError(
            f"{folder.folder} was made of another base ({found}): choose another --out, or remove "
            "it"
        )
    for cell in cells:
        _refuse_other_cell(folder.cell_folder(cell), cell)


def _refuse_other_cell(folder: Path, cell: Cell) -> None:
    facts, experiment = read_cell_facts(folder), Experiment(folder)
    if facts is None or not experiment.recipe_file.is_file():
        return
    remedy = f"remove {folder} to make it again"
    stored = read_tree(experiment.recipe_file)
    if setting := first_disagreement(stored, cell.recipe, facts.at_default):
        raise RunError(
            f"{folder} was made by hyperfitting {facts.hyperfitting} with another {setting} than "
            f"hyperfitting {__version__} gives it: {remedy}"
        )
    if not facts.finished and facts.hyperfitting != __version__:
        raise RunError(
            f"{folder} was begun by hyperfitting {facts.hyperfitting}, and this is {__version__}: "
            f"{remedy}"
        )


def _refuse_without_predictions(
    study: StudySettings, folder: StudyFolder, cells: Iterable[Cell]
) -> None:
    """Refuse finished cells without predictions where the study asks for them: nobody would make
    them.

    Raises:
        RunError: names one.
    """
    finished = filter(None, map(folder.finished, cells)) if study.predictions else ()
    for each in finished:
        if not has_predictions(each.experiment):
            raise RunError(
                f"{each.experiment.folder} was finished without predictions, for which "
                f"{study.name} asks now: choose another --out, or remove it to make it again"
            )


class _StudyRun:
    """A study under way: who works on what."""

    def __init__(
        self,
        study: StudySettings,
        folder: StudyFolder,
        cells: Sequence[Cell],
        launcher: Launcher,
        options: RunOptions,
        on_status: Callable[[StudyStatus], None],
    ):
        self._study, self._folder, self._cells = study, folder, cells
        self._launcher, self._options, self._on_status = launcher, options, on_status
        self._watch = ClaimWatch(folder.claims_folder, stale_seconds=options.stale_seconds)
        self._workers: dict[str, WorkerHandle] = {}
        self._losses: Counter[str] = Counter()
        self._reached: dict[str, tuple[int, ...]] = {}
        self._ended: set[str] = set()
        self._finished: dict[str, CellStatus] = {}
        self._shown = 0.0

    def prepare(self) -> None:
        """Use finished experiments again, and do what an earlier call left undone."""
        if self._options.retry_failed:
            shutil.rmtree(self._folder.failures_folder, ignore_errors=True)
        begun = [self._folder.cell_folder(cell).is_dir() for cell in self._cells]
        found = [] if all(begun) else reusable_experiments(self._folder, self._options.reuse)
        for cell, is_begun in zip(self._cells, begun, strict=True):
            if not is_begun and not self._options.keep_weights:
                self._take_over(cell, found)
        if not self._options.keep_weights:
            for cell in self._cells:
                if finished := self._folder.finished(cell):
                    drop_weights(finished.experiment)

    def _take_over(self, cell: Cell, found: Sequence[ReusableExperiment]) -> None:
        asked = self._study.predictions
        same = next((each for each in found if each.is_that_of(cell, predictions=asked)), None)
        number = self._watch.next_number(cell.folder_name)
        if same is not None and number is not None:
            target = self._folder.cell_folder(cell)
            with claim(self._folder.claims_folder, cell.folder_name, number, _nothing) as held:
                if held and not target.exists():
                    take_over(same, cell, target)

    def to_the_end(self) -> None:
        """Start workers and wait for them, until every cell is finished or has failed.

        Raises:
            DiskFull: a worker found the disk full.
        """
        while left := self._left():
            self._collect()
            self._start(left)
            self.show(running=True)
            time.sleep(self._options.poll_seconds)

    def _left(self) -> list[Cell]:
        """The cells that are neither finished nor failed, and those that a worker has."""
        for cell in self._cells:
            name = cell.folder_name
            if name not in self._ended and (
                self._folder.finished(cell) or self._folder.failure(cell)
            ):
                self._ended.add(name)
        return [
            cell
            for cell in self._cells
            if cell.folder_name not in self._ended or cell.folder_name in self._workers
        ]

    def _collect(self) -> None:
        """Take note of workers that have ended."""
        outcomes = {name: worker.outcome() for name, worker in self._workers.items()}
        for cell in self._cells:
            outcome = outcomes.get(cell.folder_name)
            if outcome is not None:
                del self._workers[cell.folder_name]
            if outcome is CellOutcome.DISK_FULL:
                raise DiskFull()
            if outcome is CellOutcome.LOST:
                self._count_loss(cell)

    def _count_loss(self, cell: Cell) -> None:
        """A cell whose workers are lost again and again, and that gets no further, has failed."""
        name, reached = cell.folder_name, _reached(self._folder.cell_folder(cell))
        if reached > self._reached.get(name, ()):
            self._losses[name] = 0
        self._reached[name] = reached
        self._losses[name] += 1
        if self._losses[name] >= self._options.most_losses:
            line = (
                f"its worker was lost {self._losses[name]} times, killed or out of memory: "
                f"{self._folder.log_file(cell)} holds what it said"
            )
            write_facts(self._folder.failure_file(cell), CellFailure(line=line))

    def _start(self, left: Sequence[Cell]) -> None:
        """Start workers on cells that nobody holds."""
        for cell in left:
            if len(self._workers) >= self._launcher.capacity:
                return
            name = cell.folder_name
            free = name not in self._workers and name not in self._ended
            number = self._watch.next_number(name) if free else None
            if number is not None and not self._folder.failure(cell):
                job = CellJob(
                    self._folder.folder.absolute(), cell, number, self._cell_options(cell)
                )
                self._workers[name] = self._launcher.start(job)

    def _cell_options(self, cell: Cell) -> CellOptions:
        return CellOptions(
            coordinates=cell.coordinates,
            repeat=cell.repeat,
            threads=cell.threads_of(self._launcher.threads),
            device=self._options.device,
            predictions=self._study.predictions,
            keep_weights=self._options.keep_weights,
        )

    def show(self, *, running: bool) -> None:
        """Write the page and report how far the study has come, every few seconds."""
        if running and time.monotonic() - self._shown < _SHOW_SECONDS:
            return
        status = self.status()
        write_progress_page(self._folder.progress_page, status, running=running)
        self._on_status(status)
        self._shown = time.monotonic()

    def status(self) -> StudyStatus:
        """How far the study has come."""
        found = status_of(self._study, self._folder, self._cells, self._watch, self._finished)
        self._finished |= {each.cell.folder_name: each for each in found.in_state("finished")}
        return found

    def how_far(self) -> str:
        """What to say after Ctrl-C."""
        done = len(self.status().in_state("finished"))
        return (
            f"stopped; {done} of {len(self._cells)} cells are finished, and the same command goes "
            "on from there"
        )

    def stop(self) -> None:
        """Ask all workers to stop, and wait until they have written their checkpoints; a second
        Ctrl-C ends them at once.
        """
        for worker in self._workers.values():
            worker.stop()
        until = time.monotonic() + _STOP_SECONDS
        try:
            while self._working() and time.monotonic() < until:
                time.sleep(self._options.poll_seconds)
        finally:
            for worker in self._working():
                worker.kill()

    def _working(self) -> list[WorkerHandle]:
        return [worker for worker in self._workers.values() if worker.outcome() is None]


def _nothing() -> None:
    """Copying an experiment is not stopped for another worker."""


def _reached(folder: Path) -> tuple[int, ...]:
    """How far a cell has come, in numbers that only grow: runs done with each stage, texts, and the
    newest checkpoint.
    """
    experiment = Experiment(folder)
    runs = experiment.begun_runs()
    stages = [
        sum(getattr(run, stage) for run in runs) for stage in ("measured", "generated", "trained")
    ]
    written = sum(each.stat().st_size for each in folder.glob("*/parts/*"))
    checkpoints = [
        int(each.name.partition("-")[2]) for each in folder.glob("*/checkpoint/update-*")
    ]
    return (int(experiment.drawn), *stages, written, max(checkpoints, default=0))
