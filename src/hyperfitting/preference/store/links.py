"""Personal links of a study: make, list and revoke them in one call each."""

from __future__ import annotations

from datetime import datetime

from hyperfitting.preference.records import Invitation
from hyperfitting.preference.store.store import open_store
from hyperfitting.preference.study import Study


def invite(
    study: Study,
    count: int = 1,
    *,
    base_url: str = "http://127.0.0.1:8000",
    expires_at: datetime | None = None,
    label: str | None = None,
    database: str | None = None,
) -> list[str]:
    """New personal links, one for each annotator. They cannot be shown again.

    Args:
        study: the study.
        count: how many links.
        base_url: the address under which the study is served.
        expires_at: when they end, with its zone; None: never.
        label: who they are for; deleted if the annotator withdraws.
        database: a PostgreSQL database; None: SQLite in the study's folder.

    Raises:
        StudyError: the database cannot be opened, or the time has no zone.
    """
    with open_store(study, database) as store:
        tokens = store.invitations.create(count, expires_at, label)
    return [f"{base_url.rstrip('/')}/i/{token}" for token in tokens]


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
