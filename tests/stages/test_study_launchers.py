"""Slurm gets a script that says what was asked for; a launcher refuses options of another."""

import os
import sys

import pytest

from hyperfitting.errors import InputError, name_the_extra
from hyperfitting.studies import base_recipe, study_cells, study_folder
from hyperfitting.studies.jobs import CellJob, CellOptions
from hyperfitting.studies.launchers.choose import choose_launcher
from hyperfitting.studies.launchers.processes import Processes, core_count
from hyperfitting.studies.launchers.ray_cluster import RayCluster
from hyperfitting.studies.study_run import refuse_other_study
from tests.support.grids import tiny_study

SBATCH = f"""#!{sys.executable}
import pathlib, shutil, sys
shutil.copy(sys.argv[-1], pathlib.Path(__file__).parent / "script.sh")
print("Submitted batch job 7")
"""


@pytest.fixture
def study(tree, tmp_path):
    return tiny_study(tmp_path, tree)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with programs in the place of Slurm's: `sbatch` keeps the script that it is
    given.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", ""), ("scancel", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


def test_the_slurm_script_says_what_was_asked_for(study, cluster, tmp_path):
    folder, cell = study_folder(study, tmp_path / "out"), study_cells(study)[0]
    parameters = ("slurm_partition=gpu", "timeout_min=90", "mem_gb=16", "gpus_per_node=1")
    launcher = choose_launcher("slurm", folder, threads=4, parameters=parameters)
    with launcher:
        job = CellJob(folder.folder, cell, 1, CellOptions(cell.coordinates, threads=4))
        worker = launcher.start(job)
        worker.stop()
    script = (cluster / "script.sh").read_text()
    asked = {line.removeprefix("#SBATCH --") for line in script.splitlines() if "#SBATCH" in line}
    assert {
        "cpus-per-task=4",
        "partition=gpu",
        "time=90",
        "mem=16GB",
        "gpus-per-node=1",
        "job-name=hyperfit",
    } <= asked
    assert f"-m submitit.core._submit {(tmp_path / 'out' / 'slurm').absolute()}" in script


def test_a_study_goes_on_where_slurms_files_alone_were_left(study, cluster, tmp_path):
    folder = study_folder(study, tmp_path / "out")
    with choose_launcher("slurm", folder):
        (folder.folder / "slurm").mkdir(parents=True, exist_ok=True)
    refuse_other_study(folder, base_recipe(study), study_cells(study))


def test_without_slurm_one_line_says_where_it_is(study, tmp_path):
    launcher = choose_launcher("slurm", study_folder(study, tmp_path / "out"))
    with pytest.raises(InputError, match="--on slurm: this machine has no srun"):
        launcher.__enter__()


def test_an_unknown_parameter_of_submitit_is_one_line(study, cluster, tmp_path):
    folder = study_folder(study, tmp_path / "out")
    launcher = choose_launcher("slurm", folder, parameters=("slurm_partitio=gpu",))
    with pytest.raises(InputError, match=r"--slurm: .*slurm_partitio") as refused:
        launcher.__enter__()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("foo", "--slurm foo: write it as KEY=VALUE, such as timeout_min=120"),
        ("slurm_partition.x=3", r"--slurm slurm_partition\.x=3: write it as KEY=VALUE"),
        ("slurm_partition={x=3}", "this parameter is one value"),
        ("slurm_setup=module load x", "this parameter is written as "),
        ("cpus_per_task=8", "a job has a core for each thread: use --threads"),
        ("slurm_cpus_per_task=8", "a job has a core for each thread: use --threads"),
        ("mem_gb=nan", "--slurm mem_gb=nan: a finite number is needed"),
    ],
)
def test_a_parameter_that_slurm_would_not_get_is_refused(study, tmp_path, given, words):
    with pytest.raises(InputError, match=words):
        choose_launcher("slurm", study_folder(study, tmp_path / "out"), parameters=(given,))


def test_a_value_that_submitit_does_not_take_is_one_line(study, cluster, tmp_path):
    folder = study_folder(study, tmp_path / "out")
    launcher = choose_launcher("slurm", folder, parameters=("timeout_min=abc",))
    with pytest.raises(InputError, match='--slurm: Parameter "timeout_min" expected type'):
        launcher.__enter__()


def test_a_job_has_a_day_unless_it_is_said_otherwise(study, cluster, tmp_path):
    folder, cell = study_folder(study, tmp_path / "out"), study_cells(study)[0]
    job = CellJob(folder.folder, cell, 1, CellOptions(cell.coordinates))
    for given, minutes in (((), 1440), (("timeout_min=none",), 1440), (("slurm_time=30",), 30)):
        with choose_launcher("slurm", folder, parameters=given) as launcher:
            launcher.start(job)
        assert f"#SBATCH --time={minutes}\n" in (cluster / "script.sh").read_text()


def test_a_job_that_slurm_refuses_is_one_line(study, cluster, tmp_path):
    (cluster / "sbatch").write_text("#!/bin/sh\necho error: invalid partition >&2\nexit 1\n")
    folder, cell = study_folder(study, tmp_path / "out"), study_cells(study)[0]
    job = CellJob(folder.folder, cell, 1, CellOptions(cell.coordinates))
    with (
        choose_launcher("slurm", folder) as launcher,
        pytest.raises(InputError, match="--on slurm: sbatch refuses the job: error: invalid part"),
    ):
        launcher.start(job)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ray", {"workers": 2}, "--workers is for --on local: ray decides how many"),
        ("local", {"parameters": ("a=b",)}, "--slurm is for --on slurm"),
        ("local", {"workers": core_count() + 1}, "this machine has .* cores, and a worker needs"),
    ],
)
def test_options_of_another_launcher_are_refused(study, tmp_path, name, options, words):
    with pytest.raises(InputError, match=words):
        choose_launcher(name, study_folder(study, tmp_path), **options)


def test_cores_are_divided_among_the_workers():
    cores = core_count()
    assert Processes(1).threads == cores
    assert Processes(cores).threads == 1
    assert Processes(1, threads=3).threads == 3
    assert RayCluster(threads=2).threads == 2


@pytest.mark.parametrize(("package", "extra"), [("ray", "ray"), ("submitit", "slurm")])
def test_a_launcher_that_is_not_installed_names_its_extra(package, extra):
    missing = ModuleNotFoundError(name=package)
    assert f"pip install 'hyperfitting[{extra}]'" in str(name_the_extra(missing))
