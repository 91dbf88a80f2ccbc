"""Experiments side by side: models x strategies x measures, what is nearest to the true texts, and paired differences.

Needs no torch. Seeds are shown one by one and never pooled: intervals speak of texts, seeds of trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting.compare.differences import Difference, differences, find_baseline
from hyperfitting.compare.load import CONTROLS, Column, Panel, load_experiments, panels
from hyperfitting.compare.nearest import Mark, SetTable, set_table
from hyperfitting.runs import Experiment

__all__ = ["CONTROLS", "Column", "Comparison", "Difference", "Mark", "Panel", "SetTable", "compare"]


@dataclass(frozen=True)
class Comparison:
    """All that a comparison found: a panel, a table and its differences for every set at every seed, in that order."""

    experiments: dict[str, list[Experiment]]
    panels: list[Panel]
    tables: list[SetTable]
    differences: list[Difference]
    baseline: Column

    @property
    def sets(self) -> list[str]:
        """The sets of contexts."""
        return list(dict.fromkeys(table.domain for table in self.tables))

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return list(dict.fromkeys(table.seed for table in self.tables))


def compare(folders: Sequence[Path], *, baseline: str | None = None) -> Comparison:
    """Measured experiments side by side.

    Args:
        folders: seeds of one recipe, or recipes that continued the same contexts.
        baseline: title of the column that the others are subtracted from; none: the first hyperfitted one.

    Raises:
        RunError: a folder is not measured, or does not compare with the first.
        InputError: there is no such baseline.
    """
    experiments = load_experiments(folders)
    draws = next(iter(experiments.values()))[0].recipe.measure.bootstrap_draws
    held = list(panels(experiments))
    base = find_baseline(held[0].columns, baseline)
    tables = [set_table(panel, draws=draws, seed=panel.seed) for panel in held]
    found = [
        each for panel in held for each in differences(panel, base, draws=draws, seed=panel.seed)
    ]
    return Comparison(experiments, held, tables, found, base)
