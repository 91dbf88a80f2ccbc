import json

import pytest

from hyperfitting.errors import ModelError, RunError, TrainingFailed
from hyperfitting.files import (
    changed_files,
    file_hashes,
    file_sha256,
    new_folder,
    read_rows,
    undone_if_refused,
    write_rows,
    write_text,
)
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import Continuation, UpdateRow
from hyperfitting.runs import Experiment, find_experiments, find_run

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
    path.write_text('{"update": 1}\n')
    with pytest.raises(RunError, match="is damaged"):
        read_rows(path, UpdateRow)
    path.write_text("nonsense\n")
    with pytest.raises(RunError, match="is damaged"):
        read_rows(path, UpdateRow)


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
        with undone_if_refused(tmp_path / name):
            write_text(tmp_path / name / "x", "1")
            raise error

    with pytest.raises(ModelError):
        fill("new", ModelError("damaged"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(RunError):
        fill("another's", RunError("another process is training there"))
    assert (tmp_path / "another's" / "x").read_text() == "1"
    with pytest.raises(TrainingFailed):
        fill("kept", TrainingFailed("diverged"))
    with pytest.raises(ModelError):
        fill("kept", ModelError("damaged"))
    assert (tmp_path / "kept" / "x").read_text() == "1"


def test_claiming_writes_nothing(tree, tmp_path):
    recipe = parse_recipe(tree, source="t")
    Experiment.claim(tmp_path / "new", recipe)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_ours_is_refused(tree, finished, tmp_path):
    recipe = parse_recipe(tree, source="t")
    other = parse_recipe(tree | {"seed": 5}, source="t")
    assert Experiment.claim(finished.folder, recipe).recipe == recipe
    words = rf"holds the run {recipe.run_name}, not {other.run_name} \(seed 0 -> 5\): choose another --out, or remove it"
    with pytest.raises(RunError, match=words):
        Experiment.claim(finished.folder, other)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file, and a folder is needed there"):
        Experiment.claim(tmp_path / "file", recipe)
    with pytest.raises(RunError, match="is not empty and holds no experiment"):
        Experiment.claim(tmp_path, recipe)
    with pytest.raises(RunError, match="file is a file, and a folder is needed there"):
        write_text(tmp_path / "file" / "deeper" / "x", "")


def test_runs_are_found_by_experiment_or_by_folder(finished, tmp_path):
    assert find_run(finished.folder).role == "hyperfitted"
    assert find_run(finished.folder / "original").role == "original"
    with pytest.raises(RunError, match="holds no trained run"):
        find_run(tmp_path)
    with pytest.raises(RunError, match="holds no experiment"):
        _ = Experiment(tmp_path).recipe
    assert [each.state() for each in find_experiments(finished.folder.parent)] == ["reported"]


def test_the_runs_facts_say_what_was_in_effect(finished):
    facts = finished.run("hyperfitted").facts()
    assert facts["train"]["precision"] == "fp32"
    assert facts["train"]["updates"] == 12
    assert facts["train"]["versions"]["torch"] != "not installed"
    assert facts["generate"]["strategies"][1]["top_p"] == 0.9
    assert facts["train"]["codec"] == finished.manifest()["codec"]
    recipe = json.loads((finished.folder / "recipe.json").read_text())
    assert recipe["train"]["weight_decay"] == 0.0  # resolved: every default written out


def test_damaged_blocks_are_one_line(finished, tmp_path):
    experiment = Experiment(tmp_path / "e")
    (tmp_path / "e" / "data").mkdir(parents=True)
    (tmp_path / "e" / "data" / "manifest.json").write_text('{"codec": "x"}')
    with pytest.raises(RunError, match=r"train.npz is missing"):
        experiment.blocks("train")
    (tmp_path / "e" / "data" / "train.npz").write_bytes(b"PK broken")
    with pytest.raises(RunError, match=r"train.npz is damaged"):
        experiment.blocks("train")
    (tmp_path / "e" / "data" / "manifest.json").write_text("{")
    with pytest.raises(RunError, match=r"manifest.json is damaged"):
        experiment.manifest()


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
