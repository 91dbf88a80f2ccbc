"""Rows of the table, of sheets written by hand."""

from __future__ import annotations

import pytest

from hyperfitting.downstream.tables import evaluation_rows
from hyperfitting.report import evaluation_grids
from hyperfitting.report.experiment.evaluation import evaluation_csv_rows
from hyperfitting.report.experiment.evaluation_figure import difference_figure
from hyperfitting.runs import EvaluationFolder
from tests.support.sheets import answered, item, write_sheet


@pytest.fixture
def folders(tmp_path):
    return {name: EvaluationFolder(tmp_path / name) for name in ("original", "hyperfitted")}


def test_a_difference_is_counted_item_by_item(folders):
    write_sheet(folders["original"], "mmlu", "letters", answered(range(1, 31)))
    write_sheet(folders["hyperfitted"], "mmlu", "letters", answered([*range(6, 31), 31, 32]))
    before, after = evaluation_rows(folders)
    assert (before.variant, before.difference) == ("original", None)
    assert (before.score.value, after.score.value) == (0.75, 27 / 40)
    found = after.difference
    assert (found.discordance.lost, found.discordance.gained) == (5, 2)
    assert found.interval.value == pytest.approx(-3 / 40)
    assert found.interval.low < -3 / 40 < found.interval.high
    assert found.excluded >= -found.interval.low
    assert (after.chance, after.majority) == (0.25, 0.25)
    assert found.without_contaminated is None


def test_subjects_are_the_clusters_where_there_are_several(folders):
    for name, right in (("original", range(1, 31)), ("hyperfitted", range(1, 26))):
        write_sheet(folders[name], "mmlu", "letters", answered(right, subjects=12))
    rows = evaluation_rows(folders)
    assert [row.score.clusters for row in rows] == [12, 12]
    assert [row.subjects for row in rows] == [12, 12]
    few = {name: EvaluationFolder(folder.folder / "few") for name, folder in folders.items()}
    for name in few:
        write_sheet(few[name], "mmlu", "letters", answered(range(1, 31), subjects=3))
    row = evaluation_rows(few)[1]
    assert (row.difference.interval.low, row.difference.interval.clusters) == (None, 3)
    assert row.difference.excluded == pytest.approx(3.8415 / 43.8415, rel=1e-3)


def test_holm_adjusts_over_the_benchmarks_of_one_form(folders):
    for task, right in (("a", range(1, 11)), ("b", range(1, 26)), ("c", range(1, 31))):
        for form in ("letters", "cloze"):
            write_sheet(folders["original"], task, form, answered(range(1, 31)))
            kept = right if form == "letters" else range(1, 31)
            write_sheet(folders["hyperfitted"], task, form, answered(kept))
    found = {(row.task, row.form): row.difference for row in evaluation_rows(folders)}
    a, b, c = (found[task, "letters"] for task in "abc")
    assert a.p_holm == pytest.approx(3 * a.discordance.p)
    assert b.p_holm == pytest.approx(2 * b.discordance.p)
    assert c.p_holm == 1
    assert all(found[task, "cloze"].p_holm == 1 for task in "abc")


def test_holm_counts_a_benchmark_once_however_many_samples_it_has(folders):
    for limit, items in ((20, 30), (None, 40)):
        for name, right in (("original", range(1, 31)), ("hyperfitted", range(1, 21))):
            rows = answered(right)[:items]
            write_sheet(folders[name], "mmlu", "letters", rows, limit=limit)
    sample, whole = [row.difference for row in evaluation_rows(folders) if row.difference]
    assert (sample.p_holm, whole.p_holm) == (sample.discordance.p, whole.discordance.p)
    for name, right in (("original", range(1, 31)), ("hyperfitted", range(1, 26))):
        write_sheet(folders[name], "arc", "letters", answered(right), limit=50)
    found = [row.difference for row in evaluation_rows(folders) if row.difference]
    arc, sample, whole = found
    assert [each.p_holm for each in found] == pytest.approx(
        [arc.discordance.p, 2 * sample.discordance.p, 2 * whole.discordance.p]
    )


def test_unparsed_answers_are_counted_apart(folders):
    rows = answered(range(1, 21), text="B")
    rows[30:] = [item(n, n % 4, None, text="hm") for n in range(31, 41)]
    write_sheet(folders["original"], "mmlu", "generated", rows)
    (row,) = evaluation_rows({"original": folders["original"]})
    assert (row.unparsed, row.accuracy, row.calibration) == (10, 0.5, None)


def test_items_of_the_training_texts_are_set_aside(folders):
    write_sheet(folders["original"], "mmlu", "letters", answered(range(1, 31)))
    write_sheet(
        folders["hyperfitted"], "mmlu", "letters", answered(range(1, 36)),
        contaminated=tuple(range(31, 36)), unchecked=2,
    )  # fmt: skip
    row = evaluation_rows(folders)[1]
    assert (row.contaminated, row.unchecked) == (5, 2)
    assert row.difference.interval.value == pytest.approx(5 / 40)
    assert row.difference.without_contaminated == 0


@pytest.mark.parametrize(
    ("metric", "chance", "majority"), [("f1", 0.375 / 0.875, 0.75 / 1.375), ("mcc", 0, 0)]
)
def test_chance_and_majority_are_of_the_metric(folders, metric, chance, majority):
    rows = [item(n, int(n <= 15), int(n <= 20)) for n in range(1, 41)]
    write_sheet(folders["original"], "x", "cloze", rows, metric=metric)
    (row,) = evaluation_rows({"original": folders["original"]})
    assert (row.chance, row.majority) == pytest.approx((chance, majority))
    hit, false, missed, true = 15, 5, 0, 20
    expected = {
        "f1": 2 * hit / (2 * hit + false + missed),
        "mcc": hit * true / (20 * 15 * 25 * 20) ** 0.5,
    }
    assert row.score.value == pytest.approx(expected[metric])


def test_the_tables_say_what_is_excluded(folders):
    for name in folders:
        write_sheet(folders[name], "mmlu", "letters", answered(range(1, 31)))
    rows = evaluation_rows(folders)
    scores, differences, confidence = evaluation_grids(rows)
    assert (scores.title, len(scores.rows)) == ("Benchmarks", 2)
    ((label, variant, difference, counts, p, holm, excluded, clean),) = differences.rows
    assert (label, variant, counts, clean) == ("MMLU, letters", "hyperfitted", "0 / 0", "")
    assert (difference, p, holm) == ("+0.000 (+0.000 to +0.000)", "1.00", "1.00")
    assert excluded == "a loss above 0.088"
    assert len(confidence.rows) == 2
    assert difference_figure(rows) is not None
    assert difference_figure(rows[:1]) is None
    assert len(evaluation_grids(rows[:1])) == 2
    assert evaluation_grids([]) == []


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_one_gained_item_does_not_exclude_every_loss(folders, metric):
    gold = [int(n % 3 > 0) for n in range(400)]
    before = [item(n, each, each ^ int(n % 4 == 0)) for n, each in enumerate(gold, 1)]
    after = [item(4, gold[3], gold[3]) if row.item == 4 else row for row in before]
    for name, rows in (("original", before), ("hyperfitted", after)):
        write_sheet(folders[name], "mrpc", "letters", rows, metric=metric)
    found = evaluation_rows(folders)[1].difference
    assert (found.discordance.lost, found.discordance.gained) == (0, 1)
    assert found.excluded > 0.004


def test_rows_that_were_left_out_stand_in_the_tables(folders):
    write_sheet(folders["original"], "arc", "cloze", answered(range(1, 31)), left_out=7)
    rows = evaluation_rows({"original": folders["original"]})
    assert rows[0].left_out == evaluation_csv_rows(rows)[0]["left_out"] == 7
    grid = evaluation_grids(rows)[0]
    assert grid.rows[0][grid.head.index("left out")] == "7"
