"""The store of a study. Every method that changes something is one transaction and returns after
its commit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, func, insert, select

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import Judgement, StudyProgress
from hyperfitting.preference.store.annotators import Annotators
from hyperfitting.preference.store.context import (
    StoreContext,
    get_fact,
    is_paused,
    remove_fact,
    set_fact,
)
from hyperfitting.preference.store.database import Database, annotators, comparisons, invitations
from hyperfitting.preference.store.invitations import Invitations
from hyperfitting.preference.store.items import Items
from hyperfitting.preference.store.judgements import standing_judgements
from hyperfitting.preference.store.llm_judgements import LlmJudgements
from hyperfitting.preference.store.progress import study_progress
from hyperfitting.preference.store.rows import AnnotatorRow
from hyperfitting.preference.study import Study, utc_now


class Store:
    """An open store: `invitations`, `annotators`, `items`, `llm`, and the study as a whole.

    Threads may share it, and other processes may have the same store open.
    """

    def __init__(self, context: StoreContext):
        self._context = context
        self.study = context.study
        self.invitations = Invitations(context)
        self.annotators = Annotators(context)
        self.items = Items(context)
        self.llm = LlmJudgements(context, self.annotators)

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
        """Close every connection to the database."""
        self._context.database.close()

    def progress(self) -> StudyProgress:
        """Progress of the whole study and of each annotator."""
        with self._context.database.reading() as connection:
            rows = list(standing_judgements(connection, self.study))
            people = connection.execute(_PEOPLE).all()
            paused = is_paused(connection)
        return study_progress(
            self.study, rows, [AnnotatorRow.of(row) for row in people], paused=paused
        )

    def judgements(self) -> list[Judgement]:
        """Every answer that is not void, in the order of arrival. Those beyond the quota are marked
        surplus.
        """
        with self._context.database.reading() as connection:
            return list(standing_judgements(connection, self.study))

    @property
    def paused(self) -> bool:
        """Whether no item is assigned at present."""
        with self._context.database.reading() as connection:
            return is_paused(connection)

    @property
    def base_url(self) -> str | None:
        """The address under which the study was served last, as browsers see it. Empty: nothing
        says how others reach it. None: it was never served.
        """
        with self._context.database.reading() as connection:
            return get_fact(connection, "base_url")

    def remember_base_url(self, base_url: str) -> None:
        """Keep the address under which the study is served, for links that are made later."""
        with self._context.database.writing() as connection:
            remove_fact(connection, "base_url")
            set_fact(connection, "base_url", base_url)

    def pause(self) -> None:
        """Assign nothing more until `resume`. Answers to open items are still kept."""
        with self._context.database.writing() as connection:
            if not is_paused(connection):
                set_fact(connection, "paused", "yes")
                self._context.mark(connection, "paused")

    def resume(self) -> None:
        """Assign items again."""
        with self._context.database.writing() as connection:
            if remove_fact(connection, "paused"):
                self._context.mark(connection, "resumed")


# Annotators of older versions have no label of their own, but that of their invitation
_LABEL = func.coalesce(annotators.c.label, invitations.c.label).label("label")
_PEOPLE = (
    select(*(column for column in annotators.c if column.name != "label"), _LABEL)
    .select_from(annotators.outerjoin(invitations))
    .order_by(annotators.c.id)
)


def open_store(
    study: Study, url: str | None = None, clock: Callable[[], datetime] = utc_now
) -> Store:
    """Open the store of a study, a context manager.

    Args:
        study: the study.
        url: a PostgreSQL database; None: SQLite in the study's folder.
        clock: gives the time of every record.

    Raises:
        StudyError: the database cannot be opened, or holds another study; or this is an archive.
    """
    study.refuse_archive()
    database = Database(url or f"sqlite:///{study.database_file}")
    try:
        database.prepare()
        with database.writing() as connection:
            _claim(connection, study)
        return Store(StoreContext(study, database, clock))
    except BaseException:
        database.close()
        raise


@contextmanager
def reading_store(study: Study, url: str | None = None) -> Iterator[Store]:
    """The store of a study, to be read. Of a folder that cannot be written to, such as one on a
    read-only disk, it is a copy in a temporary folder, since SQLite writes beside its file even to
    read it.

    Raises:
        StudyError: as `open_store`.
    """
    if url is not None or all(_is_writable(each) for each in (study.folder, study.database_file)):
        with open_store(study, url) as store:
            yield store
        return
    with TemporaryDirectory(prefix="hyperfit-") as scratch:
        for file in study.folder.glob(f"{study.database_file.name}*"):  # -wal holds late answers
            shutil.copyfile(file, Path(scratch) / file.name)
        with open_store(study, f"sqlite:///{scratch}/{study.database_file.name}") as store:
            yield store


def _is_writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK)


def _claim(connection: Connection, study: Study) -> None:
    """Write the study into a fresh database, or check that it holds this one."""
    held = get_fact(connection, "digest")
    if held is None:
        set_fact(connection, "digest", study.digest)
        rows = [{"id": each.id, "kind": each.kind, "load": 0} for each in study.comparisons()]
        if rows:
            connection.execute(insert(comparisons), rows)
    elif held != study.digest:
        raise StudyError(
            f"{study.folder}: the database holds another study ({held[:8]}): give each its own"
        )
