"""The means that the parts of a store share: the study, its database and clock, and the facts of
the whole study.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import Connection, delete, insert, select

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.store.database import Database, facts, marks
from hyperfitting.preference.study import Study


def utc_stamp(time: datetime) -> str:
    """UTC in ISO 8601 to the microsecond. Such times sort as text.

    Raises:
        StudyError: the time has no zone.
    """
    if time.utcoffset() is None:
        raise StudyError(
            f"{time.isoformat()}: a time without a zone: write it as 2026-01-31T18:00:00+00:00"
        )
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def one_line(words: str) -> str:
    """Words that somebody typed, as one line of at most 200 characters that every database
    takes.
    """
    kept = "".join(letter if letter.isprintable() else " " for letter in words)
    return " ".join(kept.split())[:200]


@dataclass(frozen=True)
class StoreContext:
    """The study, its open database, and the clock of its records."""

    study: Study
    database: Database
    clock: Callable[[], datetime]

    @property
    def protocol(self) -> Protocol:
        """The study's protocol."""
        return self.study.protocol

    def now(self) -> str:
        """The time, as records hold it."""
        return utc_stamp(self.clock())

    def mark(
        self,
        connection: Connection,
        what: str,
        annotator: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Record that something happened to the study or to an annotator."""
        connection.execute(
            insert(marks).values(at=self.now(), what=what, annotator=annotator, detail=detail)
        )


def get_fact(connection: Connection, name: str) -> str | None:
    """A fact of the whole study; None where it is not set."""
    return cast("str | None", connection.scalar(select(facts.c.value).where(facts.c.name == name)))


def set_fact(connection: Connection, name: str, value: str) -> None:
    """Set a fact that is not set yet."""
    connection.execute(insert(facts).values(name=name, value=value))


def remove_fact(connection: Connection, name: str) -> bool:
    """Remove a fact; returns whether it was set."""
    return bool(connection.execute(delete(facts).where(facts.c.name == name)).rowcount)


def is_paused(connection: Connection) -> bool:
    """Whether no item is assigned at present."""
    return get_fact(connection, "paused") is not None


def refuse_if_paused(connection: Connection) -> None:
    """Refuse somebody new while the study is paused.

    Raises:
        Refused: it is paused.
    """
    if is_paused(connection):
        raise Refused("paused")


def refuse_mixed_sources(connection: Connection, source: str, held: str | None) -> None:
    """Keep real and simulated answers out of one study: its first answer decides which it holds
    (`held`).

    Raises:
        StudyError: this answer is of the other kind.
    """
    nature = "simulated" if source == "simulated" else "real"
    if held is None:
        set_fact(connection, "nature", nature)
    elif held != nature:
        raise StudyError(
            f"this study holds {held} judgements, and {nature} ones are never mixed with them"
        )
