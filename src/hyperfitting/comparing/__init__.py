"""Experiments side by side: arms x metrics, which arm is nearest to the true texts, and paired
differences.

Needs no torch. Experiments that differ in seeds alone are shown one by one and never pooled:
intervals reflect variation between texts, and variation between trainings is shown by each seed.

seeds.py        which seeds decided an experiment, and what experiments share
load.py         what was measured of every arm, domain by domain and seed by seed
nearest.py      tables with marks
differences.py  each arm minus a baseline
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting.comparing.differences import PairedDifference, find_baseline, paired_differences
from hyperfitting.comparing.load import DomainMetrics, domain_metrics, load_experiments
from hyperfitting.comparing.nearest import Mark, MarkedTable, marked_table
from hyperfitting.comparing.seeds import Seeds, are_one_design, what_differs
from hyperfitting.records import Arm
from hyperfitting.runs import Experiment

__all__ = [
    "Comparison",
    "DomainMetrics",
    "Mark",
    "MarkedTable",
    "PairedDifference",
    "Seeds",
    "are_one_design",
    "compare",
    "marks_of",
    "what_differs",
]


def marks_of(experiment: Experiment) -> dict[str, dict[tuple[Arm, str], Mark]]:
    """By domain, which arms of a measured experiment are nearest to the true texts in each metric
    that `hyperfit compare` shows.

    Raises:
        RunError: it is not measured.
    """
    held = domain_metrics(load_experiments([experiment.folder]))
    draws = experiment.recipe.measure.bootstrap_draws
    return {each.domain: marked_table(each, draws=draws).marks for each in held}


@dataclass(frozen=True)
class Comparison:
    """All that a comparison found: metrics and a table for every domain at every choice of seeds,
    in this order; differences.
    """

    experiments: dict[str, list[Experiment]]
    metrics: list[DomainMetrics]
    tables: list[MarkedTable]
    differences: list[PairedDifference]
    baseline: Arm

    def __repr__(self) -> str:
        """How much stands side by side, and against what."""
        experiments, arms = sum(map(len, self.experiments.values())), self.metrics[0].arms
        return (
            f"<Comparison of {len(arms)} columns in {len(self.domains)} domains, measured in "
            f"{experiments} experiments; baseline: {self.baseline.title}>"
        )

    @property
    def domains(self) -> list[str]:
        """The domains."""
        return list(dict.fromkeys(table.domain for table in self.tables))

    @property
    def seeds(self) -> list[Seeds]:
        """The seeds of each experiment of a recipe."""
        return list(dict.fromkeys(table.seeds for table in self.tables))

    def tables_of(self, domain: str) -> list[MarkedTable]:
        """The tables of one domain, one for each seed."""
        return [table for table in self.tables if table.domain == domain]


def compare(folders: Sequence[Path], *, baseline: str | None = None) -> Comparison:
    """Measured experiments side by side.

    Args:
        folders: one recipe with other seeds, or recipes that continued the same contexts.
        baseline: title of the arm that the others are compared with; None: the first hyperfitted
            one.

    Raises:
        RunError: a folder is not measured, or does not compare with the first.
        InputError: there is no such baseline.
    """
    experiments = load_experiments(folders)
    draws = next(iter(experiments.values()))[0].recipe.measure.bootstrap_draws
    held = list(domain_metrics(experiments))
    base = find_baseline(held[0].arms, baseline)
    tables = [marked_table(each, draws=draws) for each in held]
    found = [pair for each in held for pair in paired_differences(each, base, draws=draws)]
    return Comparison(experiments, held, tables, found, base)
