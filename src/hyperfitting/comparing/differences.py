"""Each arm minus a baseline, context by context: interval, sign-flip test, Holm's correction within
the table.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hyperfitting.comparing.load import DomainMetrics
from hyperfitting.comparing.seeds import Seeds
from hyperfitting.errors import InputError
from hyperfitting.metrics.specs import MetricSpec, compared_metrics
from hyperfitting.metrics.stats import Estimate, holm, jackknife, paired_difference, sign_flip_p
from hyperfitting.records import Arm, PooledMetric, TextMetrics


@dataclass(frozen=True)
class PairedDifference:
    """An arm's metric minus the baseline's, over the contexts that both continued.

    The difference of a perplexity is that of the texts' mean losses, in nats per token. `p` is of a
    sign-flip test over clusters, `p_holm` corrected for all tests of the same domain and seed; both
    are None for pooled metrics, whose interval is jackknifed.
    """

    domain: str
    seeds: Seeds
    arm: Arm
    baseline: Arm
    metric: str
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


def find_baseline(arms: Sequence[Arm], title: str | None) -> Arm:
    """The arm of that title; None: the first hyperfitted one.

    Raises:
        InputError: there is no such arm; the message names the nearest, or all.
    """
    written = [arm for arm in arms if arm.is_model]
    if title is None:
        return next((arm for arm in written if arm.variant == "hyperfitted"), written[0])
    found = next((arm for arm in arms if arm.title == title), None)
    if found is None:
        titles = [arm.title for arm in arms]
        near = difflib.get_close_matches(title, titles, n=1)
        raise InputError(
            f"no column {title!r}: " + (f"did you mean {near[0]!r}?" if near else "; ".join(titles))
        )
    return found


FLIPS_PER_TEST = 40
"""Random sign flips for each test of a table: the least p is then a fortieth after the correction,
below 0.05.
"""


def paired_differences(held: DomainMetrics, baseline: Arm, *, draws: int) -> list[PairedDifference]:
    """Every arm of a domain at a seed against the baseline, in every metric that both have."""
    compared = [
        (arm, spec)
        for arm in held.arms
        if arm != baseline
        for spec in compared_metrics()
        if (arm, spec.name) in held.rows and (baseline, spec.name) in held.rows
    ]
    flips = max(draws, FLIPS_PER_TEST * len(compared))
    made = [
        _difference(held, arm, baseline, spec, draws=draws, flips=flips) for arm, spec in compared
    ]
    found = [each for each in made if each is not None]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [each if each.p is None else replace(each, p_holm=next(corrected)) for each in found]


def _difference(
    held: DomainMetrics, arm: Arm, baseline: Arm, spec: MetricSpec, *, draws: int, flips: int
) -> PairedDifference | None:
    """None where nothing pairs: pooled metrics of unequal sets, or a metric that no context has in
    both arms.
    """
    name, p = spec.name, None
    if (arm, name) in held.pooled:
        if held.size(arm) != held.size(baseline):
            return None
        estimate = _of_pooled(held.pooled[arm, name], held.pooled[baseline, name])
    else:
        values, groups = _paired(held.texts[arm], held.texts[baseline], name)
        if not groups:
            return None
        estimate = paired_difference(*values, groups, draws=draws, seed=held.seeds.seed)
        p = sign_flip_p(np.subtract(*values).tolist(), groups, draws=flips, seed=held.seeds.seed)
    return PairedDifference(
        held.domain,
        held.seeds,
        arm,
        baseline,
        name,
        spec.difference_unit,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        estimate.clusters,
        p,
        None,
        held.rows[arm, name].run,
        held.rows[baseline, name].run,
    )


def _paired(
    one: Sequence[TextMetrics], other: Sequence[TextMetrics], name: str
) -> tuple[tuple[list[float], list[float]], list[str]]:
    """The values of two arms at the contexts where both have one, and the clusters of these
    contexts.
    """
    mine, theirs = (
        {each.context: each for each in side if name in each.values} for side in (one, other)
    )
    shared = [context for context in mine if context in theirs]
    groups = [mine[context].group for context in shared]
    return (
        [_ratio(mine[context], name) for context in shared],
        [_ratio(theirs[context], name) for context in shared],
    ), groups


def _ratio(text: TextMetrics, name: str) -> float:
    [(total, count)] = text.values[name]
    return total / count


def _of_pooled(one: PooledMetric, other: PooledMetric) -> Estimate:
    shared = sorted(set(one.without) & set(other.without))
    without = [one.without[group] - other.without[group] for group in shared]
    return jackknife(one.value - other.value, without, n=min(one.n, other.n))
