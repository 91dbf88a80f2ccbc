"""Trainings that are killed once, at a random moment, must end as the uninterrupted one: `make
torture`.

Every training is `hyperfit train` in a process of its own, killed with SIGKILL. The processes are
forked from one that has imported and computed nothing: importing torch takes longer than such a
training.

    TORTURE/                       a temporary folder
      model/  pieces.jsonl         tiny, made on the fly
      recipe.json
      drawn/                       the experiment with its data, copied for every run
      uninterrupted/  run-000/ ... experiments
      run-000.log                  what its processes said
      run-000.writes               a byte for every checkpoint write that they began
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.recipes import tiny_tree, write_recipe
from tests.support.tiny_models import make_model
from tests.support.tokenizers import byte_level
from tests.support.words import write_corpus

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers  # noqa: F401 - imported once, before the forks

from hyperfitting import cli
from hyperfitting.recipe import load_recipe
from hyperfitting.runs import Run
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.training import checkpoint

_EVERY_UPDATES = 3
_HELD_EVERY = 4
"""Each fourth run is killed inside a checkpoint write that is held open for it."""
_DEADLINE_SECONDS = 120.0
_FIRST_WRITES = 2
"""Writes before the first update: the best weights so far of the original, and of the hyperfitted
run.
"""


class Kill(NamedTuple):
    """Where a kill landed: after which update's row, inside which write ("" if none), and the
    newest checkpoint.
    """

    update: int
    inside: str
    newest: int


class Trial:
    """One experiment below the torture's folder, and what its processes leave beside it."""

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        self.out, self.log, self.writes = (
            folder / name,
            folder / f"{name}.log",
            folder / f"{name}.writes",
        )
        self.run = Run(self.out / "hyperfitted")

    def begin(self) -> None:
        """The drawn data and nothing else."""
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.folder / "drawn", self.out)
        self.writes.write_bytes(b"")

    @contextmanager
    def training(self, held: int | None = None) -> Iterator[ForkProcess]:
        """A process that trains; with `held`, its write of that number stays open until the process
        is killed.
        """
        process = get_context("fork").Process(target=self._train, args=(held,))
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()

    def train(self) -> None:
        """Train to the end."""
        with self.training() as process:
            process.join(_DEADLINE_SECONDS)
            code = process.exitcode
        if code != 0:
            raise SystemExit(
                f"{self.name}: `hyperfit train` ended with {code}\n{self.log.read_text()}"
            )

    def _train(self, held: int | None) -> None:
        with self.log.open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        torch.set_num_threads(1)

        write_text = checkpoint.write_text

        def held_before_hashes(path: Path, text: str) -> None:
            if path.name == "hashes.json":  # the tensors are written
                with self.writes.open("ab") as file:
                    file.write(b".")
                if self.written() == held:
                    signal.pause()
            write_text(path, text)

        checkpoint.write_text = held_before_hashes
        recipe = str(self.folder / "recipe.json")
        sys.exit(cli.main(["train", recipe, "--out", str(self.out), "--device", "cpu"]))

    def written(self) -> int:
        """Checkpoint writes begun so far."""
        return self.writes.stat().st_size

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Of updates and of probes, as they are in the files; a last line that a kill cut off left
        out.
        """
        return _rows(self.run.updates_file), _rows(self.run.probes_file)

    def killed(self) -> Kill:
        """What a kill left."""
        inside = [path.name for path in self.run.checkpoint_folder.glob(".*.partial")]
        whole = [path.name for path in self.run.checkpoint_folder.glob("update-*")]
        newest = int(max(whole, default="update-0").removeprefix("update-"))
        return Kill(len(self.rows()[0]), ", ".join(inside), newest)

    def remove(self) -> None:
        """Give the space back."""
        shutil.rmtree(self.out)


def torture(folder: Path, *, runs: int, seed: int, updates: int) -> tuple[int, int]:
    """How many of the `runs` ended equal to the uninterrupted one, and how many were killed inside
    a write.
    """
    _alone(lambda: _make(folder, updates))
    uninterrupted = Trial(folder, "uninterrupted")
    seconds = _time(uninterrupted)
    print(
        f"uninterrupted: {updates} updates in {seconds:.2f} s, {uninterrupted.written()} "
        "checkpoint writes"
    )
    equal = inside = 0
    for number in range(runs):
        chance = random.Random(f"{seed} {number}")
        trial = Trial(folder, f"run-{number:03d}")
        held = None
        if number % _HELD_EVERY == 0:
            held = chance.randint(_FIRST_WRITES + 1, uninterrupted.written())
            kill = _kill_inside(trial, held)
        else:
            kill = _kill_after(trial, chance.random() * seconds)
        problem = _finish(trial, uninterrupted, kill)
        where = (
            f"inside {kill.inside} ({'held open' if held else 'by chance'})"
            if kill.inside
            else "between writes"
        )
        print(
            f"{trial.name}: killed after update {kill.update}, {where}; went on from update "
            f"{kill.newest}: {problem or 'equal'}",
            flush=True,
        )
        equal += not problem
        inside += bool(kill.inside)
        trial.remove()
    return equal, inside


def _make(folder: Path, updates: int) -> None:
    """Model, texts and recipe, and the data drawn; dropout is on, so that the random state
    matters.
    """
    model = make_model(folder / "model", byte_level(), "gpt2")
    tree = tiny_tree(model, write_corpus(folder / "pieces.jsonl", documents=60, words=60))
    tree["train"] |= {"epochs": None, "updates": updates, "dropout": True, "decay_share": 0.5}
    tree["engine"] = {"checkpoint_updates": _EVERY_UPDATES, "keep_best": True}
    tree["probe"] |= {"every_updates": 7}
    recipe = write_recipe(tree, folder / "recipe.json")
    draw_experiment(load_recipe(recipe), folder / "drawn")


def _alone(work: Callable[[], None]) -> None:
    """In a process of its own, so that this one starts no threads, which a fork would not
    survive.
    """
    process = get_context("fork").Process(target=work)
    process.start()
    process.join(_DEADLINE_SECONDS)
    if process.exitcode != 0:
        process.kill()
        raise SystemExit(f"the data could not be made: exit code {process.exitcode}")


def _time(trial: Trial) -> float:
    """Train without a kill; the seconds from the first update's row to the end of the process."""
    trial.begin()
    with trial.training() as process:
        _wait(process, lambda: _begun(trial))
        started = time.monotonic()
        process.join(_DEADLINE_SECONDS)
        if process.exitcode != 0:
            raise SystemExit(trial.log.read_text())
        return time.monotonic() - started


def _kill_after(trial: Trial, seconds: float) -> Kill:
    """Kill so long after the first update's row; sooner, and from the start, if the training was
    faster than that.
    """
    while True:
        trial.begin()
        with trial.training() as process:
            _wait(process, lambda: _begun(trial))
            process.join(seconds)
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL and not trial.run.trained:
            return trial.killed()
        seconds *= 0.8


def _kill_inside(trial: Trial, held: int) -> Kill:
    """Kill while the checkpoint write of that number is held open."""
    trial.begin()
    with trial.training(held) as process:
        _wait(process, lambda: trial.written() == held)
        process.kill()
        process.join()
    kill = trial.killed()
    if not kill.inside:
        raise SystemExit(f"{trial.name}: no checkpoint write was open at the kill")
    return kill


def _finish(trial: Trial, uninterrupted: Trial, kill: Kill) -> str:
    """Train to the end; what differs from the uninterrupted run, or shows that it did not go on
    from its checkpoint.
    """
    before = trial.rows()[0][: kill.newest]
    trial.train()
    weights = "model.safetensors"
    if (trial.run.model_folder / weights).read_bytes() != (
        uninterrupted.run.model_folder / weights
    ).read_bytes():
        return "the weights differ"
    if _timeless(trial) != _timeless(uninterrupted):
        return "the rows differ"
    if trial.rows()[0][: kill.newest] != before:
        return "it did not go on from its checkpoint"
    return "a checkpoint is left" if trial.run.checkpoint_folder.exists() else ""


def _timeless(trial: Trial) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    updates, probes = trial.rows()
    return [{**row, "tokens_per_second": None} for row in updates], probes


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def _begun(trial: Trial) -> bool:
    return trial.run.updates_file.is_file() and trial.run.updates_file.stat().st_size > 0


def _wait(process: ForkProcess, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not happened():
        if process.exitcode is not None or time.monotonic() > deadline:
            raise SystemExit(
                f"{process.name}: ended ({process.exitcode}) or took too long before the kill"
            )
        time.sleep(0.001)


def main(arguments: Sequence[str] | None = None) -> int:
    """The last line is the number of equal runs of the number of runs; exit code 0 if all are."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.torture", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="decides the moments of the kills")
    parser.add_argument("--updates", type=int, default=60, help="of each training")
    options = parser.parse_args(arguments)
    os.fsync = lambda handle: None  # a kill takes no power away, and each call waits for the disk
    with tempfile.TemporaryDirectory(prefix="hyperfit-torture-") as folder:
        equal, inside = torture(
            Path(folder), runs=options.runs, seed=options.seed, updates=options.updates
        )
    print(f"killed inside a checkpoint write: {inside}")
    print(f"{equal} of {options.runs}")
    return 0 if equal == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
