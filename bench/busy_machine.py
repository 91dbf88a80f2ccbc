"""What another busy process costs a training, by how OpenMP's threads wait for each other.

OpenMP reads its settings when it is loaded, so each training is a process of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bench.training import BLOCKS, TOKENS, architecture, recipe_tree, run_loop
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import ProbeRow

UPDATES = 12
WAYS: dict[str, Mapping[str, str]] = {
    "as OpenMP sets it": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "10,000 spins": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
"""Ways to wait, and what the environment says of each."""


def report_busy_machine(rounds: int, shape: str = "reference model") -> None:
    """Print the median milliseconds of an update of a shape in each way, alone and beside one
    process that computes all the time. All ways take turns.
    """
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for way, settings in WAYS.items():
            seconds.setdefault((way, False), []).append(seconds_in_a_process(shape, settings))
            with busy_process():
                seconds.setdefault((way, True), []).append(seconds_in_a_process(shape, settings))
    for way in WAYS:
        alone, beside = (1000 * statistics.median(seconds[way, busy]) for busy in (False, True))
        print(
            f"{shape}, {way}: {alone:,.0f} ms an update alone, {beside:,.0f} ms beside a busy "
            "process",
            flush=True,
        )


def seconds_in_a_process(shape: str, settings: Mapping[str, str]) -> float:
    """The median seconds of an update in a new process with these settings of the environment."""
    unset = {"OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    held = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-m", "bench.busy_machine", shape],
        env={**held, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


@contextmanager
def busy_process() -> Iterator[None]:
    """A process that computes with one thread for as long as the block runs."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds_of_an_update(shape: str) -> float:
    """The median seconds of an update of the real loop, the first three left out."""
    with tempfile.TemporaryDirectory() as folder:
        tree = recipe_tree(architecture(shape, Path(folder)), updates=UPDATES)
        recipe = parse_recipe(tree, source="bench")
        ids_NT = np.random.default_rng(0).integers(1, 4096, (64, TOKENS), dtype=np.int32)
        rows = run_loop(
            recipe,
            ids_NT,
            torch.device("cpu"),
            lambda state, epoch, variants: ProbeRow(state.update, epoch, None, *[0.5] * 7, "", ""),
        )
    return statistics.median(BLOCKS * (TOKENS - 1) / row.tokens_per_second for row in rows[3:])


if __name__ == "__main__":
    print(seconds_of_an_update(sys.argv[1]))
