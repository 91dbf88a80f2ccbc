"""The folder of a preference study: the only module that knows its file names.

STUDY/
  study.json          digest of protocol and comparisons, time and origin, hash of the admin's token
  protocol.json       the protocol with every default written out (plan.json in older studies)
  comparisons.jsonl   the comparisons, attention checks among them; never changed
  study.sqlite        answers and annotators, unless they are kept on a PostgreSQL server
  simulations.json    what simulated annotators were told to prefer, if there are any

An archive has no database and no admin, and in its place:
  archive.json        whether it holds texts, else the SHA-256 of the comparisons with texts
  judgements.jsonl    every judgement, as it is exported
  llm_judges.jsonl    the language models among the annotators, and how they were asked
  llm_replies.jsonl   their replies
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hyperfitting.errors import StudyError
from hyperfitting.facts import ArchiveFacts, write_facts
from hyperfitting.files import (
    file_sha256,
    new_folder,
    problem_in_words,
    read_rows,
    write_rows,
    write_text,
)
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import AGAIN, BlindedComparison, PairColumn
from hyperfitting.web.tokens import new_token, same_secret, token_hash


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def refuse_existing_study(folder: Path) -> None:
    """Refuse a folder for a new study that exists and is not empty.

    Raises:
        StudyError: the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(
            f"{folder} is there already: choose another --out; a study or archive is never "
            "overwritten"
        )


class CleaningFacts(BaseModel):
    """What the texts of a study lost and had replaced before they are shown, each text counted
    once, contexts among them.
    """

    model_config = ConfigDict(frozen=True)

    texts: int
    texts_with_losses: int
    characters_removed: int
    characters_replaced: int


class FileFacts(BaseModel):
    """The file of pairs that a study was made of, and its columns by what they hold."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    columns: dict[PairColumn, str]


class StudyOrigin(BaseModel):
    """Where the texts of a study come from: names of the runs or of a file, pairs of arms,
    comparisons left out by reason, and what cleaning took.
    """

    model_config = ConfigDict(frozen=True)

    runs: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    left_out: dict[str, int] = {}
    cleaning: CleaningFacts | None = None
    file: FileFacts | None = None
    environment: dict[str, Any] = {}


class StudyFacts(StudyOrigin):
    """The content of study.json."""

    # Facts that a later version adds survive when this one renews the admin's token.
    model_config = ConfigDict(frozen=True, extra="allow")

    digest: str
    created_at: str
    admin_hash: str


class Study:
    """One preference study: a protocol and its comparisons, fixed when it was made. `open_store`
    gives its answers.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.facts_file = self.folder / "study.json"
        self.protocol_file = self.folder / "protocol.json"
        self.comparisons_file = self.folder / "comparisons.jsonl"
        self.database_file = self.folder / "study.sqlite"
        self.simulations_file = self.folder / "simulations.json"
        self.archive_file = self.folder / "archive.json"
        self.judgements_file = self.folder / "judgements.jsonl"
        self.llm_judges_file = self.folder / "llm_judges.jsonl"
        self.llm_replies_file = self.folder / "llm_replies.jsonl"
        if (old := self.folder / _OLD_PROTOCOL).is_file() and not self.protocol_file.is_file():
            self.protocol_file = old

    @classmethod
    def find(cls, folder: Path) -> Study:
        """The study in a folder, whose protocol and comparisons are unchanged since it was made.

        Raises:
            StudyError: there is none, or it is damaged or was changed.
        """
        study = cls(folder)
        if not study.facts_file.is_file():
            raise StudyError(
                f"{folder} holds no study: give the folder that `hyperfit preference create` wrote"
            )
        try:
            if study.digest != _digest(study.protocol_file, study._comparisons_sha256()):
                raise StudyError(
                    f"{folder}: the protocol or the comparisons were changed after the study was "
                    f"made: put {study.protocol_file.name} and comparisons.jsonl back, or create "
                    "another study"
                )
        except (ValueError, OSError) as error:
            raise StudyError(f"{folder}: the study is damaged: {error}") from error
        _ = study.protocol
        return study

    @classmethod
    def create(
        cls,
        folder: Path,
        protocol: Protocol,
        comparisons: Sequence[BlindedComparison],
        origin: StudyOrigin | None = None,
    ) -> tuple[Study, str]:
        """Write a new study, whole or not at all, and return it with the admin's token, which is
        not stored.

        Raises:
            StudyError: the folder exists and is not empty.
        """
        refuse_existing_study(folder)
        token = new_token()
        with new_folder(folder) as partial:
            begun = cls(partial)
            write_text(begun.protocol_file, protocol.model_dump_json(indent=1) + "\n")
            write_rows(begun.comparisons_file, comparisons)
            write_facts(
                begun.facts_file,
                StudyFacts(
                    digest=_digest(begun.protocol_file, begun._comparisons_sha256()),
                    created_at=utc_now().isoformat(timespec="seconds"),
                    admin_hash=token_hash(token),
                    **(origin or StudyOrigin()).model_dump(),
                ),
            )
        return cls(folder), token

    @cached_property
    def protocol(self) -> Protocol:
        """The study's protocol. Settings that its file lacks have their defaults."""
        return read_record(self.protocol_file, Protocol)

    @property
    def facts(self) -> StudyFacts:
        """The content of study.json. It is read each time, since another process may renew the
        admin's token.
        """
        return read_record(self.facts_file, StudyFacts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex of the protocol and the comparisons. Every judgement names it."""
        return self.facts.digest

    @property
    def archive(self) -> ArchiveFacts | None:
        """What an archive leaves out; None of a study with its database."""
        return read_record(self.archive_file, ArchiveFacts) if self.archive_file.is_file() else None

    def refuse_archive(self) -> None:
        """Refuse an archive where the study itself is needed.

        Raises:
            StudyError: it is one.
        """
        if self.archive is not None:
            raise StudyError(
                f"{self.folder}: an archive takes no judgements: give the study that it was made of"
            )

    def _comparisons_sha256(self) -> str:
        """SHA-256 of the comparisons with their texts."""
        left_out = {} if self.archive is None else self.archive.left_out
        return left_out.get(self.comparisons_file.name) or file_sha256(self.comparisons_file)

    @cached_property
    def _by_id(self) -> dict[str, BlindedComparison]:
        return {row.id: row for row in read_rows(self.comparisons_file, BlindedComparison)}

    def comparisons(self) -> list[BlindedComparison]:
        """Scored comparisons and attention checks. Repeats are not listed: any scored comparison
        can be repeated.
        """
        return list(self._by_id.values())

    def comparison(self, id_: str) -> BlindedComparison:
        """One comparison by its id; `<id>-again` is the repeat of a scored one.

        Raises:
            StudyError: there is none with that id.
        """
        found = self._by_id.get(id_.removesuffix(AGAIN))
        if found is None:
            raise StudyError(f"{self.folder}: there is no comparison {id_!r}")
        return (
            dataclasses.replace(found, id=id_, kind="repeat", repeats=found.id)
            if id_.endswith(AGAIN)
            else found
        )

    def is_admin(self, token: str) -> bool:
        """Whether this is the admin's token."""
        return same_secret(token_hash(token), self.facts.admin_hash)

    def renew_admin_token(self) -> str:
        """Make and return a new admin token. The former one is no longer valid.

        Raises:
            StudyError: this is an archive.
        """
        self.refuse_archive()
        token = new_token()
        renewed = self.facts.model_copy(update={"admin_hash": token_hash(token)})
        write_facts(self.facts_file, renewed)
        return token


_Record = TypeVar("_Record", bound=BaseModel)


def read_record(path: Path, kind: type[_Record]) -> _Record:
    """A record from a JSON file.

    Raises:
        StudyError: the file does not hold such a record; the message names the field.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        remedy = "put a backup in its place, or use the version that wrote it"
        raise StudyError(f"{path} is damaged: {problem_in_words(error)}: {remedy}") from error


_OLD_PROTOCOL = "plan.json"


def _digest(protocol_file: Path, comparisons_sha256: str) -> str:
    """The digest of a study's protocol and comparisons.

    It covers the bytes of protocol.json, so that a setting added later does not change it. Studies
    with a plan.json were hashed over its values in canonical JSON; the file holds every default of
    its time, so its values give the same digest in every later version.
    """
    if protocol_file.name == _OLD_PROTOCOL:
        values = json.loads(protocol_file.read_bytes())
        protocol = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    else:
        protocol = file_sha256(protocol_file)
    return hashlib.sha256(f"{protocol}\n{comparisons_sha256}".encode()).hexdigest()
