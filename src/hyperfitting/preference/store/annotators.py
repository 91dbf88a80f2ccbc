"""Annotators: how they come in, which steps they take, how they leave."""

from __future__ import annotations

import re
import secrets
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.records import Annotator, AnnotatorState, JudgementSource
from hyperfitting.preference.store.assignment import (
    annotator_progress,
    drop_open_items,
    recount_loads,
    release_lapsed_items,
)
from hyperfitting.preference.store.careless import replace_careless_who_left
from hyperfitting.preference.store.context import (
    StoreContext,
    get_fact,
    one_line,
    refuse_if_paused,
    refuse_mixed_sources,
    set_fact,
)
from hyperfitting.preference.store.database import annotators, comparisons, facts, invitations
from hyperfitting.preference.store.invitations import (
    annotator_of_token,
    valid_invitation,
    withdrawn_fact,
)
from hyperfitting.preference.store.judgements import delete_answers
from hyperfitting.preference.store.rows import AnnotatorRow, InvitationRow
from hyperfitting.web.tokens import token_hash

_STEPS: tuple[AnnotatorState, ...] = ("invited", "consented", "tested", "finished")


class Annotators:
    """The annotators of a study."""

    def __init__(self, context: StoreContext):
        self._context = context

    def enter(self, token: str) -> Annotator:
        """The annotator of a token. That of a personal link is made on the first call.

        Raises:
            Refused: unknown, expired, revoked, withdrawn, paused, or (on the first call) full.
        """
        with self._context.database.writing() as connection:
            row = self._admitted(connection, token)
            if isinstance(row, InvitationRow):
                row = self.enrol_in(connection, "human", token=token, invitation=row)
            return self._annotator(connection, row)

    def state_at_the_door(self, token: str) -> AnnotatorState:
        """The state of whoever holds a token: "invited" before `enter` has made them an annotator.
        Nobody is made here, since link scanners and previews open links too.

        Raises:
            Refused: as `enter`.
        """
        with self._context.database.writing(durable=False) as connection:
            row = self._admitted(connection, token)
            return "invited" if isinstance(row, InvitationRow) else row.visible_state

    def _admitted(self, connection: Connection, token: str) -> AnnotatorRow | InvitationRow:
        """The annotator of a token, or the invitation by which somebody new may enter."""
        now = self._context.now()
        row = annotator_of_token(connection, token, now)
        found = row or valid_invitation(connection, token, now)
        refuse_if_paused(connection)
        if row is None:
            self._refuse_if_full(connection)
        return found

    def join(self, browser_token: str) -> Annotator:
        """The annotator of the open link in one browser, made on the first visit. The caller makes
        the token.

        Raises:
            Refused: unknown (there is no open link), paused, or (on the first visit) full.
        """
        with self._context.database.writing() as connection:
            refuse_if_paused(connection)
            row = annotator_of_token(connection, browser_token, self._context.now())
            if row is None:
                self._refuse_above_cap(connection)
                self._refuse_if_full(connection)
                row = self.enrol_in(connection, "human", token=browser_token)
            return self._annotator(connection, row)

    def enrol(self, source: JudgementSource, label: str | None = None) -> Annotator:
        """A new annotator without a link: simulated, or a language model.

        Raises:
            StudyError: the study holds answers that may not be mixed with these.
        """
        with self._context.database.writing() as connection:
            refuse_mixed_sources(connection, source, get_fact(connection, "nature"))
            return self._annotator(connection, self.enrol_in(connection, source, label=label))

    def enrol_in(
        self,
        connection: Connection,
        source: JudgementSource,
        *,
        token: str | None = None,
        invitation: InvitationRow | None = None,
        label: str | None = None,
    ) -> AnnotatorRow:
        """A new annotator inside a transaction, with the label of their invitation. Annotators are
        numbered in the order of coming.
        """
        number = connection.scalar(select(func.count()).select_from(annotators)) or 0
        row = {
            "id": f"a{number + 1:04d}",
            "source": source,
            "token_hash": None if token is None else token_hash(token),
            "invitation": invitation and invitation.id,
            "label": invitation.label if invitation else label,
            "state": "invited",
            "attempts_left": self._context.protocol.test_attempts,
            "joined_at": self._context.now(),
        }
        return AnnotatorRow.of(
            connection.execute(insert(annotators).values(row).returning(*annotators.c)).one()
        )

    def _refuse_if_full(self, connection: Connection) -> None:
        """Refuse anybody new when every comparison has its answers, given or expected, and nobody
        careless is to be replaced.
        """
        release_lapsed_items(connection, self._context.now())
        needed = and_(
            comparisons.c.kind == "scored", comparisons.c.load < self._context.protocol.judgements
        )
        room = select(func.count()).select_from(comparisons).where(needed)
        if not connection.scalar(room) and not replace_careless_who_left(connection, self._context):
            raise Refused("full")

    def _refuse_above_cap(self, connection: Connection) -> None:
        """Refuse anybody new by the open link where there is none, or its cap is reached."""
        if not self._context.protocol.open_link:
            raise Refused("unknown")
        by_link = and_(annotators.c.invitation.is_(None), annotators.c.source == "human")
        joined = connection.scalar(select(func.count()).select_from(annotators).where(by_link)) or 0
        if joined >= self._context.protocol.open_link_cap:
            raise Refused("full")

    def of_token(self, token: str) -> Annotator:
        """The annotator of a token, in whatever state.

        Raises:
            Refused: unknown, expired, revoked or withdrawn.
        """
        with self._context.database.reading() as connection:
            return self._annotator(connection, self._known_by_token(connection, token))

    def identify(self, token: str) -> tuple[str, AnnotatorState]:
        """Id and state of the annotator of a token, without the progress, which takes longer to
        count.

        Raises:
            Refused: unknown, expired, revoked or withdrawn; unready: nobody has entered by this
                link.
        """
        with self._context.database.reading() as connection:
            row = self._known_by_token(connection, token)
            return row.id, row.visible_state

    def _known_by_token(self, connection: Connection, token: str) -> AnnotatorRow:
        row = annotator_of_token(connection, token, self._context.now())
        if row is None:
            valid_invitation(connection, token, self._context.now())
            raise Refused("unready")
        return row

    def _annotator(self, connection: Connection, row: AnnotatorRow) -> Annotator:
        done, total = annotator_progress(connection, self._context.protocol, row.id)
        return Annotator(
            row.id, row.visible_state, done, total, row.attempts_left, row.completion_code
        )

    def consent(self, annotator: str) -> None:
        """Record that the annotator agrees to take part."""
        self._step(annotator, "invited", "consented")

    def pass_test(self, annotator: str) -> None:
        """Record that the annotator passed the comprehension test."""
        self._step(annotator, "consented", "tested")

    def fail_test(self, annotator: str) -> int:
        """Record a failed attempt at the test; returns the attempts left. Without any the annotator
        is out.

        Raises:
            Refused: the annotator is not known, or is not at the test.
        """
        with self._context.database.writing() as connection:
            row = known_annotator(connection, annotator)
            if row.visible_state != "consented":
                raise Refused("failed" if row.state == "failed" else "unready")
            left = row.attempts_left - 1
            update_annotator(
                connection, annotator, attempts_left=left, state="consented" if left else "failed"
            )
            return left

    def _step(self, annotator: str, before: AnnotatorState, after: AnnotatorState) -> None:
        with self._context.database.writing() as connection:
            now = known_annotator(connection, annotator).visible_state
            if now in ("excluded", "withdrawn", "failed"):
                raise Refused(now)
            if now == before:
                update_annotator(connection, annotator, state=after)
            elif _STEPS.index(now) < _STEPS.index(after):
                raise Refused("unready")

    def withdraw(self, annotator: str) -> None:
        """Delete the annotator's answers and everything that identifies them. A mark of the
        withdrawal stays.
        """
        with self._context.database.writing() as connection:
            row = known_annotator(connection, annotator)
            count = delete_answers(connection, annotator)
            purged = {"token_hash": None, "label": None, "completion_code": None, "excluded": None}
            update_annotator(connection, annotator, state="withdrawn", **purged)
            if row.token_hash is not None:
                set_fact(connection, withdrawn_fact(row.token_hash), "yes")
            if row.invitation is not None:
                link = update(invitations).where(invitations.c.id == row.invitation)
                connection.execute(link.values(token_hash=None, label=None))
            if row.state != "withdrawn":
                self._context.mark(connection, "withdrawn", annotator, f"{count} answers")
            recount_loads(connection)

    def exclude(self, annotator: str, reason: str) -> None:
        """Exclude an annotator: their answers are kept and marked, and others are asked in their
        place.

        Raises:
            StudyError: the reason is empty.
            Refused: unknown or withdrawn.
        """
        words = one_line(reason)
        if not words:
            raise StudyError("an exclusion needs a reason: it stands in the report")
        self._set_excluded(annotator, words, "excluded")

    def include(self, annotator: str) -> None:
        """Take an exclusion back."""
        self._set_excluded(annotator, None, "included")

    def _set_excluded(self, annotator: str, reason: str | None, what: str) -> None:
        with self._context.database.writing() as connection:
            if known_annotator(connection, annotator).state == "withdrawn":
                raise Refused("withdrawn")
            update_annotator(connection, annotator, excluded=reason)
            drop_open_items(connection, annotator)
            self._context.mark(connection, what, annotator, reason)
            recount_loads(connection)


_ID = re.compile(r"[a-z0-9]{1,40}")
_ONE_ANNOTATOR = select(
    *annotators.c,
    *(
        select(facts.c.value).where(facts.c.name == name).scalar_subquery().label(name)
        for name in ("paused", "nature")
    ),
).where(annotators.c.id == bindparam("id"))


def is_well_formed_id(id_: str) -> bool:
    """Whether an id may be sent to the database, which refuses some characters."""
    return _ID.fullmatch(id_) is not None


def known_annotator(connection: Connection, annotator: str) -> AnnotatorRow:
    """An annotator by id, with the facts `paused` and `nature` of the study.

    Raises:
        Refused: unknown.
    """
    row = (
        connection.execute(_ONE_ANNOTATOR, {"id": annotator}).first()
        if is_well_formed_id(annotator)
        else None
    )
    if row is None:
        raise Refused("unknown")
    return AnnotatorRow.of(row)


def annotator_at_work(connection: Connection, annotator: str) -> AnnotatorRow:
    """An annotator who may be given items and may answer them.

    Raises:
        Refused: unknown, unready, excluded, withdrawn or failed.
    """
    row = known_annotator(connection, annotator)
    if row.visible_state in ("excluded", "withdrawn", "failed"):
        raise Refused(row.visible_state)
    if row.visible_state not in ("tested", "finished"):
        raise Refused("unready")
    return row


def update_annotator(connection: Connection, annotator: str, **values: Any) -> None:
    """Change columns of one annotator."""
    connection.execute(update(annotators).where(annotators.c.id == annotator).values(**values))


def finish_annotator(connection: Connection, annotator: str) -> None:
    """Mark an annotator as finished, with a completion code that they keep."""
    code = annotator_at_work(connection, annotator).completion_code or _completion_code()
    update_annotator(connection, annotator, state="finished", completion_code=code)


def _completion_code() -> str:
    """Ten letters and digits that do not look alike: easy to copy, 49 bits."""
    return "".join(secrets.choice("ABCDEFGHJKMNPQRSTVWXYZ23456789") for _ in range(10))
