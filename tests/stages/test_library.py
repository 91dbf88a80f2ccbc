"""What a library user meets first: text paths, a table, figures, a notebook's cell."""

import doctest
import importlib
import io
import json
import re
import sys

import pytest
from matplotlib.figure import Figure

import hyperfitting
from hyperfitting.errors import InputError, RunError
from hyperfitting.progress import NO_PROGRESS, Console, default_progress
from hyperfitting.report import headline

pytestmark = pytest.mark.pictures


@pytest.fixture
def experiment(finished):
    return hyperfitting.Experiment(str(finished.folder))


def test_folders_are_given_as_text(experiment, finished, tmp_path):
    assert experiment.recipe == finished.recipe
    assert hyperfitting.Run(str(finished.folder / "original")).variant == "original"
    assert "".join(hyperfitting.write(str(finished.folder), "the", new_tokens=2))
    compared = hyperfitting.compare(str(finished.folder), str(tmp_path / "compared"))
    assert compared.page.is_file()
    (tmp_path / "mine.toml").write_text(as_toml(finished.recipe))
    again = hyperfitting.run(str(tmp_path / "mine.toml"), str(finished.folder), device="cpu")
    assert repr(again) == repr(experiment)


def test_a_recipe_and_texts_are_given_as_a_file(finished, tmp_path):
    file, texts = tmp_path / "mine.toml", tmp_path / "texts.jsonl"
    file.write_text(as_toml(finished.recipe))
    texts.write_text('{"text": "the old house"}\n')
    assert hyperfitting.check(file, finished.folder, device="cpu").recipe == finished.recipe
    assert hyperfitting.measure(str(texts)) == hyperfitting.measure(
        hyperfitting.ExternalTextsRequest(texts)
    )


def test_a_section_as_a_dict_changes_what_it_names():
    recipe = hyperfitting.load_recipe("demo", {"train": {"epochs": 3, "lora": {"rank": 4}}})
    assert recipe == hyperfitting.load_recipe("demo", {"train.epochs": 3, "train.lora.rank": 4})
    assert recipe.train.learning_rate == hyperfitting.load_recipe("demo").train.learning_rate


def test_a_strategy_is_one_of_the_recipes_by_its_name(finished):
    by_name = "".join(hyperfitting.write(finished.folder, "the", strategy="nucleus", new_tokens=4))
    nucleus = finished.recipe.generate.strategies[1]
    assert by_name == "".join(
        hyperfitting.write(finished.folder, "the", strategy=nucleus, new_tokens=4)
    )
    with pytest.raises(InputError, match="has no strategy 'beam': greedy, nucleus"):
        hyperfitting.write(finished.folder, "the", strategy="beam")


WRONG_CALLS = {
    "no amount of memory: write it as 80GiB": lambda _: hyperfitting.plan("demo", memory="80"),
    "memory=0: give a whole number": lambda _: hyperfitting.plan("demo", memory=0),
    "count=0: give a whole number": lambda _: hyperfitting.plan("demo", count=0),
    "no experiment to compare": lambda _: hyperfitting.compare([]),
    "overrides: 1 names no setting": lambda _: hyperfitting.load_recipe("demo", {1: 2}),
    "overrides: 2 names no setting": lambda _: hyperfitting.load_recipe("demo", [2]),
    r"write them as .*, or as \[\"train.epochs=10\"\]": (
        lambda _: hyperfitting.load_recipe("demo", "train.epochs=3")
    ),
    "a recipe is given as a file .* not as dict": lambda _: hyperfitting.run({"train": {}}),
    "new_tokens=-3: give a whole": lambda folder: hyperfitting.write(folder, "a", new_tokens=-3),
    "new_tokens=0: give a whole": lambda folder: hyperfitting.write(folder, "a", new_tokens=0),
    "new_tokens=2.5: give a whole": lambda folder: hyperfitting.write(folder, "a", new_tokens=2.5),
    "ask for fewer tokens": lambda folder: hyperfitting.write(folder, "a", new_tokens=10**8),
    "seed=-1: give a whole": lambda folder: hyperfitting.write(folder, "a", seed=-1),
}


@pytest.mark.parametrize("problem", WRONG_CALLS)
def test_a_wrong_argument_is_one_line(problem, finished):
    with pytest.raises(InputError, match=problem) as caught:
        WRONG_CALLS[problem](finished.folder)
    assert "\n" not in str(caught.value)


def test_memory_is_given_as_text_too(finished):
    found = hyperfitting.plan(finished.recipe, memory="64MiB")
    assert found.device_bytes == 64 * 2**20


def test_an_experiment_names_itself_and_refuses_a_variant_that_it_lacks(experiment, tmp_path):
    assert repr(experiment) == f"<Experiment {finished_name(experiment)}>"
    assert "nothing yet" in repr(hyperfitting.Experiment(str(tmp_path)))
    with pytest.raises(RunError, match="has no variant 'hyper': original, hyperfitted"):
        experiment.run("hyper")


def test_a_run_and_a_recipe_name_themselves(experiment, tmp_path):
    assert repr(experiment.run("original")).endswith("tiny/original: measured>")
    assert "not begun" in repr(hyperfitting.Run(tmp_path))
    assert str(experiment.recipe) == f"<Recipe {experiment.recipe.run_name}>"
    settings = re.sub(r" style=\S+ left\"", "", experiment.recipe._repr_html_())
    assert "<th>train.learning_rate</th><td>0.003</td>" in settings


@pytest.mark.parametrize("name", ["package", *hyperfitting.__all__])
def test_each_public_name_has_an_example_that_holds(name, finished, tmp_path, monkeypatch):
    """In a folder with a recipe of one's own, its experiment and a file of texts."""
    if name == "__version__":
        return
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(as_toml(finished.recipe))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(finished.folder)
    (tmp_path / "texts.jsonl").write_text('{"text": "the old house by the river"}\n')
    place = hyperfitting if name == "package" else getattr(hyperfitting, name)
    found = doctest.DocTestFinder(recurse=name != "package").find(
        place, name, module=importlib.import_module(place.__module__) if name != "package" else None
    )
    assert any(test.examples for test in found)
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), io.StringIO()
    for test in found:
        test.globs = {"hyperfitting": hyperfitting}
        runner.run(test, out=said.write)
    assert runner.failures == 0, said.getvalue()


def as_toml(recipe):
    """A recipe as a .toml file: each section as an inline table of what differs from defaults."""
    tree = recipe.model_dump(mode="json", exclude_defaults=True)
    return "".join(f"{key} = {_inline(value)}\n" for key, value in tree.items())


def _inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def test_what_only_stages_need_is_not_offered(experiment):
    offered = [name for name in dir(experiment) if not name.startswith("_")]
    assert {"plot", "recipe", "report_folder", "run", "runs", "state", "table"} <= set(offered)
    assert not [name for name in offered if name.startswith(("write", "update_", "begin", "drop"))]
    offered = dir(experiment.run("original"))
    assert {"continuations", "metrics", "probes", "updates", "model_folder"} <= set(offered)
    assert not {"training_log_writers", "write_metrics", "update_facts"} & set(offered)


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
    assert experiment.plot()._repr_png_().startswith(b"\x89PNG")
    key = experiment.plot("key")
    assert "loss (nats per token)" in [axes.get_title(loc="left") for axes in key.axes]
    with pytest.raises(RunError, match="holds no experiment"):
        hyperfitting.Experiment(experiment.folder / "nothere").plot("key")
    texts = experiment.plot("texts", example=1)
    titles = [each.get_text() for axes in texts.axes for each in axes.texts]
    assert {"the context", "original, greedy", "the true text"} <= set(titles)
    with pytest.raises(InputError, match=r"no example 9: there are \d"):
        experiment.plot("texts", example=9)
    with pytest.raises(InputError, match="no picture 'loss': there are curves, key and texts"):
        experiment.plot("loss")


def test_what_is_found_shows_itself_in_a_line_or_two(finished, tmp_path):
    """A notebook prints what a cell ends with."""
    compared = hyperfitting.compare(finished.folder, tmp_path / "compared")
    assert repr(compared).startswith(f"<Compared {compared.page}: <Comparison of 7 columns in 1")
    assert repr(compared.comparison.metrics[0]).startswith("<DomainMetrics pieces, ")
    assert "<pre>pieces\n" in compared._repr_html_()
    checked = hyperfitting.check(finished.recipe, finished.folder, device="cpu")
    name = finished.recipe.run_name
    assert repr(checked).startswith(f"<RecipeCheck {name}: 12 updates, fp32 on ")
    planned = hyperfitting.plan(finished.recipe, memory="1GiB", count=2)
    assert repr(planned) == (
        f"<MemoryPlan {name}, 1.00 GiB on each of 2 devices: fp32, bf16-autocast, bf16-stochastic "
        "fits>"
    )
    assert "<th>bf16-autocast</th>" in planned._repr_html_()
    for each in (compared, compared.comparison, compared.comparison.metrics[0], checked, planned):
        assert len(repr(each)) < 400


def test_a_cell_shows_what_happened(experiment, tmp_path):
    shown = experiment._repr_html_()
    assert headline(experiment) in shown
    used = set(re.findall(r"var\((--[\w-]+)\)", shown))
    assert {"--before", "--after", "--ink"} <= used
    assert used <= set(re.findall(r"(--[\w-]+):", shown))
    assert "nothing yet" in hyperfitting.Experiment(tmp_path)._repr_html_()
    run = experiment.run("hyperfitted")
    probe = run.probes()[-1]
    assert f"hyperfitted: measured; update {probe.update}; validation" in run._repr_html_()
    assert run._repr_html_().endswith(f"{probe.ttr:.2f} ({run.folder})</p>")


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
