"""What a tracker is: a program on whose page somebody watches trainings. Each has one door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers name it.

    Args:
        project: the recipe's name, under which a tracker puts all its runs together.
        group: the name of the experiment's folder.
        variant: the run's variant.
        id: tells the run from others of the same recipe.
        folder: the experiment's.
        settings: the settings of its recipe that differ from their defaults, by dotted key.
    """

    project: str
    group: str
    variant: str
    id: str
    folder: Path
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """A name that no other run has."""
        return f"{self.group}-{self.variant}-{self.id}"


class Tracker(Protocol):
    """Where the numbers and texts of one run go; `step` is an update."""

    place: str
    """Where they are, and with which command they are looked at."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves, by name."""

    def text(self, name: str, text: str, step: int) -> None:
        """A text as it stood after an update."""

    def results(self, values: Mapping[str, float], step: int) -> None:
        """What was measured in the end, of the model after this update."""

    def close(self) -> None:
        """Write what is not written yet."""
