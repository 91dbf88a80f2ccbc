"""The launcher that a name stands for."""

from __future__ import annotations

from typing import Literal

from hyperfitting.errors import InputError
from hyperfitting.studies.folder import StudyFolder
from hyperfitting.studies.launchers.processes import Processes
from hyperfitting.studies.launchers.protocol import Launcher
from hyperfitting.studies.launchers.ray_cluster import RayCluster
from hyperfitting.studies.launchers.slurm import SlurmJobs, slurm_parameters

LauncherName = Literal["local", "ray", "slurm"]


def choose_launcher(
    name: LauncherName,
    folder: StudyFolder,
    *,
    workers: int | None = None,
    threads: int | None = None,
    parameters: tuple[str, ...] = (),
) -> Launcher:
    """Processes of this machine, a Ray cluster, or Slurm jobs.

    Args:
        name: which of them.
        folder: of the study; Slurm's scripts and logs go into it.
        workers: processes at once; the other launchers leave that to their queue.
        threads: of each cell; none: the cores divided by the workers, or 1 in a queue.
        parameters: of submitit, as `KEY=VALUE`.

    Raises:
        InputError: an option is of another launcher, or a parameter is none of submitit's.
    """
    if workers is not None and name != "local":
        raise InputError(f"--workers is for --on local: {name} decides how many cells run at once")
    if parameters and name != "slurm":
        raise InputError("--slurm is for --on slurm")
    if name == "local":
        return Processes(workers or 1, threads)
    if name == "ray":
        return RayCluster(threads=threads or 1)
    return SlurmJobs(slurm_parameters(parameters), folder=folder.slurm_folder, threads=threads or 1)
