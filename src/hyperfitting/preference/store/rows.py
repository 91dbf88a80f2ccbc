"""Rows of the study's tables as frozen records: the only place that maps the one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Row

from hyperfitting.preference.records import AnnotatorState, ComparisonKind, JudgementSource


@dataclass(frozen=True)
class TableRow:
    """The base of the records here."""

    @classmethod
    def of(cls, row: Row[*tuple[Any, ...]]) -> Self:
        """The record of a database row that has the same names."""
        return cls(**row._mapping)


@dataclass(frozen=True)
class InvitationRow(TableRow):
    """A row of `invitations`. `token_hash` is None after a withdrawal."""

    id: int
    token_hash: str | None
    label: str | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None


@dataclass(frozen=True)
class AnnotatorRow(TableRow):
    """A row of `annotators`; in some queries with two facts of the study, `paused` and `nature`."""

    id: str
    source: JudgementSource
    token_hash: str | None
    invitation: int | None
    label: str | None
    state: AnnotatorState
    attempts_left: int
    excluded: str | None
    completion_code: str | None
    joined_at: str
    paused: str | None = None
    nature: str | None = None

    @property
    def visible_state(self) -> AnnotatorState:
        """The state as others see it: an exclusion hides the state before it and can be taken
        back.
        """
        return "excluded" if self.excluded is not None and self.state != "withdrawn" else self.state


@dataclass(frozen=True)
class AssignmentRow(TableRow):
    """A row of `assignments`. `state` is open, answered, lapsed (time ran out) or replaced (and no
    room is left).
    """

    id: str
    annotator: str
    comparison: str
    kind: ComparisonKind
    ordinal: int
    one_first: bool
    dealt_at: str
    held_until: str
    state: str
    round: int
