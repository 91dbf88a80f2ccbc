"""Items of work: handed to annotators, answered, taken back."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, select

from hyperfitting.errors import Refused
from hyperfitting.preference.records import Answer, BlindedComparison, WorkItem
from hyperfitting.preference.store.annotators import (
    annotator_at_work,
    finish_annotator,
    is_well_formed_id,
    update_annotator,
)
from hyperfitting.preference.store.assignment import (
    AssignmentRequest,
    ComparisonIndex,
    annotator_progress,
    held_or_new_item,
    hold_item,
    release_lapsed_items,
)
from hyperfitting.preference.store.careless import (
    replace_careless_who_left,
    replace_if_careless,
)
from hyperfitting.preference.store.context import (
    StoreContext,
    is_paused,
    refuse_mixed_sources,
    utc_stamp,
)
from hyperfitting.preference.store.database import assignments
from hyperfitting.preference.store.judgements import (
    check_answer,
    is_kept_already,
    keep_answer,
    last_answer,
    void_last_answer,
)
from hyperfitting.preference.store.rows import AssignmentRow


class Items:
    """The items of a study's annotators."""

    def __init__(self, context: StoreContext):
        self._context = context
        self._index = ComparisonIndex.of(context.study.comparisons())

    def next(self, annotator: str) -> WorkItem | None:
        """The item that the annotator holds, with the same sides, or the next one; None: nothing is
        left.

        Raises:
            Refused: paused, unready, excluded, withdrawn or failed.
        """
        # Nothing is acknowledged here, so nobody waits for the disk: the answer's own commit writes
        # it too, and an item that a power cut takes back is assigned again.
        with self._context.database.writing(durable=False) as connection:
            row = annotator_at_work(connection, annotator)
            if row.paused is not None:
                raise Refused("paused")
            careless = replace_if_careless(connection, self._context, annotator)
            held, done, total = self._held(connection, annotator) if not careless else (None, 0, 0)
            if held is not None:
                if row.state != "tested":
                    update_annotator(connection, annotator, state="tested")
                return self._item(connection, held, done, total)
        with self._context.database.writing() as connection:
            careless = careless or replace_if_careless(
                connection, self._context, annotator, finished=True
            )
            if not careless:
                finish_annotator(connection, annotator)
        if careless:
            raise Refused("excluded")
        return None

    def _held(
        self, connection: Connection, annotator: str
    ) -> tuple[AssignmentRow | None, int, int]:
        """What `held_or_new_item` gives. Where nothing is left, careless annotators are replaced
        first.
        """
        request = self._request(connection, annotator)
        release_lapsed_items(connection, request.now)
        found = held_or_new_item(request)
        if found[0] is None and replace_careless_who_left(connection, self._context):
            return held_or_new_item(request)
        return found

    def _request(self, connection: Connection, annotator: str) -> AssignmentRequest:
        now = self._context.clock()
        until = now + timedelta(minutes=self._context.protocol.hold_minutes)
        return AssignmentRequest(
            connection,
            self._context.protocol,
            self._index,
            annotator,
            utc_stamp(now),
            utc_stamp(until),
        )

    def _item(self, connection: Connection, held: AssignmentRow, done: int, total: int) -> WorkItem:
        shown = self._context.study.comparison(held.comparison)
        first, second = (shown.one, shown.other) if held.one_first else (shown.other, shown.one)
        return WorkItem(
            assignment=held.id,
            context=shown.context_text,
            first=first.text,
            second=second.text,
            number=done + 1,
            total=total,
            taken_back=held.round > 0,
            can_undo=last_answer(connection, held.annotator) is not None,
        )

    def unblinded(self, assignment: str) -> tuple[BlindedComparison, bool]:
        """The comparison of an assignment with its arms, and whether `one` stands first. Never
        shown to annotators.

        Raises:
            Refused: there is no such assignment.
        """
        with self._context.database.reading() as connection:
            row = _assignment(connection, assignment)
        if row is None:
            raise Refused("not_theirs")
        return self._context.study.comparison(row.comparison), row.one_first

    def submit(
        self, annotator: str, assignment: str, answer: Answer, attempt: str, seconds: float
    ) -> None:
        """Keep an answer and return after the commit. The same `attempt` again is the same answer.

        An answer after the time-out is kept too. It is surplus if others have filled the quota.

        Raises:
            Refused: not_theirs, answered, unready, excluded or withdrawn.
            StudyError: not a valid answer, or it may not be mixed with those in the study.
        """
        check_answer(answer, attempt, seconds)
        given = (annotator, assignment, answer, attempt, seconds)
        with self._context.database.adding() as connection:
            kept = self._keep(connection, *given, first=False)
        if (
            not kept
        ):  # the first answer of all decides the nature of the study, so it is written alone
            with self._context.database.writing() as connection:
                self._keep(connection, *given, first=True)

    def _keep(
        self,
        connection: Connection,
        annotator: str,
        assignment: str,
        answer: Answer,
        attempt: str,
        seconds: float,
        *,
        first: bool,
    ) -> bool:
        """Keep an answer, unless it might be the first of all and `first` does not allow that."""
        item = _assignment(connection, assignment, locked=True)
        if item is None or item.annotator != annotator:
            raise Refused("not_theirs")
        if (item.state == "answered" or item.round) and is_kept_already(
            connection, assignment, attempt
        ):
            return True
        row = annotator_at_work(connection, annotator)
        if row.nature is None and not first:
            return False
        refuse_mixed_sources(connection, row.source, row.nature)
        keep_answer(connection, item, answer, attempt, seconds, self._context.now())
        return True

    def undo(self, annotator: str) -> WorkItem:
        """Take the last answer back: its row stays and is void, and its item returns with the same
        sides.

        Raises:
            Refused: no_undo (there is none, or it was taken back before), paused, unready, excluded
                or withdrawn.
        """
        with self._context.database.writing() as connection:
            if annotator_at_work(connection, annotator).paused is not None:
                raise Refused("paused")  # the item could not be shown again
            request = self._request(connection, annotator)
            assignment = void_last_answer(connection, annotator, request.now)
            hold_item(request, assignment)
            update_annotator(connection, annotator, state="tested")
            held = AssignmentRow.of(connection.execute(_ONE_ASSIGNMENT, {"id": assignment}).one())
            return self._item(
                connection,
                held,
                *annotator_progress(connection, self._context.protocol, annotator),
            )

    def can_undo(self, annotator: str) -> bool:
        """Whether the annotator's last answer can be taken back now."""
        with self._context.database.reading() as connection:
            return not is_paused(connection) and last_answer(connection, annotator) is not None


_ONE_ASSIGNMENT = select(assignments).where(assignments.c.id == bindparam("id"))


def _assignment(
    connection: Connection, assignment: str, *, locked: bool = False
) -> AssignmentRow | None:
    if not is_well_formed_id(assignment):
        return None
    one = _ONE_ASSIGNMENT.with_for_update() if locked else _ONE_ASSIGNMENT
    row = connection.execute(one, {"id": assignment}).first()
    return None if row is None else AssignmentRow.of(row)
