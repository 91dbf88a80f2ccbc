"""What the run of a study asks of a launcher."""

from __future__ import annotations

from typing import Protocol, Self

from hyperfitting.studies.jobs import CellJob, CellOutcome


class WorkerHandle(Protocol):
    """One worker that was started."""

    def outcome(self) -> CellOutcome | None:
        """How it ended, `LOST` if it died; None while it works."""

    def stop(self) -> None:
        """Ask it to stop: it writes a checkpoint, and its outcome follows."""

    def kill(self) -> None:
        """End it at once."""


class Launcher(Protocol):
    """Starts workers. `capacity` cells are given to it at once, each with `threads` threads."""

    capacity: int
    threads: int

    def __enter__(self) -> Self:
        """Make ready."""

    def __exit__(self, *error: object) -> None:
        """Let go of what `__enter__` began; the workers have ended by then."""

    def start(self, job: CellJob) -> WorkerHandle:
        """Start `work` with a job."""
