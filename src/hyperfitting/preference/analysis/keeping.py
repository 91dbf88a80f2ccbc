"""Was the plan kept? Exclusions, stop rule, primary estimand and digest, each said with what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from hyperfitting.preference.analysis.coding import counted
from hyperfitting.preference.analysis.conduct import Attention
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Comparison, Judgement


@dataclass(frozen=True)
class Exclusions:
    """Whom the primary analysis leaves out besides those excluded by hand: defaults of `preference/plan.py`.

    More failed attention checks than `attention_failures`, or a median time on a page under `least_seconds`. The
    second is not for models.
    """

    attention_failures: int = 1
    least_seconds: float = 2.0


@dataclass(frozen=True)
class Promise:
    """One thing that the plan fixed, what was found, and whether they agree."""

    what: str
    planned: str
    found: str
    kept: bool


def inattentive(checks: Iterable[Attention], rules: Exclusions) -> frozenset[str]:
    """The annotators with more failed checks than the rules allow."""
    return frozenset(each.annotator for each in checks if each.failures > rules.attention_failures)


def hasty(judgements: Iterable[Judgement], rules: Exclusions) -> frozenset[str]:
    """The annotators, models aside, whose median time on a page is under the least."""
    seconds: dict[str, list[float]] = {}
    for row in judgements:
        if row.source != "model":
            seconds.setdefault(row.annotator, []).append(row.seconds)
    return frozenset(
        name for name, each in seconds.items() if float(np.median(each)) < rules.least_seconds
    )


def promises(
    plan: StudyPlan,
    digest: str,
    created_at: str,
    comparisons: Sequence[Comparison],
    judgements: Sequence[Judgement],
    left_out: frozenset[str],
) -> list[Promise]:
    """Every promise of a plan, held against the rows of one source. `left_out`: whom the plan's own
    rules leave out."""
    return [
        _digest(digest, judgements),
        _order(created_at, judgements),
        _estimand(plan, comparisons, judgements),
        _stop(plan, comparisons, judgements, left_out),
        _exclusions(plan, judgements, left_out),
    ]


def _digest(digest: str, judgements: Sequence[Judgement]) -> Promise:
    strange = sum(row.study != digest for row in judgements)
    found = f"{strange} judgements name another version" if strange else "every judgement names it"
    return Promise("version", f"plan and comparisons {digest[:12]}, unchanged", found, not strange)


def _order(created_at: str, judgements: Sequence[Judgement]) -> Promise:
    fixed, first = _time(created_at), min(_time(row.answered_at) for row in judgements)
    return Promise(
        "order", f"plan fixed {fixed:{_FORMAT}}", f"first answer {first:{_FORMAT}}", fixed <= first
    )


_FORMAT = "%Y-%m-%d %H:%M UTC"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _estimand(
    plan: StudyPlan, comparisons: Sequence[Comparison], judgements: Sequence[Judgement]
) -> Promise:
    arms = {each.id: {each.one.arm, each.other.arm} for each in comparisons}
    strange = sum(
        {row.arm_first, row.arm_second} != arms.get(row.repeats or row.comparison)
        for row in judgements
    )
    what = plan.analysis.primary.replace("-", " ")
    planned = f"share {what}, by pair of arms, {100 * plan.analysis.level:g} % intervals"
    found = (
        f"{strange} judgements of other comparisons"
        if strange
        else "computed from the planned comparisons alone"
    )
    return Promise("primary estimand", planned, found, not strange)


def _stop(
    plan: StudyPlan,
    comparisons: Sequence[Comparison],
    judgements: Sequence[Judgement],
    left_out: frozenset[str],
) -> Promise:
    """The rule counts what was collected; what its own exclusions leave is said beside it."""
    scored = [each.id for each in comparisons if each.kind == "scored"]
    rows = counted(judgements)

    def short(rows: Sequence[Judgement]) -> int:
        answers = Counter(row.comparison for row in rows)
        return sum(answers[each] < plan.judgements for each in scored)

    before, after = short(rows), short([row for row in rows if row.annotator not in left_out])
    found = (
        f"{before} of {len(scored)} comparisons have fewer"
        if before
        else f"all {len(scored)} have them"
    )
    found += f"; {after} have fewer once the rule has left people out" if after > before else ""
    return Promise(
        "stop rule", f"{plan.judgements} judgements of every comparison", found, not before
    )


def _exclusions(
    plan: StudyPlan, judgements: Sequence[Judgement], left_out: frozenset[str]
) -> Promise:
    """Whom the rule leaves out may be excluded by hand as well; anybody else's exclusion departs from the plan."""
    by_hand = {row.annotator: row.excluded for row in judgements if row.excluded}
    beyond = {name: reason for name, reason in by_hand.items() if name not in left_out}
    most, least = plan.analysis.attention_failures, plan.analysis.least_seconds
    reasons = "; ".join(
        f"{count} for “{reason}”" for reason, count in sorted(Counter(beyond.values()).items())
    )
    found = f"{len(left_out)} left out by the rule, {len(beyond)} more by hand" + (
        f": {reasons}" if reasons else ""
    )
    rule = (
        f"annotators with more than {most} failed checks, or a median under {least:g} s on a page"
    )
    return Promise("exclusions", rule, found, not beyond)
