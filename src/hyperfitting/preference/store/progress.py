"""Progress of a study for its admin. It is computed from the answers each time, so that it cannot
disagree with them.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from hyperfitting.preference.records import (
    SHUFFLED,
    AnnotatorProgress,
    BlindedComparison,
    GroupProgress,
    Judgement,
    StudyProgress,
)
from hyperfitting.preference.store.rows import AnnotatorRow
from hyperfitting.preference.study import Study


def study_progress(
    study: Study, rows: Sequence[Judgement], people: Sequence[AnnotatorRow], *, paused: bool
) -> StudyProgress:
    """Progress from the judgements and the annotators of a study."""
    scored = [row for row in study.comparisons() if row.kind == "scored"]
    counting = [
        row
        for row in rows
        if row.kind == "scored" and row.source != "model" and row.excluded is None
    ]
    counted = [row for row in counting if not row.surplus]
    answers = Counter(row.comparison for row in counted)
    quota = study.protocol.judgements
    given = _by(rows, lambda row: row.annotator)
    return StudyProgress(
        comparisons=len(scored),
        finished=sum(answers[row.id] >= quota for row in scored),
        answers=len(counted),
        needed=len(scored) * quota,
        surplus=len(counting) - len(counted),
        paused=paused,
        agreement=_agreement(counted),
        arms=_group_progress(scored, answers, quota, lambda row: (row.one.arm, row.other.arm)),
        domains=_group_progress(scored, answers, quota, lambda row: (row.domain,)),
        annotators=tuple(_person(each, given[each.id]) for each in people),
    )


def attention_failed(row: Judgement) -> bool:
    """Whether an answer to an attention check is wrong: the shuffled text is preferred, or found as
    good.
    """
    return row.preferred_arm in (SHUFFLED, None)


def _group_progress(
    scored: Iterable[BlindedComparison],
    answers: Counter[str],
    quota: int,
    names: Callable[[BlindedComparison], tuple[str, ...]],
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
    pairs = [
        a.preferred_arm == b.preferred_arm
        for same in given
        for a, b in itertools.combinations(same, 2)
    ]
    return sum(pairs) / len(pairs) if pairs else None


def _by(rows: Iterable[Judgement], key: Callable[[Judgement], str]) -> dict[str, list[Judgement]]:
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _person(row: AnnotatorRow, given: Sequence[Judgement]) -> AnnotatorProgress:
    checks = [each for each in given if each.kind == "attention"]
    repeats = [each for each in given if each.kind == "repeat"]
    earlier = {each.comparison: each.preferred_arm for each in given if each.kind == "scored"}
    seconds = [each.seconds for each in given if each.seconds is not None]
    return AnnotatorProgress(
        id=row.id,
        source=row.source,
        state=row.visible_state,
        label=row.label,
        answers=len(given),
        attention_shown=len(checks),
        attention_failed=sum(attention_failed(each) for each in checks),
        repeats_shown=len(repeats),
        repeats_kept=sum(_same_as_before(each, earlier) for each in repeats),
        seconds=statistics.median(seconds) if seconds else None,
        completion_code=row.completion_code,
        excluded=row.excluded,
    )


def _same_as_before(repeat: Judgement, earlier: dict[str, str | None]) -> bool:
    return repeat.repeats in earlier and earlier[repeat.repeats] == repeat.preferred_arm
