"""Personal links. A token is shown once; only its hash is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.records import Invitation
from hyperfitting.preference.store.context import StoreContext, get_fact, one_line, utc_stamp
from hyperfitting.preference.store.database import annotators, invitations
from hyperfitting.preference.store.rows import AnnotatorRow, InvitationRow
from hyperfitting.web.tokens import new_token, token_hash

_MOST_TOKEN = 200  # characters; ours have 43


class Invitations:
    """The personal links of a study."""

    def __init__(self, context: StoreContext):
        self._context = context

    def create(
        self, count: int, expires_at: datetime | None = None, label: str | None = None
    ) -> list[str]:
        """Tokens of new links. They cannot be shown again."""
        return [token for _, token in self.create_labelled([label] * count, expires_at)]

    def create_labelled(
        self,
        labels: Sequence[str | None],
        expires_at: datetime | None = None,
        *,
        keep: Callable[[list[tuple[int, str]]], None] = lambda made: None,
    ) -> list[tuple[int, str]]:
        """The number and the token of a new link for each label. `keep` gets them before they are
        valid: where it fails, none of them is made.
        """
        expires = None if expires_at is None else utc_stamp(expires_at)
        tokens, now = [new_token() for _ in labels], self._context.now()
        rows = [
            {
                "token_hash": token_hash(token),
                "label": one_line(label or "") or None,
                "created_at": now,
                "expires_at": expires,
            }
            for label, token in zip(labels, tokens, strict=True)
        ]
        if not rows:
            return []
        made = insert(invitations).returning(invitations.c.id, sort_by_parameter_order=True)
        with self._context.database.writing() as connection:
            numbered = list(zip(connection.scalars(made, rows).all(), tokens, strict=True))
            keep(numbered)
        return numbered

    def revoke(self, invitation: int) -> None:
        """Make a link invalid, also for an annotator who has begun with it. Their answers stay.

        Raises:
            StudyError: there is no such invitation.
        """
        known = 0 < invitation < 2**31
        revoked = (
            update(invitations)
            .where(invitations.c.id == invitation)
            .values(revoked_at=self._context.now())
        )
        with self._context.database.writing() as connection:
            if not known or not connection.execute(revoked).rowcount:
                raise StudyError(f"there is no invitation {invitation}")

    def all(self) -> list[Invitation]:
        """Every link in the order of making, without its token."""
        joined = invitations.outerjoin(annotators, annotators.c.invitation == invitations.c.id)
        wanted = select(*invitations.c, annotators.c.id.label("annotator")).select_from(joined)
        with self._context.database.reading() as connection:
            rows = connection.execute(wanted.order_by(invitations.c.id)).all()
        return [
            Invitation(
                r.id, r.label, r.created_at, r.expires_at, r.revoked_at is not None, r.annotator
            )
            for r in rows
        ]


def valid_invitation(connection: Connection, token: str, now: str) -> InvitationRow:
    """The invitation of a token.

    Raises:
        Refused: unknown, revoked or expired.
    """
    row = connection.execute(
        select(invitations).where(invitations.c.token_hash == _checked_hash(token))
    ).first()
    if row is None:
        raise Refused("unknown")
    return _still_valid(InvitationRow.of(row), now)


def annotator_of_token(connection: Connection, token: str, now: str) -> AnnotatorRow | None:
    """The annotator of a token, if there is one.

    Raises:
        Refused: unknown, withdrawn, or the annotator's invitation is revoked or expired.
    """
    hashed = _checked_hash(token)
    row = connection.execute(select(annotators).where(annotators.c.token_hash == hashed)).first()
    if row is None:
        if get_fact(connection, withdrawn_fact(hashed)) is not None:
            raise Refused("withdrawn")
        return None
    annotator = AnnotatorRow.of(row)
    if annotator.invitation is not None:
        own = select(invitations).where(invitations.c.id == annotator.invitation)
        _still_valid(InvitationRow.of(connection.execute(own).one()), now)
    return annotator


def withdrawn_fact(hashed: str) -> str:
    """The name of the fact that a token was withdrawn. It leads from whoever holds the token to
    their withdrawal, and from nothing in the database to them.
    """
    return f"withdrawn {hashed[:30]}"


def _checked_hash(token: str) -> str:
    if not 0 < len(token) <= _MOST_TOKEN:
        raise Refused("unknown")
    return token_hash(token)


def _still_valid(invitation: InvitationRow, now: str) -> InvitationRow:
    if invitation.revoked_at is not None:
        raise Refused("revoked")
    if invitation.expires_at is not None and invitation.expires_at <= now:
        raise Refused("expired")
    return invitation
