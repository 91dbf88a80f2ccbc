"""A real server: `hyperfit preference serve` in a process of its own, which tests may kill and
start again.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import uvicorn

from hyperfitting.preference.design.create import create_study
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from hyperfitting.web.address import Address
from hyperfitting.web.server import bind, server_config
from tests.support import studies
from tests.support.source import ROOT


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Serves a study at `base` from construction on; what it prints goes to `log`."""

    def __init__(self, folder: Path, log: Path, *options: str):
        self.port, self.log, self.folder, self.options = free_port(), log, folder, options
        self.base = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "hyperfitting",
            "preference",
            "serve",
            str(self.folder),
            "--port",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.port), *self.options],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.log.read_text())
            time.sleep(0.02)  # a server that starts says so in no other way

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """As a power cut does it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """As Ctrl-C does it; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


class Thread:
    """The same server in a thread of this process: there at once, for tests that kill nothing."""

    def __init__(self, study: Study):
        self._store = open_store(study)
        address = Address(port=free_port())
        self.base, self._listener = address.origin, bind(address)
        self._listener.listen()  # who asks before the thread has begun waits, and is not refused
        self.app = make_app(study, self._store, address=address, open_link=study.protocol.open_link)
        self._server = uvicorn.Server(server_config(self.app))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()
        self._store.close()


class Place:
    """A study, its admin's token, and the server that shows it."""

    def __init__(self, folder: Path, rows=None, pairs: Path | None = None, **settings):
        plan, out = studies.protocol(**settings), folder / "study"
        if pairs is not None:
            made = create_study([pairs], out, plan)
            self.study, self.token = made.study, made.admin_token
        else:
            self.study, self.token = Study.create(out, plan, rows or studies.comparisons(12, 6))
        self.server = Thread(self.study)
        self.base = self.server.base

    def invite(self, count: int = 1) -> list[str]:
        with open_store(self.study) as store:
            return [f"{self.base}/i/{token}" for token in store.invitations.create(count)]

    def take_at_once(self) -> None:
        """For pages without scripts, on which a test cannot see when they may be answered."""
        app = self.server.app
        app.state.context = dataclasses.replace(app.state.context, unread_seconds=0.0)

    def judgements(self):
        with open_store(self.study) as store:
            return store.judgements()
