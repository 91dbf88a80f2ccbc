"""`hyperfit preference serve`: bind, say where, answer until stopped."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from hyperfitting.errors import InputError, StudyError
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.address import Address
from hyperfitting.preference.web.app import make_app


def serve(
    folder: Path, address: Address, *, database: str | None = None, open_link: bool = False
) -> None:
    """Serve the study in `folder` at `address` until Ctrl-C, its answers in `database` (default: a file beside it).

    Raises:
        InputError: there is no study, its plan has no open link, or the address is taken or not this machine's.
    """
    study = Study.find(folder)
    if open_link and not study.plan.open_link:
        raise StudyError(
            f"{folder}: its plan has no open link: create one with --set open_link=true"
        )
    listener = bind(address)
    with listener, study.open_store(database) as store:
        write_log()
        study.comparisons()  # read now, not while the first annotator waits
        app = make_app(study, store, address=address, open_link=open_link)
        _say(address, open_link)
        uvicorn.Server(configured(app)).run(sockets=[listener])


def configured(app: FastAPI) -> uvicorn.Config:
    """How the app is served: no log but ours, no word about who serves, no trust in headers about addresses."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
    )


def bind(address: Address) -> socket.socket:
    """A socket that holds the address, so that a port in use is told before anything else happens.

    It does not listen yet: browsers that come while the server starts are turned away and ask again, and do not wait.

    Raises:
        InputError: the address is taken, not allowed, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol by its number: asyncio sends small answers at once (TCP_NODELAY) only where it finds it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise InputError(_why_not(address, error)) from error
    return listener


def _why_not(address: Address, error: OSError) -> str:
    where = f"port {address.port} on {address.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is taken by another program: choose another with --port"
    if error.errno == errno.EACCES:
        return f"{where} needs rights that this user does not have: choose a --port above 1023"
    return f"{where}: {os.strerror(error.errno) if error.errno else error}: choose another --host or --port"


def write_log() -> None:
    """One line a request on standard error: time, method, page, status, milliseconds."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name, level in (
        ("hyperfitting.preference.web", logging.INFO),
        ("uvicorn.error", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def _say(address: Address, open_link: bool) -> None:
    print(
        f"annotators  {address.link('/join') if open_link else address.link('/i/') + 'TOKEN'}",
        flush=True,
    )
    print(f"admin       {address.link('/admin')}", flush=True)
    print("Ctrl-C stops it; every answer that was confirmed is kept", flush=True)
