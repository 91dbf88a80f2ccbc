"""List the experiments of a folder. It needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hyperfitting.errors import HyperfittingError
from hyperfitting.recipe import HYPERFITTED, PRETRAINED
from hyperfitting.runs import Experiment, Run, find_experiments, made_on


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to: training loss in nats per token, and the TTR of greedy texts before
    and after it.

    `train_loss` is None before the first update.
    """

    train_loss: float | None
    ttr_before: float
    ttr: float


@dataclass(frozen=True)
class ExperimentSummary:
    """How far an experiment has come, and what its training came to; `training` is None before its
    first probe. `made` is the day on which the training ended, in UTC; of one that has not ended,
    the time at which its recipe was written.
    """

    folder: Path
    state: str
    run_name: str
    made: date
    model: str
    training: TrainingResult | None


@dataclass(frozen=True)
class DamagedExperiment:
    """An experiment that cannot be read, and why, in one line."""

    folder: Path
    problem: str


def list_experiments(folder: Path) -> list[ExperimentSummary | DamagedExperiment]:
    """Every experiment in a folder and in those inside it, oldest first; none inside another.

    Raises:
        RunError: there is no such folder.
    """
    return [_summary(each) for each in find_experiments(folder)]


def _summary(experiment: Experiment) -> ExperimentSummary | DamagedExperiment:
    try:
        recipe = experiment.recipe
        pretrained = experiment.run(PRETRAINED)
        run = pretrained if pretrained.folder.is_dir() else experiment.run(HYPERFITTED)
        return ExperimentSummary(
            experiment.folder,
            experiment.state(),
            recipe.run_name,
            made_on(experiment),
            recipe.model.source,
            _training_of(run),
        )
    except HyperfittingError as error:
        return DamagedExperiment(experiment.folder, str(error))


def _training_of(run: Run) -> TrainingResult | None:
    probes = run.probes() if run.probes_file.is_file() else []
    if not probes:
        return None
    kept = run.facts.train and run.facts.train.kept_update
    last = next((row for row in reversed(probes) if row.update == kept), probes[-1])
    return TrainingResult(last.train_loss, probes[0].ttr, last.ttr)
