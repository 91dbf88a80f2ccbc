"""`torchrun` as users give it, killed on the way."""

import subprocess
import sys
import time

import pytest

from hyperfitting.runs import Experiment
from tests.support.recipes import write_recipe
from tests.support.trajectories import PROCESS_ENVIRONMENT, assert_near, train_alone


def test_a_run_killed_on_two_processes_goes_on_on_one(tree, tmp_path):
    """The command as users give it, ended by torchrun once two checkpoints are there; bounds for
    120 updates.

    torchrun passes SIGTERM on and waits: to a process of ours, which does not catch it, that is as
    sudden as SIGKILL.
    """
    tree |= {"probe": {"contexts": 1, "new_tokens": 2}, "train": tree["train"] | {"epochs": 30}}
    recipe = write_recipe(tree, tmp_path / "recipe.json")
    out, often = tmp_path / "killed", "engine.checkpoint_updates=2"
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    command = [
        "-m",
        "hyperfitting",
        "train",
        str(recipe),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--set",
        often,
    ]
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(
            [*torchrun, *command], stdout=said, stderr=said, env=PROCESS_ENVIRONMENT
        )
    deadline = time.monotonic() + 120
    try:
        while len(list((out / "hyperfitted" / "checkpoint").glob("update-*"))) < 2:
            assert time.monotonic() < deadline, (tmp_path / "said").read_text()
            try:
                running.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended before it was killed: {(tmp_path / 'said').read_text()}")
    finally:
        running.terminate()
        running.wait(timeout=60)
    assert Experiment(out).run("original").trained
    assert not (out / "hyperfitted" / "model").exists()
    assert_near(
        train_alone(recipe, out), train_alone(recipe, tmp_path / "whole"), losses=1e-3, weights=1e-2
    )
