"""The study of benchmarks with real cells: every cell answers, and the original answers once."""

import pytest

from hyperfitting.runs import Run
from hyperfitting.studies.launchers.here import ThisProcess
from hyperfitting.studies.report import report_study
from hyperfitting.studies.study_run import RunOptions, run_study
from tests.support.benchmarks import write_benchmarks
from tests.support.grids import small, tiny_study
from tests.support.recipes import tiny_tree
from tests.support.spreadsheets import csv_rows

ASKS = """analysis = "downstream"
[set]
"evaluate.data" = "eval"
"evaluate.answer_tokens" = 2
"evaluate.tasks" = [{ name = "rte", limit = 4, forms = ["letters", "cloze", "generated"] }]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_model, corpus):
    folder = tmp_path_factory.mktemp("downstream")
    write_benchmarks(folder / "eval", items=6)
    tree = small(tiny_tree(tiny_model, corpus))
    study = tiny_study(folder, tree, ASKS, seeds="[0, 1]")
    status = run_study(
        study, ThisProcess(), out=folder / "out", options=RunOptions(device="cpu", poll_seconds=0)
    )
    assert [each.state for each in status.cells] == ["finished", "finished"]
    return study, folder / "out"


def test_every_cell_answers_and_the_original_is_asked_once(made):
    _, out = made
    cells = sorted((out / "cells").iterdir())
    sheets = [sorted((cell / "original" / "evaluation").glob("*.jsonl")) for cell in cells]
    assert [each.name for each in sheets[0]] == [
        f"rte-{form}-limit-4.jsonl" for form in ("cloze", "generated", "letters")
    ]
    assert [each.read_bytes() for each in sheets[0]] == [each.read_bytes() for each in sheets[1]]
    for cell in cells:
        run = Run(cell / "hyperfitted")
        items = [row.item for row in run.evaluation.sheet("rte-letters-limit-4").items()]
        assert len(items) == 4
        assert items == sorted(items)
        assert not run.model_folder.exists()


def test_the_report_stands_on_the_items_of_all_cells(made):
    study, out = made
    report = report_study(study, out=out)
    assert (report.finished, report.missing) == (2, 0)
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "RTE, letters, 4 items" in page
    rows = csv_rows(out / "report" / "downstream.csv")
    assert {(row["task"], row["form"], row["seeds"]) for row in rows} == {
        ("rte", form, "2") for form in ("letters", "cloze", "generated")
    }
