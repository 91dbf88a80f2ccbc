"""Benchmarks over seeds, on sheets written by hand."""

from __future__ import annotations

import pytest

from hyperfitting.studies import load_study, study_cells
from hyperfitting.studies.analyses.downstream import find_downstream
from tests.support.finished_cells import results_of
from tests.support.sheets import answered, write_sheet

STUDY = """
name = "downstream"
base = "demo"
seeds = [0, 1, 2]
analysis = "downstream"
"""


def test_the_mean_over_seeds_stands_beside_what_the_items_exclude(tmp_path):
    results = results_of(tmp_path, STUDY)
    for cell in results.finished:
        for form, text in (("letters", None), ("generated", "A")):
            kept = range(1, 31 if text else 27 + cell.cell.seed)
            for variant, right in (("original", range(1, 31)), ("hyperfitted", kept)):
                run = cell.experiment.run(variant)
                write_sheet(run.evaluation, "mmlu", form, answered(right, text=text))
    found = find_downstream(results)
    rows = {row.form: row for row in found.tables[0].rows}
    letters = rows["letters"]
    assert letters.value == pytest.approx(-3 / 40)
    assert (letters.seeds, letters.lost, letters.gained) == (3, 4 + 3 + 2, 0)
    assert letters.low < letters.value < letters.high
    assert letters.excluded > 4 / 40
    assert (rows["generated"].value, rows["generated"].unparsed) == (0, 0)
    letters, mean, generated, same = found.sentences
    assert "letters: the hyperfitted model is below the original on 1 of 1" in letters
    assert "benchmarks, told apart over seeds on 1; on" in letters
    assert mean == (
        "In the mean over these it is lower, as in the paper (the difference is -0.075 (-0.137 to "
        "-0.013))."
    )
    assert "generated: the hyperfitted model is below the original on 0 of 1" in generated
    assert "it is about the same, where the paper's is lower (the difference is 0.000" in same
    assert found.figures[0].panels[0].ticks == ("MMLU, letters", "MMLU, generated")


def test_one_seed_is_not_tested_over_seeds(tmp_path):
    results = results_of(tmp_path, STUDY.replace("[0, 1, 2]", "[0]"))
    (cell,) = results.finished
    for variant, right in (("original", range(1, 31)), ("hyperfitted", range(1, 27))):
        run = cell.experiment.run(variant)
        write_sheet(run.evaluation, "mmlu", "letters", answered(right))
    said = find_downstream(results)
    assert "of one seed and so not tested over seeds" in said.sentences[0]
    assert "lower, as in the paper (the difference is -0.100, of one seed and" in said.sentences[1]
    assert "One seed, so no interval" in said.tables[0].note


def test_no_cell_is_no_figure(tmp_path):
    found = find_downstream(results_of(tmp_path, STUDY, without=lambda cell: True))
    assert (found.figures, found.tables[0].rows) == ((), [])


def test_the_shipped_study_asks_the_same_items_of_all_seeds():
    study = load_study("downstream")
    cells = study_cells(study)
    assert len(cells) == 3
    assert len({cell.recipe.evaluate.model_dump_json() for cell in cells}) == 1
    recipe = cells[0].recipe
    assert recipe.variant_names == ("original", "early-stopped", "hyperfitted")
    assert [(each.name, each.limit) for each in recipe.evaluate.tasks] == [
        ("mmlu", 20),
        ("arc", 500),
        ("glue", 400),
    ]
    assert all(each.chat_forms == ("generated",) for each in recipe.evaluate.tasks)
