"""Resumable checkpoints, written whole or not at all, and verified by hash before they are
believed.

checkpoint/
  update-00000128/       the newest `keep_last` of these
    tensors/             model, optimiser, random state, the meter's window, as
                         torch.distributed.checkpoint writes them: for any number of processes
    state.json           counters, every row so far
    hashes.json          SHA-256 of every other file, without which a folder is refused
  kept-00000096/         weights that are wanted afterwards, such as those of the lowest validation
                         loss: the model's tensors alone
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from hyperfitting.facts import Facts, read_facts
from hyperfitting.files import file_sha256, make_folder, write_text
from hyperfitting.recipe import Recipe
from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.rounding_meter import StepMeter


@dataclass(frozen=True)
class TrainingEnd:
    """After which update one variant's training ended, in how many seconds of updates, and why."""

    update: int
    seconds: float
    reason: str


@dataclass
class State:
    """Where a training stands: `seconds` of updates without probes, and every row so far.

    `variants` are those that it makes, each with how its own training has ended, or None while it
    goes on.
    """

    update: int = 0
    seconds: float = 0.0
    variants: dict[str, TrainingEnd | None] = field(default_factory=dict)
    updates: list[UpdateRow] = field(default_factory=list)
    probes: list[ProbeRow] = field(default_factory=list)

    @property
    def unfinished(self) -> list[str]:
        """The variants whose training has not ended."""
        return [name for name, ending in self.variants.items() if ending is None]

    def probed_now(self, probe_updates: int) -> list[str]:
        """The variants that a probe at this moment belongs to."""
        regular = self.update % probe_updates == 0
        return [
            name
            for name, ending in self.variants.items()
            if (regular if ending is None else ending.update == self.update)
        ]

    def rows_of(self, variant: str, probe_updates: int) -> Rows:
        """The rows that a training of this variant alone would have, which probes every so many
        updates.
        """
        ending = self.variants.get(variant)
        end = self.update if ending is None else ending.update
        probes = [
            row
            for row in self.probes
            if row.update <= end
            and (row.update % probe_updates == 0 or (ending is not None and row.update == end))
        ]
        return Rows(self.updates[:end], probes)

    @property
    def epoch_loss(self) -> float | None:
        """Mean loss of the updates of the epoch so far; None before the first update."""
        return _mean([row.loss for row in self._epoch_updates])

    @property
    def epoch_token_accuracy(self) -> float | None:
        """The same of their token accuracies, of updates whose row has one."""
        accuracies = (row.token_accuracy for row in self._epoch_updates)
        return _mean([each for each in accuracies if each is not None])

    @property
    def _epoch_updates(self) -> Iterator[UpdateRow]:
        return takewhile(lambda row: row.epoch == self.updates[-1].epoch, reversed(self.updates))


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


class CheckpointFacts(Facts):
    """state.json of a checkpoint: a `State`, and how many processes shared the training."""

    update: int
    seconds: float
    variants: dict[str, TrainingEnd | None]
    updates: list[UpdateRow]
    probes: list[ProbeRow]
    processes: int


class KeptFacts(Facts):
    """state.json of kept weights: after which update they stood."""

    update: int


@dataclass
class Rows:
    """The rows of one variant's training so far."""

    updates: list[UpdateRow]
    probes: list[ProbeRow]


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
                f"{found[0]}: {_problem(found[0])}, and no other is whole: remove {self._folder} "
                "to start anew"
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
        return State(held.update, held.seconds, held.variants, held.updates, held.probes)

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
        if _read_state(self._newest).processes == self._ranks.world:
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
        """Save after a probe if the last checkpoint is old enough, or after as many updates as the
        engine says.
        """
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
        held = CheckpointFacts(**vars(state), processes=self._ranks.world)
        name = f"update-{state.update:08d}"
        self._write(name, tensors, held, own)
        self._ranks.on_main(lambda: self._drop(newest=name))
        self._saved_at, self._saved_update = time.monotonic(), state.update

    def keep_weights(self, model: nn.Module, update: int, wanted: Collection[int]) -> None:
        """Keep the weights after this update, and drop all that were kept of updates that are not
        `wanted`.
        """
        tensors = {"model": get_model_state_dict(model)}
        self._write(self._kept(update).name, tensors, KeptFacts(update=update), {})
        kept = {self._kept(each).name for each in (update, *wanted)}
        self._ranks.on_main(lambda: self._remove("kept-*", kept))

    def _kept(self, update: int) -> Path:
        return self._folder / f"kept-{update:08d}"

    def first_kept(self, updates: Sequence[int]) -> int:
        """The first of these updates whose weights were kept; the first of all where none were."""
        there = (update for update in updates if self._kept(update).exists())
        return int(self._ranks.from_main(next(there, updates[0])))

    def load_weights(self, model: nn.Module, update: int) -> None:
        """Give the model the weights that were kept after this update.

        Raises:
            RunError: they are damaged, or are not there.
        """
        path = self._kept(update)
        problem = self._ranks.from_main(_problem(path) if self._ranks.is_main else None)
        if problem is not None:
            raise RunError(f"{path}: {problem}: remove {self._folder} to start anew")
        weights = get_model_state_dict(model)
        with _quietly():
            load({"model": weights}, checkpoint_id=path / "tensors", no_dist=self._ranks.world == 1)
        set_model_state_dict(model, weights)

    def _write(
        self,
        name: str,
        tensors: dict[str, Any],
        held: Facts,
        own: dict[str, Any],
    ) -> None:
        partial = self._folder / f".{name}.partial"

        def begin() -> None:
            for cut_off in self._folder.glob(".*.partial"):
                shutil.rmtree(cut_off)
            make_folder(partial / "tensors")

        def finish() -> None:
            write_text(partial / "state.json", held.model_dump_json())
            hashes = {str(each.relative_to(partial)): file_sha256(each) for each in _files(partial)}
            write_text(partial / "hashes.json", json.dumps(hashes, indent=1))
            shutil.rmtree(self._folder / name, ignore_errors=True)
            os.replace(partial, self._folder / name)

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

    def _drop(self, newest: str) -> None:
        """Drop all but the newest `keep_last`; one of a later update is damaged, or of a course
        that training left.
        """
        names = sorted(path.name for path in self._folder.glob("update-*") if path.name <= newest)
        self._remove("update-*", names[-self._recipe.engine.keep_last :])

    def _remove(self, pattern: str, kept: Collection[str]) -> None:
        for path in self._folder.glob(pattern):
            if path.name not in kept:
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


def _read_state(folder: Path) -> CheckpointFacts:
    return read_facts(folder / "state.json", CheckpointFacts)


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
