"""Serve a study in browsers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hyperfitting.errors import StudyError
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from hyperfitting.web.address import Address
from hyperfitting.web.server import bind, log_requests, serve_app


@dataclass(frozen=True)
class ServedLinks:
    """The links of a served study. `annotators` ends in TOKEN where everybody has a personal link.

    `note` says what is wrong with them, if nothing says how others reach the server.
    """

    annotators: str
    admin: str
    note: str | None = None


def serve_study(
    study: Study,
    address: Address,
    *,
    database: str | None = None,
    open_link: bool = False,
    ready: Callable[[ServedLinks], None] = lambda links: None,
) -> None:
    """Serve a study until Ctrl-C.

    Args:
        study: the study.
        address: where to listen, and how browsers reach it.
        database: a PostgreSQL database; None: SQLite in the study's folder.
        open_link: serve the open link too, where the protocol allows one.
        ready: called once with the links, when the address is bound.

    Raises:
        InputError: this is an archive, the protocol has no open link, or the address is taken or
            not an address of this machine.
    """
    study.refuse_archive()
    if open_link and not study.protocol.open_link:
        raise StudyError(
            f"{study.folder}: its protocol has no open link: create one with --set open_link=true"
        )
    listener = bind(address)
    with listener, open_store(study, database) as store:
        log_requests()
        app = make_app(study, store, address=address, open_link=open_link)
        store.remember_base_url("" if address.is_unnamed else address.link(""))
        links = (address.link("/join" if open_link else "/i/TOKEN"), address.link("/admin"))
        ready(ServedLinks(*links, note=_note(address)))
        serve_app(app, listener)


def _note(address: Address) -> str | None:
    if not address.is_unnamed:
        return None
    return (
        f"{address.host} is every address of this machine and none that a browser can open: these "
        f"links work here only; for others give --public-url http://NAME:{address.port} with its "
        "name or address in their network"
    )
