"""Each column minus a baseline, context by context: interval, sign-flip test, Holm's correction within the table."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hyperfitting.compare.load import CONTROLS, Column, Panel
from hyperfitting.compare.nearest import MEASURES
from hyperfitting.errors import InputError
from hyperfitting.metrics.stats import Estimate, holm, jackknife, paired_difference, sign_flip_p


@dataclass(frozen=True)
class Difference:
    """A column's measure minus the baseline's, over the contexts that both continued.

    Of a perplexity it is the difference of the texts' mean losses, in nats per token. `p` is of a sign-flip test over
    clusters, `p_holm` corrected for all the tests of the same set and seed; both none for measures of whole sets,
    whose interval is jackknifed.
    """

    domain: str
    seed: int
    column: Column
    baseline: Column
    measure: str
    unit: str
    difference: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    p: float | None
    p_holm: float | None
    run: str
    baseline_run: str


def find_baseline(columns: Sequence[Column], title: str | None) -> Column:
    """The column of that title; none given: the first hyperfitted one.

    Raises:
        InputError: there is no such column; the message names the nearest, or all.
    """
    written = [column for column in columns if column.variant not in CONTROLS]
    if title is None:
        return next((column for column in written if column.variant == "hyperfitted"), written[0])
    found = next((column for column in columns if column.title == title), None)
    if found is None:
        titles = [column.title for column in columns]
        near = difflib.get_close_matches(title, titles, n=1)
        raise InputError(
            f"no column {title!r}: " + (f"did you mean {near[0]!r}?" if near else ", ".join(titles))
        )
    return found


FLIPS_PER_TEST = 40
"""Random sign flips for each test of a table: the least p is then a fortieth after the correction, below 0.05."""


def differences(panel: Panel, baseline: Column, *, draws: int, seed: int) -> list[Difference]:
    """Every column of a set at a seed against the baseline, in every measure that both have."""
    compared = [
        (column, measure)
        for column in panel.columns
        if column != baseline
        for measure in MEASURES
        if (column, measure) in panel.rows and (baseline, measure) in panel.rows
    ]
    flips = max(draws, FLIPS_PER_TEST * len(compared))
    made = [
        found
        for column, measure in compared
        for found in _difference(
            panel, column, baseline, measure, draws=draws, flips=flips, seed=seed
        )
    ]
    tested = [each for each in made if each.p is not None]
    corrected = dict(
        zip(map(id, tested), holm([each.p for each in tested if each.p is not None]), strict=True)
    )
    return [replace(each, p_holm=corrected.get(id(each))) for each in made]


def _difference(
    panel: Panel,
    column: Column,
    baseline: Column,
    measure: str,
    *,
    draws: int,
    flips: int,
    seed: int,
) -> Iterator[Difference]:
    p = None
    if (column, measure) in panel.sets:
        if panel.size(column) != panel.size(baseline):
            return
        estimate = _of_sets(panel, column, baseline, measure)
    else:
        one, other = (
            {text.context: text for text in panel.texts[each]} for each in (column, baseline)
        )
        pairs = [(one[i], other[i]) for i in one if i in other]
        pairs = [(a, b) for a, b in pairs if measure in a.values and measure in b.values]
        if not pairs:
            return  # a measure that is known of the set as a whole only, or of no context in both columns
        left, right = (
            [each.values[measure][0] / each.values[measure][1] for each in side]
            for side in zip(*pairs, strict=True)
        )
        groups = [a.group for a, _ in pairs]
        estimate = paired_difference(left, right, groups, draws=draws, seed=seed)
        p = sign_flip_p(
            [a - b for a, b in zip(left, right, strict=True)], groups, draws=flips, seed=seed
        )
    row, beside = panel.rows[column, measure], panel.rows[baseline, measure]
    yield Difference(
        domain=panel.domain,
        seed=panel.seed,
        column=column,
        baseline=baseline,
        measure=measure,
        unit="nats per token" if measure.startswith("perplexity") else row.unit,
        difference=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        clusters=estimate.clusters,
        p=p,
        p_holm=None,
        run=row.run,
        baseline_run=beside.run,
    )


def _of_sets(panel: Panel, column: Column, baseline: Column, measure: str) -> Estimate:
    one, other = panel.sets[column, measure], panel.sets[baseline, measure]
    shared = sorted(set(one.without) & set(other.without))
    without = [one.without[name] - other.without[name] for name in shared]
    return jackknife(one.value - other.value, without, n=min(one.n, other.n))
