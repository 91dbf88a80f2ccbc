"""Train the runs of an experiment: RUN/recipe.json, run.json, updates.jsonl, probes.jsonl and
model/.

Variants that differ in nothing but when they stop are made by one training, which keeps the weights
of each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hyperfitting import models, trackers, training
from hyperfitting.environment import Environment
from hyperfitting.errors import RecipeError
from hyperfitting.facts import TrainFacts
from hyperfitting.files import (
    changed_at,
    exclusive_lock,
    new_folder,
    remove_folder_on_input_error,
)
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import HYPERFITTED, ORIGINAL, PRETRAINED, Recipe
from hyperfitting.records import ProbeRow, UpdateRow, Verdict
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.draw import (
    chat_frame_of,
    codec_of,
    draw_experiment,
    experiment_folder,
)
from hyperfitting.stages.model_card import model_card
from hyperfitting.stages.same_source import refuse_changed_source
from hyperfitting.stages.take_models import refuse_other_training, take_models
from hyperfitting.training.checkpoint import Checkpoints, State
from hyperfitting.training.probe import probe
from hyperfitting.traits import TrainedWeights
from hyperfitting.weights import Weights, hash_model, named_weights, ordinary_folder


def train_experiment(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
    keep_data: bool = False,
    models_of: Path | None = None,
) -> Experiment:
    """Draw the data and train every run, or take the models of another experiment, which was
    trained alike. What is refused before the first update leaves no folder.
    """
    folder = experiment_folder(recipe, out)
    trackers.refuse_missing_trackers(recipe.report_to)
    source = None if models_of is None else Experiment(models_of)
    if source is not None:
        refuse_other_training(recipe, source)
    with remove_folder_on_input_error(folder, unless=lambda: Experiment(folder).has_updates):
        experiment = draw_experiment(
            recipe, folder, device=device, progress=progress, keep_data=keep_data
        )
        if source is not None:
            ranks = training.join_processes(models.resolve_device(device))
            ranks.on_main(lambda: take_models(experiment, source, progress=progress))
        for together in dict.fromkeys(map(recipe.trained_together, recipe.variant_names)):
            train_run(experiment, together[-1], device=device, progress=progress)
    return experiment


def pretrain(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
    keep_data: bool = False,
) -> Run:
    """Train a model from random weights on a corpus, with the loop that hyperfits.

    Raises:
        RecipeError: the recipe does not say `model.initialise = "random"`.
    """
    if recipe.model.initialise != "random":
        raise RecipeError(
            'pretraining begins from random weights: set model.initialise = "random", as the '
            "recipe pretrain does"
        )
    folder = experiment_folder(recipe, out)
    trackers.refuse_missing_trackers(recipe.report_to)
    with remove_folder_on_input_error(folder, unless=lambda: Experiment(folder).has_updates):
        experiment = draw_experiment(
            recipe, folder, device=device, progress=progress, keep_data=keep_data
        )
        return train_run(experiment, PRETRAINED, device=device, progress=progress)


def train_run(
    experiment: Experiment, variant: str, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> Run:
    """Train one variant, and those that the same training makes, and save their models; alone, or
    as one of torchrun's.

    The original's recipe has zero epochs. An ordinary local original is not saved again: run.json
    names and hashes it.

    Raises:
        RunError: a model of the experiment was changed since it was trained.
    """
    ranks = training.join_processes(models.resolve_device(device))
    progress = progress if ranks.is_main else NO_PROGRESS
    runs = [experiment.run(name) for name in experiment.recipe.trained_together(variant)]
    ranks.on_main(lambda: _begin(experiment, runs))
    for run in runs:
        if run.trained:
            progress.log(f"{run.variant}: trained already, {_trained_on(run)}")
    if not all(run.trained for run in runs):
        with (
            training.translate_torch_errors(),
            models.threads(experiment.recipe.engine.threads),
            ranks.alone(lambda: exclusive_lock(runs[-1].folder)),
        ):
            while todo := [run for run in runs if not run.trained]:
                ranks.on_main(lambda todo=todo: [run.update_facts(weights=None) for run in todo])  # type: ignore[misc]
                _train_together(experiment, todo, runs[-1].checkpoint_folder, ranks, progress)
                ranks.on_main(lambda: _settle(experiment, runs, progress))
    ranks.on_main(lambda: _settle(experiment, runs, progress))
    return experiment.run(variant)


def _trained_on(run: Run) -> str:
    """The day on which training ended, in UTC; of a run of before, when its file was last
    changed.
    """
    return (run.facts.train and run.facts.train.date) or changed_at(run.probes_file)


def _begin(experiment: Experiment, runs: Sequence[Run]) -> None:
    for run in runs:
        experiment.begin_run(run.variant)
    _ = experiment.run(ORIGINAL).model_source  # refuses one that has changed
    if not all(run.trained for run in runs):
        refuse_changed_source(experiment)


def _settle(experiment: Experiment, runs: Sequence[Run], progress: Progress) -> None:
    """Keep what a training came to, and nothing that other weights made. A stop in here is made up
    for next time.
    """
    for run in runs:
        shutil.rmtree(run.checkpoint_folder, ignore_errors=True)
    _hash_models(runs)
    for run in runs:
        _ = run.model_source  # refuses one that has changed
    drop_stale(experiment, progress)


def _hash_models(runs: Sequence[Run]) -> None:
    for run in filter(_is_unhashed, runs):
        named = named_weights(run.recipe.model, run.folder) if _is_named(run) else None
        run.update_facts(weights=named or Weights(hash_model(run.model_folder)))
        if verdict := _verdict(run):
            run.update_facts(near_zero=verdict)


def _is_unhashed(run: Run) -> bool:
    """Whether a model has been trained whose files are not hashed yet."""
    there = run.model_folder.is_dir() or (_is_named(run) and run.facts.train is not None)
    return there and run.facts_file.is_file() and run.weights is None


def _is_named(run: Run) -> bool:
    return run.variant == ORIGINAL and ordinary_folder(run.recipe.model) is not None


def _verdict(run: Run) -> Verdict | None:
    """Whether a run that is to be hyperfitted came near zero loss."""
    if run.variant != HYPERFITTED:
        return None
    return training.near_zero(run.recipe, run.probes(), run.train_facts.kept_update)


def drop_stale(experiment: Experiment, progress: Progress) -> None:
    """Remove what was made with weights that are no longer there."""
    for name in experiment.drop_stale():
        progress.log(f"{name}: its texts and metrics were made with other weights, and are removed")


def _train_together(
    experiment: Experiment,
    runs: Sequence[Run],
    checkpoint_folder: Path,
    ranks: training.ProcessGroup,
    progress: Progress,
) -> None:
    """One training that makes the models of several runs; of those that its checkpoint knows, if
    there is one.
    """
    recipe = runs[-1].recipe
    precision = models.resolve_precision(recipe.train.precision, ranks.device)
    codec = codec_of(experiment)
    blocks, validation = experiment.blocks("train"), experiment.blocks("validation")
    setup = training.prepare(recipe, ranks, precision)
    trained = [] if recipe.leaves_model_untouched else setup.selection.table()
    checkpoints = Checkpoints(checkpoint_folder, recipe, ranks, say=progress.log)
    held, every = checkpoints.state(), recipe.probe_updates(len(blocks))
    known = [run for run in runs if not held.update or run.variant in held.variants]
    with ExitStack() as files:
        reporters = {
            run.variant: files.enter_context(
                trackers.reporting(run, recipe.report_to if ranks.is_main else (), progress.log)
            )
            for run in known
        }
        writers = {
            run.variant: files.enter_context(
                run.training_log_writers(held.rows_of(run.variant, every), write=ranks.is_main)
            )
            for run in known
        }
        watcher = _Watcher(setup, codec, validation.ids_NT, writers, reporters, progress)
        watcher.first = ranks.from_main(_first_probe(experiment, setup))
        made = training.train(
            setup,
            blocks.ids_NT,
            {run.variant: run.recipe.train for run in known},
            checkpoints=checkpoints,
            watcher=watcher,
            progress=progress,
        )
    ended = [run for run in known if run.variant in made.ended]
    # What the model holds is saved before other weights are loaded into it.
    ended.sort(key=lambda run: not made.ended[run.variant].in_model)
    for run in ended:
        outcome = made.ended[run.variant]
        if not outcome.in_model:
            checkpoints.load_weights(setup.selection.model, outcome.kept)
        facts = _facts(setup, codec, outcome, trained)
        _save(run, setup, codec, outcome, facts, needed_again=run is not ended[-1])
    if made.failure is not None:
        ranks.on_main(lambda: _hash_models(ended))
        raise made.failure


def _first_probe(experiment: Experiment, setup: training.TrainingSetup) -> ProbeRow | None:
    """The probe of the untouched model, where it was taken for the original in the same precision
    and place.
    """
    original = experiment.run(ORIGINAL)
    probed = original.trained and original.probes_file.is_file()
    if not probed or setup.recipe.model.initialise != "pretrained":
        return None
    taken, here = original.train_facts, models.describe_device(setup.ranks.device)
    if (taken.precision, taken.device) != (setup.precision, here):
        return None
    return next((row for row in original.probes() if row.update == 0), None)


Writers = dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]]
"""By variant, functions that append an update's row and a probe's to its files."""


class _Watcher:
    """Takes probes, writes every row into the files of the variants that it belongs to, and tells
    trackers.
    """

    def __init__(
        self,
        setup: training.TrainingSetup,
        codec: models.ModelCodec,
        validation_NT: NDArray[np.int32],
        writers: Writers,
        reporters: Mapping[str, trackers.Reporter],
        progress: Progress,
    ):
        self._setup, self._codec, self._validation_NT = setup, codec, validation_NT
        self._writers, self._reporters, self._progress = writers, reporters, progress
        self.first: ProbeRow | None = None

    def log(self, row: UpdateRow, variants: Sequence[str]) -> None:
        """Write an update's row."""
        for name in variants:
            if name in self._writers:
                self._writers[name][0](row)
                self._reporters[name].update(row)

    def probe(self, state: State, epoch: float, variants: Sequence[str]) -> ProbeRow:
        """Measure the model on the validation texts, write the row and report it."""
        row = self.first if state.update == 0 and self.first else self._measure(state, epoch)
        for name in variants:
            if name in self._writers:
                self._writers[name][1](row)
                self._reporters[name].probe(row)
        self._progress.log(_probe_line(variants[-1], row))
        return row

    def _measure(self, state: State, epoch: float) -> ProbeRow:
        setup = self._setup
        return probe(
            setup.selection.model,
            self._codec,
            self._validation_NT,
            setup.recipe,
            precision=setup.precision,
            state=state,
            epoch=epoch,
        )


def _probe_line(variant: str, row: ProbeRow) -> str:
    """A probe in the columns of a narrow terminal; probes.jsonl and the report have all of it."""
    loss = "     -" if row.train_loss is None else f"{row.train_loss:6.3f}"
    return (
        f"{variant:11s} epoch {row.epoch:5.1f}  loss {loss}  validation "
        f"{row.validation_loss:6.3f}  TTR {row.ttr:.2f} (text {row.reference_ttr:.2f})"
    )


def _save(
    run: Run,
    setup: training.TrainingSetup,
    codec: models.ModelCodec,
    outcome: training.Outcome,
    facts: TrainFacts,
    *,
    needed_again: bool,
) -> None:
    """Save the model as it is, with what was in effect while it was trained; of a named original
    only that.
    """
    if _is_named(run):
        setup.ranks.on_main(lambda: run.update_facts(train=facts))
        return
    model = training.consolidate(setup, needed_again=needed_again)

    def save(model: nn.Module) -> None:
        run.update_facts(train=facts)
        note = str(_verdict(run) or "")
        with new_folder(run.model_folder) as folder:
            folder_of_use, source = run.model_folder, facts.source
            card = model_card(run.recipe, run.probes(), outcome, folder_of_use, note, source)
            models.save_model(model, codec, folder, card=card)

    setup.ranks.on_main(lambda: save(model) if model is not None else None)


def _facts(
    setup: training.TrainingSetup,
    codec: models.ModelCodec,
    outcome: training.Outcome,
    trained: Sequence[TrainedWeights],
) -> TrainFacts:
    """What was in effect while a run was trained."""
    recipe, precision, selection = setup.recipe, setup.precision, setup.selection
    return TrainFacts(
        environment=Environment.of_this_process(),
        date=datetime.now(UTC).date().isoformat(),
        device=models.describe_device(setup.ranks.device),
        threads=torch.get_num_threads(),
        processes=setup.ranks.world,
        precision=precision,
        weights_dtype=str(models.weights_dtype(precision)).removeprefix("torch."),
        seed=recipe.seed,
        order_seed=recipe.order_seed,
        batch_blocks=recipe.train.batch_blocks,
        block_tokens=recipe.data.block_tokens,
        engine=recipe.engine,
        attention=models.attention_of(selection.model),
        loss=outcome.loss,
        beginning_of_text=recipe.model.beginning_of_text,
        codec=codec.fingerprint,
        parameters=selection.parameters,
        parameters_trained=sum(row.parameters for row in trained),
        trained=tuple(trained),
        without_adapters=selection.left_out,
        updates=outcome.updates,
        kept_update=outcome.kept,
        ended=outcome.reason,
        train_seconds=round(outcome.train_seconds, 2),
        model=models.traits_of(selection.model),
        tokenizer=models.tokenizer_traits(codec, chat_frame_of(recipe, codec)),
        source=models.source_of(recipe.model),
    )
