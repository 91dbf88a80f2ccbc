"""What every analysis needs: a mean over seeds with its interval, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import fmean, stdev

from hyperfitting.metrics.specs import metric
from hyperfitting.records import MetricRow
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import Point, Series
from hyperfitting.studies.folder import FinishedCell
from hyperfitting.studies.settings import PublishedValue, StudySettings

_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""The 97.5 % quantile of Student's t with 1, 2, ... degrees of freedom; with more, the last one."""

_DIGITS = 12
"""Decimals of a difference: what lies beyond is the rounding of a subtraction, and has no side."""

_ONE_SEED = "One seed, so no interval says how another training would come out."

_MARK = "†"
"""Of a number of one seed among numbers of more."""

_COLOURS = ("hyperfitted", "other-1", "other-2", "other-3", "other-4")
"""Of our series in a figure: classes of the style sheet."""


@dataclass(frozen=True)
class SeedMean:
    """A mean over trainings of several seeds, and its 95 % interval (Student's t).

    The interval speaks of trainings: other texts drawn, other orders. One seed has none, but where
    an analysis gives it one over clusters of texts, which speaks of other texts alone.
    """

    value: float
    low: float | None
    high: float | None
    seeds: int

    def __str__(self) -> str:
        """The value, and its interval in brackets where there is one."""
        if self.low is None or self.high is None:
            return number(self.value)
        return f"{number(self.value)} ({number(self.low)} to {number(self.high)})"

    @property
    def sign(self) -> int | None:
        """1 or -1 where the interval holds values of that sign only, else 0; None of one seed,
        which tests nothing: an interval over texts does not speak of another training.
        """
        if self.low is None or self.high is None or self.seeds == 1:
            return None
        if self.low <= 0 <= self.high:
            return 0
        return 1 if self.value > 0 else -1

    @property
    def direction(self) -> str:
        """What a difference says: which side is higher, or that nobody can tell."""
        return {1: "higher", -1: "lower", 0: "not told apart", None: "one seed, not tested"}[
            self.sign
        ]

    @property
    def doubt(self) -> str:
        """What follows a difference in a sentence where it may be none; nothing where it is told
        apart.
        """
        return {
            0: ", which is not told apart from none",
            None: ", of one seed and so not tested",
        }.get(self.sign, "")

    def at(self, x: float) -> Point:
        """The mean at a place of a figure."""
        return Point(x, self.value, self.low, self.high)


def over_seeds(
    values: Sequence[float], *, share: bool = False, least: float = -math.inf
) -> SeedMean:
    """The mean of one value a seed. The interval does not reach below `least`, and that of a
    `share` stays in [0, 1].

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("nothing to average")
    mean = fmean(values)
    if len(values) < 2:
        return SeedMean(mean, None, None, 1)
    quantile = _STUDENT[min(len(values) - 1, len(_STUDENT)) - 1]
    margin = quantile * stdev(values) / math.sqrt(len(values))
    low, high = max(mean - margin, least), mean + margin
    if share:
        low, high = max(low, 0.0), min(high, 1.0)
    return SeedMean(mean, low, high, len(values))


def seed_difference(one: dict[int, float], other: dict[int, float]) -> SeedMean | None:
    """The mean of `one` minus `other` over the seeds that both have, paired; None without any."""
    both = sorted(one.keys() & other.keys())
    apart = [round(one[seed] - other[seed], _DIGITS) + 0.0 for seed in both]  # 0, not -0
    return over_seeds(apart) if apart else None


def verdict(difference: SeedMean, higher: str, lower: str, neither: str) -> str:
    """Which of three phrases a difference supports, and in brackets the difference itself.

    `neither` where its interval holds none. One seed tests nothing: it gives the phrase of its
    direction, and the brackets say so.
    """
    untested = (difference.value > 0) - (difference.value < 0)
    side = untested if difference.sign is None else difference.sign
    words = {1: higher, -1: lower, 0: neither}[side]
    return f"{words} (the difference is {difference}{difference.doubt})"


def place_in_range(ours: SeedMean, low: float, high: float) -> str:
    """Where ours lies against a published range, and whether its interval lies there with it."""
    place = _place(ours.value, low, high)
    if ours.seeds == 1 or ours.low is None or ours.high is None:
        return f"{place}, of one seed and so not tested"
    if {_place(ours.low, low, high), _place(ours.high, low, high)} == {place}:
        return place
    return f"{place}, but its interval is not there as a whole"


def _place(value: float, low: float, high: float) -> str:
    return "below it" if value < low else "above it" if value > high else "within that"


def by_seed(
    cells: Iterable[FinishedCell], name: str, *, variant: str, domain: str, strategy: str | None
) -> dict[int, float]:
    """One metric of one variant in one domain by seed; cells that have none are left out."""
    found: dict[int, float] = {}
    for cell in cells:
        row = metric_of(cell, name, variant=variant, domain=domain, strategy=strategy)
        if row is not None:
            found[cell.cell.seed] = row.value
    return found


def metric_of(
    cell: FinishedCell, name: str, *, variant: str, domain: str, strategy: str | None
) -> MetricRow | None:
    """The row of one metric of whole texts, or of a model; None where it was not measured."""
    rows = cell.metric_rows(name, variant=variant, domain=domain, strategy=strategy)
    return next((row for row in rows if row.position is None), None)


def metric_label(name: str) -> str:
    """How the table of metrics calls a metric."""
    return metric(name).label


def coloured(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with the colour of its series; after the last colour comes the first again."""
    return list(zip(names, cycle(_COLOURS), strict=False))


def domains_of(cells: Sequence[FinishedCell]) -> list[str]:
    """The domains of the study's contexts, in the recipe's order."""
    return [each.name for each in cells[0].experiment.recipe.data.domains] if cells else []


def published_series(
    study: StudySettings,
    metric: str,
    coordinate: str,
    place: Callable[[str | int | float], float | None],
) -> list[Series]:
    """The published values of a metric as marks, a series for each source; `place` is where a value
    of the coordinate stands in the figure, None where it does not.
    """
    held: dict[str, list[Point]] = {}
    for each in published_values(study, metric):
        x = place(each.at[coordinate]) if coordinate in each.at else None
        if x is not None:
            point = Point(x, each.value, each.low, each.high)
            held.setdefault(each.source, []).append(point)
    return [
        Series("published", tuple(points), "original", source=source)
        for source, points in held.items()
    ]


def published_values(study: StudySettings, metric: str) -> list[PublishedValue]:
    """The published values of one metric, in the study's order."""
    return [each for each in study.published if each.metric == metric]


def seeds_in_words(count: int) -> str:
    """What the numbers are of: one seed without intervals, or so many with them."""
    if count == 1:
        return _ONE_SEED
    return f"Numbers are means over {count} seeds with 95 % intervals over them."


def intervals_in_words(means: Iterable[SeedMean], *, alone: str = "") -> str:
    """Over what the intervals of a table are, by the seeds behind its numbers.

    `alone`: over what those of one seed are, where an analysis gives them any. Among numbers of
    more seeds they have a mark (`marked`).
    """
    held = list(means)
    counts = sorted({each.seeds for each in held})
    alone = alone if any(each.seeds == 1 and each.low is not None for each in held) else ""
    if not counts or counts == [1]:
        return f"One seed: intervals are over {alone}, not over trainings." if alone else _ONE_SEED
    if len(counts) == 1:
        return seeds_in_words(counts[0])
    several = [count for count in counts if count > 1]
    words = f"Numbers are means over up to {several[-1]} seeds with 95 % intervals over them"
    if counts[0] > 1:
        return f"{words}, {counts[0]} at least."
    return f"{words}; {_MARK} one seed, {f'an interval over {alone}' if alone else 'without one'}."


def marked(mean: SeedMean, among: Iterable[SeedMean]) -> str:
    """The mean as it is written, with a mark if it is of one seed and others are of more."""
    return f"{mean}{_MARK if mean.seeds == 1 and any(each.seeds > 1 for each in among) else ''}"
