"""The study's tables, and the door to SQLite and PostgreSQL.

Both have one writer at a time. A writing transaction holds the file's write lock (SQLite) or an
advisory lock (PostgreSQL) from its first statement, so that its reads are still true when it
commits. Answers touch one item each; they share the lock on PostgreSQL and wait for the disk
together. Each study on a server has its own database.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hyperfitting.errors import StudyError

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts of the whole study: `digest`, `paused`, `nature` (real or simulated, set by the first
answer).
"""

comparisons = Table(
    "comparisons",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("load", Integer, nullable=False),  # answers that count plus items held; never a model's
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token_hash", String(64), unique=True),  # none: purged
    Column("label", Text),
    Column("created_at", String(40), nullable=False),
    Column("expires_at", String(40)),
    Column("revoked_at", String(40)),
)

annotators = Table(
    "annotators",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("source", String(10), nullable=False),
    Column("token_hash", String(64), unique=True),  # none: no browser, or purged
    Column("invitation", ForeignKey("invitations.id")),
    Column("label", Text),
    Column("state", String(10), nullable=False),
    Column("attempts_left", Integer, nullable=False),
    Column("excluded", Text),
    Column("completion_code", String(20)),
    Column("joined_at", String(40), nullable=False),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("annotator", ForeignKey("annotators.id"), nullable=False),
    Column("comparison", String(60), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("one_first", Boolean, nullable=False),
    Column("dealt_at", String(40), nullable=False),
    Column("held_until", String(40), nullable=False),
    Column(
        "state", String(10), nullable=False
    ),  # open, answered, lapsed (time ran out), replaced (and no room left)
    Column("round", Integer, nullable=False),  # how often its answer was taken back
    UniqueConstraint("annotator", "comparison"),  # nobody judges the same comparison twice
    Index("assignments_by_comparison", "comparison"),
    Index("assignments_by_hold", "state", "held_until"),
)

judgements = Table(
    "judgements",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),  # the order of arrival
    Column("assignment", ForeignKey("assignments.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", String(100), nullable=False),
    Column("answer", String(10), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("answered_at", String(40), nullable=False),
    UniqueConstraint("assignment", "round"),
    UniqueConstraint("assignment", "attempt"),
)

voids = Table(
    "voids",
    metadata,
    Column("judgement", ForeignKey("judgements.id"), primary_key=True),
    Column("at", String(40), nullable=False),
)
"""Answers that were taken back: the rows of `judgements` themselves never change."""

models = Table(
    "models",
    metadata,
    Column("annotator", ForeignKey("annotators.id"), primary_key=True),
    Column(
        "settings", Text, nullable=False
    ),  # endpoint, model, prompt and all that was sent along, as JSON
)

replies = Table(
    "replies",
    metadata,
    Column("assignment", ForeignKey("assignments.id"), primary_key=True),
    Column("one_first", Boolean, primary_key=True),
    Column("answer", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("seconds", Float, nullable=False),
)
"""Replies of language models, one row for each order of the texts."""

unanswered = Table(
    "unanswered",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("annotator", ForeignKey("annotators.id"), nullable=False),
    Column("comparison", String(60), nullable=False),
    Column("one_first", Boolean, nullable=False),
    Column("answer", String(10)),  # of the other order, where only one reply holds an answer
    Column("text", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("problem", Text, nullable=False),
)
"""Replies of language models to comparisons that they left without an answer, and refusals."""

marks = Table(
    "marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("annotator", String(20)),
    Column("what", String(20), nullable=False),
    Column("detail", Text),
)
"""Events of the study and its annotators: pauses, exclusions, withdrawals."""

_WRITERS = 0x68797066  # one number for the advisory lock; any will do


class Database:
    """An open database. `writing` and `reading` give a connection in a transaction that ends with
    the block.
    """

    def __init__(self, url: str):
        self._engine = _engine(url)
        self._turn = threading.Lock()

    def prepare(self) -> None:
        """Create the tables that are missing.

        Raises:
            StudyError: the database cannot be reached or is damaged.
        """
        try:
            with self.writing() as connection:
                metadata.create_all(connection)
        except SQLAlchemyError as error:
            shown = self._engine.url.render_as_string(hide_password=True)
            why = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StudyError(f"{shown}: the study's database cannot be opened: {why}") from error

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """The only writing transaction; committed when the block ends without an error, else rolled
        back.

        Without `durable` it does not wait for the disk. A crash of the program loses nothing of it;
        a power cut may lose the last such transactions, unless a durable one followed.
        """
        with (
            self._turn,
            self._transaction(func.pg_advisory_xact_lock, durable=durable) as connection,
        ):
            yield connection

    @contextmanager
    def adding(self) -> Iterator[Connection]:
        """A transaction that only adds to rows that it has locked. On a server several of them run
        side by side.

        None of them runs beside a `writing` transaction. SQLite has one writer only.
        """
        if self._engine.dialect.name == "sqlite":
            with self.writing() as connection:
                yield connection
        else:
            with self._transaction(func.pg_advisory_xact_lock_shared) as connection:
                yield connection

    @contextmanager
    def _transaction(self, lock: Any, *, durable: bool = True) -> Iterator[Connection]:
        with self._engine.connect() as raw:
            connection = raw.execution_options(writes=True, durable=durable)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    if not durable:
                        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                    connection.execute(select(lock(_WRITERS)))
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A reading transaction. It does not wait for writers."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StudyError(
            f"{url!r} is not a database URL: write postgresql://user@host/database"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise StudyError(f"{parsed.get_backend_name()}: a study is kept in SQLite or PostgreSQL")
    engine = create_engine(parsed, pool_size=10, max_overflow=50, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # Else a transaction that reads and then writes may find that another has written in between.
    options = connection.get_execution_options()
    writes = options.get("writes", False)
    connection.exec_driver_sql(
        f"PRAGMA synchronous={'FULL' if options.get('durable', True) else 'NORMAL'}"
    )
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
