"""Workers as processes of this machine, forked from one that has imported everything."""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Self

from hyperfitting.errors import InputError
from hyperfitting.studies.folder import StudyFolder
from hyperfitting.studies.jobs import CellJob, CellOutcome

_PARENT_SECONDS = 1.0
_IMPORTED_ONCE = ("hyperfitting.studies.worker", "hyperfitting.report.kit.figures")


def core_count() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_more_than_cores(workers: int) -> None:
    """Refuse workers that this machine has no core for.

    Raises:
        InputError: names the number of cores.
    """
    if workers > core_count():
        raise InputError(
            f"--workers {workers}: this machine has {core_count()} cores, and a worker needs one "
            "of its own"
        )


class Processes:
    """So many workers at once, among which the cores are divided.

    Raises:
        InputError: there are more workers than cores.
    """

    def __init__(self, workers: int = 1, threads: int | None = None):
        refuse_more_than_cores(workers)
        self.capacity = workers
        self.threads = threads or core_count() // workers
        self._context = get_context("forkserver")

    def __enter__(self) -> Self:
        """Have the imports made once, in the process that workers are forked from; where a part is
        missing, it is left out there.
        """
        self._context.set_forkserver_preload(list(_IMPORTED_ONCE))
        return self

    def __exit__(self, *error: object) -> None:
        """The process that workers are forked from ends with this one."""

    def start(self, job: CellJob) -> WorkerProcess:
        """Fork a worker."""
        process = self._context.Process(target=_work_in_process, args=(job,))
        process.start()
        return WorkerProcess(process)


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, process: BaseProcess):
        self._process = process

    def outcome(self) -> CellOutcome | None:
        """How it ended; a signal, or an error of Python's, means that it was lost."""
        code = self._process.exitcode
        if code is None:
            return None
        return CellOutcome(code) if code in set(CellOutcome) else CellOutcome.LOST

    def stop(self) -> None:
        """Send it what Ctrl-C sends."""
        if self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()


def _work_in_process(job: CellJob) -> None:
    """A worker's process: in a session of its own, so that Ctrl-C reaches only who runs the study,
    which stops its workers once; what libraries print goes to the cell's log.
    """
    os.setsid()
    log = StudyFolder(job.study).log_file(job.cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from hyperfitting.studies.worker import work

    try:
        outcome = work(job)
    except KeyboardInterrupt:
        outcome = CellOutcome.INTERRUPTED
    sys.exit(outcome)  # not at once: semaphores of libraries would be left behind, with a warning


def _end_with(parent: int) -> None:
    """Stop this process once the one that started it is gone."""
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(_PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)
