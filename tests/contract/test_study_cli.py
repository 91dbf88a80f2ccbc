"""`hyperfit study ...` as a user meets it: what it prints, and one line with exit code 2 for wrong
input.
"""

import json
import os
from pathlib import Path

import pytest

from hyperfitting.cli import main
from hyperfitting.cli.study_text import StatusTable, status_lines
from hyperfitting.studies import (
    load_study,
    shipped_studies,
    study_cells,
    study_folder,
    study_path,
)
from hyperfitting.studies.launchers.here import ThisProcess
from hyperfitting.studies.page import write_progress_page
from hyperfitting.studies.status import CellStatus, StudyStatus
from hyperfitting.studies.study_run import RunOptions, run_study
from tests.support.cli import refused
from tests.support.grids import small, write_study
from tests.support.recipes import tiny_tree

ONE = 'description = "one cell"\n'


@pytest.fixture(scope="module")
def ran(tmp_path_factory, tiny_model, corpus, finished):
    """A study of one cell, which is finished elsewhere: its file and its folder, as texts."""
    folder = tmp_path_factory.mktemp("ran")
    path = write_study(folder, tiny_tree(tiny_model, corpus), ONE, seeds="[0]")
    options = RunOptions(device="cpu", poll_seconds=0, reuse=(finished.folder.parent,))
    run_study(load_study(path), ThisProcess(), out=folder / "out", options=options)
    return str(path), str(folder / "out")


def test_the_verbs_say_what_they_found_and_what_comes_next(ran, tmp_path, capsys):
    path, out = ran
    steps = [
        (["show", path], 'name = "tiny"'),
        (["status", path, "--out", out], "tiny: 1 of 1 cells finished"),
        (["run", path, "--out", out], f"next     hyperfit study report {path} --out {out}"),
        (["report", path, "--out", out], f"report   {out}/report/cells.csv"),
        (
            ["estimate", path, "--out", out],
            "cells     1: 1 finished, 0 finished elsewhere, 0 to make",
        ),
    ]
    for arguments, words in steps:
        assert main(["study", *arguments]) == 0
        assert words in capsys.readouterr().out
    assert main(["study", "run", path, "--out", out]) == 0
    assert "1 of 1 cells finished" in capsys.readouterr().err
    assert main(["study", "run", path, "--out", out, "-q"]) == 0
    said = capsys.readouterr()
    assert (said.err, "1 of 1 cells finished" in said.out) == ("", True)
    heads = [
        (Path(out) / "report" / name).read_text(encoding="utf-8-sig").split(",")[:3]
        for name in ("cells.csv", "every-cell.csv")
    ]
    assert heads == [["cell", "seed", "variant"], ["cell", "domain", "metric"]]


def test_an_estimate_counts_trainings_and_what_they_share(tiny_model, corpus, tmp_path, capsys):
    tree = small(tiny_tree(tiny_model, corpus))
    tree["variants"] = [
        {"name": "early-stopped", "set": {"train.stop": "best-validation"}},
        {"name": "decayed", "set": {"train.weight_decay": 0.1}},
    ]
    path = write_study(tmp_path, tree)
    place = [str(path), "--out", str(tmp_path / "out")]
    assert main(["study", "estimate", *place, "--threads", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "cells     4: 0 finished, 0 finished elsewhere, 4 to make"
    assert said[1] == "trainings 8"  # the early-stopped one costs none
    assert said[2] == "shared    data are drawn 2 times, originals measured 2 times"
    assert "of updates with 1 at once, at" in said[3]
    assert "of writing and measuring; probes come on top" in said[4]
    assert said[5].startswith("disk      ")
    assert said[6] == f"next     hyperfit study run {path} --out {tmp_path / 'out'} --threads 1"
    assert not (tmp_path / "out").exists()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    reuse = f"--reuse {tmp_path / 'a'} --reuse {tmp_path / 'b'}"
    given = f"--workers 1 --threads 1 --device cpu {reuse} --yes"
    assert main(["study", "estimate", *place, *given.split()]) == 0
    assert capsys.readouterr().out.splitlines()[6].endswith(f" --out {tmp_path / 'out'} {given}")


def test_the_status_says_why_a_cell_failed(tiny_model, corpus, tmp_path, capsys):
    path = write_study(tmp_path, small(tiny_tree(tiny_model, corpus)), ONE, seeds="[0]")
    folder = study_folder(load_study(path), tmp_path / "out")
    failure = folder.failure_file(study_cells(load_study(path))[0])
    assert main(["study", "status", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "0 of 1 cells finished, 1 waiting" in capsys.readouterr().out
    failure.parent.mkdir(parents=True)
    failure.write_text(json.dumps({"line": "the loss is not a number"}))
    assert main(["study", "status", str(path), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "failed    seed 0: the loss is not a number\n" in said
    assert "0 of 1 cells finished, 1 failed" in said


WRONG = {
    "an axis that names no setting": (
        '[[axes]]\nname = "rate"\nvalues = { "train.learning_rat" = [1e-3] }\n',
        "tiny: axis rate, point 0-001: train.learning_rat is not a setting; did you mean "
        "train.learning_rate?",
    ),
    "an explosion": (
        '[[axes]]\nname = "order"\nvalues = { "train.order_seed" = ['
        + ", ".join(map(str, range(501)))
        + "] }\n",
        "tiny has 1,002 cells (order 501 x seeds 2): shorten an axis, or confirm more than 1,000 "
        "with --yes",
    ),
    "a setting of a study that is not known": (
        "axis = []\n",
        "axis is not a setting; did you mean",
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("verb", ["run", "estimate"])
def test_a_wrong_study_is_refused_in_one_line(tree, tmp_path, capsys, case, verb):
    text, words = WRONG[case]
    path = write_study(tmp_path, tree, text)
    out = tmp_path / "out"
    assert words in refused(capsys, "study", verb, str(path), "--out", str(out))
    assert not out.exists()


def test_a_study_whose_base_changed_is_refused(ran, capsys):
    path, out = ran
    words = refused(capsys, "study", "run", path, "--out", out, "--set", "train.epochs=5")
    assert f"{out} was made of another base (train.epochs 3 -> 5): choose another --out" in words


def test_there_is_nothing_to_report_yet(tree, tmp_path, capsys):
    path = str(write_study(tmp_path, tree))
    words = refused(capsys, "study", "report", path, "--out", str(tmp_path / "out"))
    out = tmp_path / "out"
    assert f"has no finished cell: run `hyperfit study run {path} --out {out}` first" in words
    words = refused(capsys, "study", "report", path, "--out", str(out), "--set", "train.epochs=1")
    assert f"`hyperfit study run {path} --set train.epochs=1 --out {out}` first" in words
    assert "no study 'x'" in refused(capsys, "study", "show", "x")
    assert "--workers: 'many' is not a whole number" in refused(
        capsys, "study", "run", path, "--workers", "many"
    )


def test_a_shipped_study_is_copied_once_and_what_does_not_ship_is_one_line(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["study", "copy", "long"]) == 0
    assert capsys.readouterr().out.startswith(
        "study    long.toml\nnext     hyperfit study estimate"
    )
    assert Path("long.toml").read_bytes() == study_path("long").read_bytes()
    assert "long.toml is there already: name another" in refused(capsys, "study", "copy", "long")
    Path("mine.toml").write_text("")  # a file of that name does not ship
    for name, hint in (("mine", ""), ("quantty", "; did you mean quantity?")):
        names = ", ".join(shipped_studies())
        words = f"no shipped study {name!r}: there are {names}{hint}\n"
        assert words in refused(capsys, "study", "copy", name, "new.toml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.toml", "mine.toml"]


@pytest.mark.parametrize("data", ["name = 'caf\xe9'".encode("latin-1"), b"\x00\x01"])
def test_a_file_that_is_no_text_is_shown_as_one_line(tmp_path, capsys, data):
    (tmp_path / "x.toml").write_bytes(data)
    words = refused(capsys, "study", "show", str(tmp_path / "x.toml"))
    assert "x.toml: not a readable study: line 1 " in words
    words = refused(capsys, "recipes", "show", str(tmp_path / "x.toml"))
    assert "x.toml: not a readable recipe: line 1 " in words


@pytest.mark.parametrize("verb", ["run", "estimate", "status", "report"])
def test_a_file_in_the_place_of_the_folder_is_one_line(tree, tmp_path, capsys, verb):
    path = str(write_study(tmp_path, tree))
    for out in (path, f"{path}/x"):
        words = refused(capsys, "study", verb, path, "--out", out)
        assert f"{path} is a file, and a folder is needed there: choose another --out" in words


@pytest.mark.parametrize("verb", ["run", "estimate"])
def test_more_workers_than_cores_are_refused(ran, capsys, verb):
    path, out = ran
    words = refused(capsys, "study", verb, path, "--out", out, "--workers", "1000")
    assert "--workers 1000: this machine has " in words


@pytest.fixture
def status(ran, tmp_path):
    cells = study_cells(load_study(ran[0]))
    told = [
        CellStatus(cells[0], "running", "training hyperfitted", 5, 8, 1.25, 0.5),
        CellStatus(cells[0], "failed", line="no such file <here>"),
        CellStatus(cells[0], "finished", seconds=90.0),
        CellStatus(cells[0], "waiting"),
    ]
    return StudyStatus("tiny", tmp_path, tuple(told))


def test_a_status_has_a_line_for_each_cell_that_runs_or_failed(status):
    assert status_lines(status) == [
        "running   update 5 of 8        loss 1.250  TTR 0.50  seed 0: training hyperfitted",
        "failed    seed 0: no such file <here>",
        "tiny: 1 of 4 cells finished, 1 running, 1 failed, 1 waiting, about 2 min left",
    ]
    assert status_lines(status, most=1)[1] == "          and 1 more"


def test_a_worker_that_gave_no_sign_for_long_may_be_lost(tree, tmp_path, capsys):
    path = write_study(tmp_path, tree, ONE, seeds="[0]")
    folder = study_folder(load_study(path), tmp_path / "out")
    cell = study_cells(load_study(path))[0]
    file = folder.claims_folder / f"{cell.folder_name}.1.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"process": 1, "machine": "another"}))
    command = ["study", "status", str(path), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "no sign" not in capsys.readouterr().out
    os.utime(file, (file.stat().st_mtime - 36_000,) * 2)
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "seed 0: drawing; no sign for 10.0 h: lost, or its machine's clock differs\n" in said


def test_the_page_reloads_itself_while_the_study_runs(status, tmp_path):
    page = tmp_path / "progress.html"
    write_progress_page(page, status, running=True)
    text = page.read_text()
    assert '<meta http-equiv="refresh" content="5">' in text
    assert '<tr class="running"><td>seed 0</td><td>running: training hyperfitted</td>' in text
    assert '<td class="number">5 of 8</td><td class="number">1.250</td>' in text
    assert "failed: no such file &lt;here&gt;" in text
    assert "1 of 4 cells finished, 1 running, 1 failed, 1 waiting, about 2 min left" in text
    write_progress_page(page, status, running=False)
    assert "refresh" not in page.read_text()


def test_outside_a_terminal_a_line_stands_for_each_cell_that_ended(status, capsys):
    table = StatusTable()
    table.show(status)
    table.show(status)
    assert capsys.readouterr().err.count("\n") == 1
