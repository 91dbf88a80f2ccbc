"""What cells share: drawn data, and the original with its texts and metrics.

Both are copied from a cell in which they are the same to the bit, so that they are made once. The
training is shared inside a cell, by its variants.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hyperfitting import data
from hyperfitting.errors import InputError
from hyperfitting.facts import write_facts
from hyperfitting.files import new_folder, write_rows, write_text
from hyperfitting.recipe import ORIGINAL, Recipe, stored_recipe
from hyperfitting.runs import Experiment, Run
from hyperfitting.weights import named_weights


def share_data(recipe: Recipe, folder: Path, others: Iterable[Path]) -> Path | None:
    """Begin the experiment of `recipe` in `folder` with data that another one has drawn; the folder
    of that one, or None where no other has the same.
    """
    if folder.is_dir():
        return None
    source = next((each for each in map(Experiment, others) if _has_data_of(each, recipe)), None)
    if source is None:
        return None
    try:
        with new_folder(folder) as partial:
            shutil.copytree(source.data_folder, partial / source.data_folder.name)
            write_text(Experiment(partial).recipe_file, stored_recipe(recipe, folder))
    except (FileNotFoundError, shutil.Error):  # that cell has failed since, and was removed
        return None
    return source.folder


def _has_data_of(other: Experiment, recipe: Recipe) -> bool:
    """Whether the data of another experiment are those that this recipe would draw."""
    try:
        if not (other.drawn and other.holds_texts) or data_key(other.recipe) != data_key(recipe):
            return False
        data.refuse_changed(other.manifest.sources, recipe.data, str(other.folder))
    except InputError:
        return False
    return True


def data_key(recipe: Recipe) -> str:
    """What decides the drawn data: settings, and where model and texts stand on this machine."""
    aside = {"dtype": "float32", "architecture": None, "initialise": "pretrained"}
    model = recipe.model.model_copy(update=aside)
    return repr((model, recipe.data, recipe.data_seed, recipe.generate.new_tokens, _places(recipe)))


def _places(recipe: Recipe) -> list[Path | None]:
    """Equal names may mean different files."""
    return [recipe.model.place("source"), *(each.place("path") for each in recipe.data.sources)]


def share_original(
    experiment: Experiment, others: Iterable[Path], *, threads: int, device: str
) -> Path | None:
    """Take the original's run from another experiment that has measured the same one; the folder of
    that one, or None.

    Only an original that stands in an ordinary local folder is shared: one that had to be saved is
    dropped with the other weights. `device` is in words, as in run.json.
    """
    run = experiment.run(ORIGINAL)
    if run.folder.exists():
        return None
    for other in map(Experiment, others):
        if _has_original_of(other, experiment, threads, device):
            try:
                _copy_run(other.run(ORIGINAL), run, experiment.recipe.of(ORIGINAL))
            except (FileNotFoundError, InputError):  # as in share_data
                continue
            return other.folder
    return None


def _has_original_of(other: Experiment, mine: Experiment, threads: int, device: str) -> bool:
    try:
        run = other.run(ORIGINAL)
        if not (run.measured and run.weights and run.weights.source):
            return False
        if not (other.drawn and other.holds_texts):
            return False
        made = run.train_facts
        same = (made.threads, made.device) == (threads, device)
        same = same and original_key(other.recipe) == original_key(mine.recipe)
        same = same and [each.ids_sha256 for each in other.manifest.sets] == [
            each.ids_sha256 for each in mine.manifest.sets
        ]
        return same and named_weights(mine.recipe.model, run.folder) == run.weights
    except InputError:
        return False


def original_key(recipe: Recipe) -> str:
    """What decides the texts and metrics of the original, as `data_key` does for the data."""
    train = recipe.of(ORIGINAL).train.model_copy(update={"learning_rate": 1.0})
    sections = (recipe.model, recipe.probe, recipe.generate, recipe.measure)
    return repr((train, *sections, recipe.seed, data_key(recipe)))


_ROWS = ("continuations", "text_metrics", "pooled_metrics", "metrics")
"""What is read of a run and names it in every row."""


def _copy_run(run: Run, to: Run, recipe: Recipe) -> None:
    """Copy a run, every row of which gets the name of the run that it becomes."""
    with new_folder(to.folder) as partial:
        made = Run(partial)
        if run.recipe.evaluate == recipe.evaluate and run.evaluation.folder.is_dir():
            shutil.copytree(run.evaluation.folder, made.evaluation.folder)
        for file in _copied(run):
            shutil.copyfile(file, partial / file.name)
        for rows in _ROWS:
            held: Sequence[Any] = getattr(run, rows)()
            named = (replace(row, run=recipe.run_name) for row in held)
            write_rows(getattr(made, f"{rows}_file"), named)
        write_text(made.recipe_file, stored_recipe(recipe, to.folder))
        weights = named_weights(recipe.model, to.folder)
        write_facts(made.facts_file, run.facts.model_copy(update={"weights": weights}))


def _copied(run: Run) -> Iterable[Path]:
    return filter(Path.is_file, (run.updates_file, run.probes_file, run.blocked_file))
