"""A study that is really made, and the page of its analysis."""

import pytest

from hyperfitting.studies.launchers.here import ThisProcess
from hyperfitting.studies.report import report_study, study_results
from hyperfitting.studies.study_run import RunOptions, run_study
from tests.support.grids import small, tiny_study
from tests.support.recipes import tiny_tree
from tests.support.spreadsheets import csv_rows

pytestmark = pytest.mark.pictures

ORDERS = """predictions = true
analysis = "shuffle"
[[axes]]
name = "order"
[[axes.points]]
name = "given"
[[axes.points]]
name = "again"
set = { "engine.deterministic" = true }
repeat = 1
[[axes.points]]
name = "one-swap"
set = { "train.swapped_blocks" = [0, 15] }
[[axes.points]]
name = "order-1"
set = { "train.order_seed" = 1001 }
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory, tiny_model, corpus):
    """A study of four orders, made in this process: its report and its results."""
    folder = tmp_path_factory.mktemp("study")
    study = tiny_study(folder, small(tiny_tree(tiny_model, corpus)), ORDERS, seeds="[0]")
    out = folder / "out"
    run_study(
        study, ThisProcess(), out=out, options=RunOptions(device="cpu", poll_seconds=0)
    ).refuse_failed()
    return report_study(study, out=out), study_results(study, out=out)


def test_the_report_holds_page_figures_and_tables(reported):
    report, results = reported
    folder = report.files[0].parent
    assert (report.finished, report.missing) == (4, 0)
    assert {path.name for path in folder.iterdir()} == {
        *("index.html", "report.md", "cells.csv", "pairs.csv", "matrix.csv", "bins.csv"),
        *("matrix.png", "matrix.svg", "agreement.png", "agreement.svg"),
    }
    page = report.files[0].read_text(encoding="utf-8")
    for cell in results.finished:
        assert f"../cells/{cell.cell.folder_name}/report/index.html" in page


def test_the_same_order_again_changes_no_token_and_another_order_does(reported):
    report, _ = reported
    rows = csv_rows(report.files[0].parent / "pairs.csv")
    shares = {(row["one"], row["other"]): row for row in rows}
    assert len(shares) == 6
    same = shares["given", "again"]
    assert (same["kind"], float(same["value"])) == ("other kernels", 1.0)
    assert shares["given", "one-swap"]["kind"] == "one swap"
    other = shares["given", "order-1"]
    assert other["kind"] == "another order"
    assert 0 < float(other["value"]) < 1
    assert int(other["positions"]) == 10 * 15  # contexts of 8 tokens, continued by 8


SCHEDULES = """
[[axes]]
name = "schedule"
[[axes.points]]
name = "updates"
set = { "train.epochs" = "none", "train.updates" = 12, "probe.every_updates" = 6 }
[[axes.points]]
name = "epochs"
set = { "train.epochs" = 3 }
"""


def test_as_many_updates_as_epochs_have_are_the_same_training(tmp_path, tiny_model, corpus):
    """The two curves of `quantity` meet where a number of texts has the same updates in both."""
    study = tiny_study(tmp_path, small(tiny_tree(tiny_model, corpus)), SCHEDULES, seeds="[0]")
    options = RunOptions(device="cpu", poll_seconds=0)
    run_study(study, ThisProcess(), out=tmp_path / "out", options=options).refuse_failed()
    updates, epochs = (
        [
            (row.name, row.domain, row.strategy, row.position, row.value)
            for row in cell.metrics
            if row.variant == "hyperfitted"
        ]
        for cell in study_results(study, out=tmp_path / "out").finished
    )
    assert updates == epochs
    assert len(updates) > 10
