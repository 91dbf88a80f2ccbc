import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from hyperfitting.cli.text import listing_line
from hyperfitting.errors import ModelError, RunError, TrainingFailed
from hyperfitting.facts import DataManifest, write_facts
from hyperfitting.files import (
    changed_files,
    file_hashes,
    file_sha256,
    make_folder,
    new_folder,
    read_rows,
    remove_folder_on_input_error,
    write_rows,
    write_text,
)
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import Continuation, UpdateRow
from hyperfitting.runs import Experiment, find_experiments, find_run
from hyperfitting.stages.listing import list_experiments

ROWS = [UpdateRow(1, 1, 2.5, 1e-6, 0.5, 100.0), UpdateRow(2, 1, 2.0, 1e-6, 0.5, 100.0)]


def test_rows_come_back_as_they_were(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    assert read_rows(tmp_path / "rows.jsonl", UpdateRow) == ROWS


def test_tuples_come_back_as_tuples(tmp_path):
    text = Continuation(
        "m", "r", "s", None, 0, "f", 1, "g", "t", (1, 2), ("a", "b"), (3,), ("\u2028é\n",), "length"
    )
    write_rows(tmp_path / "rows.jsonl", [text])
    assert read_rows(tmp_path / "rows.jsonl", Continuation) == [text]
    assert text.text == "\u2028é\n"


def test_a_last_line_cut_off_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    path.write_text(path.read_text() + '{"update": 3, "ep')
    assert read_rows(path, UpdateRow) == ROWS


def test_a_damaged_or_missing_file_is_one_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    with pytest.raises(RunError, match="is missing: the stage that writes it has not finished"):
        read_rows(path, UpdateRow)
    path.write_bytes(b"\xff\n")
    with pytest.raises(RunError, match="is damaged: it is not UTF-8"):
        read_rows(path, UpdateRow)


ROW = {
    "update": 2,
    "epoch": 1,
    "loss": 2.0,
    "learning_rate": 1e-6,
    "gradient_norm": 0.5,
    "tokens_per_second": 1,
}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"update": 1}', "epoch: Field required"),
        (json.dumps(ROW | {"model": "m"}), "model: Unexpected keyword argument"),
        (json.dumps(ROW | {"epoch": "1"}), "epoch: Input should be a valid integer"),
        (json.dumps(ROW | {"loss": None}), "loss: Input should be a valid number"),
        ("nonsense", "Invalid JSON"),
        ("", "Field required"),
        (f"{json.dumps(ROW)}, {json.dumps(ROW)}", "Tuple should have at most 1 item"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_file_row_and_field(line, problem, tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(RunError) as caught:
        read_rows(path, UpdateRow)
    assert str(caught.value).startswith(f"{path} is damaged: row 3 is no UpdateRow: {problem}")
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        write_rows(path, (1 / 0 for _ in range(1)))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    with new_folder(tmp_path / "f") as folder:
        (folder / "x").write_text("1")

    def fail():
        with new_folder(tmp_path / "f") as folder:
            (folder / "y").write_text("2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["x"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    for name in ("x", "y"):
        with new_folder(tmp_path / "f") as folder:
            (folder / name).write_text(name)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["y"]


def test_only_a_refusal_takes_back_a_folder_and_only_a_new_one(tmp_path):
    def fill(name, error):
        with remove_folder_on_input_error(tmp_path / name):
            write_text(tmp_path / name / "x", "1")
            raise error

    with pytest.raises(ModelError):
        fill("new", ModelError("damaged"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(RunError):
        fill("another's", RunError("another process is at work there"))
    assert (tmp_path / "another's" / "x").read_text() == "1"
    with pytest.raises(TrainingFailed):
        fill("kept", TrainingFailed("diverged"))
    with pytest.raises(ModelError):
        fill("kept", ModelError("damaged"))
    assert (tmp_path / "kept" / "x").read_text() == "1"


def test_opening_writes_nothing(tree, tmp_path):
    recipe = parse_recipe(tree, source="t")
    Experiment.open_or_new(tmp_path / "new", recipe)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_ours_is_refused(tree, finished, tmp_path):
    recipe = parse_recipe(tree, source="t")
    other = parse_recipe(tree | {"seed": 5}, source="t")
    assert Experiment.open_or_new(finished.folder, recipe).recipe == recipe
    words = (
        rf"holds the run {recipe.run_name}, not {other.run_name} \(seed 0 -> 5\): "
        "choose another --out, or remove it"
    )
    with pytest.raises(RunError, match=words):
        Experiment.open_or_new(finished.folder, other)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file, and a folder is needed there"):
        Experiment.open_or_new(tmp_path / "file", recipe)
    with pytest.raises(RunError, match="is not empty and holds no experiment"):
        Experiment.open_or_new(tmp_path, recipe)
    with pytest.raises(RunError, match="file is a file, and a folder is needed there"):
        write_text(tmp_path / "file" / "deeper" / "x", "")
    with pytest.raises(RunError, match="/dev/null is a file, and a folder is needed there"):
        make_folder(Path("/dev/null/deeper"))  # which is no ordinary file


def test_runs_are_found_by_experiment_or_by_folder(finished, tmp_path):
    assert find_run(finished.folder).variant == "hyperfitted"
    assert find_run(finished.folder / "original").variant == "original"
    with pytest.raises(RunError, match="holds no trained run"):
        find_run(tmp_path)
    with pytest.raises(RunError, match="holds no experiment"):
        _ = Experiment(tmp_path).recipe
    assert [each.state() for each in find_experiments(finished.folder.parent)] == ["reported"]


def test_a_run_is_recognised_by_its_files_whatever_its_variant_is_called(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "here" / "copy")
    assert [each.folder for each in find_experiments(tmp_path)] == [folder]
    for name in ("original", "slower", "begun"):
        if name != "original":
            shutil.copytree(folder / "original", folder / name)
        assert find_experiments(folder / name) == []
        assert find_run(folder / name).variant == name
    (folder / "begun" / "run.json").unlink()
    assert find_experiments(folder / "begun") == []
    experiment = Experiment(folder)
    names = [run.variant for run in experiment.begun_runs()]
    assert names == ["begun", "hyperfitted", "original", "slower"]
    assert list(experiment.runs()) == ["original", "hyperfitted"]
    shutil.rmtree(folder / "report")
    assert experiment.state() == "measured"
    (folder / "original" / "metrics.jsonl").unlink()
    assert experiment.state() == "generated"


WRITTEN = 946_728_000
"""Noon of 2000-01-01."""


def test_experiments_are_dated_by_their_runs_wherever_they_are_copied(finished, tmp_path):
    for name, day in (("young", "2026-02-02"), ("old", "2025-01-01"), ("undated", None)):
        folder = shutil.copytree(finished.folder, tmp_path / name)
        run = Experiment(folder).run("hyperfitted")
        run.update_facts(train=replace_date(run.train_facts, day))
        os.utime(folder / "recipe.json", (WRITTEN, WRITTEN))
    found = {each.folder.name: each for each in list_experiments(tmp_path)}
    assert list(found) == ["undated", "old", "young"]
    assert [str(each.made)[:10] for each in found.values()] == [
        "2000-01-01",
        "2025-01-01",
        "2026-02-02",
    ]
    assert " 2026-02-02  " in listing_line(found["young"])
    assert f" {datetime.fromtimestamp(WRITTEN):%Y-%m-%d %H:%M}  " in listing_line(found["undated"])


def replace_date(facts, day):
    return facts.model_copy(update={"date": day})


def test_a_recipe_beside_an_experiment_does_not_hide_it(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    shutil.copy(folder / "recipe.json", tmp_path / "recipe.json")
    assert [each.folder for each in find_experiments(folder)] == [folder]


def test_the_runs_facts_say_what_was_in_effect(finished):
    facts = finished.run("hyperfitted").facts
    assert facts.train.precision == "fp32"
    assert facts.train.updates == 12
    assert facts.train.environment.versions["torch"] != "not installed"
    assert facts.generate.strategies[1].top_p == 0.9
    assert facts.train.codec == finished.manifest.codec
    recipe = json.loads((finished.folder / "recipe.json").read_text())
    assert recipe["train"]["weight_decay"] == 0.0  # resolved: every default written out


def test_damaged_blocks_are_one_line(finished, tmp_path):
    experiment = Experiment(tmp_path / "e")
    manifest = DataManifest(codec="x", seed=0, sources=(), sets=())
    write_facts(experiment.manifest_file, manifest)
    with pytest.raises(RunError, match=r"train.npz is missing"):
        experiment.blocks("train")
    (tmp_path / "e" / "data" / "train.npz").write_bytes(b"PK broken")
    with pytest.raises(RunError, match=r"train.npz is damaged"):
        experiment.blocks("train")
    (tmp_path / "e" / "data" / "manifest.json").write_text("{")
    with pytest.raises(RunError, match=r"manifest.json is damaged"):
        _ = experiment.manifest


def test_differences_name_files_by_what_became_of_them():
    before = dict.fromkeys("abcdefg", "1")
    now = {"a": "1", "b": "2", "z": "1"}
    assert changed_files(before, now) == "changed: b; gone: c, d, e and 2 more; new: z"
    assert changed_files(before, dict(before)) == ""


def test_hashes_go_by_the_path_inside_the_folder_and_follow_changes(tmp_path):
    for name, text in (("x/1.txt", "one"), ("y/1.txt", "two")):
        write_text(tmp_path / name, text)
    files = sorted(tmp_path.rglob("*.txt"))
    before = file_hashes(tmp_path, files)
    assert list(before) == ["x/1.txt", "y/1.txt"]
    assert before["x/1.txt"] == file_sha256(files[0]) != before["y/1.txt"]
    write_text(files[0], "three")
    assert file_hashes(tmp_path, files)["x/1.txt"] == file_sha256(files[0]) != before["x/1.txt"]
