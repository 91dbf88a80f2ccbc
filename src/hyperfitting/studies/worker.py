"""A worker's side of a study: claim a cell, make it, and leave the outcome in the study's folder.

`work` is the one function that all launchers call, in a process on whatever machine.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TextIO

from hyperfitting.errors import (
    DiskFull,
    HyperfittingError,
    Interrupted,
    is_disk_full,
    kind_of,
    name_the_extra,
)
from hyperfitting.facts import write_facts
from hyperfitting.files import make_folder
from hyperfitting.progress import NoProgress
from hyperfitting.studies.cell_run import run_cell
from hyperfitting.studies.claims import claim, seconds_of_killed
from hyperfitting.studies.folder import CellFailure, StudyFolder
from hyperfitting.studies.jobs import CellJob, CellOutcome


def leave() -> None:
    """End this process at once: another worker has taken its cell."""
    os._exit(CellOutcome.LOST)


def work(job: CellJob, on_taken: Callable[[], None] = leave) -> CellOutcome:
    """Make a cell, unless another worker holds it or has ended with it.

    `on_taken` is called in another thread if the cell is taken over while it is made.
    """
    study, name = StudyFolder(job.study), job.cell.folder_name
    try:
        with claim(study.claims_folder, name, job.number, on_taken) as held:
            if not held or study.finished(job.cell) or study.failure(job.cell):
                return CellOutcome.HELD
            return _make(study, job)
    except OSError as error:
        if not is_disk_full(error):
            raise
        return CellOutcome.DISK_FULL


def _make(study: StudyFolder, job: CellJob) -> CellOutcome:
    folder = study.cell_folder(job.cell)
    others = sorted(set(study.cells_folder.glob("*")) - {folder})
    make_folder(study.logs_folder)
    with study.log_file(job.cell).open("a", encoding="utf-8") as log:
        try:
            before = seconds_of_killed(study.claims_folder, job.cell.folder_name, job.number)
            options = replace(job.options, share_from=others, seconds_before=before)
            run_cell(job.cell.recipe, folder, options, progress=_LogProgress(log))
        except (Interrupted, KeyboardInterrupt):
            return CellOutcome.INTERRUPTED
        except DiskFull:
            return CellOutcome.DISK_FULL
        except Exception as error:
            if is_disk_full(error):
                raise
            traceback.print_exc(file=log)
            write_facts(study.failure_file(job.cell), CellFailure(line=_in_one_line(error)))
            return CellOutcome.FAILED
    return CellOutcome.FINISHED


def _in_one_line(error: Exception) -> str:
    named = name_the_extra(error) if isinstance(error, ModuleNotFoundError) else error
    if isinstance(named, HyperfittingError):
        return str(named)
    return " ".join(f"{error} ({kind_of(error)})".split())


class _LogProgress(NoProgress):
    """Lines of a worker, in the cell's log."""

    def __init__(self, file: TextIO):
        self._file = file

    def log(self, line: str) -> None:
        """Write it at once."""
        print(line, file=self._file, flush=True)
