"""Make one cell: the whole pipeline in the cell's folder, with what other cells have done already,
and without weights in the end.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hyperfitting import __version__, models, pipeline
from hyperfitting.errors import HyperfittingError
from hyperfitting.facts import write_facts
from hyperfitting.files import remove_folder_on_input_error
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import Recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.studies.agreement import settings_at_default
from hyperfitting.studies.folder import (
    CellFacts,
    cell_facts_file,
    drop_weights,
    read_cell_facts,
)
from hyperfitting.studies.jobs import CellOptions
from hyperfitting.studies.predictions import (
    Predictions,
    predictions_file,
    write_predictions,
)
from hyperfitting.studies.sharing import share_data, share_original
from hyperfitting.writing import load_run


def run_cell(
    recipe: Recipe, folder: Path, options: CellOptions, *, progress: Progress = NO_PROGRESS
) -> Experiment:
    """Make the experiment of a cell, or go on with it: draw, train, generate, measure, report.

    The threads of this process are set to those of the cell.

    Raises:
        InputError: whatever `hyperfitting.run` refuses; a folder that holds no training is removed.
        Interrupted: Ctrl-C while training; calling again goes on.
    """
    started = time.monotonic() - options.seconds_before
    try:
        experiment = _make(recipe, folder, options, progress)
    except BaseException:
        with suppress(HyperfittingError, OSError):  # what ended the attempt says more
            _note_end(folder, started, finished=False)
        raise
    _note_end(folder, started, finished=True)
    if not options.keep_weights:
        drop_weights(experiment)
    return experiment


def _make(recipe: Recipe, folder: Path, options: CellOptions, progress: Progress) -> Experiment:
    with remove_folder_on_input_error(folder, unless=lambda: Experiment(folder).has_updates):
        facts = _begin(recipe, folder, options)
        torch.set_num_threads(facts.threads)
        _take_original(Experiment(folder), facts, options)
        experiment = pipeline.run(recipe, folder, device=options.device, progress=progress)
    if options.predictions:
        keep_predictions(experiment, device=options.device)
    return experiment


def _note_end(folder: Path, started: float, *, finished: bool) -> None:
    """Add what this attempt took to the cell's facts, unless it has none or is finished already."""
    if (facts := read_cell_facts(folder)) and not facts.finished:
        seconds = round(facts.seconds + time.monotonic() - started, 1)
        done = {"finished": finished, "seconds": seconds}
        write_facts(cell_facts_file(folder), facts.model_copy(update=done))


def _begin(recipe: Recipe, folder: Path, options: CellOptions) -> CellFacts:
    """Draw the data, or copy them from another cell; a cell that has begun is left as it is."""
    source = share_data(recipe, folder, options.share_from)
    draw_experiment(recipe, folder, device=options.device)
    facts = read_cell_facts(folder) or CellFacts(
        hyperfitting=__version__,
        coordinates=options.coordinates,
        threads=recipe.engine.threads or options.threads,
        repeat=options.repeat,
        at_default=settings_at_default(recipe),
        data_from=None if source is None else source.name,
    )
    write_facts(cell_facts_file(folder), facts)
    return facts


def _take_original(experiment: Experiment, facts: CellFacts, options: CellOptions) -> None:
    device = models.describe_device(models.resolve_device(options.device))
    source = share_original(experiment, options.share_from, threads=facts.threads, device=device)
    if source is not None:
        facts = facts.model_copy(update={"original_from": source.name})
        write_facts(cell_facts_file(experiment.folder), facts)


def keep_predictions(experiment: Experiment, *, device: str = "auto") -> None:
    """Write predictions.npz of every run that lacks it."""
    names = ["train", "validation", *(each.name for each in experiment.recipe.data.domains)]
    for run in experiment.runs().values():
        if not predictions_file(run).is_file():
            model, _ = load_run(run, models.resolve_device(device))
            found = {name: _predictions(model, experiment, name) for name in names}
            write_predictions(run, found)


def _predictions(model: nn.Module, experiment: Experiment, name: str) -> Predictions:
    batch = experiment.recipe.measure.batch_blocks
    scores = models.score_texts(model, experiment.blocks(name).ids_NT, batch_blocks=batch)
    return Predictions(scores.top1_id.numpy().astype(np.int32), scores.top1.numpy())
