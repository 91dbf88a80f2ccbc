"""What a library user meets first: text paths, a table, figures, a notebook's cell."""

import io
import sys

import pytest
from matplotlib.figure import Figure

import hyperfitting
from hyperfitting.errors import InputError, RunError
from hyperfitting.progress import NO_PROGRESS, Console, default_progress
from hyperfitting.report import headline


@pytest.fixture
def experiment(finished):
    return hyperfitting.Experiment(str(finished.folder))


def test_folders_are_given_as_text(experiment, finished, tmp_path):
    assert experiment.recipe == finished.recipe
    assert hyperfitting.Run(str(finished.folder / "original")).variant == "original"
    assert "".join(hyperfitting.write(str(finished.folder), "the", new_tokens=2))
    compared = hyperfitting.compare_experiments([str(finished.folder)], str(tmp_path / "compared"))
    assert compared.page.is_file()
    again = hyperfitting.run(finished.recipe, str(finished.folder), device="cpu")
    assert repr(again) == repr(experiment)


def test_an_experiment_names_itself_and_refuses_a_variant_that_it_lacks(experiment, tmp_path):
    assert finished_name(experiment) in repr(experiment)
    assert "nothing yet" in repr(hyperfitting.Experiment(str(tmp_path)))
    with pytest.raises(RunError, match="has no variant 'hyper': original, hyperfitted"):
        experiment.run("hyper")


def finished_name(experiment):
    return f"{experiment.folder}: {experiment.recipe.run_name}"


def test_the_metrics_as_a_table(experiment):
    long = experiment.table()
    assert len(long) == sum(len(run.metrics()) for run in experiment.runs().values())
    wide = experiment.table(wide=True)
    row = next(
        row
        for row in experiment.run("hyperfitted").metrics()
        if (row.name, row.strategy) == ("repeated_4gram_share", "greedy")
    )
    assert wide.loc[(row.domain, row.name), "hyperfitted, greedy"] == row.value
    assert wide.loc[(row.domain, row.name), "reference"] >= 0


def test_pictures_as_figures(experiment):
    assert isinstance(experiment.plot(), Figure)
    texts = experiment.plot("texts", example=1)
    titles = [each.get_text() for axes in texts.axes for each in axes.texts]
    assert {"the context", "original, greedy", "the true text"} <= set(titles)
    with pytest.raises(InputError, match=r"no example 9: there are \d"):
        experiment.plot("texts", example=9)
    with pytest.raises(InputError, match="no picture 'loss': there are curves and texts"):
        experiment.plot("loss")


def test_a_cell_shows_what_happened(experiment, tmp_path):
    shown = experiment._repr_html_()
    assert headline(experiment) in shown
    assert "<svg" in shown
    assert "nothing yet" in hyperfitting.Experiment(tmp_path)._repr_html_()


def test_progress_goes_to_a_terminal_or_a_notebook(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert default_progress() is NO_PROGRESS
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    assert isinstance(default_progress(), Console)
    monkeypatch.delitem(sys.modules, "ipykernel")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(default_progress(), Console)
