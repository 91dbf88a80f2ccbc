"""The loop of training alone: no stages, no files but its checkpoints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from hyperfitting import models, training
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import ProbeRow
from hyperfitting.training.checkpoint import Checkpoints
from tests.support.probes import probe_row


class Trained(NamedTuple):
    """What `train_once` made."""

    model: Any
    rows: list[Any]
    probes: list[Any]
    outcome: Any
    selection: Any


def train_once(
    tree: dict[str, Any], ids: Any, folder: Path, *, probe: Any = None, say: Any = None
) -> Trained:
    """The loop on one process, with its checkpoints in `folder`. `probe` makes up the validation
    loss and the type-token ratio after an update.
    """
    recipe, ranks = parse_recipe(tree, source="t"), training.join_processes(torch.device("cpu"))
    precision = models.resolve_precision(recipe.train.precision, ranks.device)
    setup = training.prepare(recipe, ranks, precision)
    rows, probes = [], []

    def watch(state: Any, epoch: float, variants: Any) -> ProbeRow:
        validation, ttr = probe(state.update) if probe else (1.0, 0.5)
        probes.append(probe_row(state.update, epoch, state.epoch_loss, validation, ttr))
        return probes[-1]

    checkpoints = Checkpoints(folder, recipe, ranks, say=say or (lambda line: None))
    outcomes = training.train(
        setup,
        ids,
        {"hyperfitted": recipe.train},
        checkpoints=checkpoints,
        watcher=SimpleNamespace(log=lambda row, variants: rows.append(row), probe=watch),
        progress=NoProgress(),
    )
    outcome, model = outcomes.ended["hyperfitted"], setup.selection.model
    if not outcome.in_model:
        checkpoints.load_weights(model, outcome.kept)
    return Trained(model, rows, probes, outcome, setup.selection)
