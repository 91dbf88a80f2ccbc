"""Workers as Slurm jobs, one for each cell, through submitit. The study's folder must be shared by
the nodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from hyperfitting.errors import InputError
from hyperfitting.recipe import apply_overrides
from hyperfitting.studies.jobs import CellJob, CellOutcome

MOST_JOBS = 200
"""Cells given to Slurm at once; clusters limit how many jobs a user may queue."""


DAY_MINUTES = 24 * 60
"""What a job may take unless `timeout_min` says otherwise: submitit's own default is 5 minutes."""
_NOT_TAKEN = (NameError, TypeError, ValueError, AssertionError, OverflowError)
"""What submitit raises for a parameter that it does not know, or a value that it does not take."""
_KINDS: Mapping[str, type] = {
    "slurm_additional_parameters": dict,
    "slurm_setup": list,
    "slurm_srun_args": list,
    "slurm_teardown": list,
}
"""The parameters that are no single value."""


def slurm_parameters(given: Iterable[str]) -> dict[str, Any]:
    """Parameters of submitit from `KEY=VALUE`, as after `--slurm`; `none` leaves one out.

    Raises:
        InputError: one is written in another way, or is what `--threads` sets.
    """
    found: dict[str, Any] = {}
    for each in given:
        key, equals, _ = (part.strip() for part in each.partition("="))
        if not equals or re.fullmatch("[A-Za-z_]+", key) is None:
            raise InputError(f"--slurm {each}: write it as KEY=VALUE, such as timeout_min=120")
        if key.removeprefix("slurm_") == "cpus_per_task":
            raise InputError(f"--slurm {each}: a job has a core for each thread: use --threads")
        apply_overrides(found, [each])
        _refuse_other_kind(found[key], _KINDS.get(key), each)
    return {key: value for key, value in found.items() if value is not None}


def _refuse_other_kind(value: Any, kind: type | None, said: str) -> None:
    """Refuse what would be written into the script as it is, or break it."""
    if kind is not None and not isinstance(value, kind):
        shown = "{ name = value }" if kind is dict else '["...", "..."]'
        raise InputError(f"--slurm {said}: this parameter is written as {shown}")
    if kind is None and isinstance(value, dict | list):
        raise InputError(f"--slurm {said}: this parameter is one value, such as timeout_min=120")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"--slurm {said}: a finite number is needed")


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
        self._parameters = {"name": "hyperfit", "timeout_min": DAY_MINUTES, **(parameters or {})}
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
            self._executor.update_parameters(**self._parameters)
        except _NOT_TAKEN as error:
            raise InputError(f"--slurm: {' '.join(str(error).split())}") from error
        return self

    def __exit__(self, *error: object) -> None:
        """Jobs that are left belong to Slurm."""

    def start(self, job: CellJob) -> SlurmJob:
        """Submit a job with as many cores as the cell has threads.

        Raises:
            InputError: Slurm does not take it.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        self._executor.update_parameters(cpus_per_task=job.options.threads)
        try:
            return SlurmJob(self._executor.submit(_work_in_job, job))
        except (FailedJobError, FailedSubmissionError) as error:
            said = " ".join(str(error).split())
            raise InputError(f"--on slurm: sbatch refuses the job: {said}") from error


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
