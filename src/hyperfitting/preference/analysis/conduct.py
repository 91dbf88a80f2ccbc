"""How the judging went: the same answer twice, the pull of a side, attention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binomtest

from hyperfitting.errors import StudyError
from hyperfitting.metrics.stats import CONFIDENCE, holm
from hyperfitting.preference.analysis.clusters import Interval, share
from hyperfitting.preference.analysis.coding import Coded, answer_of, code
from hyperfitting.preference.records import Comparison, Judgement

SHUFFLED = "shuffled"
"""The arm of an attention check that must lose, in rows that come without their comparisons."""


@dataclass(frozen=True)
class Consistency:
    """What annotators answered when the same two texts came again, sides swapped, coded by arm.

    `same` the same answer, `reversed` the other arm, `moved` to or from equal; they sum to 1. None without repeats.
    A judge who always takes the first text reverses every time. `unmatched` repeats have no first answer.
    """

    repeats: int
    unmatched: int
    same: Interval | None
    reversed: Interval | None
    moved: Interval | None


def self_consistency(judgements: Iterable[Judgement], *, level: float = CONFIDENCE) -> Consistency:
    """Repeats beside the first answers of the same annotators; excluded annotators out."""
    rows = [row for row in judgements if not row.excluded]
    before = {
        (row.annotator, row.comparison): answer_of(row) for row in rows if row.kind == "scored"
    }
    again = [row for row in rows if row.kind == "repeat"]
    matched = [row for row in again if (row.annotator, row.repeats) in before]
    unmatched = len(again) - len(matched)
    if not matched:
        return Consistency(0, unmatched, None, None, None)
    coded = code(matched)
    first_N = np.array([before[row.annotator, str(row.repeats)] for row in matched])
    step_N = np.abs(coded.answer_N - first_N)
    same, moved, back = (
        share(step_N == step, coded.context_N, coded.annotator_N, level=level) for step in (0, 1, 2)
    )
    return Consistency(len(matched), unmatched, same, back, moved)


@dataclass(frozen=True)
class SideBias:
    """Whether the place on the page pulls: decided answers for the first text against the second.

    `p_value`: exact binomial, two-sided. Sides are drawn by lot, so that without a pull each decided answer falls on
    either side with the same chance, however annotators and contexts cluster; rows whose sides were not drawn by lot
    break that. The bounds are exact (Clopper and Pearson) and hold under the same condition.
    """

    annotator: str
    first: int
    second: int
    share_first: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None = None


def side_bias(coded: Coded, *, level: float = CONFIDENCE) -> SideBias:
    """Over all annotators."""
    decided_N = coded.answer_N != 0
    first_N = coded.answer_N[decided_N] == coded.first_N[decided_N]
    return _side_bias("all", int(first_N.sum()), int((~first_N).sum()), level)


def side_bias_by_annotator(coded: Coded, *, level: float = CONFIDENCE) -> list[SideBias]:
    """Annotator by annotator, p-values adjusted (Holm) for their number."""
    found = []
    for index in np.unique(coded.annotator_N).tolist():
        one = side_bias(coded.where(coded.annotator_N == index), level=level)
        found.append(replace(one, annotator=coded.annotators[index]))
    tested = [each for each in found if each.p_value is not None]
    adjusted = dict(
        zip(
            [each.annotator for each in tested],
            holm([each.p_value or 0 for each in tested]),
            strict=True,
        )
    )
    return [replace(each, p_adjusted=adjusted.get(each.annotator)) for each in found]


def _side_bias(annotator: str, first: int, second: int, level: float) -> SideBias:
    if first + second == 0:
        return SideBias(annotator, 0, 0, None, None, None, None)
    test = binomtest(first, first + second)
    ends = test.proportion_ci(level, method="exact")
    share_first = first / (first + second)
    return SideBias(
        annotator, first, second, share_first, float(ends.low), float(ends.high), float(test.pvalue)
    )


@dataclass(frozen=True)
class Attention:
    """One annotator's attention checks: a text against its own shuffled words. "Equal" is a failure too."""

    annotator: str
    checks: int
    failures: int


def attention(
    judgements: Iterable[Judgement], comparisons: Iterable[Comparison] = ()
) -> list[Attention]:
    """Checks and failures of every annotator, those without checks too.

    The better text is the comparison's `one`; without comparisons, the arm that is not called "shuffled".

    Raises:
        StudyError: neither says which text of a check is better.
    """
    better = {each.id: each.one.arm for each in comparisons if each.kind == "attention"}
    rows = list(judgements)
    checks, failures = ({row.annotator: 0 for row in rows} for _ in range(2))
    for row in rows:
        if row.kind == "attention":
            checks[row.annotator] += 1
            failures[row.annotator] += _chosen(row) != (
                better.get(row.comparison) or _unshuffled(row)
            )
    return [Attention(name, checks[name], failures[name]) for name in sorted(checks)]


def _chosen(row: Judgement) -> str | None:
    return {"first": row.arm_first, "second": row.arm_second, "equal": None}[row.answer]


def _unshuffled(row: Judgement) -> str:
    good = [arm for arm in (row.arm_first, row.arm_second) if arm != SHUFFLED]
    if len(good) != 1:
        raise StudyError(
            f"attention check {row.comparison} does not say which text is better: name the worse arm {SHUFFLED!r}"
        )
    return good[0]
