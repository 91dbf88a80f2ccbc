"""A throwaway PostgreSQL server on a free port of 127.0.0.1, started once a test session."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

_NO_CARE = (
    "-F",
    "-c",
    "synchronous_commit=off",
    "-c",
    "full_page_writes=off",
)  # its data need not outlive the power
_NUMBERS = itertools.count(1)


def new_database() -> str:
    """The URL of a fresh, empty database; skips the test, with the reason, where no server can be
    had.
    """
    import psycopg

    server = _server()
    name = f"study{os.getpid()}n{next(_NUMBERS)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


@functools.cache
def _server() -> str:
    programs = _programs()
    if programs is None:
        pytest.skip(
            "no PostgreSQL here: install Debian's package postgresql, or put initdb on the path"
        )
    folder = Path(tempfile.mkdtemp(prefix="hyperfitting-postgresql-"))
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:  # initdb refuses root
        shutil.chown(folder, "nobody")
        as_nobody = {"user": "nobody", "cwd": "/"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **as_nobody}
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"],
        **quiet,
    )
    server = subprocess.Popen(
        [
            programs / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            folder,
            *_NO_CARE,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_nobody,
    )

    def stop() -> None:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for every client
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    url = f"postgresql://tester@127.0.0.1:{port}"
    _wait_for(url, server)
    return url


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"{url}/postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # a server that starts says so in no other way
