"""Studies of twelve tiny cells under kills, Ctrl-C, two commands at once, Ray and Slurm's local
executor: the same bytes in every metric file.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hyperfitting.studies import load_study, study_cells, study_folder
from hyperfitting.studies.claims import ClaimWatch, this_machine
from hyperfitting.studies.launchers.processes import Processes, core_count
from hyperfitting.studies.launchers.slurm import SlurmJobs
from hyperfitting.studies.study_run import RunOptions, run_study
from tests.support.grids import METRIC_FILES, metric_files, small, write_study
from tests.support.recipes import tiny_tree
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

KILLS = 20
CELLS = 12
RATES = (
    '[[axes]]\nname = "rate"\n'
    'values = { "train.learning_rate" = [6e-3, 5e-3, 4e-3, 3e-3, 2e-3, 1e-3] }\n'
)
OPTIONS = RunOptions(device="cpu")


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_model, corpus):
    """Six rates and two seeds, with a checkpoint after every second update."""
    tree = small(tiny_tree(tiny_model, corpus)) | {"engine": {"checkpoint_updates": 2}}
    return write_study(tmp_path_factory.mktemp("studies"), tree, RATES)


@pytest.fixture(scope="module")
def uninterrupted(study):
    """The metric files of the study, made by two workers with a thread each."""
    return finished(study, "uninterrupted", Processes(2, threads=1))


def finished(study: Path, name: str, launcher, *, cells=CELLS, **options) -> dict[str, bytes]:
    """Run the study to its end in a folder of its own, beside which there are no others: its metric
    files.
    """
    out = study.parent / f"for-{name}" / "out"
    how = RunOptions(device="cpu", **options)
    status = run_study(load_study(study), launcher, out=out, options=how)
    assert [each.state for each in status.cells] == ["finished"] * cells
    return files_of(out, cells)


def files_of(out: Path, cells: int = CELLS) -> dict[str, bytes]:
    files = metric_files(out / "cells")
    assert len(files) == cells * 2 * len(METRIC_FILES)
    return files


def workers(out: Path) -> list[int]:
    """The processes that hold a cell now."""
    held = [json.loads(file.read_text() or "{}") for file in (out / "claims").glob("[!.]*.json")]
    return [
        each["process"]
        for each in held
        if each.get("machine") == this_machine() and is_alive(each["process"])
    ]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


def command(study: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    arguments = ["study", "run", str(study), "--out", str(out), "--device", "cpu", "--threads", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "hyperfitting", *arguments, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_workers_change_nothing(study, uninterrupted):
    """Twenty workers are killed at random moments; others go on from their checkpoints."""
    out, random_, kills = study.parent / "for-killed" / "out", random.Random(20261128), []

    def kill() -> None:
        while len(kills) < KILLS and not ended.wait(random_.uniform(0.2, 1.0)):
            if living := workers(out):
                kills.append(random_.choice(living))
                os.kill(kills[-1], signal.SIGKILL)

    ended = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        made = finished(study, "killed", Processes(2, threads=1), most_losses=KILLS + 1)
    finally:
        ended.set()
        killer.join()
    assert len(kills) == KILLS
    assert made == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_the_same_command_goes_on(study, uninterrupted, number):
    out = study.parent / f"for-{number.name}" / "out"
    running = command(study, out, "--workers", "2")
    wait_until(lambda: len(list(out.glob("cells/*/cell.json"))) > 2)
    began = workers(out)
    running.send_signal(number)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 130
    assert " cells are finished, and the same command goes on from there" in said
    assert began
    assert not any(map(is_alive, began))
    again = command(study, out, "--workers", "2")
    assert f"{CELLS} of {CELLS} cells finished" in again.communicate(timeout=600)[0]
    assert files_of(out) == uninterrupted


def test_workers_stop_when_the_command_is_killed(study, uninterrupted):
    out = study.parent / "for-orphans" / "out"
    running = command(study, out, "--workers", "2")
    wait_until(lambda: len(workers(out)) == 2 and any(out.glob("cells/*/cell.json")))
    began = workers(out)
    running.kill()
    running.communicate()
    wait_until(lambda: not any(map(is_alive, began)))
    assert command(study, out, "--workers", "2").communicate(timeout=600)[0]
    assert files_of(out) == uninterrupted


def test_two_commands_at_once_make_no_cell_twice(study, uninterrupted):
    out = study.parent / "for-two" / "out"
    both = [command(study, out) for _ in range(2)]
    for each in both:
        said, errors = each.communicate(timeout=600)
        assert f"{CELLS} of {CELLS} cells finished" in said, errors
        assert each.returncode == 0
    assert files_of(out) == uninterrupted
    folder = study_folder(load_study(study), out)
    watch = ClaimWatch(folder.claims_folder)
    for cell in study_cells(load_study(study)):
        assert folder.log_file(cell).read_text().count("writing the report") == 1
        assert watch.next_number(cell.folder_name) > 1


def test_a_ray_cluster_of_two_nodes_loses_one_and_makes_the_same(study, uninterrupted, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    from ray.cluster_utils import Cluster

    from hyperfitting.studies.launchers.ray_cluster import RayCluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    lost = cluster.add_node(num_cpus=1)
    out, removed = study.parent / "for-ray" / "out", []

    def remove() -> None:
        wait_until(lambda: any(out.glob("cells/*/*/metrics.jsonl")) and len(workers(out)) == 2)
        cluster.remove_node(lost, allow_graceful=False)
        removed.append(lost)

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        made = finished(study, "ray", RayCluster(cluster.address, threads=1), most_losses=CELLS)
    finally:
        remover.join()
        cluster.shutdown()
    assert removed
    assert made == uninterrupted


def test_submitits_local_executor_makes_the_same(study, uninterrupted):
    """Two cells, since each job imports everything anew."""
    jobs = SlurmJobs(folder=study.parent / "submitit", threads=1, cluster="local")
    jobs.capacity = 2  # it has no queue: all would run at once
    few = RATES.replace("[6e-3, 5e-3, 4e-3, 3e-3, 2e-3, 1e-3]", "[6e-3, 1e-3]")
    tree = json.loads((study.parent / "base.json").read_text())
    part = write_study(study.parent / "part", tree, few, seeds="[0]")
    made = finished(part, "submitit", jobs, cells=2)
    assert made.items() <= uninterrupted.items()


@pytest.mark.skipif(core_count() < 2, reason="needs two cores")
def test_two_workers_are_sooner_than_one_with_two_threads(tmp_path, tiny_model, corpus):
    """At least 1.6 times, on a machine of two cores that does nothing else, for cells of some
    seconds: the imports of either study, which are made once, take as long as one or two of them.
    """
    tree = small(tiny_tree(tiny_model, corpus))
    tree["train"]["epochs"] = 40
    study = write_study(tmp_path / "study", tree, RATES)
    seconds = {}
    for name, launcher in (
        ("side-by-side", Processes(2, threads=1)),
        ("one-by-one", Processes(1, threads=2)),
    ):
        started = time.monotonic()
        finished(study, name, launcher)
        seconds[name] = time.monotonic() - started
    ratio = seconds["one-by-one"] / seconds["side-by-side"]
    print(f"\ntwelve tiny cells: {seconds}, {ratio:.2f} times sooner")
    assert ratio >= 1.6
