"""Free disk: what experiments no longer need. It needs no torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from hyperfitting.errors import HyperfittingError
from hyperfitting.files import exclusive_lock
from hyperfitting.runs import Experiment, Run, find_experiments


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go, what it is, and its size in bytes."""

    path: Path
    what: str
    size_bytes: int


def clean_experiments(
    folder: Path, *, weights: bool = False, remove: bool = False
) -> list[Leftover]:
    """What the experiments in a folder no longer need: checkpoints of trainings that ended, and
    what a write that was cut off left. Experiments that a stage is at work on, or that are damaged,
    are passed over.

    Args:
        folder: an experiment, or a folder with experiments in it.
        weights: also the models of experiments that are measured. Texts, metrics and reports stay;
            to continue contexts again, such an experiment is trained again.
        remove: remove what is found.

    Raises:
        RunError: there is no such folder.
    """
    found = []
    for experiment in find_experiments(folder):
        with suppress(HyperfittingError):  # damaged, or at work
            found += _clean(experiment, weights=weights, remove=remove)
    return found


def _clean(experiment: Experiment, *, weights: bool, remove: bool) -> list[Leftover]:
    done = experiment.archive is None and all(run.measured for run in experiment.runs().values())
    with ExitStack() as held:
        for run in experiment.begun_runs():
            held.enter_context(exclusive_lock(run.folder))
        runs = experiment.begun_runs()
        left = [each for run in runs for each in _leftovers(run, weights=weights and done)]
        if remove:
            for each in left:
                _remove(each.path)
    return left


def _leftovers(run: Run, *, weights: bool) -> Iterator[Leftover]:
    if run.trained and run.checkpoint_folder.is_dir():
        yield _leftover(run.checkpoint_folder, "checkpoints of a training that ended")
    for path in sorted(run.folder.glob(".*.partial")):
        yield _leftover(path, "what a write that was cut off left")
    if weights and run.model_folder.is_dir():
        yield _leftover(run.model_folder, "the model of a measured experiment")


def _leftover(path: Path, what: str) -> Leftover:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return Leftover(path, what, sum(each.stat().st_size for each in files))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
