"""The folder of a preference study: the only module that knows its file names.

STUDY/
  study.json          digest of plan and comparisons, when and how it was made, the hash of the admin's token
  plan.json           the plan, every default written out
  comparisons.jsonl   what is compared, attention checks among it; never changed
  study.sqlite        answers and annotators, unless they are kept on a PostgreSQL server
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hyperfitting.errors import RunError, StudyError
from hyperfitting.files import file_sha256, new_folder, read_json, read_rows, write_rows, write_text
from hyperfitting.preference.invitations import hashed, new_token
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import AGAIN, Comparison

if TYPE_CHECKING:
    from hyperfitting.preference.store import Store


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def refuse_to_overwrite(folder: Path) -> None:
    """A new study needs a folder that is not there, or is empty.

    Raises:
        StudyError: something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(
            f"{folder} is there already: choose another --out; a study is never overwritten"
        )


class Study:
    """One study: a plan and its comparisons, fixed when it was made, and the store of its answers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.facts_file = folder / "study.json"
        self.plan_file = folder / "plan.json"
        self.comparisons_file = folder / "comparisons.jsonl"
        self.database_file = folder / "study.sqlite"
        self.simulations_file = folder / "simulations.json"

    @classmethod
    def find(cls, folder: Path) -> Study:
        """The study in a folder, whose plan and comparisons are what they were when it was made.

        Raises:
            StudyError: there is none, or it is damaged or was changed.
        """
        study = cls(folder)
        if not study.facts_file.is_file():
            raise StudyError(
                f"{folder} holds no study: give the folder that `hyperfit preference create` wrote"
            )
        try:
            if study.facts()["digest"] != _digest(study.plan, study.comparisons_file):
                raise StudyError(
                    f"{folder}: the plan or the comparisons were changed after the study was made: "
                    "put plan.json and comparisons.jsonl back, or create another study"
                )
        except (KeyError, OSError, RunError) as error:
            raise StudyError(f"{folder}: the study is damaged: {error}") from error
        return study

    @classmethod
    def create(
        cls,
        folder: Path,
        plan: StudyPlan,
        comparisons: Sequence[Comparison],
        facts: dict[str, Any] | None = None,
    ) -> tuple[Study, str]:
        """A new study in a folder that is not there or empty, and the admin's token, which is kept nowhere.

        Raises:
            StudyError: something is there already.
        """
        refuse_to_overwrite(folder)
        token = new_token()
        with new_folder(folder) as partial:
            begun = cls(partial)
            write_text(
                begun.plan_file,
                json.dumps(plan.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n",
            )
            write_rows(begun.comparisons_file, comparisons)
            made = {
                "digest": _digest(plan, begun.comparisons_file),
                "created_at": utc_now().isoformat(timespec="seconds"),
                "admin_hash": hashed(token),
                **(facts or {}),
            }
            write_text(begun.facts_file, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        return cls(folder), token

    @cached_property
    def plan(self) -> StudyPlan:
        """The study's plan."""
        try:
            return StudyPlan.model_validate_json(self.plan_file.read_bytes())
        except ValidationError as error:
            raise StudyError(
                f"{self.plan_file}: the plan is damaged: {error.errors()[0]['msg']}"
            ) from error

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the plan and the comparisons: the version that every judgement names."""
        return str(self.facts()["digest"])

    def facts(self) -> dict[str, Any]:
        """What is known of the making of the study."""
        return read_json(self.facts_file)

    @cached_property
    def _by_id(self) -> dict[str, Comparison]:
        return {row.id: row for row in read_rows(self.comparisons_file, Comparison)}

    def comparisons(self) -> list[Comparison]:
        """Scored comparisons and attention checks. Repeats are not among them: any scored one can be repeated."""
        return list(self._by_id.values())

    def comparison(self, id_: str) -> Comparison:
        """One comparison by its id; `<id>-again` is the repeat of a scored one.

        Raises:
            StudyError: there is none of that id.
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
        return secrets.compare_digest(hashed(token), str(self.facts()["admin_hash"]))

    def renew_admin_token(self) -> str:
        """A new token for the admin; the former one is worth nothing any more."""
        token = new_token()
        facts = {**self.facts(), "admin_hash": hashed(token)}
        write_text(self.facts_file, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        return token

    def simulations(self) -> list[dict[str, Any]]:
        """What was simulated, one entry a run of `simulate`."""
        return (
            list(read_json(self.simulations_file)["simulations"])
            if self.simulations_file.is_file()
            else []
        )

    def add_simulation(self, facts: dict[str, Any]) -> None:
        """Keep what was simulated."""
        kept = {"simulations": [*self.simulations(), facts]}
        write_text(self.simulations_file, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")

    def open_store(self, url: str | None = None, clock: Callable[[], datetime] = utc_now) -> Store:
        """The store of the answers: SQLite in the folder, or the PostgreSQL database of `url`; a context manager.

        Raises:
            StudyError: it cannot be opened, or holds another study.
        """
        from hyperfitting.preference.store import Store

        return Store(self, url or f"sqlite:///{self.database_file}", clock)


def _digest(plan: StudyPlan, comparisons_file: Path) -> str:
    return hashlib.sha256(
        f"{plan.canonical_json()}\n{file_sha256(comparisons_file)}".encode()
    ).hexdigest()
