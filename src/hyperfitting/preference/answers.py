"""Answers: given, taken back, and read out for the analysis. A row, once written, never changes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference import dealing
from hyperfitting.preference.database import (
    annotators,
    assignments,
    comparisons,
    facts,
    judgements,
    replies,
    voids,
)
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Answer, Comparison, Judgement, Reply, Source

_MOST_SECONDS = 1e7  # a tab left open for months
_MOST_ATTEMPT = 100  # characters


def check_answer(answer: str, attempt: str, seconds: float) -> None:
    """Refuse what no page of ours sends.

    Raises:
        StudyError: one line that names it.
    """
    if answer not in get_args(Answer):
        raise StudyError(f"answer {answer[:40]!r}: it is first, second or equal")
    if not 0 < len(attempt) <= _MOST_ATTEMPT or not attempt.isascii() or not attempt.isprintable():
        raise StudyError(f"an attempt is named by 1 to {_MOST_ATTEMPT} printable ASCII characters")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise StudyError(f"seconds {seconds}: from 0 to {_MOST_SECONDS:.0f}")


def repeated(connection: Connection, assignment: str, attempt: str) -> bool:
    """Whether this very answer has been kept before: a browser that heard nothing sends it again."""
    same = and_(judgements.c.assignment == assignment, judgements.c.attempt == attempt)
    return connection.scalar(select(judgements.c.id).where(same)) is not None


def keep(
    connection: Connection, item: Row[Any], answer: Answer, attempt: str, seconds: float, now: str
) -> None:
    """Add an answer to an item that has none. A late one counts if there is still room; `read_out` sees to that."""
    if item.state == "answered":
        raise Refused("answered")
    if item.state != "open" and item.kind == "scored":
        dealing.add_load(connection, item.comparison, 1)
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


def keep_apart(connection: Connection, source: Source, held: str | None) -> None:
    """Real answers and simulated ones never meet in one study: its first answer decides which it holds (`held`).

    Raises:
        StudyError: this answer is of the other kind.
    """
    nature = "simulated" if source == "simulated" else "real"
    if held is None:
        connection.execute(insert(facts).values(name="nature", value=nature))
    elif held != nature:
        raise StudyError(
            f"this study holds {held} judgements, and {nature} ones are never mixed with them"
        )


def keep_replies(
    connection: Connection,
    plan: StudyPlan,
    annotator: str,
    comparison: str,
    said: tuple[Reply, Reply],
    now: str,
) -> None:
    """Add a model's answer to a comparison, from its replies to both orders; nothing if it is there already."""
    id_ = dealing.assignment_id(plan, annotator, comparison)
    if connection.scalar(select(assignments.c.id).where(assignments.c.id == id_)) is not None:
        return
    kind = connection.scalar(select(comparisons.c.kind).where(comparisons.c.id == comparison))
    ordinal = (
        select(func.count()).select_from(assignments).where(assignments.c.annotator == annotator)
    )
    item = {
        "id": id_,
        "annotator": annotator,
        "comparison": comparison,
        "kind": kind,
        "one_first": said[0].one_first,
    }
    times = {"dealt_at": now, "held_until": now, "ordinal": connection.scalar(ordinal), "round": 0}
    connection.execute(insert(assignments).values(**item, **times, state="answered"))
    seconds = sum(reply.seconds for reply in said)
    answer = {
        "assignment": id_,
        "round": 0,
        "attempt": "both orders",
        "answer": both_orders(*said),
        "seconds": seconds,
    }
    connection.execute(insert(judgements).values(**answer, answered_at=now))
    connection.execute(
        insert(replies), [{"assignment": id_, **dataclasses.asdict(reply)} for reply in said]
    )


def both_orders(first: Reply, second: Reply) -> Answer:
    """The answer to the first order, from both: the text that was preferred twice, or a tie."""
    return "equal" if flipped(first, second) else first.answer


def flipped(first: Reply, second: Reply) -> bool:
    """Whether the order decided: the two replies do not name the same text."""
    other_way: dict[Answer, Answer] = {"first": "second", "second": "first", "equal": "equal"}
    return first.answer != other_way[second.answer]


def said(connection: Connection, annotator: str) -> list[tuple[Reply, Reply]]:
    """A model's replies, two and two."""
    theirs = replies.join(assignments, assignments.c.id == replies.c.assignment)
    columns = (
        replies.c.assignment,
        replies.c.one_first,
        replies.c.answer,
        replies.c.text,
        replies.c.seconds,
    )
    rows = connection.execute(
        select(*columns)
        .select_from(theirs)
        .where(assignments.c.annotator == annotator)
        .order_by(assignments.c.ordinal, replies.c.one_first.desc())
    ).all()
    each = [Reply(bool(row.one_first), row.answer, row.text, row.seconds) for row in rows]
    return list(zip(each[::2], each[1::2], strict=True))


def take_back(connection: Connection, annotator: str, now: str) -> str:
    """Make the annotator's last answer void and give its assignment back. Once an item, and only the last answer.

    Raises:
        Refused: no answer is left to take back.
    """
    joined = judgements.join(assignments, assignments.c.id == judgements.c.assignment)
    last = connection.execute(
        select(judgements.c.id, judgements.c.assignment, judgements.c.round, assignments.c.state)
        .select_from(joined)
        .where(assignments.c.annotator == annotator)
        .order_by(judgements.c.id.desc())
        .limit(1)
    ).first()
    if last is None or last.round > 0 or last.state != "answered":
        raise Refused("no_undo")
    connection.execute(insert(voids).values(judgement=last.id, at=now))
    again = assignments.c.round + 1
    connection.execute(
        update(assignments).where(assignments.c.id == last.assignment).values(round=again)
    )
    return str(last.assignment)


def purge(connection: Connection, annotator: str) -> int:
    """Delete all answers and items of an annotator who withdraws, and return how many answers stood."""
    theirs = select(assignments.c.id).where(assignments.c.annotator == annotator)
    answered = and_(assignments.c.annotator == annotator, assignments.c.state == "answered")
    count = connection.scalar(select(func.count()).select_from(assignments).where(answered)) or 0
    given = select(judgements.c.id).where(judgements.c.assignment.in_(theirs))
    connection.execute(delete(voids).where(voids.c.judgement.in_(given)))
    connection.execute(delete(judgements).where(judgements.c.assignment.in_(theirs)))
    connection.execute(delete(replies).where(replies.c.assignment.in_(theirs)))
    connection.execute(delete(assignments).where(assignments.c.annotator == annotator))
    return count


def read_out(
    connection: Connection, study: str, quota: int, comparison: Callable[[str], Comparison]
) -> Iterator[Judgement]:
    """Every answer that stands, in the order of arrival.

    The first `quota` answers to a scored comparison count and later ones are surplus. An excluded annotator's answers
    take no place in that count, nor do a model's.
    """
    counted: Counter[str] = Counter()
    for row in connection.execute(_STANDING):
        counts = row.kind == "scored" and row.excluded is None and row.source != "model"
        counted[row.comparison] += counts
        yield _judgement(
            row,
            study,
            comparison(row.comparison),
            surplus=counts and counted[row.comparison] > quota,
        )


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
    row: Row[*tuple[Any, ...]], study: str, shown: Comparison, *, surplus: bool
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
