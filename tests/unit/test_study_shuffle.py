"""Orders, swaps and rounding, on predictions written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hyperfitting.recipe import EngineSettings
from hyperfitting.studies import FinishedCell, Predictions
from hyperfitting.studies.analyses.pairs import (
    KINDS,
    Conditions,
    compare_cells,
    conditions_of,
    pair_kind,
    read_predicted,
)
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


def predicted(cell, different=None, uneven=0):
    """The first positions of all trainings are the same, and the model is surer of them.

    `different`: of each order, how many positions are not, or that by seed. `uneven`: of every
    second text so many more.
    """
    different = DIFFERENT if different is None else different
    count = different.get(cell.points["order"], 0)
    count = count[cell.seed] if isinstance(count, tuple) else count
    top1_NS = np.zeros((TEXTS, STEPS), np.int32)
    for text in range(TEXTS if count else 0):
        changed = count + uneven * (text % 2)
        top1_NS[text, STEPS - changed :] = 1 + list(different).index(cell.points["order"])
    probability_NS = np.tile(np.linspace(1, 0.1, STEPS, dtype=np.float32), (TEXTS, 1))
    return {"fiction": Predictions(top1_NS, probability_NS)}


@pytest.fixture
def results(tmp_path):
    def made(different=None, study=STUDY, uneven=0, **options):
        return results_of(
            tmp_path,
            study,
            predictions=lambda cell: predicted(cell, different, uneven),
            **options,
        )

    return made


ONE_SEED = STUDY.replace("seeds = [0, 1]", "seeds = [0]")


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
        ("again", "order-1", "another order"),  # a repeat is no difference
        ("one-swap", "order-1", "several"),
        ("two-threads", "one-swap", "several"),
        ("two-threads", "order-1", "several"),
        ("deterministic", "order-1", "several"),
        ("deterministic", "two-threads", "several"),
    ],
)
def test_a_pair_is_of_a_kind_if_it_differs_in_that_one_thing(results, one, other, kind):
    found = results()
    pair = [conditions_of(cell_of(found, each)) for each in (one, other)]
    assert pair_kind(*pair) == pair_kind(*reversed(pair)) == kind
    assert kind in (*KINDS, "several")


GIVEN = Conditions(0, None, EngineSettings(), 1, "cpu", "{}")


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (replace(GIVEN, device="an accelerator"), "another device"),
        (replace(GIVEN, device="an accelerator", order=1), "several"),
        (replace(GIVEN, rest='{"learning_rate": 1}'), "several"),  # not the same order again
        (replace(GIVEN, kernels=EngineSettings(compile=True)), "other kernels"),
    ],
)
def test_what_else_may_differ_is_not_taken_for_the_same(other, kind):
    assert pair_kind(GIVEN, other) == kind


def test_two_swaps_are_not_one():
    one, other = (replace(GIVEN, swap=swap) for swap in ((0, 1), (2, 3)))
    assert (pair_kind(GIVEN, one), pair_kind(one, other)) == ("one swap", "several")


def test_a_cell_of_another_device_is_no_repeat(results):
    found = results(device=lambda cell: "h100" if cell.points["order"] == "again" else "cpu")
    kinds = {row.kind: row for row in find_shuffle(found).tables[0].rows if row.one == "given"}
    assert kinds["another device"].other == "again"
    assert "the same order again" not in kinds


def test_settings_that_change_no_rounding_are_no_difference(results):
    study = STUDY.replace("repeat = 1", 'repeat = 1\nset = { "engine.checkpoint_minutes" = 9.0 }')
    found = results(study=study)
    pair = (conditions_of(cell_of(found, each)) for each in ("given", "again"))
    assert pair_kind(*pair) == "the same order again"


def test_a_pair_is_compared_position_by_position(results):
    found = results()
    pair = compare_cells(*(read_predicted(cell_of(found, each)) for each in ("given", "order-1")))
    assert pair.same_P.mean() == pytest.approx(28 / 40)
    assert pair.position_P[:STEPS].tolist() == list(range(1, STEPS + 1))
    assert (pair.confidence_P[0], pair.confidence_P[-1]) == (1, pytest.approx(0.1))
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
    assert "Numbers are means over 2 seeds with 95 % intervals over them." in said
    assert "The same order again, deterministic: no token changes" in said
    # Another number of threads changes 4 of 40, another order 12 of 40.
    assert (
        "Other threads: rounding alone changes 0.333 (0.333 to 0.333) times as many tokens as "
        "another order does." in said
    )
    assert "The paper has 0.680 to 0.750 for another order (a paper, Figure 5)" in said
    assert "ours is 0.700 (0.700 to 0.700), within that." in said
    assert (
        "Of the paper's 25 to 32 % of tokens that change, a part may be rounding, for which it has "
        "no control: here 30 % (30 to 30) change after another order and 10 % (10 to 10) by "
        "rounding alone (other threads), so that the order adds 20 % (20 to 20)." in said
    )
    assert "they agree at 1.00 (1.00 to 1.00) where they are surest and at 0.00" in said


def test_rounding_does_not_pass_for_a_swap(results):
    """One swap and two threads differ in both: their difference is no swap's."""
    found = find_shuffle(results({"two-threads": 12, "order-1": 20}))
    (swap,) = (line for line in found.tables[0].body if line[0] == "one swap")
    assert swap[1:3] == ("1", "1.00 (1.00 to 1.00)")
    assert "one swap 1.00 (1.00 to 1.00);" in found.sentences[0]


REPEATED = STUDY.replace(
    "[[published]]",
    '[[axes.points]]\nname = "order-2"\nset = { "train.order_seed" = 1002 }\n[[published]]',
)


def test_an_order_that_was_repeated_counts_once(results):
    different = {"again": 16, "order-1": 12, "order-2": 20}
    found = find_shuffle(results(different, study=REPEATED))
    (order,) = (line for line in found.tables[0].body if line[0] == "another order")
    # given with order-1 28 of 40, again with it 24: 26 in the mean; the other two pairs 20.
    assert order[1:3] == ("3", "0.550 (0.550 to 0.550)")
    equal = find_shuffle(results({"order-1": 12, "order-2": 20}, study=REPEATED))
    (order,) = (line for line in equal.tables[0].body if line[0] == "another order")
    assert order[1:3] == ("3", "0.567 (0.567 to 0.567)")  # 28, 20 and 20 of 40


def test_a_multiple_has_no_negative_interval(results):
    different = {"two-threads": (0, 12), "order-1": 12}
    said = " ".join(find_shuffle(results(different)).sentences)
    assert "rounding alone changes 0.500 (0.000 to" in said


def test_one_swap_that_changes_more_than_the_paper_has_is_said(results):
    said = " ".join(find_shuffle(results({"one-swap": 30, "order-1": 20})).sentences)
    assert (
        "Against another order, one swap of two texts leaves fewer tokens the same (the difference "
        "is -0.250 (-0.250 to -0.250))." in said
    )
    assert "below it." in said


def test_bins_are_of_positions_and_of_confidence(results):
    bins = [row for row in find_shuffle(results()).tables[2].rows if row.kind == "another order"]
    position = {row.start: row.mean.value for row in bins if row.by == "position"}
    # Tokens 1 to 31 of a text: 28 the same; 32 to 40: none. Of each seed given and again with
    # order-1: the others differ in more than the order.
    assert position == {0: pytest.approx(28 / 31), 32: 0.0}
    confidence = [row.mean.value for row in bins if row.by == "confidence"]
    assert confidence == sorted(confidence)
    per_pair = TEXTS * STEPS
    assert sum(row.positions for row in bins if row.by == "confidence") == 2 * 2 * per_pair
    assert max(row.end for row in bins if row.by == "confidence") == 1
    assert max(row.end for row in bins if row.by == "position") == 41


def test_the_last_position_is_in_a_bin_where_a_step_begins(tmp_path):
    short = {"fiction": Predictions(np.zeros((2, 32), np.int32), np.ones((2, 32), np.float32))}
    found = find_shuffle(results_of(tmp_path, STUDY, predictions=lambda cell: short))
    bins = [row for row in found.tables[2].rows if row.kind == "one swap"]
    for by in ("position", "confidence"):
        assert sum(row.positions for row in bins if row.by == by) == 2 * 2 * 2 * 32


def test_one_seed_has_intervals_over_texts(results):
    found = find_shuffle(results(study=ONE_SEED))
    row = next(each for each in found.tables[0].rows if each.other == "order-1")
    mean = row.mean
    assert (mean.value, mean.low, mean.high) == (pytest.approx(0.7),) * 3  # every text alike
    assert mean.seeds == 1


def test_all_numbers_of_one_seed_have_intervals_over_texts_and_say_so(results):
    found = find_shuffle(results(study=ONE_SEED, uneven=4))
    said = " ".join(found.sentences)
    assert "One seed: intervals are over clusters of texts, not over trainings." in said
    order = next(line[2] for line in found.tables[0].body if line[0] == "another order")
    assert order.startswith("0.650 (0.6")  # 28 and 24 of 40
    # 4 and 8 of 40 by threads, 12 and 16 by an order.
    assert "Other threads: rounding alone changes 0.429 (0.3" in said
    assert "leaves more tokens the same (the difference is 0.100 (" in said
    assert "of one seed and so not tested" in said
    bins = [row.mean for row in found.tables[2].rows]
    assert all(each.low <= each.value <= each.high for each in bins)
    assert any(each.low < each.value < each.high for each in bins)
    for table in found.tables:
        assert "intervals are over clusters of texts, not over trainings" in table.note


def test_the_bootstrap_of_one_seed_is_seeded(results):
    one, other = (find_shuffle(results(study=ONE_SEED, uneven=4)) for _ in range(2))
    assert one.sentences == other.sentences
    assert one.tables[2].body == other.tables[2].body


def test_a_number_of_one_seed_is_marked_among_those_of_two(results):
    half = results(
        uneven=4, without=lambda cell: cell.seed == 1 and "order" in cell.points["order"]
    )
    found = find_shuffle(half)
    matrix = found.tables[1]
    place = matrix.head.index("order-1")
    given = next(line for line in matrix.body if line[0] == "given")
    assert given[place].endswith("†")
    assert not given[matrix.head.index("one-swap")].endswith("†")
    assert "† one seed, an interval over clusters of texts" in matrix.note
    order = next(line for line in found.tables[0].body if line[0] == "another order")
    assert order[2].endswith("†")
