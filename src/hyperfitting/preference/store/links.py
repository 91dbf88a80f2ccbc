"""Personal links of a study: make, list and revoke them in one call each."""

from __future__ import annotations

from datetime import datetime

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import Invitation
from hyperfitting.preference.store.store import Store, open_store
from hyperfitting.preference.study import Study


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
    return [f"{base_url.rstrip('/')}/i/{token}" for token in tokens]


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
