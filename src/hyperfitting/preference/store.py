"""The store of a study: whoever judges, what they are given, and what they answered. One method a thing that happens.

Every method that changes something is one transaction and returns after its commit.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, cast

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference import answers, dealing, invitations, overview
from hyperfitting.preference.database import (
    Database,
    annotators,
    assignments,
    comparisons,
    facts,
    judgements,
    marks,
    models,
)
from hyperfitting.preference.database import invitations as invitation_rows
from hyperfitting.preference.invitations import stamp
from hyperfitting.preference.records import (
    Annotator,
    Answer,
    Comparison,
    Invitation,
    Item,
    Judgement,
    Overview,
    Reply,
    Source,
    State,
)
from hyperfitting.preference.study import Study


class Store:
    """An open store. Safe to share between threads; other processes may have the same store open."""

    def __init__(self, study: Study, url: str, clock: Callable[[], datetime]):
        self.study, self._clock = study, clock
        self._places = dealing.Places.of(study.comparisons())
        self._database = Database(url)
        try:
            self._database.prepare()
            with self._database.writing() as connection:
                self._begin(connection)
        except BaseException:
            self.close()
            raise

    def _begin(self, connection: Connection) -> None:
        held = _fact(connection, "digest")
        if held is None:
            _set_fact(connection, "digest", self.study.digest)
            rows = [
                {"id": each.id, "kind": each.kind, "load": 0} for each in self.study.comparisons()
            ]
            if rows:
                connection.execute(insert(comparisons), rows)
        elif held != self.study.digest:
            raise StudyError(
                f"{self.study.folder}: the database holds another study ({held[:8]}): give each its own"
            )

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _now(self) -> str:
        return stamp(self._clock())

    # Links and identity

    def invite(
        self, count: int, expires_at: datetime | None = None, label: str | None = None
    ) -> list[str]:
        """Tokens of new personal links. They are shown once: only their hashes are kept."""
        with self._database.writing() as connection:
            return invitations.invite(connection, count, expires_at, label, self._now())

    def enter(self, token: str) -> Annotator:
        """The annotator of a personal link, made on the first visit.

        Raises:
            Refused: unknown, expired, revoked, paused, or (on the first visit) full.
        """
        with self._database.writing() as connection:
            invitation = invitations.invited(connection, token, self._now())
            _refuse_if_paused(connection)
            row = invitations.known(connection, token, self._now())
            if row is None:
                self._refuse_if_full(connection)
                row = self._enrol(connection, source="human", token=token, invitation=invitation.id)
            return self._annotator(connection, row)

    def join(self, browser_token: str) -> Annotator:
        """The annotator of the open link in this browser, made on the first visit. The token is the caller's to make.

        Raises:
            Refused: unknown (there is no open link), paused, or (on the first visit) full.
        """
        with self._database.writing() as connection:
            _refuse_if_paused(connection)
            row = invitations.known(connection, browser_token, self._now())
            if row is None:
                invitations.refuse_above_cap(connection, self.study.plan)
                self._refuse_if_full(connection)
                row = self._enrol(connection, source="human", token=browser_token)
            return self._annotator(connection, row)

    def enrol(self, source: Source, label: str | None = None) -> Annotator:
        """A new annotator without a link: simulated, or a model.

        Raises:
            StudyError: the study holds answers that these may not be mixed with.
        """
        with self._database.writing() as connection:
            answers.keep_apart(connection, source, _fact(connection, "nature"))
            return self._annotator(connection, self._enrol(connection, source=source, label=label))

    def _enrol(self, connection: Connection, **who: Any) -> Row[Any]:
        return invitations.enrol(connection, self.study.plan, self._now(), **who)

    def _refuse_if_full(self, connection: Connection) -> None:
        dealing.release(connection, self._now())
        invitations.refuse_if_full(connection, self.study.plan)

    def annotator(self, session_token: str) -> Annotator:
        """Whoever is known by this token, whatever their state.

        Raises:
            Refused: unknown, expired or revoked.
        """
        with self._database.reading() as connection:
            row = invitations.known(connection, session_token, self._now())
            if row is None:
                raise Refused("unknown")
            return self._annotator(connection, row)

    def identify(self, session_token: str) -> tuple[str, State]:
        """The id and the state of whoever is known by this token, without the progress, which costs more to count.

        Raises:
            Refused: unknown, expired or revoked.
        """
        with self._database.reading() as connection:
            row = invitations.known(connection, session_token, self._now())
            if row is None:
                raise Refused("unknown")
            return row.id, overview.state(row)

    def _annotator(self, connection: Connection, row: Row[Any]) -> Annotator:
        done, total = self._progress(connection, row.id)
        return Annotator(row.id, overview.state(row), done, total, row.completion_code)

    def _progress(self, connection: Connection, annotator: str) -> tuple[int, int]:
        """Items answered, and how many there will be at most as things stand."""
        theirs = select(assignments.c.state, func.count()).where(
            assignments.c.annotator == annotator
        )
        counts = {
            row[0]: row[1] for row in connection.execute(theirs.group_by(assignments.c.state))
        }
        dealt = sum(counts.values()) - counts.get("replaced", 0)
        left = dealing.scored_left(connection, self.study.plan, annotator)
        return counts.get("answered", 0), dealing.items_for(self.study.plan, annotator, dealt, left)

    # The way to the first item

    def consent(self, annotator_id: str) -> None:
        """The annotator has agreed to take part."""
        self._step(annotator_id, {"invited"}, "consented")

    def pass_test(self, annotator_id: str) -> None:
        """The annotator has understood what to do."""
        self._step(annotator_id, {"consented"}, "tested")

    def fail_test(self, annotator_id: str) -> int:
        """The annotator has failed the test once; returns the attempts left. After the last one they are out."""
        with self._database.writing() as connection:
            row = _known_annotator(connection, annotator_id)
            if overview.state(row) != "consented":
                raise Refused("failed" if row.state == "failed" else "unready")
            left = row.attempts_left - 1
            _set(
                connection,
                annotator_id,
                attempts_left=left,
                state="consented" if left else "failed",
            )
            return int(left)

    def _step(self, annotator_id: str, before: set[State], after: State) -> None:
        with self._database.writing() as connection:
            now = overview.state(_known_annotator(connection, annotator_id))
            if now in ("excluded", "withdrawn", "failed"):
                raise Refused(now)
            if now in before:
                _set(connection, annotator_id, state=after)
            elif _ORDER.index(now) < _ORDER.index(after):
                raise Refused("unready")

    # Items and answers

    def next_item(self, annotator_id: str) -> Item | None:
        """The item that the annotator holds, with the same sides, or the next one; none: there is nothing left.

        Raises:
            Refused: paused, unready, excluded, withdrawn or failed.
        """
        # Nothing is acknowledged here, so the disk need not be waited for: the answer's own commit brings it along, and
        # an item that a power cut takes back is dealt again.
        with self._database.writing(durable=False) as connection:
            row = _at_work(connection, annotator_id)
            if row.paused is not None:
                raise Refused("paused")
            deal = self._deal(connection, annotator_id)
            dealing.release(connection, deal.now)
            held, done, total = dealing.next_item(deal)
            if held is not None and row.state != "tested":
                _set(connection, annotator_id, state="tested")
        if held is None:
            self._finish(annotator_id)
            return None
        return self._item(held, done, total)

    def _finish(self, annotator_id: str) -> None:
        with self._database.writing() as connection:
            code = _at_work(connection, annotator_id).completion_code or _code()
            _set(connection, annotator_id, state="finished", completion_code=code)

    def _deal(self, connection: Connection, annotator_id: str) -> dealing.Deal:
        now = self._clock()
        until = now + timedelta(minutes=self.study.plan.hold_minutes)
        return dealing.Deal(
            connection, self.study.plan, self._places, annotator_id, stamp(now), stamp(until)
        )

    def _item(self, held: Row[Any], done: int, total: int) -> Item:
        shown = self.study.comparison(held.comparison)
        first, second = (shown.one, shown.other) if held.one_first else (shown.other, shown.one)
        return Item(held.id, shown.context_text, first.text, second.text, done + 1, total)

    def dealt(self, assignment: str) -> tuple[Comparison, bool]:
        """What stands behind an assignment, arms and all, and whether `one` stands first. Not for annotators' eyes.

        Raises:
            Refused: there is no such assignment.
        """
        with self._database.reading() as connection:
            row = _item_dealt(connection, assignment)
        if row is None:
            raise Refused("not_theirs")
        return self.study.comparison(row.comparison), bool(row.one_first)

    def judge(
        self, annotator_id: str, assignment: str, answer: Answer, attempt: str, seconds: float
    ) -> None:
        """Keep an answer; returns after it is committed. The same `attempt` again is the same answer.

        An answer after the time-out is kept too, and is surplus if others have filled the quota.

        Raises:
            Refused: not_theirs, answered, unready, excluded or withdrawn.
            StudyError: the answer is none, or may not be mixed with those that are there.
        """
        answers.check_answer(answer, attempt, seconds)
        given = (annotator_id, assignment, answer, attempt, seconds)
        with self._database.adding() as connection:
            kept = self._keep(connection, *given, first=False)
        if not kept:  # the first answer of all says which nature the study has: alone
            with self._database.writing() as connection:
                self._keep(connection, *given, first=True)

    def _keep(
        self,
        connection: Connection,
        annotator_id: str,
        assignment: str,
        answer: Answer,
        attempt: str,
        seconds: float,
        *,
        first: bool,
    ) -> bool:
        """Keep an answer, unless it might be the first of all and nobody said that it may be."""
        item = _item_dealt(connection, assignment, locked=True)
        if item is None or item.annotator != annotator_id:
            raise Refused("not_theirs")
        if (item.state == "answered" or item.round) and answers.repeated(
            connection, assignment, attempt
        ):
            return True
        row = _at_work(connection, annotator_id)
        if row.nature is None and not first:
            return False
        answers.keep_apart(connection, row.source, row.nature)
        answers.keep(connection, item, answer, attempt, seconds, self._now())
        return True

    def undo(self, annotator_id: str) -> Item:
        """Take the last answer back: it stays as a void row, and its item returns with the same sides.

        Raises:
            Refused: no_undo (there is none, or it was taken back before), unready, excluded or withdrawn.
        """
        with self._database.writing() as connection:
            _at_work(connection, annotator_id)
            deal = self._deal(connection, annotator_id)
            assignment = answers.take_back(connection, annotator_id, deal.now)
            dealing.hold(deal, assignment)
            _set(connection, annotator_id, state="tested")
            held = connection.execute(
                select(assignments).where(assignments.c.id == assignment)
            ).one()
            return self._item(held, *self._progress(connection, annotator_id))

    def withdraw(self, annotator_id: str) -> None:
        """Delete the annotator's answers and all that leads to them; a mark stays that somebody withdrew."""
        with self._database.writing() as connection:
            row = _known_annotator(connection, annotator_id)
            count = answers.purge(connection, annotator_id)
            purged = {"token_hash": None, "label": None, "completion_code": None, "excluded": None}
            _set(connection, annotator_id, state="withdrawn", **purged)
            if row.invitation is not None:
                gone = update(invitation_rows).where(invitation_rows.c.id == row.invitation)
                connection.execute(gone.values(token_hash=None, label=None))
            if row.state != "withdrawn":
                self._mark(connection, "withdrawn", annotator_id, f"{count} answers")
            dealing.recount(connection)

    # A model as judge

    def model_annotator(self, name: str, settings: str) -> str:
        """The annotator that stands for a model with these settings, made when they are first used.

        Raises:
            StudyError: the study holds simulated judgements.
        """
        with self._database.writing() as connection:
            found = connection.scalar(
                select(models.c.annotator).where(models.c.settings == settings)
            )
            if found is not None:
                return str(found)
            answers.keep_apart(connection, "model", _fact(connection, "nature"))
            row = self._enrol(connection, source="model", label=name)
            _set(connection, row.id, state="tested")
            connection.execute(insert(models).values(annotator=row.id, settings=settings))
            return str(row.id)

    def model_settings(self) -> dict[str, str]:
        """How each model was asked: its endpoint, prompt and settings as JSON, by annotator."""
        with self._database.reading() as connection:
            rows = connection.execute(select(models).order_by(models.c.annotator)).all()
            return {row.annotator: row.settings for row in rows}

    def judged_by(self, annotator_id: str) -> set[str]:
        """The comparisons that an annotator has answered."""
        theirs = select(assignments.c.comparison).where(assignments.c.annotator == annotator_id)
        with self._database.reading() as connection:
            return set(connection.scalars(theirs.where(assignments.c.state == "answered")).all())

    def judge_as_model(self, annotator_id: str, comparison: str, said: tuple[Reply, Reply]) -> None:
        """Keep what a model said to both orders of a comparison, and the answer that it comes to."""
        with self._database.writing() as connection:
            answers.keep_replies(
                connection, self.study.plan, annotator_id, comparison, said, self._now()
            )

    def replies(self, annotator_id: str) -> list[tuple[Reply, Reply]]:
        """What a model said, both orders of each comparison: `one` first, and `other` first."""
        with self._database.reading() as connection:
            return answers.said(connection, annotator_id)

    # The admin

    def is_admin(self, token: str) -> bool:
        """Whether this is the admin's token."""
        return self.study.is_admin(token)

    def overview(self) -> Overview:
        """Where the study stands."""
        with self._database.reading() as connection:
            rows = list(self._read_out(connection))
            people = connection.execute(select(annotators).order_by(annotators.c.id)).all()
            return overview.overview(self.study, rows, people, paused=_paused(connection))

    @property
    def paused(self) -> bool:
        """No item is dealt."""
        with self._database.reading() as connection:
            return _paused(connection)

    def pause(self) -> None:
        """Deal nothing more until `resume`; answers under way are still kept."""
        with self._database.writing() as connection:
            if not _paused(connection):
                _set_fact(connection, "paused", "yes")
                self._mark(connection, "paused")

    def resume(self) -> None:
        """Deal again."""
        with self._database.writing() as connection:
            if connection.execute(delete(facts).where(facts.c.name == "paused")).rowcount:
                self._mark(connection, "resumed")

    def exclude(self, annotator_id: str, reason: str) -> None:
        """Leave an annotator out: their answers are kept and marked, and others are asked in their place.

        Raises:
            StudyError: no reason, or no such annotator.
        """
        words = invitations.one_line(reason)
        if not words:
            raise StudyError("an exclusion needs a reason: it stands in the report")
        self._set_excluded(annotator_id, words, "excluded")

    def include(self, annotator_id: str) -> None:
        """Take an exclusion back."""
        self._set_excluded(annotator_id, None, "included")

    def _set_excluded(self, annotator_id: str, reason: str | None, what: str) -> None:
        with self._database.writing() as connection:
            if _known_annotator(connection, annotator_id).state == "withdrawn":
                raise Refused("withdrawn")
            _set(connection, annotator_id, excluded=reason)
            dealing.drop(connection, annotator_id)
            self._mark(connection, what, annotator_id, reason)
            dealing.recount(connection)

    def revoke(self, invitation_id: int) -> None:
        """Make a personal link invalid, also for whoever has begun with it; their answers stay.

        Raises:
            StudyError: there is no such invitation.
        """
        with self._database.writing() as connection:
            invitations.revoke(connection, invitation_id, self._now())

    def invitations(self) -> list[Invitation]:
        """Every personal link, without its token."""
        with self._database.reading() as connection:
            return invitations.listed(connection)

    def judgements(self) -> Iterator[Judgement]:
        """Every answer that stands, in the order of arrival; those beyond the quota are marked surplus."""
        with self._database.reading() as connection:
            rows = list(self._read_out(connection))
        return iter(rows)

    def _read_out(self, connection: Connection) -> Iterator[Judgement]:
        return answers.read_out(
            connection, self.study.digest, self.study.plan.judgements, self.study.comparison
        )

    def first_answer_at(self) -> str | None:
        """When the first answer came, taken back or not; none before."""
        with self._database.reading() as connection:
            return cast("str | None", connection.scalar(select(func.min(judgements.c.answered_at))))

    def _mark(
        self,
        connection: Connection,
        what: str,
        annotator: str | None = None,
        detail: str | None = None,
    ) -> None:
        connection.execute(
            insert(marks).values(at=self._now(), what=what, annotator=annotator, detail=detail)
        )


_ID = re.compile(r"[a-z0-9]{1,40}")
_ORDER: tuple[State, ...] = ("invited", "consented", "tested", "finished")


def _fact(connection: Connection, name: str) -> str | None:
    return cast("str | None", connection.scalar(select(facts.c.value).where(facts.c.name == name)))


def _set_fact(connection: Connection, name: str, value: str) -> None:
    connection.execute(insert(facts).values(name=name, value=value))


def _paused(connection: Connection) -> bool:
    return _fact(connection, "paused") is not None


def _refuse_if_paused(connection: Connection) -> None:
    if _paused(connection):
        raise Refused("paused")


def _known_annotator(connection: Connection, annotator_id: str) -> Row[Any]:
    row = None
    if _ID.fullmatch(
        annotator_id
    ):  # nothing else reaches the database: it may hold what that refuses
        row = connection.execute(_ONE_ANNOTATOR, {"id": annotator_id}).first()
    if row is None:
        raise Refused("unknown")
    return row


_ONE_ANNOTATOR = select(
    *annotators.c,
    *(
        select(facts.c.value).where(facts.c.name == name).scalar_subquery().label(name)
        for name in ("paused", "nature")
    ),
).where(annotators.c.id == bindparam("id"))


def _item_dealt(
    connection: Connection, assignment: str, *, locked: bool = False
) -> Row[Any] | None:
    if not _ID.fullmatch(assignment):
        return None
    one = _ONE_ITEM.with_for_update() if locked else _ONE_ITEM
    return connection.execute(one, {"id": assignment}).first()


_ONE_ITEM = select(assignments).where(assignments.c.id == bindparam("id"))


def _at_work(connection: Connection, annotator_id: str) -> Row[Any]:
    """An annotator who may be given items and may answer them."""
    row = _known_annotator(connection, annotator_id)
    now = overview.state(row)
    if now in ("excluded", "withdrawn", "failed"):
        raise Refused(now)
    if now not in ("tested", "finished"):
        raise Refused("unready")
    return row


def _set(connection: Connection, annotator_id: str, **values: Any) -> None:
    connection.execute(update(annotators).where(annotators.c.id == annotator_id).values(**values))


def _code() -> str:
    """A completion code that is easy to copy: ten letters and digits that do not look alike, 49 bits."""
    return "".join(secrets.choice("ABCDEFGHJKMNPQRSTVWXYZ23456789") for _ in range(10))
