"""Quality of the judgements: self-consistency, side bias, attention checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binomtest

from hyperfitting.metrics.stats import CONFIDENCE, holm
from hyperfitting.preference.analysis.clustered_se import Interval, share
from hyperfitting.preference.analysis.encode import EncodedJudgements, answer_of, encode
from hyperfitting.preference.records import SHUFFLED, BlindedComparison, Judgement


@dataclass(frozen=True)
class SelfConsistency:
    """Answers to repeats, compared with the first answers; by arm.

    `same`: the same answer; `reversed`: the other arm; `moved`: to or from equal. The three sum to
    1; None without repeats. A judge who always takes the first text reverses every time.
    `unmatched` repeats have no first answer.
    """

    repeats: int
    unmatched: int
    same: Interval | None
    reversed: Interval | None
    moved: Interval | None


def self_consistency(
    judgements: Iterable[Judgement], *, level: float = CONFIDENCE
) -> SelfConsistency:
    """Compare repeats with the first answers of the same annotators, without excluded
    annotators.
    """
    rows = [row for row in judgements if not row.excluded]
    before = {
        (row.annotator, row.comparison): answer_of(row) for row in rows if row.kind == "scored"
    }
    again = [row for row in rows if row.kind == "repeat"]
    matched = [row for row in again if (row.annotator, row.repeats) in before]
    unmatched = len(again) - len(matched)
    if not matched:
        return SelfConsistency(0, unmatched, None, None, None)
    encoded = encode(matched)
    first_N = np.array([before[row.annotator, str(row.repeats)] for row in matched])
    step_N = np.abs(encoded.answer_N - first_N)
    same, moved, back = (
        share(step_N == step, encoded.context_N, encoded.annotator_N, level=level)
        for step in (0, 1, 2)
    )
    return SelfConsistency(len(matched), unmatched, same, back, moved)


@dataclass(frozen=True)
class SideBias:
    """Preference for a side of the page: decided answers for the first text and for the second.

    `p_value`: exact binomial, two-sided. Sides are random, so without a bias each decided answer
    falls on either side with equal probability, however annotators and contexts cluster. The bounds
    are exact (Clopper and Pearson). Neither holds for rows whose sides were not randomised.
    """

    annotator: str
    first: int
    second: int
    share_first: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None = None


def side_bias(encoded: EncodedJudgements, *, level: float = CONFIDENCE) -> SideBias:
    """Side bias over all annotators."""
    decided_N = encoded.answer_N != 0
    first_N = encoded.answer_N[decided_N] == encoded.first_N[decided_N]
    return _side_bias("all", int(first_N.sum()), int((~first_N).sum()), level)


def side_bias_by_annotator(
    encoded: EncodedJudgements, *, level: float = CONFIDENCE
) -> list[SideBias]:
    """Side bias of each annotator, with p-values adjusted for their number (Holm)."""
    found = [
        replace(
            side_bias(encoded.where(encoded.annotator_N == index), level=level),
            annotator=encoded.annotators[index],
        )
        for index in np.unique(encoded.annotator_N)
    ]
    adjusted = iter(holm([each.p_value for each in found if each.p_value is not None]))
    return [
        each if each.p_value is None else replace(each, p_adjusted=next(adjusted)) for each in found
    ]


def _side_bias(annotator: str, first: int, second: int, level: float) -> SideBias:
    if first + second == 0:
        return SideBias(annotator, 0, 0, None, None, None, None)
    test = binomtest(first, first + second)
    ends = test.proportion_ci(level, method="exact")
    bounds = float(ends.low), float(ends.high)
    return SideBias(annotator, first, second, test.statistic, *bounds, float(test.pvalue))


@dataclass(frozen=True)
class AttentionChecks:
    """One annotator's attention checks: a text against its own shuffled words. "Equal" is a failure
    too.
    """

    annotator: str
    checks: int
    failures: int
    unknown: int = 0


def checks_by_annotator(
    judgements: Iterable[Judgement], comparisons: Iterable[BlindedComparison] = ()
) -> list[AttentionChecks]:
    """Attention checks and failures of every annotator, also of those without checks.

    The better text is the comparison's `one`; without comparisons, the arm that is not called
    "shuffled". A check of which neither says it counts as `unknown`.
    """
    better = {each.id: each.one.arm for each in comparisons if each.kind == "attention"}
    rows = list(judgements)
    counts = {row.annotator: Counter[str]() for row in rows}
    for row in rows:
        if row.kind == "attention":
            good = better.get(row.comparison) or _unshuffled(row)
            failed = "unknown" if good is None else "failures" if row.preferred_arm != good else ""
            counts[row.annotator].update(["checks", failed])
    return [
        AttentionChecks(name, count["checks"], count["failures"], count["unknown"])
        for name, count in sorted(counts.items())
    ]


def _unshuffled(row: Judgement) -> str | None:
    good = [arm for arm in (row.arm_first, row.arm_second) if arm != SHUFFLED]
    return good[0] if len(good) == 1 else None
