"""What a comparison shows: its cells in words, which arms are nearest, and what its pictures are
drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from hyperfitting.comparing import Comparison, DomainMetrics, MarkedTable, are_one_design
from hyperfitting.metrics.specs import MetricSpec, metric
from hyperfitting.records import REFERENCE, Arm, TextMetrics
from hyperfitting.report.kit.numbers import interval, number
from hyperfitting.report.kit.subject import counted, subject

_SIGNS = {"nearest": "●", "among": "○", "": ""}
_BOUNDS = (1, 10, 100)


@dataclass(frozen=True)
class SeedValue:
    """The value of a cell at one seed: the number, its mark, its interval, and n and run in
    words.
    """

    value: str
    sign: str
    interval: str
    words: str

    def __str__(self) -> str:
        """As it stands in Markdown."""
        return f"{self.value}{self.sign}" + (f" ({self.interval})" if self.interval else "")


def size_in_words(tables: Sequence[MarkedTable], noun: str) -> str:
    """How many texts, or images, and clusters stand behind each arm of a domain."""
    rows = [row for table in tables for row in table.cells.values()]
    texts, clusters = max(row.n for row in rows), max(row.clusters for row in rows)
    return f"{counted(texts, noun)} in {counted(clusters, 'cluster')} a column" + (
        " and seed" if len(tables) > 1 else ""
    )


def seed_values(tables: Sequence[MarkedTable], arm: Arm, name: str) -> list[SeedValue]:
    """One cell: a value for each seed that has one."""
    return [
        SeedValue(
            number(row.value),
            _SIGNS[table.marks.get((arm, name), "")],
            interval(row),
            f"{table.seeds.title}: n = {row.n}, {counted(row.clusters, 'cluster')}; run {row.run}",
        )
        for table in tables
        if (row := table.cells.get((arm, name))) is not None
    ]


def spread_of(tables: Sequence[MarkedTable], arm: Arm, name: str) -> str:
    """The standard deviation of a cell over seeds, where there are several and they are one
    design.
    """
    if not are_one_design([table.seeds for table in tables]):
        return ""
    rows = [table.cells.get((arm, name)) for table in tables]
    values = [row.value for row in rows if row is not None]
    return f"sd {number(stdev(values))}" if len(values) > 1 else ""


def nearest_lines(comparison: Comparison) -> list[str]:
    """For every domain and metric the arms that are nearest to the true texts, and at how many
    seeds. The metrics that tell no two arms apart stand in one line.
    """
    lines = []
    for domain in comparison.domains:
        tables, alike = comparison.tables_of(domain), []
        arms = sum(arm.is_model for arm in tables[0].arms)
        lines.append(domain)
        for spec in tables[0].metrics:
            marked = _times_marked(tables, spec.name)
            if len(marked) == arms and set(marked.values()) == {len(tables)}:
                alike.append(spec.label)
            elif marked:
                lines.append(f"  {spec.label}: {_shortly(marked, len(tables))}")
        lines += [f"  all alike: {'; '.join(alike)}"] if alike else []
    return lines


def _times_marked(tables: Sequence[MarkedTable], name: str) -> dict[str, int]:
    """How often each arm is nearest, or not told apart from the nearest; most often first, then the
    nearer ones.
    """
    marked: dict[str, list[float]] = {}
    for table in tables:
        for (arm, own), mark in table.marks.items():
            if own == name and mark:
                true = table.cells[Arm(REFERENCE), name].value
                marked.setdefault(arm.title, []).append(abs(table.cells[arm, name].value - true))
    order = sorted(marked.items(), key=lambda pair: (-len(pair[1]), fmean(pair[1])))
    return {title: len(distances) for title, distances in order}


def _shortly(marked: dict[str, int], seeds: int) -> str:
    shown = [
        title if seeds == 1 else f"{title} ({count} of {seeds})"
        for title, count in list(marked.items())[:4]
    ]
    more = len(marked) - len(shown)
    return "; ".join(shown) + (f"; and {more} more that cannot be told apart" if more else "")


def subjects(comparison: Comparison) -> dict[str, list[str]]:
    """What the experiments are about, a line for all that are about the same, with their names."""
    found: dict[str, list[str]] = {}
    for each in (each for same in comparison.experiments.values() for each in same):
        found.setdefault(subject(each), []).append(each.recipe.run_name)
    return {line: list(dict.fromkeys(names)) for line, names in found.items()}


def verdict_lines(comparison: Comparison) -> list[str]:
    """The models that were not hyperfitted, a line each: what their training reached, and what to
    raise.
    """
    runs = [each.run("hyperfitted") for same in comparison.experiments.values() for each in same]
    return [
        f"{run.name}: {run.verdict}"
        for run in runs
        if run.verdict is not None and not run.verdict.near_zero
    ]


def position_curves(comparison: Comparison) -> dict[tuple[str, Arm], dict[int, float]]:
    """The mean type-token ratio by the position at which its window ends, of what a picture can
    hold, by domain and arm; at the first seed.
    """
    spec = metric("ttr_by_position")
    found = {
        (held.domain, arm): _mean_by_position(held.texts[arm], spec)
        for held, arm in _pictured(comparison)
    }
    return {key: ratios for key, ratios in found.items() if ratios}


def _mean_by_position(texts: Sequence[TextMetrics], spec: MetricSpec) -> dict[int, float]:
    """The mean over the texts that are long enough, at each position."""
    values = [text.values.get(spec.name, ()) for text in texts]
    return {
        spec.position(index) or 0: fmean(each[index][0] for each in values if len(each) > index)
        for index in range(max(map(len, values), default=0))
    }


def rank_shares(comparison: Comparison) -> dict[tuple[str, Arm], list[float]]:
    """Shares of tokens by their rank under the original (1, 2 to 10, 11 to 100, above) of what a
    picture can hold, by domain and arm; at the first seed.
    """
    names = [f"rank_above{bound}_share_under_original" for bound in _BOUNDS]
    return {
        (held.domain, arm): [
            a - b for a, b in pairwise([1.0, *(held.rows[arm, name].value for name in names), 0.0])
        ]
        for held, arm in _pictured(comparison)
        if all((arm, name) in held.rows for name in names)
    }


def _pictured(comparison: Comparison) -> Iterator[tuple[DomainMetrics, Arm]]:
    """What a picture can hold: at the first seed, the first model's first strategy, of each model
    that has it, and the true texts.
    """
    for held in comparison.metrics:
        strategy = next(arm.strategy for arm in held.arms if arm.is_model)
        for arm in held.arms if held.seeds == comparison.seeds[0] else ():
            if arm.variant == REFERENCE or (arm.strategy == strategy and arm.strategy):
                yield held, arm
