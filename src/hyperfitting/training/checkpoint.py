"""Resumable checkpoints: weights, optimiser, counters and random state, written whole or not at all."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hyperfitting.errors import RunError
from hyperfitting.runs import new_folder


@dataclass
class State:
    """Where training stands: `losses` of the epoch so far, `seconds` of updates without probes, why it `ended`."""

    update: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    ended: str = ""


class Checkpoints:
    """The one resumable checkpoint of a run, replaced as training goes on."""

    def __init__(self, folder: Path, *, least_minutes: float):
        self._file = folder / "state.pt"
        self._folder = folder
        self._least_seconds = 60 * least_minutes
        self._saved_at = time.monotonic()

    @cached_property
    def _held(self) -> dict[str, Any] | None:
        if not self._file.is_file():
            return None
        try:
            return dict(torch.load(self._file, map_location="cpu", weights_only=True))
        except Exception as error:
            raise RunError(f"{self._file} is damaged: remove the folder {self._folder} to start anew") from error

    def last_update(self) -> int:
        """The update that `resume` goes on from; 0 where there is no checkpoint.

        Raises:
            RunError: if the checkpoint cannot be read.
        """
        return int(self._held["state"]["update"]) if self._held else 0

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
        """Load what is there into model and optimiser; a new State where nothing is."""
        held = self._held
        if held is None:
            return State()
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
        torch.set_rng_state(held["rng"])
        del self._held
        return State(**held["state"])

    def maybe_save(self, model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
        """Save if the last checkpoint is old enough."""
        if time.monotonic() - self._saved_at >= self._least_seconds:
            self.save(model, optimizer, state)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
        """Save now."""
        held = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "state": asdict(state),
        }
        with new_folder(self._folder) as folder:
            torch.save(held, folder / self._file.name)
        self._saved_at = time.monotonic()
