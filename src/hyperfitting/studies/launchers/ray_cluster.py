"""Workers as plain tasks of a Ray cluster. The study's folder must be the same on all its nodes."""

from __future__ import annotations

import logging
import os
from typing import Any, Self

from hyperfitting.studies.jobs import CellJob, CellOutcome

MOST_TASKS = 10_000
"""Cells given to Ray at once: it queues them until a node has the cores."""


class RayCluster:
    """The cluster at an address: `auto` is the one that this machine belongs to, None a new one of
    this machine alone.
    """

    capacity = MOST_TASKS

    def __init__(self, address: str | None = "auto", threads: int = 1):
        self.threads, self._address = threads, address
        self._work: Any = None

    def __enter__(self) -> Self:
        """Join the cluster.

        Raises:
            ModuleNotFoundError: the extra `ray` is not installed.
            InputError: there is no cluster at the address.
        """
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else it leaves a token file behind
        import ray

        from hyperfitting.errors import InputError

        try:
            ray.init(
                self._address,
                log_to_driver=False,
                include_dashboard=False,
                logging_level=logging.ERROR,
            )
        except ConnectionError as error:
            raise InputError(
                "no Ray cluster is running here: start one with `ray start --head`, or name one "
                "in RAY_ADDRESS"
            ) from error
        self._work = ray.remote(max_retries=0)(_work_in_task)
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the cluster."""
        import ray

        ray.shutdown()

    def start(self, job: CellJob) -> RayTask:
        """Queue a task that takes as many cores as the cell has threads, and a GPU if its device
        is one.
        """
        gpus = 1 if job.options.device.startswith("cuda") else 0
        options = {"num_cpus": job.options.threads, "num_gpus": gpus}
        return RayTask(self._work.options(**options).remote(job))


def _work_in_task(job: CellJob) -> CellOutcome:
    from hyperfitting.studies.worker import work

    return work(job)


class RayTask:
    """A worker that Ray runs."""

    def __init__(self, result: Any):
        self._result = result

    def outcome(self) -> CellOutcome | None:
        """How it ended; any error of Ray's means that it was lost."""
        import ray

        if not ray.wait([self._result], timeout=0)[0]:
            return None
        try:
            return CellOutcome(ray.get(self._result))
        except ray.exceptions.TaskCancelledError:
            return CellOutcome.INTERRUPTED
        except ray.exceptions.RayError:
            return CellOutcome.LOST

    def stop(self) -> None:
        """Raise in it what Ctrl-C raises."""
        import ray

        ray.cancel(self._result)

    def kill(self) -> None:
        """End its process."""
        import ray

        ray.cancel(self._result, force=True)
