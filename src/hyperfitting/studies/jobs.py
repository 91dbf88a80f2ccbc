"""What a worker is given, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from hyperfitting.studies.grid import Cell


@dataclass(frozen=True)
class CellOptions:
    """How a cell is made; none of it is a setting of its recipe.

    Args:
        coordinates: where it stands in its grid, as cell.json keeps it.
        repeat: which of several cells with equal settings it is.
        threads: of a cell that begins; one that has begun keeps its own.
        device: as after `--device`.
        predictions: keep what each model predicts on the true texts.
        keep_weights: do not drop the weights when all is measured.
        share_from: folders of cells that may hold the same data, or the same original.
        seconds_before: that attempts took which were killed, and could not note them.
    """

    coordinates: dict[str, str]
    repeat: int = 0
    threads: int = 1
    device: str = "auto"
    predictions: bool = False
    keep_weights: bool = False
    share_from: Sequence[Path] = ()
    seconds_before: float = 0.0


@dataclass(frozen=True)
class CellJob:
    """A cell of the study in a folder, the number of its claim, and how to make it."""

    study: Path
    cell: Cell
    number: int
    options: CellOptions


class CellOutcome(IntEnum):
    """How a worker ended; its process' exit code. Any other code means that it was lost."""

    FINISHED = 0
    FAILED = 40
    INTERRUPTED = 41
    HELD = 42
    DISK_FULL = 43
    LOST = 44
