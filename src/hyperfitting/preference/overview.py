"""Where a study stands, for its admin: computed from the answers each time, so that it cannot disagree with them."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Row

from hyperfitting.preference.records import (
    AnnotatorProgress,
    Comparison,
    GroupProgress,
    Judgement,
    Overview,
    State,
)
from hyperfitting.preference.study import Study


def state(annotator: Row[Any]) -> State:
    """The state of an annotator's row; an exclusion covers what was there before, and can be taken back."""
    if annotator.excluded is not None and annotator.state != "withdrawn":
        return "excluded"
    return cast("State", annotator.state)


def overview(
    study: Study, rows: Sequence[Judgement], people: Sequence[Row[Any]], *, paused: bool
) -> Overview:
    """The whole picture."""
    scored = [row for row in study.comparisons() if row.kind == "scored"]
    counting = [
        row
        for row in rows
        if row.kind == "scored" and row.source != "model" and row.excluded is None
    ]
    counted = [row for row in counting if not row.surplus]
    answers = Counter(row.comparison for row in counted)
    quota = study.plan.judgements
    given = _by(rows, lambda row: row.annotator)
    return Overview(
        comparisons=len(scored),
        finished=sum(answers[row.id] >= quota for row in scored),
        answers=len(counted),
        needed=len(scored) * quota,
        surplus=len(counting) - len(counted),
        paused=paused,
        agreement=_agreement(counted),
        arms=_progress(scored, answers, quota, lambda row: (row.one.arm, row.other.arm)),
        domains=_progress(scored, answers, quota, lambda row: (row.domain,)),
        annotators=tuple(_person(each, given[each.id]) for each in people),
    )


def better(row: Judgement) -> str:
    """The arm that an answer prefers, or `equal`: an answer by who wrote the text instead of by its side."""
    return {"first": row.arm_first, "second": row.arm_second, "equal": "equal"}[row.answer]


def attention_failed(row: Judgement) -> bool:
    """Whether an answer to an attention check is wrong: the shuffled text preferred, or found as good."""
    return better(row) in ("shuffled", "equal")


def _progress(
    scored: Iterable[Comparison],
    answers: Counter[str],
    quota: int,
    names: Callable[[Comparison], tuple[str, ...]],
) -> tuple[GroupProgress, ...]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row in scored:
        for name in names(row):
            groups[name].append(answers[row.id])
    return tuple(
        GroupProgress(
            name,
            len(counts),
            sum(count >= quota for count in counts),
            sum(counts),
            len(counts) * quota,
        )
        for name, counts in sorted(groups.items())
    )


def _agreement(rows: Iterable[Judgement]) -> float | None:
    given = _by(rows, lambda row: row.comparison).values()
    pairs = [better(a) == better(b) for same in given for a, b in itertools.combinations(same, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def _by(rows: Iterable[Judgement], key: Callable[[Judgement], str]) -> dict[str, list[Judgement]]:
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _person(row: Row[Any], given: Sequence[Judgement]) -> AnnotatorProgress:
    checks = [each for each in given if each.kind == "attention"]
    repeats = [each for each in given if each.kind == "repeat"]
    earlier = {each.comparison: better(each) for each in given if each.kind == "scored"}
    return AnnotatorProgress(
        id=row.id,
        source=row.source,
        state=state(row),
        label=row.label,
        answers=len(given),
        attention_shown=len(checks),
        attention_failed=sum(attention_failed(each) for each in checks),
        repeats_shown=len(repeats),
        repeats_kept=sum(earlier.get(each.repeats or "") == better(each) for each in repeats),
        seconds=statistics.median([each.seconds for each in given]) if given else None,
        completion_code=row.completion_code,
        excluded=row.excluded,
    )
