"""Workers as Slurm jobs, one for each cell, through submitit. The study's folder must be shared by
the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from hyperfitting.errors import InputError
from hyperfitting.studies.jobs import CellJob, CellOutcome

MOST_JOBS = 200
"""Cells given to Slurm at once; clusters limit how many jobs a user may queue."""


class SlurmJobs:
    """Jobs with these parameters of submitit, such as `slurm_partition`, `mem_gb`, `timeout_min`.

    `cluster` is `slurm`, or `local` for processes of this machine, as in submitit.
    """

    capacity = MOST_JOBS

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        folder: Path,
        threads: int = 1,
        cluster: str = "slurm",
    ):
        self.threads = threads
        self._folder, self._cluster = folder, cluster
        self._parameters = dict(parameters or {})
        self._executor: Any = None

    def __enter__(self) -> Self:
        """Make the executor, whose scripts and logs go to `folder`.

        Raises:
            ModuleNotFoundError: the extra `slurm` is not installed.
            InputError: this machine has no Slurm, or a parameter is unknown.
        """
        import submitit

        try:
            self._executor = submitit.AutoExecutor(self._folder, cluster=self._cluster)
        except RuntimeError as error:
            raise InputError(
                "--on slurm: this machine has no srun: run the command where jobs are submitted"
            ) from error
        try:
            self._executor.update_parameters(name="hyperfit", **self._parameters)
        except (NameError, TypeError) as error:
            raise InputError(f"--slurm: {' '.join(str(error).split())}") from error
        return self

    def __exit__(self, *error: object) -> None:
        """Jobs that are left belong to Slurm."""

    def start(self, job: CellJob) -> SlurmJob:
        """Submit a job with as many cores as the cell has threads."""
        self._executor.update_parameters(cpus_per_task=job.options.threads)
        return SlurmJob(self._executor.submit(_work_in_job, job))


def _work_in_job(job: CellJob) -> CellOutcome:
    from hyperfitting.studies.worker import work

    return work(job)


class SlurmJob:
    """A worker that Slurm runs."""

    def __init__(self, job: Any):
        self._job = job

    def outcome(self) -> CellOutcome | None:
        """How it ended; a job that failed or is gone was lost."""
        if not self._job.done():
            return None
        try:
            return CellOutcome(self._job.result())
        except Exception:  # submitit's own, and whatever reading a result that is cut off raises
            return CellOutcome.LOST

    def stop(self) -> None:
        """Cancel it: Slurm sends SIGTERM, upon which a training writes a checkpoint."""
        self._job.cancel()

    def kill(self) -> None:
        """The same: Slurm kills what does not end."""
        self._job.cancel()
