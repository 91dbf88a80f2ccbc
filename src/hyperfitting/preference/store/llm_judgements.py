"""Language models as judges: what they were asked, what they replied, and the answers that follow
from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from hyperfitting.preference.records import Answer, Reply
from hyperfitting.preference.store.annotators import Annotators, update_annotator
from hyperfitting.preference.store.assignment import assignment_id
from hyperfitting.preference.store.context import StoreContext, get_fact, refuse_mixed_sources
from hyperfitting.preference.store.database import (
    annotators,
    assignments,
    comparisons,
    judgements,
    models,
    replies,
    unanswered,
)


@dataclasses.dataclass(frozen=True)
class LlmJudge:
    """A language model among the annotators. `settings`: how it is asked, as JSON. `name` is None
    after a withdrawal.
    """

    annotator: str
    name: str | None
    settings: str


@dataclasses.dataclass(frozen=True)
class KeptReply:
    """A reply of a language model to one order of a comparison, in full. Without an answer,
    `problem` says why; the text is empty where the endpoint sent none.
    """

    annotator: str
    comparison: str
    one_first: bool
    answer: Answer | None
    text: str
    seconds: float
    problem: str = ""


class LlmJudgements:
    """The language models that judge a study."""

    def __init__(self, context: StoreContext, people: Annotators):
        self._context, self._annotators = context, people

    def annotator(self, name: str, settings: str) -> str:
        """The annotator of a model with these settings, made when they are first used.

        Raises:
            StudyError: the study holds simulated judgements.
        """
        with self._context.database.writing() as connection:
            found = connection.scalar(
                select(models.c.annotator).where(models.c.settings == settings)
            )
            if found is not None:
                return str(found)
            refuse_mixed_sources(connection, "model", get_fact(connection, "nature"))
            row = self._annotators.enrol_in(connection, "model", label=name)
            update_annotator(connection, row.id, state="tested")
            connection.execute(insert(models).values(annotator=row.id, settings=settings))
            return row.id

    def judges(self) -> list[LlmJudge]:
        """Every model that has judged."""
        joined = models.join(annotators, annotators.c.id == models.c.annotator)
        wanted = select(models.c.annotator, annotators.c.label.label("name"), models.c.settings)
        with self._context.database.reading() as connection:
            rows = connection.execute(wanted.select_from(joined).order_by(models.c.annotator)).all()
        return [LlmJudge(**row._mapping) for row in rows]

    def judged(self, annotator: str) -> set[str]:
        """The ids of the comparisons that a model has answered."""
        theirs = select(assignments.c.comparison).where(assignments.c.annotator == annotator)
        with self._context.database.reading() as connection:
            return set(connection.scalars(theirs.where(assignments.c.state == "answered")).all())

    def submit(self, annotator: str, comparison: str, said: Sequence[Reply]) -> None:
        """Keep a model's replies to both orders of a comparison, and its answer; nothing if it has
        answered before.
        """
        first, second = said
        id_ = assignment_id(self._context.protocol, annotator, comparison)
        now = self._context.now()
        answer = {
            "assignment": id_,
            "round": 0,
            "attempt": "both orders",
            "answer": answer_of_both_orders(first, second),
            "seconds": first.seconds + second.seconds,
            "answered_at": now,
        }
        kept = [{"assignment": id_, **dataclasses.asdict(reply)} for reply in said]
        answered = select(assignments.c.id).where(assignments.c.id == id_)
        with self._context.database.writing() as connection:
            if connection.scalar(answered) is None:
                item = _answered_item(connection, annotator, comparison, now)
                item |= {"id": id_, "one_first": first.one_first}
                connection.execute(insert(assignments).values(item))
                connection.execute(insert(judgements).values(answer))
                connection.execute(insert(replies), kept)

    def replies(self, annotator: str) -> list[tuple[Reply, Reply]]:
        """A model's replies to both orders of each comparison: with `one` first, then with `other`
        first.
        """
        theirs = replies.join(assignments, assignments.c.id == replies.c.assignment)
        wanted = (
            select(replies.c.one_first, replies.c.answer, replies.c.text, replies.c.seconds)
            .select_from(theirs)
            .where(assignments.c.annotator == annotator)
            .order_by(assignments.c.ordinal, replies.c.one_first.desc())
        )
        with self._context.database.reading() as connection:
            each = [Reply(**row._mapping) for row in connection.execute(wanted)]
        return list(zip(each[::2], each[1::2], strict=True))

    def keep_unanswered(self, replies_: Sequence[KeptReply]) -> None:
        """Keep what a model replied to a comparison that it left without an answer."""
        with self._context.database.writing() as connection:
            rows = [dataclasses.asdict(each) for each in replies_]
            connection.execute(insert(unanswered), rows)

    def every_reply(self) -> list[KeptReply]:
        """Every reply of every model: first those that hold an answer, then those that do not."""
        theirs = replies.join(assignments, assignments.c.id == replies.c.assignment)
        names = ("one_first", "answer", "text", "seconds")
        answered = (
            select(
                assignments.c.annotator, assignments.c.comparison, *(replies.c[n] for n in names)
            )
            .select_from(theirs)
            .order_by(assignments.c.annotator, assignments.c.ordinal, replies.c.one_first.desc())
        )
        columns = [each for each in unanswered.c if each.name != "id"]
        without = select(*columns).order_by(unanswered.c.id)
        with self._context.database.reading() as connection:
            return [
                KeptReply(**row._mapping)
                for query in (answered, without)
                for row in connection.execute(query)
            ]


def _answered_item(
    connection: Connection, annotator: str, comparison: str, now: str
) -> dict[str, Any]:
    """An item that a model has answered as soon as it was dealt; without its id and its order."""
    theirs = assignments.c.annotator == annotator
    return {
        "annotator": annotator,
        "comparison": comparison,
        "kind": connection.scalar(select(comparisons.c.kind).where(comparisons.c.id == comparison)),
        "ordinal": connection.scalar(select(func.count()).select_from(assignments).where(theirs)),
        "dealt_at": now,
        "held_until": now,
        "state": "answered",
        "round": 0,
    }


def answer_of_both_orders(first: Reply, second: Reply) -> Answer:
    """The answer to the first order, from both: the text that was preferred twice, else a tie."""
    return "equal" if is_flipped(first, second) else first.answer


def is_flipped(first: Reply, second: Reply) -> bool:
    """Whether the order decided: the two replies do not name the same text."""
    other_way: dict[Answer, Answer] = {"first": "second", "second": "first", "equal": "equal"}
    return first.answer != other_way[second.answer]
