"""How far a study has come, read from its folder by whichever process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from hyperfitting.errors import HyperfittingError, InputError
from hyperfitting.files import read_last_row
from hyperfitting.progress import time_in_words
from hyperfitting.recipe import HYPERFITTED, Overrides
from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.runs import Experiment
from hyperfitting.studies.claims import ClaimWatch
from hyperfitting.studies.folder import StudyFolder, study_folder
from hyperfitting.studies.grid import Cell, study_cells
from hyperfitting.studies.settings import StudySettings

_NONE: Mapping[str, CellStatus] = {}
CellState = Literal["finished", "running", "failed", "waiting"]


@dataclass(frozen=True)
class CellStatus:
    """How far one cell has come.

    `doing` is a stage and a variant, `update` of `updates` the last one that was made, with its
    loss in nats per token; `ttr` is that of the last probe. `line` says why it failed. `seconds` is
    what a finished one took; 0 of one that was used again. `silent_seconds` is how long ago the
    worker of a running one gave its last sign, if that is too long ago; else 0.
    """

    cell: Cell
    state: CellState
    doing: str = ""
    update: int = 0
    updates: int = 0
    loss: float | None = None
    ttr: float | None = None
    line: str = ""
    seconds: float = 0.0
    silent_seconds: float = 0.0

    @property
    def words(self) -> str:
        """What it does, and that its worker may be lost; or why it failed."""
        if self.state == "failed":
            return self.line
        silent = time_in_words(self.silent_seconds)
        lost = f"no sign for {silent}: lost, or its machine's clock differs"
        return "; ".join(filter(None, (self.doing, lost if self.silent_seconds else "")))


@dataclass(frozen=True)
class StudyStatus:
    """How far a study has come; `seconds_left` is None until a cell was made here; those used again
    do not count.
    """

    name: str
    folder: Path
    cells: tuple[CellStatus, ...]

    def in_state(self, state: CellState) -> list[CellStatus]:
        """The cells in a state."""
        return [each for each in self.cells if each.state == state]

    def refuse_failed(self) -> None:
        """Raise an error that says how many cells failed, if any did.

        Raises:
            HyperfittingError: some did.
        """
        if failed := self.in_state("failed"):
            raise HyperfittingError(
                f"{len(failed)} of {len(self.cells)} cells failed: once the cause is mended, the "
                "same command with --retry-failed begins with them again"
            )

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the cells that were made here, as many at once as run now."""
        taken = [each.seconds for each in self.in_state("finished") if each.seconds]
        if not taken:
            return None
        running = self.in_state("running")
        begun = sum(each.update / max(each.updates, 1) for each in running)
        left = len(running) - begun + len(self.in_state("waiting"))
        return max(left, 0.0) * fmean(taken) / max(len(running), 1)


def study_status(
    study: StudySettings,
    *,
    out: Path | None = None,
    overrides: Overrides = (),
) -> StudyStatus:
    """How far a study has come in its folder.

    Raises:
        InputError: the study is wrong, or a cell cannot be read.
    """
    cells = study_cells(study, overrides, allow_many=True)
    folder = study_folder(study, out)
    return status_of(study, folder, cells, ClaimWatch(folder.claims_folder))


def status_of(
    study: StudySettings,
    folder: StudyFolder,
    cells: Sequence[Cell],
    watch: ClaimWatch,
    finished: Mapping[str, CellStatus] = _NONE,
) -> StudyStatus:
    """The same of cells that are known; `finished` are those, by folder name, that were found
    finished before.
    """
    found = tuple(
        finished.get(cell.folder_name) or _cell_status(folder, cell, watch) for cell in cells
    )
    return StudyStatus(study.name, folder.folder, found)


def _cell_status(folder: StudyFolder, cell: Cell, watch: ClaimWatch) -> CellStatus:
    finished = folder.finished(cell)
    if finished is not None:
        return _so_far(finished.experiment, cell, "finished", seconds=finished.facts.seconds)
    if failure := folder.failure(cell):
        return CellStatus(cell, "failed", line=failure.line)
    state: CellState = "waiting" if watch.next_number(cell.folder_name) else "running"
    experiment = Experiment(folder.cell_folder(cell))
    silent = watch.silent_seconds(cell.folder_name) if state == "running" else 0.0
    try:
        found = _so_far(experiment, cell, state, doing=_doing(experiment))
    except (InputError, FileNotFoundError):  # it changes while it is read
        found = CellStatus(cell, state)
    return replace(found, silent_seconds=silent)


def _so_far(
    experiment: Experiment, cell: Cell, state: CellState, *, doing: str = "", seconds: float = 0.0
) -> CellStatus:
    run = experiment.run(HYPERFITTED)
    last, probe = (
        read_last_row(run.updates_file, UpdateRow),
        read_last_row(run.probes_file, ProbeRow),
    )
    return CellStatus(
        cell,
        state,
        doing=doing,
        update=last.update if last else 0,
        updates=cell.recipe.train.total_updates(cell.recipe.data.train_blocks),
        loss=last.loss if last else None,
        ttr=probe.ttr if probe else None,
        seconds=seconds,
    )


def _doing(experiment: Experiment) -> str:
    """The stage that comes next in an experiment, and of which variant."""
    if not experiment.drawn:
        return "drawing"
    for word, stage in (
        ("training", "trained"),
        ("generating", "generated"),
        ("measuring", "measured"),
    ):
        for variant, run in experiment.runs().items():
            if not getattr(run, stage):
                return f"{word} {variant}"
    return "reporting"
