"""Whether the files that an experiment's models are made from are still the same."""

from __future__ import annotations

from hyperfitting import models
from hyperfitting.errors import RunError
from hyperfitting.recipe import Recipe
from hyperfitting.runs import Experiment, Run


def has_same_source(run: Run, recipe: Recipe) -> bool:
    """Whether a recipe's source still is what a trained run was made from; not known of a name on
    the hub, nor told of an ordinary folder, whose weights are hashed.
    """
    return models.source_of(recipe.model) == run.train_facts.source


def refuse_changed_source(experiment: Experiment) -> None:
    """Refuse to train another run where the GGUF file or adapter changed since the first one.

    Raises:
        RunError: names the files and the run that was made from them as they were.
    """
    for run in (each for each in experiment.runs().values() if each.trained):
        source = run.train_facts.source
        if source is not None and not has_same_source(run, experiment.recipe):
            raise RunError(
                f"{experiment.recipe.model.source} has changed ({', '.join(source.sha256)}) since "
                f"{run.folder} was made from it: put its files back, or choose another --out"
            )
