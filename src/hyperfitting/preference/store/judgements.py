"""Answers: kept, made void, and read for the analysis. A row never changes once it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.records import Answer, BlindedComparison, Judgement
from hyperfitting.preference.store.assignment import add_load
from hyperfitting.preference.store.database import (
    annotators,
    assignments,
    judgements,
    replies,
    unanswered,
    voids,
)
from hyperfitting.preference.store.rows import AssignmentRow
from hyperfitting.preference.study import Study

_MOST_SECONDS = 1e7  # a tab left open for months
_MOST_ATTEMPT = 100  # characters


def check_answer(answer: str, attempt: str, seconds: float) -> None:
    """Refuse an answer that no page of the study sends.

    Raises:
        StudyError: one line that names it.
    """
    if answer not in get_args(Answer):
        raise StudyError(f"answer {answer[:40]!r}: it is first, second or equal")
    if not 0 < len(attempt) <= _MOST_ATTEMPT or not attempt.isascii() or not attempt.isprintable():
        raise StudyError(f"an attempt is named by 1 to {_MOST_ATTEMPT} printable ASCII characters")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise StudyError(f"seconds {seconds}: from 0 to {_MOST_SECONDS:.0f}")


def is_kept_already(connection: Connection, assignment: str, attempt: str) -> bool:
    """Whether the same attempt is kept already: a browser that got no reply sends it again."""
    same = and_(judgements.c.assignment == assignment, judgements.c.attempt == attempt)
    return connection.scalar(select(judgements.c.id).where(same)) is not None


def keep_answer(
    connection: Connection,
    item: AssignmentRow,
    answer: Answer,
    attempt: str,
    seconds: float,
    now: str,
) -> None:
    """Add an answer to an item that has none. `standing_judgements` decides whether a late one
    counts.

    Raises:
        Refused: answered.
    """
    if item.state == "answered":
        raise Refused("answered")
    if item.state != "open" and item.kind == "scored":
        add_load(connection, item.comparison, 1)
    row = {
        "assignment": item.id,
        "round": item.round,
        "attempt": attempt,
        "answer": answer,
        "seconds": seconds,
    }
    connection.execute(insert(judgements).values(**row, answered_at=now))
    connection.execute(
        update(assignments).where(assignments.c.id == item.id).values(state="answered")
    )


def last_answer(connection: Connection, annotator: str) -> Row[*tuple[Any, ...]] | None:
    """Id and assignment of the annotator's last answer; None if it cannot be taken back. Only the
    last answer can be, and once for each item.
    """
    joined = judgements.join(assignments, assignments.c.id == judgements.c.assignment)
    last = connection.execute(
        select(judgements.c.id, judgements.c.assignment, judgements.c.round, assignments.c.state)
        .select_from(joined)
        .where(assignments.c.annotator == annotator)
        .order_by(judgements.c.id.desc())
        .limit(1)
    ).first()
    return None if last is None or last.round > 0 or last.state != "answered" else last


def void_last_answer(connection: Connection, annotator: str, now: str) -> str:
    """Make the annotator's last answer void and return its assignment.

    Raises:
        Refused: no_undo.
    """
    last = last_answer(connection, annotator)
    if last is None:
        raise Refused("no_undo")
    connection.execute(insert(voids).values(judgement=last.id, at=now))
    again = assignments.c.round + 1
    connection.execute(
        update(assignments).where(assignments.c.id == last.assignment).values(round=again)
    )
    return str(last.assignment)


def delete_answers(connection: Connection, annotator: str) -> int:
    """Delete all answers and items of an annotator who withdraws; returns the number of answers
    deleted.
    """
    theirs = select(assignments.c.id).where(assignments.c.annotator == annotator)
    answered = and_(assignments.c.annotator == annotator, assignments.c.state == "answered")
    count = connection.scalar(select(func.count()).select_from(assignments).where(answered)) or 0
    given = select(judgements.c.id).where(judgements.c.assignment.in_(theirs))
    connection.execute(delete(voids).where(voids.c.judgement.in_(given)))
    connection.execute(delete(judgements).where(judgements.c.assignment.in_(theirs)))
    connection.execute(delete(replies).where(replies.c.assignment.in_(theirs)))
    connection.execute(delete(unanswered).where(unanswered.c.annotator == annotator))
    connection.execute(delete(assignments).where(assignments.c.annotator == annotator))
    return count


def standing_judgements(connection: Connection, study: Study) -> Iterator[Judgement]:
    """Every answer that is not void, in the order of arrival.

    The protocol's number of first answers to a scored comparison count; later ones are surplus.
    Answers of excluded annotators and of language models do not enter this count.
    """
    counted: Counter[str] = Counter()
    for row in connection.execute(_STANDING):
        counts = row.kind == "scored" and row.excluded is None and row.source != "model"
        counted[row.comparison] += counts
        surplus = counts and counted[row.comparison] > study.protocol.judgements
        yield _judgement(row, study.digest, study.comparison(row.comparison), surplus=surplus)


_STANDING = (
    select(
        judgements.c.answer,
        judgements.c.seconds,
        judgements.c.answered_at,
        assignments.c.id.label("assignment"),
        assignments.c.comparison,
        assignments.c.kind,
        assignments.c.one_first,
        assignments.c.dealt_at,
        annotators.c.id.label("annotator"),
        annotators.c.source,
        annotators.c.excluded,
    )
    .select_from(
        judgements.join(assignments, assignments.c.id == judgements.c.assignment)
        .join(annotators, annotators.c.id == assignments.c.annotator)
        .outerjoin(voids, voids.c.judgement == judgements.c.id)
    )
    .where(voids.c.judgement.is_(None))
    .order_by(judgements.c.id)
)


def _judgement(
    row: Row[*tuple[Any, ...]], study: str, shown: BlindedComparison, *, surplus: bool
) -> Judgement:
    first, second = (shown.one, shown.other) if row.one_first else (shown.other, shown.one)
    return Judgement(
        study=study,
        assignment=row.assignment,
        comparison=shown.id,
        kind=shown.kind,
        domain=shown.domain,
        context=shown.context,
        group=shown.group,
        annotator=row.annotator,
        source=row.source,
        arm_first=first.arm,
        arm_second=second.arm,
        tokens=max(first.tokens, second.tokens),
        ttr_first=first.ttr,
        ttr_second=second.ttr,
        answer=row.answer,
        dealt_at=row.dealt_at,
        answered_at=row.answered_at,
        seconds=row.seconds,
        surplus=surplus,
        excluded=row.excluded,
        repeats=shown.repeats,
    )
