"""Trainings as losses and weights, and how far two of them are apart.

A bound on losses is relative; on weights it is the distance of the two ends over that from the
start to the end.
"""

import math
import os
from typing import NamedTuple

import torch

from hyperfitting.models import load_model
from hyperfitting.recipe import ModelSettings, load_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.train import train_run

# Of processes that train: the machine's cores are shared, and nothing is fetched.
PROCESS_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

CPU = torch.device("cpu")


class Trajectory(NamedTuple):
    """The loss and token accuracy of each update, and the weights before and after."""

    losses: list[float]
    accuracies: list[float]
    start: dict[str, torch.Tensor]
    end: dict[str, torch.Tensor]


def distance(one, other):
    """Largest relative difference of two trajectories' losses, and the distance of their weights
    over that trained.
    """
    assert len(one.losses) == len(other.losses) > 0
    assert one.end.keys() == other.end.keys() == other.start.keys()
    losses = max(abs(a - b) / b for a, b in zip(one.losses, other.losses, strict=True))
    trained = math.hypot(
        *(float((other.end[name].float() - other.start[name]).norm()) for name in other.end)
    )
    apart = math.hypot(
        *(float((one.end[name].float() - other.end[name]).norm()) for name in other.end)
    )
    assert trained > 0
    return losses, apart / trained


def assert_near(one, other, *, losses, weights):
    """Within both bounds; says what was found. A token or two may change sides with the sums."""
    found = distance(one, other)
    apart = max(abs(a - b) for a, b in zip(one.accuracies, other.accuracies, strict=True))
    assert apart <= (0.01 if losses <= 1e-5 else 0.1)
    assert max(other.accuracies) > 0
    assert found[0] <= losses, found
    assert found[1] <= weights, found


def trajectory(out):
    """What a training left in its folder."""
    run = Experiment(out).run("hyperfitted")
    rows = run.updates()
    assert [row.update for row in rows] == list(range(1, len(rows) + 1))
    assert not run.checkpoint_folder.exists()
    start = load_model(run.recipe.model, CPU).state_dict()
    return Trajectory(
        [row.loss for row in rows],
        [row.token_accuracy for row in rows],
        start,
        load_model(ModelSettings(source=str(run.model_folder)), CPU).state_dict(),
    )


def train_facts(out):
    return Experiment(out).run("hyperfitted").facts.train


def train_alone(recipe, out, *overrides):
    """Train, or go on training, on one process: this one."""
    train_run(draw_experiment(load_recipe(recipe, overrides), out), "hyperfitted", device="cpu")
    assert train_facts(out).processes == 1
    return trajectory(out)
