"""What experiments no longer need is named, and removed only when that is asked for."""

import shutil

import pytest

from hyperfitting.cli import main
from hyperfitting.files import exclusive_lock
from hyperfitting.runs import Experiment
from hyperfitting.stages.clean import clean_experiments
from hyperfitting.stages.report import report_experiment


@pytest.fixture
def left(finished, tmp_path):
    """A copy of the finished experiment with checkpoints and half a file, as after kills."""
    run = Experiment(shutil.copytree(finished.folder, tmp_path / "runs" / "tiny")).run(
        "hyperfitted"
    )
    run.checkpoint_folder.mkdir()
    (run.checkpoint_folder / "state.json").write_text("x" * 1000)
    cut_off = run.folder / ".metrics.jsonl.partial"
    cut_off.write_text("x" * 10)
    return run


def test_leftovers_are_named_and_kept(left, capsys):
    folder = left.folder.parents[1]
    assert main(["clean", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{left.checkpoint_folder}: checkpoints of a training that ended" in said
    assert ".metrics.jsonl.partial: what a write that was cut off left" in said
    assert "in all, nothing removed yet" in said
    assert f"next     hyperfit clean {folder} --yes" in said
    assert left.checkpoint_folder.is_dir()


def test_they_go_when_asked_for_and_the_rest_stays(left, capsys):
    assert main(["clean", str(left.folder.parents[1]), "--yes"]) == 0
    assert "in all, removed" in capsys.readouterr().out
    assert not left.checkpoint_folder.exists()
    assert list(left.folder.glob(".*.partial")) == []
    assert left.model_folder.is_dir()
    assert left.measured


def test_models_of_a_measured_experiment_go_only_with_weights(left):
    folder = left.folder.parent
    found = clean_experiments(folder, weights=True, remove=True)
    assert left.model_folder in [each.path for each in found]
    assert not left.model_folder.exists()
    assert report_experiment(Experiment(folder)).is_file()
    left.metrics_file.unlink()
    assert clean_experiments(folder, weights=True) == []


def test_a_run_at_work_and_a_damaged_experiment_are_passed_over(left):
    with exclusive_lock(left.folder):
        assert clean_experiments(left.folder.parent, remove=True) == []
    assert left.checkpoint_folder.is_dir()
    (left.folder.parent / "recipe.json").write_text("{")
    assert clean_experiments(left.folder.parent, remove=True) == []
