"""Check a recipe: what it would load, train and write, after all that `run` checks. Writes
nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hyperfitting import data, measuring, models, trackers, training
from hyperfitting.errors import ModelError
from hyperfitting.facts import DataManifest
from hyperfitting.recipe import ModelSettings, Recipe, read_or_given, recipe_notes
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import Fitted, chat_frame_of, experiment_folder, fit
from hyperfitting.stages.workload import saved_bytes, stage_work, working_bytes
from hyperfitting.traits import ModelSource, ModelTraits, TokenizerTraits, TrainedWeights


@dataclass(frozen=True)
class Inspection:
    """What loading a model finds out about it, what of ours it trains with, and the name of its
    loss.
    """

    traits: ModelTraits
    adaptation: training.Adaptation
    loss: str


_TIMED_SHARE = 0.5
"""Of a device's memory: an update that needs more is not timed, since others may hold the rest."""


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk of the experiment's folder: what models and checkpoints take at their
    height, what the models take that stay, and what is free.
    """

    working_bytes: int
    kept_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class RecipeCheck:
    """What a recipe would do.

    `inspection` is None where the model's weights, in float32, are too large for the device.
    `manifest` tells of the data as it is kept with them. `ends` are the end-of-text ids with their
    tokens, `tokenizer` and `switched_off` are what the tokenizer would do beside encoding, and
    `source` the files of a model that is no ordinary folder. `prompt` are the tokens of the first
    context of the first domain, each in words. `trained` has a row for
    all weights of one place in the layers; `left_out` are weights of the adapted layers without
    adapters. `memory` is the need of an update, or why it is not known. `stage_seconds` are what
    each stage takes on this device, judged from one timed update; empty where an update needs
    more than half of its memory. A token that is written or scored is taken to cost what it does on
    a CPU: roughly. `notes` are settings that have no effect as they stand.
    """

    recipe: Recipe
    folder: Path
    device: str
    device_bytes: int
    parameters: int
    weight_bytes: int
    inspection: Inspection | None
    ends: str
    switched_off: Sequence[str]
    tokenizer: TokenizerTraits
    source: ModelSource | None
    prompt: Sequence[str]
    frame_tokens: int
    manifest: DataManifest
    trained: Sequence[TrainedWeights]
    left_out: Sequence[str]
    updates: int
    precision: str
    memory: training.Memory | str
    stage_seconds: Mapping[str, float]
    disk: Disk
    notes: Sequence[str]

    def __repr__(self) -> str:
        """The run, its training, and where it would be written."""
        return (
            f"<RecipeCheck {self.recipe.run_name}: {self.updates:,} updates, {self.precision} on "
            f"{self.device}, into {self.folder}; notes: {len(self.notes)}>"
        )


def check_recipe(
    recipe: Recipe | str | Path, out: str | Path | None = None, *, device: str = "auto"
) -> RecipeCheck:
    """Check all that `run` checks before it trains, and tell what it would load, train and write.

    Examples:
        >>> recipe = hyperfitting.load_recipe("mine.toml")
        >>> found = hyperfitting.check(recipe, device="cpu")
        >>> found.updates, found.precision
        (12, 'fp32')

    Args:
        recipe: what would be done: a recipe, a file, or the name of a shipped one.
        out: the experiment's folder; none: `runs/<name>-<digest8>`.
        device: `auto` (the accelerator if there is one), `cpu`, `cuda`, ...

    Raises:
        InputError: whatever `run` would refuse.
    """
    recipe = read_or_given(recipe)
    folder = experiment_folder(recipe, out)
    _refuse_before_loading(recipe, folder)
    torch_device = models.resolve_device(device)
    fitted = fit(recipe)
    precision = models.resolve_precision(recipe.train.precision, torch_device)
    parameters, room = models.count_parameters(recipe.model), models.memory_bytes(torch_device)
    needed, inspection = 4 * parameters, None
    if needed <= room:
        inspection = Inspection(*training.inspect(recipe, precision, torch_device))
    memory = _memory_or_why_not(recipe, precision, torch_device)
    frame = chat_frame_of(recipe, fitted.codec)
    tokenizer = models.tokenizer_traits(fitted.codec, frame)
    groups = {each.name: each.groups for each in fitted.drawn.manifest.sets}
    return RecipeCheck(
        recipe=recipe,
        folder=folder,
        device=models.describe_device(torch_device),
        device_bytes=room,
        parameters=parameters,
        weight_bytes=needed,
        inspection=inspection,
        ends=fitted.codec.ends_in_words(),
        switched_off=fitted.codec.switched_off,
        tokenizer=tokenizer,
        source=models.source_of(recipe.model),
        prompt=_prompt(recipe, fitted),
        frame_tokens=0 if frame is None else len(frame),
        manifest=fitted.drawn.manifest,
        trained=fitted.selection.table(),
        left_out=fitted.selection.left_out,
        updates=recipe.train.total_updates(recipe.data.train_blocks),
        precision=precision,
        memory=memory,
        stage_seconds=_stage_seconds(recipe, precision, torch_device, memory),
        disk=_disk(recipe, folder),
        notes=[*recipe_notes(recipe, groups), *_codec_notes(recipe, fitted.codec, tokenizer)],
    )


def _refuse_before_loading(recipe: Recipe, folder: Path) -> None:
    begun = Experiment.open_or_new(folder, recipe)
    if begun.drawn:
        data.refuse_changed(begun.manifest.sources, recipe.data, str(folder))
        _ = [run.model_source for run in begun.runs().values()]  # refuses one that has changed
    trackers.refuse_missing_trackers(recipe.report_to)
    if _writes(recipe):
        refuse_missing_parts(recipe)


def _stage_seconds(
    recipe: Recipe,
    precision: models.Precision,
    device: torch.device,
    memory: training.Memory | str,
) -> dict[str, float]:
    if isinstance(memory, str) or memory.peak > _TIMED_SHARE * models.memory_bytes(device):
        return {}
    train, *others = stage_work(recipe, *[recipe.variant_names] * 3)
    with models.threads(recipe.engine.threads):
        seconds = training.update_seconds(recipe, precision, device)
    unit = seconds / train.step_cost
    later = {each.name: each.steps * each.step_cost * unit for each in others if each.steps}
    return {"train": train.steps * seconds} | (later if _writes(recipe) else {})


def _writes(recipe: Recipe) -> bool:
    return recipe.model.initialise == "pretrained"


def _disk(recipe: Recipe, folder: Path) -> Disk:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return Disk(working_bytes(recipe), saved_bytes(recipe), shutil.disk_usage(there).free)


def _prompt(recipe: Recipe, fitted: Fitted) -> list[str]:
    """What the model sees of the first context of the first domain, token by token."""
    sets = {each.name: each.ids_NT for each in fitted.drawn.sets}
    first = [sets[each.name][0] for each in recipe.data.domains[:1]]
    return [
        each for ids_T in first for each in fitted.codec.shown(ids_T[: recipe.data.context_tokens])
    ]


def _codec_notes(recipe: Recipe, codec: models.ModelCodec, tokenizer: TokenizerTraits) -> list[str]:
    return [*_beginning_notes(recipe, tokenizer), *_turn_notes(recipe, codec)]


def _beginning_notes(recipe: Recipe, tokenizer: TokenizerTraits) -> list[str]:
    """Warn of texts that begin with what opens a turn of a chat."""
    adds = recipe.model.beginning_of_text == "add"
    if not (adds and tokenizer.opens_turns):
        return []
    return [
        f'model.beginning_of_text = "add": every text begins with {tokenizer.beginning!r}, which '
        'the chat template of this model writes before every turn: "none" is meant for plain texts'
    ]


def _turn_notes(recipe: Recipe, codec: models.ModelCodec) -> list[str]:
    """Warn of chats in which the end of the assistant's turn is no end of the text."""
    if recipe.data.context_format != "chat" or isinstance(codec, models.ImageCodec):
        return []
    try:
        end = models.turn_end(codec.tokenizer)
    except ModelError:  # a template for one question alone
        return []
    if end in codec.end_ids:
        return []
    writes = "nothing" if end is None else repr(codec.shown([end])[0])
    return [
        f"the chat template ends the assistant's turn with {writes}, and the end-of-text ids are "
        f"{codec.ends_in_words()}: texts go on after their turn, unless a file of the model names "
        "its end too (eos_token_id)"
    ]


def refuse_missing_parts(recipe: Recipe) -> None:
    """Refuse what metrics and report need beside the model and is not there: before the training,
    not after it.

    Raises:
        ModuleNotFoundError: an extra is not installed.
        ModelError: a model to measure with is not there, or the model has no chat template that
            benchmarks ask for.
        DataError: a benchmark that is to be answered is not there, cannot be read, or has answers
            that do not fit the model.
    """
    from hyperfitting import report

    report.check_installed()
    measuring.text_signatures(bleu=recipe.measure.bleu)
    for source in (recipe.measure.model_named("scorer"), recipe.measure.model_named("mauve")):
        if source is not None:
            models.load_text_codec(ModelSettings(source=source, beginning_of_text="none"))
    if recipe.evaluate.tasks:
        _refuse_unanswerable(recipe)


def _refuse_unanswerable(recipe: Recipe) -> None:
    from hyperfitting.stages.evaluate_plan import plan_tasks, refuse_unanswerable

    tasks = [task for _, task in plan_tasks(recipe.evaluate)]
    positions = models.positions_of(models.load_config(recipe.model))
    refuse_unanswerable(tasks, models.load_text_codec(recipe.model), positions)


def _memory_or_why_not(
    recipe: Recipe, precision: models.Precision, device: torch.device
) -> training.Memory | str:
    try:
        return training.memory_of(recipe, precision, recipe.engine, device=device.type)
    except ModelError as error:
        return str(error)
