"""Personal links of a study: make, list and revoke them in one call each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from hyperfitting.data.decode import decode, read_bytes
from hyperfitting.data.formats import PLAIN, format_of, read_source_rows
from hyperfitting.errors import StudyError
from hyperfitting.files import first_few, refuse_to_replace, replacing
from hyperfitting.preference.records import Invitation
from hyperfitting.preference.store.context import one_line
from hyperfitting.preference.store.store import Store, open_store
from hyperfitting.preference.study import Study
from hyperfitting.recipe import TextSource
from hyperfitting.spreadsheets import csv_table


@dataclass(frozen=True)
class NamedLink:
    """The personal link of somebody with a name, and the number of the invitation."""

    invitation: int
    name: str
    link: str


def invite(
    study: Study,
    count: int = 1,
    *,
    base_url: str | None = None,
    expires_at: datetime | None = None,
    label: str | None = None,
    database: str | None = None,
) -> list[str]:
    """New personal links, one for each annotator. They cannot be shown again.

    Args:
        study: the study.
        count: how many links.
        base_url: the address under which the study is served; None: the one of the last `serve`,
            or http://127.0.0.1:8000 before the first.
        expires_at: when they end, with its zone; None: never.
        label: who they are for; deleted if the annotator withdraws.
        database: a PostgreSQL database; None: SQLite in the study's folder.

    Raises:
        StudyError: the database cannot be opened, the time has no zone, or the study is served on
            every address of a machine and nothing says under which one others reach it.
    """
    with open_store(study, database) as store:
        base_url = base_url or _served_url(store)
        tokens = store.invitations.create(count, expires_at, label)
    return [_link(base_url, token) for token in tokens]


def invite_names(
    study: Study,
    names: Sequence[str],
    *,
    out: Path | None = None,
    base_url: str | None = None,
    expires_at: datetime | None = None,
    database: str | None = None,
) -> list[NamedLink]:
    """A new personal link for each name, which becomes its label. They cannot be shown again.

    Args:
        study: the study.
        names: who is invited, each once.
        out: a new file for the table of names and links; None: none.
        base_url: as for `invite`.
        expires_at: when they end, with its zone; None: never.
        database: a PostgreSQL database; None: SQLite in the study's folder.

    Raises:
        StudyError: as `invite`.
        InputError: `out` is there already.
    """
    if out is not None:
        refuse_to_replace(out, ours=lambda path: False, what="file to write links to")
    with open_store(study, database) as store:
        address = base_url or _served_url(store)

        def named(made: Sequence[tuple[int, str]]) -> list[NamedLink]:
            return [
                NamedLink(number, name, _link(address, token))
                for name, (number, token) in zip(names, made, strict=True)
            ]

        create = partial(store.invitations.create_labelled, names, expires_at)
        if out is None:
            return named(create())
        # Written before the links are valid, and named afterwards: a full disk makes none of them,
        # and after a kill in between they stand in the hidden `.partial` file.
        with replacing(out) as unfinished:
            return named(create(keep=lambda made: _write_table(unfinished, named(made))))


def _write_table(path: Path, links: Sequence[NamedLink]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(links_table(links))
        file.flush()
        os.fsync(file.fileno())


def _link(base_url: str, token: str) -> str:
    return f"{base_url.rstrip('/')}/i/{token}"


def links_table(links: Sequence[NamedLink]) -> str:
    """Names and links as CSV that a spreadsheet opens."""
    rows = ((each.invitation, each.name, each.link) for each in links)
    return csv_table(("invitation", "name", "link"), rows, line_end="\r\n")


def read_names(path: Path) -> list[str]:
    """The names in a text file, one a line, or in the column `name` of a .csv, .tsv or .jsonl file.

    Raises:
        StudyError: there is no name, one stands twice, or one is too long for a label.
        DataError: the file cannot be read.
    """
    rows = _lines(path) if format_of(path) in ("", *PLAIN) else _names_column(path)
    found = [(number, name.strip()) for number, name in rows if name.strip()]
    if not found:
        raise StudyError(f"{path}: no name in it")
    counts = Counter(name for _, name in found)
    wrong = [
        f"{name[:40]!r} (row {number})"
        for number, name in found
        if counts[name] > 1 or one_line(name) != name
    ]
    if wrong:
        raise StudyError(
            f"{path}: each name once, in 200 printable characters at most, so that it says who is "
            f"who; change {first_few(wrong, 20)}"
        )
    return [name for _, name in found]


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    name = str(path)
    return enumerate(decode(read_bytes(path, name), path, name).split("\n"), start=1)


def _names_column(path: Path) -> Iterator[tuple[int, str]]:
    for number, row in read_source_rows(path, str(path), TextSource(path=str(path)), inside=False):
        if not isinstance(row, dict):
            raise StudyError(f"{path}, row {number}: no fields, and the names stand in `name`")
        by_name = {str(key).strip().lower(): value for key, value in row.items()}
        if "name" not in by_name:
            raise StudyError(f"{path}: no column 'name'; there are: {first_few(list(by_name), 20)}")
        yield number, str(by_name["name"] or "")


def _served_url(store: Store) -> str:
    served = store.base_url
    if served == "":
        raise StudyError(
            "the study is served on every address of its machine: say with --url under which one "
            "browsers reach it, such as http://192.0.2.10:8000"
        )
    return served or "http://127.0.0.1:8000"


def list_invitations(study: Study, *, database: str | None = None) -> list[Invitation]:
    """Every personal link in the order of making, without its token."""
    with open_store(study, database) as store:
        return store.invitations.all()


def revoke_invitation(study: Study, invitation: int, *, database: str | None = None) -> None:
    """Make a personal link invalid.

    Raises:
        StudyError: there is no such invitation.
    """
    with open_store(study, database) as store:
        store.invitations.revoke(invitation)
