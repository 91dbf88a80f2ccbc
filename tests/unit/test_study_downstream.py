"""Benchmarks over seeds, on sheets written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hyperfitting.studies import load_study, study_cells
from hyperfitting.studies.analyses.downstream import find_downstream
from tests.support.finished_cells import results_of
from tests.support.sheets import answered, item, write_sheet

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
    question, chosen, written, answer, letters, mean, generated, same = found.sentences
    assert "Answers or only likelihoods? The loss of the right choice is higher" in question
    assert "right answers chosen by likelihood is lower (the difference is -0.075" in chosen
    assert "answers that are generated is not told apart from the original's" in written
    assert answer == "It costs answers and likelihoods."
    assert "letters: the hyperfitted model is below the original on 1 of 1" in letters
    assert "benchmarks, told apart over seeds on 1; on" in letters
    assert mean == (
        "Its share of right answers, in the mean over these, is lower, as in the paper (the "
        "difference is -0.075 (-0.137 to -0.013))."
    )
    assert "generated: the hyperfitted model is below the original on 0 of 1" in generated
    assert "is about the same, where the paper's is lower (the difference is 0.000" in same
    assert found.figures[0].panels[0].ticks == ("MMLU, letters", "MMLU, generated")


def downstream_of(tmp_path, write):
    """The findings of three seeds; `write` gives the sheets of one run."""
    results = results_of(tmp_path, STUDY)
    for cell in results.finished:
        for variant in ("original", "hyperfitted"):
            write(cell.experiment.run(variant).evaluation, variant, cell.cell.seed)
    return find_downstream(results)


def test_confidence_stands_beside_the_originals(tmp_path):
    """The same choices, twice as sure: the loss is higher, and a temperature gives it back."""

    def write(folder, variant, seed):
        rows = answered(range(1, 21)) * 2
        scale = 1 if variant == "original" else 4 + seed
        write_sheet(
            folder,
            "mmlu",
            "letters",
            [
                replace(
                    row,
                    item=number,
                    item_sha256=f"{number:016x}",
                    loglikelihoods=tuple(scale * each for each in row.loglikelihoods),
                )
                for number, row in enumerate(rows, 1)
            ],
        )

    found = downstream_of(tmp_path, write)
    (row,) = found.tables[1].rows
    assert row.loss_difference.sign == 1
    assert row.original_entropy > row.entropy
    assert row.after.value == pytest.approx(0, abs=1e-3)
    assert found.tables[1].body[0][:2] == ("MMLU, letters", "hyperfitted")
    assert "With one temperature each, the loss on the other half" in found.sentences[2]
    assert "It costs likelihoods; that it costs answers is not seen" in found.sentences[3]


def test_the_mean_over_benchmarks_is_of_right_answers_whatever_their_metric(tmp_path):
    def write(folder, variant, seed):
        right = range(1, 31) if variant == "original" else range(1, 27 - seed)
        write_sheet(folder, "mmlu", "letters", answered(right))
        rows = [item(n, n % 2, n % 2 if n in right else 1 - n % 2) for n in range(1, 41)]
        write_sheet(folder, "mrpc", "letters", rows, metric="f1")

    found = downstream_of(tmp_path, write)
    assert any("(the difference is -0.125 (" in each for each in found.sentences)


def test_p_is_of_all_seeds_and_the_originals_silence_is_said(tmp_path):
    def write(folder, variant, seed):
        rows = [item(n, n % 4, None, text="hm") for n in range(1, 31)]
        rows += [item(n, n % 4, n % 4, text="B") for n in range(31, 41)]
        if variant == "hyperfitted" and seed == 1:
            rows[30:36] = [item(n, n % 4, None, text="hm") for n in range(31, 37)]
        write_sheet(folder, "mmlu", "generated", rows)

    found = downstream_of(tmp_path, write)
    (row,) = found.tables[0].rows
    assert row.least_p_holm == pytest.approx(3 * 2 / 2**6)
    assert (row.original_unparsed, row.unparsed, row.majority) == (30, 96, 0.25)
    assert (
        "The original itself names no choice in most of its answers to MMLU" in found.sentences[-1]
    )


def test_one_seed_is_not_tested_over_seeds(tmp_path):
    results = results_of(tmp_path, STUDY.replace("[0, 1, 2]", "[0]"))
    (cell,) = results.finished
    for variant, right in (("original", range(1, 31)), ("hyperfitted", range(1, 27))):
        run = cell.experiment.run(variant)
        write_sheet(run.evaluation, "mmlu", "letters", answered(right))
    said = find_downstream(results)
    assert said.sentences[2] == "One seed decides neither."
    assert "of one seed and so not tested over seeds" in said.sentences[3]
    assert "lower, as in the paper (the difference is -0.100, of one seed and" in said.sentences[4]
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
