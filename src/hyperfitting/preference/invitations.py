"""Who may take part: tokens of which only the hash is kept, personal links, and the identity of a browser."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.database import annotators, comparisons, invitations
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Invitation, Source

_MOST_TOKEN = 200  # characters; ours have 43


def new_token() -> str:
    """An unguessable token of 256 bits, fit for an address."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """SHA-256 of a token, in hex: all that is kept of it. A token of 256 random bits needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def stamp(time: datetime) -> str:
    """UTC in ISO 8601 to the microsecond: such times sort as text.

    Raises:
        StudyError: the time names no zone.
    """
    if time.utcoffset() is None:
        raise StudyError(
            f"{time.isoformat()}: a time without a zone: write it as 2026-01-31T18:00:00+00:00"
        )
    return (time - time.utcoffset()).replace(tzinfo=None).isoformat(
        timespec="microseconds"
    ) + "+00:00"  # type: ignore[operator]


def one_line(words: str) -> str:
    """Words that somebody typed, as one line of at most 200 characters that every database takes."""
    kept = "".join(letter if letter.isprintable() else " " for letter in words)
    return " ".join(kept.split())[:200]


def invite(
    connection: Connection, count: int, expires_at: datetime | None, label: str | None, now: str
) -> list[str]:
    """New personal tokens, which are kept nowhere."""
    tokens = [new_token() for _ in range(count)]
    expiry = stamp(expires_at) if expires_at is not None else None
    shown = one_line(label or "") or None
    rows = [
        {"token_hash": hashed(t), "label": shown, "created_at": now, "expires_at": expiry}
        for t in tokens
    ]
    if rows:
        connection.execute(insert(invitations), rows)
    return tokens


def invited(connection: Connection, token: str, now: str) -> Row[Any]:
    """The invitation behind a token.

    Raises:
        Refused: unknown, revoked or expired.
    """
    row = connection.execute(
        select(invitations).where(invitations.c.token_hash == _checked(token))
    ).first()
    if row is None:
        raise Refused("unknown")
    _still_valid(row, now)
    return row


def _checked(token: str) -> str:
    if not 0 < len(token) <= _MOST_TOKEN:
        raise Refused("unknown")
    return hashed(token)


def _still_valid(invitation: Row[Any], now: str) -> None:
    if invitation.revoked_at is not None:
        raise Refused("revoked")
    if invitation.expires_at is not None and invitation.expires_at <= now:
        raise Refused("expired")


def known(connection: Connection, token: str, now: str) -> Row[Any] | None:
    """The annotator of this token, if there is one and their invitation still holds."""
    row = connection.execute(
        select(annotators).where(annotators.c.token_hash == _checked(token))
    ).first()
    if row is not None and row.invitation is not None:
        own = select(invitations).where(invitations.c.id == row.invitation)
        _still_valid(connection.execute(own).one(), now)
    return row


def enrol(
    connection: Connection,
    plan: StudyPlan,
    now: str,
    *,
    source: Source,
    token: str | None = None,
    invitation: int | None = None,
    label: str | None = None,
) -> Row[Any]:
    """A new annotator, numbered in the order of coming."""
    number = connection.scalar(select(func.count()).select_from(annotators)) or 0
    row = {
        "id": f"a{number + 1:04d}",
        "source": source,
        "token_hash": None if token is None else hashed(token),
        "invitation": invitation,
        "label": label,
        "state": "invited",
        "attempts_left": plan.test_attempts,
        "joined_at": now,
    }
    return connection.execute(insert(annotators).values(row).returning(*annotators.c)).one()


def refuse_if_full(connection: Connection, plan: StudyPlan) -> None:
    """Nobody new is let in once every comparison has its answers, given or expected.

    Raises:
        Refused: there is nothing left to judge.
    """
    needed = and_(comparisons.c.kind == "scored", comparisons.c.load < plan.judgements)
    if not connection.scalar(select(func.count()).select_from(comparisons).where(needed)):
        raise Refused("full")


def refuse_above_cap(connection: Connection, plan: StudyPlan) -> None:
    """Nobody new by the open link where there is none, or its cap is reached.

    Raises:
        Refused: unknown or full.
    """
    if not plan.open_link:
        raise Refused("unknown")
    by_link = and_(annotators.c.invitation.is_(None), annotators.c.source == "human")
    if (
        connection.scalar(select(func.count()).select_from(annotators).where(by_link)) or 0
    ) >= plan.open_link_cap:
        raise Refused("full")


def revoke(connection: Connection, invitation: int, now: str) -> None:
    """Make a personal link invalid.

    Raises:
        StudyError: there is no such invitation.
    """
    one = invitations.c.id == invitation
    if (
        not 0 < invitation < 2**31
        or not connection.execute(update(invitations).where(one).values(revoked_at=now)).rowcount
    ):
        raise StudyError(f"there is no invitation {invitation}")


def listed(connection: Connection) -> list[Invitation]:
    """Every personal link in the order of making, without its token."""
    joined = invitations.outerjoin(annotators, annotators.c.invitation == invitations.c.id)
    columns = (*invitations.c, annotators.c.id.label("annotator"))
    rows = connection.execute(select(*columns).select_from(joined).order_by(invitations.c.id)).all()
    return [
        Invitation(r.id, r.label, r.created_at, r.expires_at, r.revoked_at is not None, r.annotator)
        for r in rows
    ]
