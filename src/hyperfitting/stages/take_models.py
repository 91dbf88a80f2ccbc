"""Take the trained models of another experiment: other strategies, contexts, metrics or benchmarks
need no second training.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hyperfitting import models
from hyperfitting.errors import DataError, RunError
from hyperfitting.facts import RunFacts, write_facts
from hyperfitting.files import exclusive_lock, new_folder, write_text
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ORIGINAL, Recipe, differing_settings, stored_recipe
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.draw import chat_frame_of
from hyperfitting.stages.same_source import has_same_source
from hyperfitting.traits import TokenizerTraits
from hyperfitting.weights import Weights, named_weights


def refuse_other_training(recipe: Recipe, source: Experiment) -> None:
    """Refuse an experiment whose models are not those that a recipe would train.

    Raises:
        RunError: it is not trained, was changed since, or was trained with other settings, the
            first of which are named.
    """
    source.refuse_archive()
    held = source.recipe
    aside = {
        name: getattr(recipe, name)
        for name in ("name", "description", "generate", "measure", "evaluate", "report")
    }
    aside["data"] = held.data.model_copy(update=_of_contexts(recipe))
    if found := differing_settings(held.model_copy(update=aside), recipe):
        raise RunError(
            f"{source.folder}: its models were trained otherwise ({found}): set these back, or "
            "train anew, without --models-of"
        )
    for run in source.runs().values():
        _refuse_unusable(run, recipe)


def _of_contexts(recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe's data that decide what is continued, and not what is trained."""
    stops = {recipe.of(name).train.stop for name in recipe.variant_names[1:]}
    names = ["domains"]
    if recipe.data.train_format == "plain" and "auto" not in stops:  # which reads contexts
        names += ["context_format", "chat_instruction", "context_tokens"]
    return {name: getattr(recipe.data, name) for name in names}


def _refuse_unusable(run: Run, recipe: Recipe) -> None:
    if not run.trained or run.weights is None:
        raise RunError(f"{run.folder} is not trained: `hyperfit train` its recipe first")
    _ = run.model_source  # refuses one that has changed
    if run.variant == ORIGINAL and not _is_the_same_original(run, run.weights, recipe):
        raise RunError(
            f"{run.folder}: {recipe.model.source} was another model there: train anew, without "
            "--models-of"
        )


def _is_the_same_original(run: Run, weights: Weights, recipe: Recipe) -> bool:
    """Whether the recipe's source still is what the original was made from."""
    if not _is_named(run):
        return has_same_source(run, recipe)
    now = named_weights(recipe.model, run.folder)
    return now is not None and now.digest == weights.digest


def take_models(
    experiment: Experiment, source: Experiment, *, progress: Progress = NO_PROGRESS
) -> None:
    """Take the models that an experiment lacks, with what their trainings logged, from one that
    `refuse_other_training` let pass. `run.json` names the run that each comes from.

    The model's files are linked where both stand on one disk, and copied otherwise.

    Raises:
        DataError: it was trained on other texts.
        RunError: the experiment has begun a training of its own.
    """
    if all(run.trained for run in experiment.runs().values()):
        return
    with exclusive_lock(experiment.folder, "models"):
        lacking = [run for run in experiment.runs().values() if not run.trained]
        _refuse_other_texts(experiment, source)
        for run in lacking:
            if run.updates_file.exists():
                raise RunError(f"{run.folder}: a training has begun there: choose another --out")
        traits = _traits_in_a_chat(experiment.recipe)
        for run in lacking:
            _take(source.run(run.variant), run, experiment.recipe.of(run.variant), traits)
            progress.log(f"{run.variant}: its model is taken from {source.folder}")


def _traits_in_a_chat(recipe: Recipe) -> TokenizerTraits | None:
    """The tokenizer's, with the names of the tokens around a context; None without a chat."""
    if not recipe.data.holds_chats:
        return None
    codec = models.load_codec(recipe.model)
    return models.tokenizer_traits(codec, chat_frame_of(recipe, codec))


def _refuse_other_texts(experiment: Experiment, source: Experiment) -> None:
    if _texts_of(source) != _texts_of(experiment):
        raise DataError(
            f"{source.folder}: its models were trained on other texts than this recipe draws: "
            "train anew, without --models-of"
        )


def _texts_of(experiment: Experiment) -> list[str]:
    """Tokenizer, and hashes of the blocks of training and validation."""
    manifest = experiment.manifest
    hashes = {each.name: each.ids_sha256 for each in manifest.sets}
    return [manifest.codec, hashes["train"], hashes["validation"]]


def _is_named(run: Run) -> bool:
    return run.variant == ORIGINAL and run.weights is not None and run.weights.source is not None


def _take(held: Run, mine: Run, recipe: Recipe, traits: TokenizerTraits | None) -> None:
    facts, train = held.facts, held.train_facts
    weights = named_weights(recipe.model, mine.folder) if _is_named(held) else facts.weights
    with new_folder(mine.folder) as partial:
        made = Run(partial)
        for file in (held.updates_file, held.probes_file):
            shutil.copyfile(file, partial / file.name)
        if not _is_named(held):
            shutil.copytree(held.model_folder, made.model_folder, copy_function=_link_or_copy)
        write_text(made.recipe_file, stored_recipe(recipe, mine.folder))
        write_facts(
            made.facts_file,
            RunFacts(
                weights=weights,
                models_of=held.name,
                train=train if traits is None else train.model_copy(update={"tokenizer": traits}),
                near_zero=facts.near_zero,
            ),
        )


def _link_or_copy(source: str, to: str) -> None:
    try:
        os.link(Path(source).resolve(), to)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, to)
