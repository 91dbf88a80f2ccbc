"""A study from grid to table: every cell an experiment; what is shared, used again, goes wrong."""

import json
import os
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from hyperfitting.cli import main
from hyperfitting.errors import DiskFull, HyperfittingError, RecipeError, RunError
from hyperfitting.facts import write_facts
from hyperfitting.files import replacing
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import load_recipe, parse_recipe
from hyperfitting.stages.archive import archive_experiment
from hyperfitting.studies import base_recipe, study_cells, study_folder
from hyperfitting.studies.cell_run import run_cell
from hyperfitting.studies.estimate import estimate_study, training_kinds
from hyperfitting.studies.folder import cell_facts_file, read_cell_facts
from hyperfitting.studies.jobs import CellJob, CellOptions, CellOutcome
from hyperfitting.studies.launchers.here import Ended, ThisProcess
from hyperfitting.studies.report import report_study, study_results
from hyperfitting.studies.reuse import reusable_experiments
from hyperfitting.studies.sharing import data_key, original_key
from hyperfitting.studies.status import study_status
from hyperfitting.studies.study_run import RunOptions, refuse_other_study, run_study
from hyperfitting.studies.worker import work
from tests.support.grids import METRIC_FILES, metric_files, small, tiny_study
from tests.support.recipes import tiny_tree
from tests.support.spreadsheets import csv_rows

OPTIONS = RunOptions(device="cpu", poll_seconds=0)
RATES = """predictions = true
[[axes]]
name = "rate"
values = { "train.learning_rate" = [3e-3, 1e-3] }
"""


class NoWork(ThisProcess):
    """A launcher for studies in which nothing is left to do."""

    def start(self, job):
        raise AssertionError(f"{job.cell.title} is made")


class Ends(ThisProcess):
    """A launcher whose workers end without having worked."""

    def __init__(self, outcome):
        super().__init__()
        self.ends, self.started = outcome, 0

    def start(self, job):
        self.started += 1
        return Ended(self.ends)


@pytest.fixture(scope="module")
def base(tiny_model, corpus):
    return small(tiny_tree(tiny_model, corpus))


@pytest.fixture(scope="module")
def made(tmp_path_factory, base):
    """A study of two cells with one seed, run in this process: the study, and its folder."""
    folder = tmp_path_factory.mktemp("study")
    study = tiny_study(folder, base, RATES, seeds="[0]")
    shown = []
    status = run_study(
        study, ThisProcess(), out=folder / "out", options=OPTIONS, on_status=shown.append
    )
    assert [each.state for each in status.cells] == ["finished", "finished"]
    assert [each.state for each in shown[-1].cells] == ["finished", "finished"]
    return study, folder / "out"


def test_a_cell_is_an_experiment_whose_weights_are_dropped(made):
    study, out = made
    results = study_results(study, out=out)
    assert [cell.coordinates for cell in results.finished] == [
        {"rate": "0-003", "seed": "0"},
        {"rate": "0-001", "seed": "0"},
    ]
    for cell in results.finished:
        runs = cell.experiment.runs().values()
        assert all(run.measured and not run.model_folder.exists() for run in runs)
        assert (cell.experiment.report_folder / "index.html").is_file()
        made = cell.experiment.run("hyperfitted").facts.train
        assert made.threads == cell.facts.threads == 1
        assert len(cell.updates("hyperfitted")) == 8
        assert len(cell.metric_rows("ttr", variant="hyperfitted", strategy="greedy")) == 1
    assert results.at(rate="0-001")[0].cell.recipe.train.learning_rate == 1e-3
    assert [point for point, _ in results.by_point("rate")] == ["0-003", "0-001"]
    assert "2 of 2 cells finished" in (out / "progress.html").read_text()
    assert "http-equiv" not in (out / "progress.html").read_text()


def test_predictions_are_kept_of_every_model(made):
    study, out = made
    finished = study_results(study, out=out).finished
    assert len(finished) == 2
    for cell in finished:
        before, after = cell.predictions("original"), cell.predictions("hyperfitted")
        assert set(before) == {"train", "validation", "pieces"}
        assert before["pieces"].top1_NS.shape == after["pieces"].probability_NS.shape == (10, 15)
        assert ((after["train"].probability_NS > 0) & (after["train"].probability_NS <= 1)).all()
        assert (before["train"].top1_NS != after["train"].top1_NS).any()


def test_shared_work_is_that_of_a_cell_alone(made, tmp_path):
    """The second cell took data and original of the first; alone it makes the same, to the byte."""
    study, out = made
    first, second = study_results(study, out=out).finished
    assert (first.facts.data_from, first.facts.original_from) == (None, None)
    assert second.facts.data_from == second.facts.original_from == first.cell.folder_name
    options = CellOptions(second.coordinates, device="cpu", keep_weights=True)
    alone = run_cell(second.cell.recipe, tmp_path / "alone", options)
    assert alone.run("hyperfitted").model_folder.is_dir()
    assert metric_files(alone.folder) == metric_files(second.experiment.folder)
    assert len(metric_files(alone.folder)) == 2 * len(METRIC_FILES)
    assert alone.manifest == second.experiment.manifest


class Stops(NoProgress):
    """Ctrl-C as soon as something is drawn as a bar."""

    @contextmanager
    def bar(self, label, total, start=0):
        raise KeyboardInterrupt
        yield self


def test_what_a_stopped_attempt_took_counts(base, tmp_path):
    """Else the time left would be judged from the seconds after the last stop."""
    recipe, cell = parse_recipe(base, source="t"), tmp_path / "cell"
    options = CellOptions({"seed": "0"}, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        run_cell(recipe, cell, options, progress=Stops())
    facts = read_cell_facts(cell)
    assert not facts.finished
    assert facts.seconds > 0
    write_facts(cell_facts_file(cell), facts.model_copy(update={"seconds": 100.0}))
    run_cell(recipe, cell, options)
    done = read_cell_facts(cell)
    assert done.finished
    assert 100 < done.seconds < 200
    run_cell(recipe, cell, options)
    assert read_cell_facts(cell) == done


def test_data_are_shared_where_nothing_that_decides_them_differs(base):
    recipe = parse_recipe(base, source="t")
    first = data_key(recipe)
    for setting, value, same in (
        ("train.learning_rate", 1e-5, True),
        ("model.dtype", "bfloat16", True),
        ("model.initialise", "random", True),
        ("train.order_seed", 3, True),
        ("seed", 3, False),
        ("data.leak_words", 8, False),
        ("generate.new_tokens", 9, False),
        ("model.beginning_of_text", "none", False),
    ):
        section, _, key = setting.rpartition(".")
        changed = (
            {**base, section: base[section] | {key: value}} if section else base | {key: value}
        )
        assert (data_key(parse_recipe(changed, source="t")) == first) is same, setting


def test_originals_are_shared_where_nothing_that_decides_them_differs(base):
    recipe = parse_recipe(base, source="t")
    for changes, same in (
        ({"train": base["train"] | {"learning_rate": 1e-5, "epochs": 9}}, True),
        ({"variants": [{"name": "v", "set": {"train.epochs": 1}}]}, True),
        ({"train": base["train"] | {"precision": "bf16-autocast"}}, False),
        ({"measure": {"bootstrap_draws": 21}}, False),
        ({"probe": base["probe"] | {"contexts": 3}}, False),
        ({"seed": 1}, False),
    ):
        changed = parse_recipe(base | changes, source="t")
        assert (original_key(changed) == original_key(recipe)) is same, changes


def test_a_finished_study_is_not_made_again(made):
    study, out = made
    status = run_study(study, NoWork(), out=out, options=OPTIONS)
    assert len(status.in_state("finished")) == 2


def test_the_table_has_every_metric_of_every_cell(made):
    study, out = made
    report = report_study(study, out=out)
    table = report.files[-1].read_text(encoding="utf-8")
    assert table.startswith("\N{ZERO WIDTH NO-BREAK SPACE}cell,rate,seed,")  # as Excel needs it
    rows = csv_rows(report.files[-1])
    held = [row for cell in study_results(study, out=out).finished for row in cell.metrics]
    assert len(rows) == len(held) > 50
    assert {(row["rate"], row["seed"]) for row in rows} == {("0-003", "0"), ("0-001", "0")}
    assert [row["value"] for row in rows] == [str(row.value) for row in held]


def test_another_study_uses_finished_cells_again(made, base, tmp_path):
    """Those of a study that stands beside it, and of any folder that is named."""
    _, out = made
    other = tiny_study(tmp_path, base, RATES.replace("[3e-3, 1e-3]", "[1e-3]"), seeds="[0]")
    for place, reuse in ((out.parent / "other", ()), (tmp_path / "far", (out,))):
        options = RunOptions(device="cpu", poll_seconds=0, reuse=reuse)
        run_study(other, NoWork(), out=place, options=options)
        (cell,) = study_results(other, out=place).finished
        assert cell.facts.taken_from is not None
        assert "rate-0-001-seed-0" in cell.facts.taken_from
    shutil.rmtree(out.parent / "other")


@pytest.mark.parametrize(
    "change",
    ["[set]\ntrain.betas = [0.9, 0.99]\n", "[set]\nmeasure.batch_blocks = 4\n", "threads = 2\n"],
)
def test_an_experiment_with_another_setting_is_not_used(made, base, tmp_path, change):
    _, out = made
    text = RATES.replace("[3e-3, 1e-3]", "[1e-3]").replace("[[axes]]", f"{change}[[axes]]")
    other = tiny_study(tmp_path, base, text, seeds="[0]")
    launcher = Ends(CellOutcome.LOST)
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(out,), most_losses=1)
    status = run_study(other, launcher, out=tmp_path / "out", options=options)
    assert (launcher.started, len(status.in_state("failed"))) == (1, 1)


def test_an_estimate_counts_on_no_experiment_for_a_cell_that_has_begun(made, base, tmp_path):
    """Such a cell goes on, so that it has to be made."""
    _, out = made
    other = tiny_study(tmp_path, base, RATES, seeds="[0]")
    place = tmp_path / "out"
    how = {"out": place, "reuse": (out,), "device": "cpu", "threads": 1}
    assert (estimate_study(other, **how).reusable, estimate_study(other, **how).to_make) == (2, 0)
    study_folder(other, place).cell_folder(study_cells(other)[0]).mkdir(parents=True)
    assert (estimate_study(other, **how).reusable, estimate_study(other, **how).to_make) == (1, 1)


def test_an_estimate_times_each_kind_with_the_threads_that_its_cells_will_have(
    base, tmp_path, monkeypatch
):
    """Those of the recipe, else of the study, else those that are left over."""
    text = '[[axes]]\nname = "by"\npoints = [{ name = "a" }, { name = "b", threads = 2 }]\n'
    study = tiny_study(tmp_path, base, text, seeds="[0, 1]")
    kinds = training_kinds(study_cells(study), 3)
    assert [cell.threads_of(3) for cell in kinds.values()] == [3, 2]
    assert len(training_kinds(study_cells(study), 2)) == 1
    timed = []

    def note(recipe, *, device):
        timed.append(torch.get_num_threads())
        return SimpleNamespace(tokens_per_second=1.0)

    monkeypatch.setattr("hyperfitting.studies.estimate.try_updates", note)
    alike = tiny_study(tmp_path / "alike", base, text.replace("threads", "repeat"), seeds="[0, 1]")
    for each, changes, threads, originals in (
        (study, (), [1, 2], 4),
        (alike, ["engine.threads=2"], [2], 2),
    ):
        found = estimate_study(
            each, out=tmp_path / "out", overrides=changes, threads=1, device="cpu"
        )
        assert (timed, found.originals) == (threads, originals)
        timed.clear()


def test_an_estimate_counts_no_more_workers_than_cells(made, base, tmp_path, monkeypatch):
    _, out = made
    monkeypatch.setattr("hyperfitting.studies.launchers.processes.core_count", lambda: 64)
    study = tiny_study(tmp_path, base, RATES, seeds="[0, 1]")
    found = estimate_study(study, out=out, workers=64, threads=1, device="cpu")
    assert (found.to_make, found.workers) == (2, 2)


def test_a_control_is_used_again_with_the_same_engine_only(made, base, tmp_path):
    _, out = made
    again = tmp_path / "again"
    shutil.copytree(out / "cells", again)
    for file in again.glob("*/cell.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"repeat": 1}))
    for file in again.glob("*/recipe.json"):
        tree = json.loads(file.read_text())
        tree["engine"].pop("keep_last")  # as of a version that did not have it
        file.write_text(json.dumps(tree))
    point = '{ name = "again", repeat = 1, set = { "train.learning_rate" = 1e-3%s } }'
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(again,), most_losses=1)
    for engine, state in (("", "finished"), (', "engine.keep_last" = 1', "failed")):
        axis = f'predictions = true\n[[axes]]\nname = "time"\npoints = [{point % engine}]\n'
        study = tiny_study(tmp_path, base, axis, seeds="[0]")
        status = run_study(
            study, Ends(CellOutcome.LOST), out=tmp_path / "runs" / state, options=options
        )
        assert [each.state for each in status.cells] == [state]
        shutil.rmtree(tmp_path / "runs" / state)


def test_two_commands_may_begin_a_study_at_the_same_moment(base, tmp_path):
    """One has begun to write what the other one looks for."""
    study = tiny_study(tmp_path, base, RATES, seeds="[0]")
    folder = study_folder(study, tmp_path / "out")
    recipe = base_recipe(study)
    folder.claims_folder.mkdir(parents=True)
    (folder.folder / ".base.json.0123.partial").write_text("{")
    refuse_other_study(folder, recipe, study_cells(study))
    with replacing(folder.study_file, shared=True) as one:
        one.write_text("one")
        folder.keep_study(study, recipe)
    assert folder.study_file.read_text() == "one"
    refuse_other_study(folder, recipe, study_cells(study))


def test_an_experiment_is_used_again_when_nothing_is_left_to_do_of_it(made, base, tmp_path):
    """Not a cell that is at work still, nor one whose benchmarks are not answered."""
    study, out = made
    cell = study_folder(study, out).cell_folder(study_cells(study)[0])
    held = shutil.copytree(cell, tmp_path / "held" / "cell")
    place = study_folder(study, tmp_path / "other" / "out")

    def found():
        return [each.experiment.folder for each in reusable_experiments(place, [held.parent])]

    assert found() == [held]
    facts = json.loads((held / "cell.json").read_text())
    (held / "cell.json").write_text(json.dumps(facts | {"finished": False}))
    assert found() == []
    (held / "cell.json").write_text(json.dumps(facts))
    recipe = json.loads((held / "recipe.json").read_text())
    recipe["evaluate"] |= {"data": str(tmp_path), "tasks": [{"name": "rte"}]}
    (held / "recipe.json").write_text(json.dumps(recipe))
    assert found() == [held]
    shutil.rmtree(held / "report")
    assert found() == []


def test_an_ordinary_experiment_is_used_again(finished, tree, tmp_path):
    study = tiny_study(tmp_path, tree, "description = 'one cell'\n", seeds="[0]")
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(finished.folder.parent,))
    run_study(study, NoWork(), out=tmp_path / "out", options=options)
    (cell,) = study_results(study, out=tmp_path / "out").finished
    assert not cell.experiment.run("hyperfitted").model_folder.exists()
    assert cell.metrics[0] == finished.run("original").metrics()[0]


def test_an_archive_of_a_cell_is_used_again_and_shares_nothing(base, tmp_path):
    """A study goes on elsewhere from small files: the other cells draw data of their own."""
    text = RATES.replace("predictions = true\n", "")
    one = tiny_study(tmp_path / "one", base, text.replace("[3e-3, 1e-3]", "[1e-3]"), seeds="[0]")
    run_study(one, ThisProcess(), out=tmp_path / "one" / "out", options=OPTIONS)
    (cell,) = study_results(one, out=tmp_path / "one" / "out").finished
    archive_experiment(cell.experiment.folder, tmp_path / "archives" / "cell")
    both = tiny_study(tmp_path / "both", base, text, seeds="[0]")
    out = tmp_path / "both" / "out"
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(tmp_path / "archives",))
    run_study(both, ThisProcess(), out=out, options=options)
    made, archived = study_results(both, out=out).finished
    assert archived.facts.taken_from == str(tmp_path / "archives" / "cell")
    assert archived.metrics == cell.metrics
    assert (made.facts.data_from, made.facts.original_from) == (None, None)
    assert report_study(both, out=out).finished == 2
    asks = tiny_study(tmp_path / "asks", base, "predictions = true\n" + text, seeds="[0]")
    assert (
        run_study(
            asks, Ends(CellOutcome.LOST), out=tmp_path / "asks" / "out", options=options
        ).in_state("finished")
        == []
    )  # an archive has no predictions


def test_a_cell_that_fails_is_one_line_and_the_others_go_on(base, tmp_path, capsys):
    text = '[[axes]]\nname = "blocks"\nvalues = { "data.train_blocks" = [61, 8] }\n'
    study = tiny_study(tmp_path, base, text, seeds="[0]")
    status = run_study(study, ThisProcess(), out=tmp_path / "out", options=OPTIONS)
    failed, finished = status.cells
    assert (failed.state, finished.state) == ("failed", "finished")
    assert "the set 'train' needs 61 documents" in failed.line
    assert not study_folder(study, tmp_path / "out").cell_folder(failed.cell).exists()
    with pytest.raises(HyperfittingError, match=r"1 of 2 cells failed: .* --retry-failed"):
        status.refuse_failed()
    command = ["study", "run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"failed    blocks 61, seed 0: {failed.line}\n" in said.out
    assert said.err.splitlines()[-1].startswith("hyperfit: 1 of 2 cells failed")
    again = Ends(CellOutcome.HELD)
    assert run_study(study, again, out=tmp_path / "out", options=OPTIONS) == status
    assert again.started == 0
    retry = RunOptions(device="cpu", poll_seconds=0, retry_failed=True)
    again = run_study(study, ThisProcess(), out=tmp_path / "out", options=retry)
    assert [each.state for each in again.cells] == ["failed", "finished"]


def test_a_worker_that_is_lost_again_and_again_has_failed(base, tmp_path):
    study = tiny_study(tmp_path, base, RATES, seeds="[0]")
    lost = Ends(CellOutcome.LOST)
    status = run_study(study, lost, out=tmp_path / "out", options=OPTIONS)
    assert lost.started == 2 * OPTIONS.most_losses
    assert {each.line.partition(":")[0] for each in status.cells} == {
        "its worker was lost 3 times, killed or out of memory"
    }


def test_a_full_disk_stops_the_study_in_one_line(base, tmp_path):
    study = tiny_study(tmp_path, base, RATES, seeds="[0]")
    folder, cells = study_folder(study, tmp_path / "out"), study_cells(study)
    folder.logs_folder.mkdir(parents=True)
    folder.log_file(cells[0]).symlink_to("/dev/full")
    job = CellJob(folder.folder, cells[0], 1, CellOptions(cells[0].coordinates, device="cpu"))
    assert work(job) is CellOutcome.DISK_FULL
    assert folder.failure(cells[0]) is None
    with pytest.raises(DiskFull, match=r"no space left on the disk: .* the same command goes on"):
        run_study(study, Ends(CellOutcome.DISK_FULL), out=tmp_path / "new", options=OPTIONS)


@pytest.mark.parametrize("start", [run_study, estimate_study])
def test_axes_that_the_analysis_does_not_read_are_refused_before_the_first_cell(
    base, tmp_path, start
):
    study = tiny_study(tmp_path, base, f'analysis = "downstream"\n{RATES}')
    given = (NoWork(),) if start is run_study else ()
    with pytest.raises(RecipeError, match="the analysis downstream does not read the axis 'rate'"):
        start(study, *given, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("start", [run_study, estimate_study])
def test_an_analysis_of_predictions_that_are_not_kept_is_refused_before_the_first_cell(
    base, tmp_path, start
):
    axis = '[[axes]]\nname = "order"\npoints = [{ name = "given" }]\n'
    study = tiny_study(tmp_path, base, f'analysis = "shuffle"\n{axis}')
    given = (NoWork(),) if start is run_study else ()
    with pytest.raises(RecipeError, match=r"does not keep: set predictions = true"):
        start(study, *given, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("start", [run_study, estimate_study])
def test_a_finished_cell_without_the_predictions_that_are_asked_for_is_refused(
    made, tmp_path, start
):
    study, out = made
    copy = shutil.copytree(out, tmp_path / "out")
    (cell,) = copy.glob("cells/rate-0-001-*")
    (cell / "original" / "predictions.npz").unlink()
    given = (NoWork(),) if start is run_study else ()
    words = f"{cell} was finished without predictions, for which tiny asks now: choose another"
    with pytest.raises(RunError, match=words):
        start(study, *given, out=copy)
    without = study.model_copy(update={"predictions": False})
    assert estimate_study(without, out=copy, device="cpu").finished == 2


def test_what_a_killed_attempt_took_counts(base, tmp_path):
    study = tiny_study(tmp_path, base, "description = 'one cell'\n", seeds="[0]")
    folder, (cell,) = study_folder(study, tmp_path / "out"), study_cells(study)
    killed = folder.claims_folder / f"{cell.folder_name}.1.json"
    killed.parent.mkdir(parents=True)
    killed.write_text(json.dumps({"process": 1, "machine": "another", "begun": 1000.0}))
    os.utime(killed, (1100, 1100))
    job = CellJob(folder.folder, cell, 2, CellOptions(cell.coordinates, device="cpu"))
    assert work(job) is CellOutcome.FINISHED
    assert 100 < folder.finished(cell).facts.seconds < 200


def test_a_folder_of_another_study_is_refused(made, base, tmp_path):
    study, out = made
    with pytest.raises(RunError, match=r"another base \(train.epochs 2 -> 3\): choose another"):
        run_study(study, NoWork(), out=out, overrides=["train.epochs=3"], options=OPTIONS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(RunError, match="mine is not empty and holds no study"):
        run_study(study, NoWork(), out=tmp_path / "mine", options=OPTIONS)
    with pytest.raises(RunError, match="is a file, and a folder is needed there"):
        run_study(study, NoWork(), out=tmp_path / "mine" / "notes.txt", options=OPTIONS)


def sets(place, value):
    """A change of a stored recipe: the setting at a place, such as `probe.smooth`."""

    def change(tree):
        *parents, last = place.split(".")
        for parent in parents:
            tree = tree[int(parent)] if parent.isdecimal() else tree[parent]
        tree[last] = value

    return change


NO_MORE = ["train.clip_norm_kind", "data.domains.0.smooth", "judge"]
"""What else a former version says of settings at their default."""
AS_BEFORE = {
    "an added setting": lambda tree: tree["train"].pop("clip_norm"),
    "a setting that is no more, at its default": sets("train.clip_norm_kind", 2),
    "one of a section that is at its default": sets("evaluate.smooth", 2),
    "one of an item of a list": sets("data.domains.0.smooth", 2),
    "a section that is no more": sets("judge", {"smooth": 2}),
}
OTHERWISE = {
    "a changed default": (sets("train.epsilon", 1e-6), "train.epsilon"),
    "a setting that is no more, in use": (sets("probe.smooth", 2), "probe.smooth"),
}


def of_another_version(out, to, change):
    """A study's folder as another version may have left it."""
    shutil.copytree(out, to)
    for file in [*to.glob("cells/**/recipe.json"), to / "base.json"]:
        tree = json.loads(file.read_text())
        change(tree)
        file.write_text(json.dumps(tree))
    for file, key in [
        *((each, "at_default") for each in to.glob("cells/*/cell.json")),
        (to / "study.json", "base_at_default"),
    ]:
        held = json.loads(file.read_text())
        file.write_text(json.dumps(held | {key: held[key] + NO_MORE}))
    return to


@pytest.mark.parametrize("case", AS_BEFORE)
def test_a_study_of_another_version_goes_on_where_it_means_the_same(made, base, tmp_path, case):
    """Its cells are kept, used in another study, and reported."""
    study, out = made
    copy = of_another_version(out, tmp_path / "one" / "out", AS_BEFORE[case])
    place = tmp_path / "far"
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(copy,))
    run_study(study, NoWork(), out=place, options=options)
    run_study(study, NoWork(), out=copy, options=OPTIONS)
    for folder in (place, copy):
        assert report_study(study, out=folder).finished == 2
    for cell in study_results(study, out=place).finished:
        assert cell.experiment.run("hyperfitted").recipe == cell.cell.recipe.of("hyperfitted")


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_study_of_another_version_is_refused_where_it_means_another(made, tmp_path, case):
    study, out = made
    change, setting = OTHERWISE[case]
    copy = of_another_version(out, tmp_path / "out", change)
    with pytest.raises(RunError, match=rf"of another base \(.*{setting}.*: choose another --out"):
        run_study(study, NoWork(), out=copy, options=OPTIONS)
    shutil.copyfile(out / "base.json", copy / "base.json")
    words = f"made by hyperfitting .* with another {setting} than hyperfitting .* gives it: remove"
    with pytest.raises(RunError, match=words):
        run_study(study, NoWork(), out=copy, options=OPTIONS)


def test_a_cell_that_another_version_began_is_refused(made, tmp_path):
    study, out = made
    copy = shutil.copytree(out, tmp_path / "out")
    file = study_folder(study, copy).cell_folder(study_cells(study)[0]) / "cell.json"
    facts = json.loads(file.read_text()) | {"hyperfitting": "0.0.1", "finished": False}
    file.write_text(json.dumps(facts))
    with pytest.raises(
        RunError, match=r"was begun by hyperfitting 0\.0\.1, and this is .*: remove"
    ):
        run_study(study, NoWork(), out=copy, options=OPTIONS)


def test_how_far_a_study_has_come_is_read_from_its_folder(made, base, tmp_path):
    study, out = made
    assert study_status(study, out=out).in_state("running") == []
    more = tiny_study(tmp_path, base, RATES, seeds="[0, 1]")
    status = study_status(more, out=out)
    assert [each.state for each in status.cells] == ["finished", "waiting"] * 2
    assert status.cells[0].update == status.cells[0].updates == 8
    assert status.seconds_left > 0
    recipe = load_recipe(study_folder(study, out).base_file)
    assert recipe.name == "tiny"
