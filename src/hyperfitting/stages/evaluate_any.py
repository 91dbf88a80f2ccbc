"""Answer benchmarks with an experiment's models or with a single model, by what is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from hyperfitting.downstream.tables import EvaluationRow
from hyperfitting.errors import InputError
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import EvaluateSettings
from hyperfitting.runs import Experiment
from hyperfitting.stages.evaluate import (
    answers_folder,
    chosen_settings,
    evaluate_experiment,
    evaluate_model,
)


class _How(TypedDict):
    device: str
    progress: Progress


@dataclass(frozen=True)
class Evaluated:
    """The rows of the table, the folders of the answers, and the experiment if it was one."""

    rows: list[EvaluationRow]
    folders: list[Path]
    experiment: Experiment | None


def evaluate(
    target: str | Path,
    *,
    out: str | Path | None = None,
    beginning_of_text: Literal["add", "none"] | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> Evaluated:
    """Answer benchmarks with every variant of an experiment, or with one model.

    Args:
        target: an experiment's folder, or a model, named as in `model.source`.
        out: of a model: where its answers go; None: `runs/evaluate-<its name>`.
        beginning_of_text: of a model: as of `evaluate_model`.
        changes: settings that replace those of the recipe, or the defaults; as of
            `chosen_settings`.
        device: `auto`, `cpu`, `cuda`, ...
        progress: where progress goes.

    Raises:
        InputError: `target` is empty; `out` or `beginning_of_text` is given for an experiment; or
            as of `evaluate_experiment` and `evaluate_model`.
    """
    if not str(target):
        raise InputError("no model is named: give an experiment's folder, or a model")
    experiment, how = Experiment(Path(target)), _How(device=device, progress=progress)
    if experiment.recipe_file.is_file():
        _refuse_for_experiment(target, {"out": out, "beginning_of_text": beginning_of_text})
        settings = chosen_settings(experiment.recipe.evaluate, **(changes or {}))
        rows = evaluate_experiment(experiment, settings, **how)
        folders = [run.evaluation.folder for run in experiment.runs().values()]
        return Evaluated(rows, folders, experiment)
    source, settings = str(target), chosen_settings(EvaluateSettings(), **(changes or {}))
    folder = Path(out or answers_folder(source))
    policy = beginning_of_text
    rows = evaluate_model(source, folder, settings, beginning_of_text=policy, **how)
    return Evaluated(rows, [folder], None)


def _refuse_for_experiment(target: str | Path, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"--{name.replace('_', '-')} is for a model, and {target} is an experiment, which "
                "has its own: leave it out"
            )
