"""The door to uvicorn: bind an address, log without secrets, serve until stopped."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys

import uvicorn
from starlette.types import ASGIApp

from hyperfitting.errors import InputError
from hyperfitting.web.address import Address


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Settings of uvicorn: no log of its own, no server header, no trust in headers about
    addresses.
    """
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
    )


def bind(address: Address) -> socket.socket:
    """A socket that holds the address, so that a port in use is reported before anything else
    happens.

    It does not listen yet: while the server starts, browsers are refused and ask again instead of
    waiting.

    Raises:
        InputError: the address is taken, not allowed, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol by its number: asyncio sends small answers at once (TCP_NODELAY) only where it
    # finds it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise InputError(_why_not_bound(address, error)) from error
    return listener


def _why_not_bound(address: Address, error: OSError) -> str:
    where = f"port {address.port} on {address.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is taken by another program: choose another with --port"
    if error.errno == errno.EACCES:
        return f"{where} needs rights that this user does not have: choose a --port above 1023"
    return (
        f"{where}: {os.strerror(error.errno) if error.errno else error}: choose another --host or "
        "--port"
    )


def log_requests() -> None:
    """Log one line for each request on standard error: time, method, page, status, milliseconds."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name, level in (("hyperfitting.web", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def serve_app(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests on a bound socket until Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C. uvicorn passes it on, but not always on a busy machine.
    """
    server = uvicorn.Server(server_config(app))
    server.run(sockets=[listener])
    if server.should_exit:
        raise KeyboardInterrupt
