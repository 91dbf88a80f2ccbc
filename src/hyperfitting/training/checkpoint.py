"""Resumable checkpoints, written whole or not at all, and verified by hash before they are believed.

checkpoint/
  update-00000128/       the newest `keep_last` of these
    tensors/             model, optimiser, random state, the meter's window: torch.distributed.checkpoint, so that
                         another number of processes can read them
    state.json           counters, sampler, every row so far
    hashes.json          SHA-256 of every other file; a folder without it, or at odds with it, is refused by name
  best-00000096/         the lowest validation loss, where it is kept: the model's tensors alone
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from hyperfitting.errors import RunError
from hyperfitting.files import file_sha256, make_folder, write_text
from hyperfitting.recipe import Recipe
from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.rounding_meter import StepMeter


@dataclass
class State:
    """Where training stands: `seconds` of updates without probes, why it `ended`, and every row so far."""

    update: int = 0
    seconds: float = 0.0
    ended: str = ""
    updates: list[UpdateRow] = field(default_factory=list)
    probes: list[ProbeRow] = field(default_factory=list)

    @property
    def epoch_loss(self) -> float | None:
        """Mean loss of the updates of the epoch so far; None before the first update."""
        losses = [
            row.loss
            for row in takewhile(
                lambda row: row.epoch == self.updates[-1].epoch, reversed(self.updates)
            )
        ]
        return math.fsum(losses) / len(losses) if losses else None


def before_hashes() -> None:
    """Called when a checkpoint's tensors are written and its hashes are not: a test holds the write open here."""


class Checkpoints:
    """The checkpoints of one run's training."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        ranks: ProcessGroup,
        *,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._folder, self._recipe, self._ranks, self._say = folder, recipe, ranks, say
        self._saved_at, self._saved_update = time.monotonic(), -1

    @cached_property
    def _newest(self) -> Path | None:
        """The newest checkpoint that is whole; damaged ones are named and passed over."""
        return self._ranks.from_main(self._ranks.on_main(self._find))  # type: ignore[no-any-return]

    def _find(self) -> Path | None:
        found = sorted(self._folder.glob("update-*"), reverse=True)
        for path in found:
            problem = _problem(path)
            if problem is None:
                return path
            self._say(f"{path}: {problem}: passed over for the one before")
        if found:
            raise RunError(
                f"{found[0]}: {_problem(found[0])}, and no other is whole: remove {self._folder} to start anew"
            )
        return None

    def state(self) -> State:
        """Where the newest whole checkpoint stands; a new State where there is none.

        Raises:
            RunError: there are checkpoints, and none is whole.
        """
        if self._newest is None:
            return State()
        held = _read_state(self._newest)
        rows = {
            "updates": [UpdateRow(**row) for row in held["updates"]],
            "probes": [ProbeRow(**row) for row in held["probes"]],
        }
        return State(**{each.name: held[each.name] for each in fields(State)} | rows)

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer, meter: StepMeter) -> State:
        """Load the newest whole checkpoint into model, optimiser and meter."""
        state = self.state()
        if self._newest is None:
            return state
        weights, states = get_state_dict(model, optimizer)
        with _quietly():
            load(
                {"model": weights, "optimizer": states},
                checkpoint_id=self._newest / "tensors",
                planner=DefaultLoadPlanner(
                    allow_partial_load=True
                ),  # no states of weights that no gradient reached
                no_dist=self._ranks.world == 1,
            )
        set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=states)
        self._saved_update = state.update
        if _read_state(self._newest)["processes"] == self._ranks.world:
            own = torch.load(
                self._newest / f"rank-{self._ranks.rank}.pt", map_location=self._ranks.device
            )
            torch.set_rng_state(own["rng"].cpu())
            if "rng_device" in own:
                torch.cuda.set_rng_state(own["rng_device"].cpu(), self._ranks.device)
            meter.load_state_dict(own["meter"])
        return state

    def maybe_save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        meter: StepMeter,
        state: State,
        *,
        probed: bool,
    ) -> None:
        """Save after a probe if the last checkpoint is old enough, or after as many updates as the engine says."""
        every, seconds = self._recipe.engine.checkpoint_updates, time.monotonic() - self._saved_at
        old = (
            self._ranks.from_main(seconds >= 60 * self._recipe.engine.checkpoint_minutes)
            if probed
            else False
        )
        if old or (every and state.update % every == 0):
            self.save(model, optimizer, meter, state)

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, meter: StepMeter, state: State
    ) -> None:
        """Save now, if this update is not saved yet, and drop the oldest beyond `keep_last`.

        Not before the first update: reading an optimiser without states makes it take a step.
        """
        if state.update in (0, self._saved_update):
            return
        weights, states = get_state_dict(model, optimizer)
        own = {"rng": torch.get_rng_state(), "meter": meter.state_dict()}
        if self._ranks.device.type == "cuda":
            own["rng_device"] = torch.cuda.get_rng_state(self._ranks.device)
        tensors = {"model": weights, "optimizer": states}
        per_epoch = -(-self._recipe.data.train_blocks // self._recipe.train.batch_blocks)
        epoch, step = divmod(state.update, per_epoch)
        sampler = {
            "seed": self._recipe.order_seed,
            "epoch": epoch,
            "next_row": step * self._recipe.train.batch_blocks,
        }
        held = {**asdict(state), "sampler": sampler, "processes": self._ranks.world}
        self._write(
            f"update-{state.update:08d}", tensors, held, own, keep=self._recipe.engine.keep_last
        )
        self._saved_at, self._saved_update = time.monotonic(), state.update

    def save_best(self, model: nn.Module, state: State) -> None:
        """Keep these weights as the best, and drop the best before them."""
        held = {"update": state.update}
        self._write(
            self._best(state.update).name, {"model": get_model_state_dict(model)}, held, {}, keep=1
        )

    def _best(self, update: int) -> Path:
        return self._folder / f"best-{update:08d}"

    def load_best(self, model: nn.Module, state: State) -> int:
        """Give the model the best weights that are there; the update they are of.

        Raises:
            RunError: they are damaged.
        """
        probed = sorted(state.probes, key=lambda row: row.validation_loss)
        there = [path for path in (self._best(row.update) for row in probed) if path.exists()]
        path = self._ranks.from_main(there[0] if there else self._best(probed[0].update))
        problem = self._ranks.from_main(_problem(path) if self._ranks.is_main else None)
        if problem is not None:
            raise RunError(f"{path}: {problem}: remove {self._folder} to start anew")
        weights = get_model_state_dict(model)
        with _quietly():
            load({"model": weights}, checkpoint_id=path / "tensors", no_dist=self._ranks.world == 1)
        set_model_state_dict(model, weights)
        return int(path.name.removeprefix("best-"))

    def _write(
        self,
        name: str,
        tensors: dict[str, Any],
        held: dict[str, Any],
        own: dict[str, Any],
        *,
        keep: int,
    ) -> None:
        partial = self._folder / f".{name}.partial"

        def begin() -> None:
            for cut_off in self._folder.glob(".*.partial"):
                shutil.rmtree(cut_off)
            make_folder(partial / "tensors")

        def finish() -> None:
            write_text(partial / "state.json", json.dumps(held))
            before_hashes()
            hashes = {str(each.relative_to(partial)): file_sha256(each) for each in _files(partial)}
            write_text(partial / "hashes.json", json.dumps(hashes, indent=1))
            shutil.rmtree(self._folder / name, ignore_errors=True)
            os.replace(partial, self._folder / name)
            self._drop(name.partition("-")[0], newest=name, keep=keep)

        try:
            self._ranks.on_main(begin)
            with _quietly():
                save(tensors, checkpoint_id=partial / "tensors", no_dist=self._ranks.world == 1)
            torch.save(own, partial / f"rank-{self._ranks.rank}.pt")
            self._ranks.wait()
            self._ranks.on_main(finish)
        finally:
            if self._ranks.is_main:
                shutil.rmtree(partial, ignore_errors=True)

    def _drop(self, kind: str, *, newest: str, keep: int) -> None:
        """Drop all but the newest; one of a later update is damaged, or of a course that training left."""
        found = sorted(self._folder.glob(f"{kind}-*"))
        kept = [path for path in found if path.name <= newest][-keep:]
        for path in found:
            if path not in kept:
                shutil.rmtree(path)


def _problem(folder: Path) -> str | None:
    """What is wrong with a checkpoint, None if nothing is."""
    try:
        hashes = dict(json.loads((folder / "hashes.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return "damaged checkpoint (hashes.json is not there or not whole)"
    there = {str(each.relative_to(folder)) for each in _files(folder)} - {"hashes.json"}
    for name in sorted({"state.json", *there, *hashes}):
        if name not in there or file_sha256(folder / name) != hashes.get(name):
            return f"damaged checkpoint ({name} is not what was written)"
    return None


def _read_state(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "state.json").read_text(encoding="utf-8")))


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


@contextmanager
def _quietly() -> Iterator[None]:
    """torch warns that a process is alone, which here is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*assuming the intent is to .* in a single process"
        )
        yield
