"""A second process that would write where one is at work is refused, and nothing changes."""

import fcntl
import shutil

import pytest

from hyperfitting.errors import RunError
from hyperfitting.files import exclusive_lock
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import generate_experiment
from hyperfitting.stages.measure import measure_experiment
from hyperfitting.stages.train import train_run


def test_a_second_process_in_the_same_folder_is_refused(tree, tmp_path):
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    with (
        exclusive_lock(experiment.run("hyperfitted").folder),
        pytest.raises(
            RunError,
            match=r"hyperfitted: another process is at work there: wait for it, or stop it",
        ),
    ):
        train_run(experiment, "hyperfitted", device="cpu")
    run = train_run(experiment, "hyperfitted", device="cpu")
    assert not (run.folder / ".lock").exists()


@pytest.mark.parametrize("stage", [generate_experiment, measure_experiment])
def test_a_second_process_at_the_same_texts_is_refused(finished, tmp_path, stage):
    experiment = Experiment(shutil.copytree(finished.folder, tmp_path / "out"))
    run = experiment.run("hyperfitted")
    run.metrics_file.unlink()
    if stage is generate_experiment:
        run.continuations_file.unlink()
    held = sorted(run.folder.iterdir())
    with (
        exclusive_lock(run.folder),
        pytest.raises(RunError, match="hyperfitted: another process is at work there"),
    ):
        stage(experiment, device="cpu")
    assert sorted(run.folder.iterdir()) == held


def test_a_lock_that_its_holder_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    real, path = fcntl.flock, tmp_path / ".lock"
    removed = []

    def removed_first(lock, how):
        if not removed:
            removed.append(path.unlink())
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with exclusive_lock(tmp_path):
        assert path.is_file()  # and not only the one that was removed
        with pytest.raises(RunError), exclusive_lock(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []
