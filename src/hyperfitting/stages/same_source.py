"""Whether the files that an experiment's models are made from are still the same."""

from __future__ import annotations

from hyperfitting import models
from hyperfitting.errors import RunError
from hyperfitting.recipe import Recipe
from hyperfitting.runs import Experiment, Run
from hyperfitting.traits import ModelSource


def has_same_source(run: Run, recipe: Recipe) -> bool:
    """Whether the files of a recipe's source still are those that a trained run was made from; not
    known of a name on the hub, nor told of an ordinary folder, whose weights are hashed.
    """
    return _hashes(models.source_of(recipe.model)) == _hashes(run.train_facts.source)


def _hashes(source: ModelSource | None) -> dict[str, str] | None:
    """What tells two sources apart: what is said of them in words may change with the version."""
    return None if source is None else source.sha256


def refuse_changed_source(experiment: Experiment) -> None:
    """Refuse to train another run where the GGUF file or adapter changed since the first one.

    Raises:
        RunError: names the files and the run that was made from them as they were.
    """
    made = [run for run in experiment.runs().values() if run.trained and run.train_facts.source]
    if made and not has_same_source(made[0], experiment.recipe):
        source = made[0].train_facts.source
        raise RunError(
            f"{experiment.recipe.model.source} has changed ({', '.join(_hashes(source) or ())}) "
            f"since {made[0].folder} was made from it: put its files back, or choose another --out"
        )
