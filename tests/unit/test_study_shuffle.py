"""Orders, swaps and rounding, on predictions written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hyperfitting.studies import FinishedCell, Predictions
from hyperfitting.studies.analyses.pairs import KINDS, compare_cells, pair_kind, read_predicted
from hyperfitting.studies.analyses.shuffle import find_shuffle
from tests.support.finished_cells import results_of

STUDY = """
name = "shuffle"
base = "demo"
seeds = [0, 1]
threads = 1
predictions = true
analysis = "shuffle"
set = { "data.domains" = [{ name = "fiction", count = 2 }] }
[[axes]]
name = "order"
[[axes.points]]
name = "given"
[[axes.points]]
name = "again"
repeat = 1
[[axes.points]]
name = "deterministic"
set = { "engine.deterministic" = true }
repeat = 2
[[axes.points]]
name = "deterministic-again"
set = { "engine.deterministic" = true }
repeat = 3
[[axes.points]]
name = "two-threads"
threads = 2
[[axes.points]]
name = "one-swap"
set = { "train.swapped_blocks" = [0, 1] }
[[axes.points]]
name = "order-1"
set = { "train.order_seed" = 1001 }
[[published]]
metric = "top1_same_share"
at = { pair = "another order" }
value = 0.715
low = 0.68
high = 0.75
source = "a paper, Figure 5"
"""
TEXTS, STEPS = 10, 40
DIFFERENT = {"two-threads": 4, "one-swap": 8, "order-1": 12}
"""Of the 40 positions of every text, how many from the end on are predicted otherwise."""


def predicted(cell, different=None):
    """The first positions of all trainings are the same, and the model is surer of them."""
    count = (different or DIFFERENT).get(cell.points["order"], 0)
    top1_NS = np.zeros((TEXTS, STEPS), np.int32)
    top1_NS[:, STEPS - count :] = 1 + list(DIFFERENT).index(cell.points["order"]) if count else 0
    probability_NS = np.tile(np.linspace(0.9, 0.1, STEPS, dtype=np.float32), (TEXTS, 1))
    return {"fiction": Predictions(top1_NS, probability_NS)}


@pytest.fixture
def results(tmp_path):
    def made(different=None, study=STUDY):
        return results_of(tmp_path, study, predictions=lambda cell: predicted(cell, different))

    return made


def cell_of(results, order):
    return next(iter(results.at(order=order, seed=0)))


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("given", "again", "the same order again"),
        ("deterministic", "deterministic-again", "the same order again, deterministic"),
        ("given", "deterministic", "other kernels"),
        ("again", "two-threads", "other threads"),
        ("given", "one-swap", "one swap"),
        ("given", "order-1", "another order"),
        ("one-swap", "order-1", "another order"),
        ("two-threads", "one-swap", "one swap"),
    ],
)
def test_the_largest_difference_counts(results, one, other, kind):
    found = results()
    assert pair_kind(cell_of(found, one), cell_of(found, other)) == kind
    assert kind in KINDS


def test_a_pair_is_compared_position_by_position(results):
    found = results()
    pair = compare_cells(*(read_predicted(cell_of(found, each)) for each in ("given", "order-1")))
    assert pair.same_P.mean() == pytest.approx(28 / 40)
    assert pair.position_P[:STEPS].tolist() == list(range(1, STEPS + 1))
    assert pair.confidence_P[0] == pytest.approx(0.9)
    assert set(pair.groups) == {f"fiction book {n}" for n in range(TEXTS)}


def test_predictions_are_read_once_for_all_pairs_of_a_training(results):
    found, read = results(), []

    class Counted(FinishedCell):
        def predictions(self, variant):
            read.append(self.cell.title)
            return super().predictions(variant)

    cells = [Counted(each.cell, each.experiment, each.facts) for each in found.finished]
    find_shuffle(replace(found, finished=tuple(cells)))
    assert sorted(read) == sorted(each.cell.title for each in cells)


def test_the_matrix_and_the_rows_hold_every_pair(results):
    found = find_shuffle(results())
    (heatmap,) = found.figures[0].panels
    held = dict(zip(heatmap.rows, heatmap.values, strict=True))
    assert held["given"] == pytest.approx((1, 1, 1, 1, 0.9, 0.8, 0.7))
    assert held["two-threads"][6] == pytest.approx(0.7)
    assert len(found.tables[0].rows) == 7 * 6 / 2
    assert {row.mean.seeds for row in found.tables[0].rows} == {2}
    matrix = found.tables[1]
    assert matrix.head == ("", *held)
    line = next(line for line in matrix.body if line[0] == "one-swap")
    assert line[1] == "0.800 (0.800 to 0.800)"
    assert line[6] == ""  # itself


def test_how_much_of_an_order_is_rounding_is_said(results):
    said = " ".join(find_shuffle(results()).sentences)
    assert "The same order again, deterministic: no token changes" in said
    # Another number of threads changes 4 of 40, another order 12 of 40.
    assert (
        "Other threads: rounding alone changes 0.333 (0.333 to 0.333) as many tokens as another "
        "order does." in said
    )
    assert "The paper has 0.680 to 0.750 for another order (a paper, Figure 5)" in said
    assert "ours is 0.700 (0.700 to 0.700), within that." in said
    assert "they agree at 1.00 (1.00 to 1.00) where they are surest and at 0.00" in said


def test_one_swap_that_changes_more_than_the_paper_has_is_said(results):
    said = " ".join(find_shuffle(results({"one-swap": 30, "order-1": 20})).sentences)
    assert "One swap of two texts instead of a new order changes the share by -0.208" in said
    assert "below it." in said


def test_bins_are_of_positions_and_of_confidence(results):
    bins = [row for row in find_shuffle(results()).tables[2].rows if row.kind == "another order"]
    position = {row.start: row.mean.value for row in bins if row.by == "position"}
    # Tokens 1 to 31 of a text: 28 the same; 32 to 40: none.
    assert position == {0: pytest.approx(28 / 31), 32: 0.0}
    confidence = [row.mean.value for row in bins if row.by == "confidence"]
    assert confidence == sorted(confidence)
    per_pair = TEXTS * STEPS
    assert sum(row.positions for row in bins if row.by == "confidence") == 2 * 6 * per_pair


def test_one_seed_has_intervals_over_texts(results):
    found = find_shuffle(results(study=STUDY.replace("seeds = [0, 1]", "seeds = [0]")))
    row = next(each for each in found.tables[0].rows if each.other == "order-1")
    mean = row.mean
    assert (mean.value, mean.low, mean.high) == (pytest.approx(0.7),) * 3  # every text alike
    assert mean.seeds == 1
