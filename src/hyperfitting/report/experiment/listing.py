"""The experiments of a folder as lines for a terminal."""

from __future__ import annotations

from datetime import datetime

from hyperfitting.errors import HyperfittingError
from hyperfitting.runs import Experiment, Run


def experiment_line(experiment: Experiment) -> str:
    """How far an experiment has come, its name and date, its model, and what its training came to; or what is damaged.

    Loss is the training loss, in nats per token, TTR that of greedy continuations of validation contexts before the
    first update and of the weights that were kept.
    """
    try:
        recipe = experiment.recipe
        date = datetime.fromtimestamp(experiment.recipe_file.stat().st_mtime).strftime(
            "%Y-%m-%d %H:%M"
        )
        pretrained = experiment.run("pretrained")
        run = pretrained if pretrained.folder.is_dir() else experiment.run("hyperfitted")
        return (
            f"{experiment.state():10s} {recipe.run_name:32s} {date}  {_came_to(run):31s}  "
            f"{recipe.model.source}  {experiment.folder}"
        )
    except HyperfittingError as error:
        return f"{'damaged':10s} {error}"


def _came_to(run: Run) -> str:
    """Loss and TTR of a training, as far as it has come."""
    probes = run.probes() if run.probes_file.is_file() else []
    if not probes:
        return ""
    kept = run.facts.train and run.facts.train.kept_update
    last = next((row for row in reversed(probes) if row.update == kept), probes[-1])
    loss = "   -" if last.train_loss is None else f"{last.train_loss:.2f}"
    return f"loss {loss}  TTR {probes[0].ttr:.2f} -> {last.ttr:.2f}"
