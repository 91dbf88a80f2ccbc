"""Which run or experiments a user means by a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

from hyperfitting.errors import HyperfittingError, RunError
from hyperfitting.recipe import HYPERFITTED, PRETRAINED
from hyperfitting.runs.experiment import Experiment
from hyperfitting.runs.run import Run


def find_run(folder: Path) -> Run:
    """The run that a user means: a run's own folder, or the hyperfitted or pretrained one of an
    experiment.

    Raises:
        RunError: if there is none, it is not trained yet, or it is of an archive.
    """
    for each in (folder, folder.resolve().parent):
        Experiment(each).refuse_archive()
    found = [Run(each) for each in (folder, folder / "hyperfitted", folder / "pretrained")]
    run = next((each for each in found if each.recipe_file.is_file() and each.trained), None)
    if run is None:
        raise RunError(
            f"{folder} holds no trained run: give the folder that `hyperfit run` or `hyperfit "
            "train` wrote"
        )
    return run


_DEFAULT_FOLDER = Path("runs")
"""Where experiments are looked for unless a folder is named; it need not be there yet."""


def find_experiments(folder: Path) -> list[Experiment]:
    """Every experiment in `folder` and the folders in it, five deep, oldest first; none inside
    another.

    Raises:
        RunError: there is no such folder, and it is not the default one.
    """
    _refuse_missing(folder)
    return sorted(_experiments_in(folder, 5), key=_age)


def made_on(experiment: Experiment) -> date:
    """The day on which its training ended, in UTC, as its run says; when its recipe was written,
    with the time of day, where no run does: of one that is unfinished, damaged or of before.
    """
    with suppress(HyperfittingError, ValueError):
        pretrained = experiment.run(PRETRAINED)
        run = pretrained if pretrained.folder.is_dir() else experiment.run(HYPERFITTED)
        if run.facts.train is not None and run.facts.train.date is not None:
            return date.fromisoformat(run.facts.train.date)
    return datetime.fromtimestamp(experiment.recipe_file.stat().st_mtime)


def _age(experiment: Experiment) -> tuple[str, float]:
    """What puts experiments in order: the day, and on the same day when the recipe was written."""
    day = made_on(experiment).isoformat()[: len("2026-11-28")]
    return day, experiment.recipe_file.stat().st_mtime


def _refuse_missing(folder: Path) -> None:
    if folder.is_dir() or (folder == _DEFAULT_FOLDER and not folder.exists()):
        return
    if folder.exists():
        raise RunError(f"{folder} is a file: give the folder of an experiment, or one around it")
    raise RunError(f"{folder}: no such folder: give the one that experiments are in")


def _experiments_in(folder: Path, deep: int) -> Iterator[Experiment]:
    if Experiment(folder).recipe_file.is_file():
        if not _is_run(folder):
            yield Experiment(folder)
    elif deep:
        for inner in _folders_in(folder):
            yield from _experiments_in(inner, deep - 1)


def _is_run(folder: Path) -> bool:
    """Whether a folder with a recipe is a run: it has facts, or no data and lies in an
    experiment.
    """
    around = Experiment(folder.resolve().parent)
    within = around.drawn and around.recipe_file.is_file() and not Experiment(folder).drawn
    return Run(folder).facts_file.is_file() or within


def _folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden; none of one that cannot be read."""
    try:
        return sorted(
            each for each in folder.iterdir() if not each.name.startswith(".") and each.is_dir()
        )
    except OSError:
        return []
