"""Workers in this very process, one after another: for notebooks."""

from __future__ import annotations

import _thread
from typing import Self

from hyperfitting.studies.jobs import CellJob, CellOutcome


class ThisProcess:
    """Makes a cell before `start` returns."""

    capacity = 1

    def __init__(self, threads: int = 1):
        self.threads = threads

    def __enter__(self) -> Self:
        """Nothing to make ready."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to let go of."""

    def start(self, job: CellJob) -> Ended:
        """Make the cell.

        Raises:
            KeyboardInterrupt: Ctrl-C, or another worker has taken the cell over.
        """
        from hyperfitting.studies.worker import work

        outcome = work(job, _thread.interrupt_main)
        if outcome is CellOutcome.INTERRUPTED:
            raise KeyboardInterrupt
        return Ended(outcome)


class Ended:
    """A worker that has ended already."""

    def __init__(self, outcome: CellOutcome):
        self._outcome = outcome

    def outcome(self) -> CellOutcome:
        """How it ended."""
        return self._outcome

    def stop(self) -> None:
        """Nothing is left to stop."""

    def kill(self) -> None:
        """Nothing is left to end."""
