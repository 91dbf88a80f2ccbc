"""The timing of a training, on rows whose every moment is written by hand."""

import pytest

from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.studies.analyses.curves import find_curves
from hyperfitting.studies.analyses.moments import Moment, moments_of, timing_of
from tests.support.finished_cells import results_of, row

STUDY = """
name = "curves"
base = "demo"
seeds = [0, 1]
analysis = "curves"
[set]
variants = [{ name = "early-stopped", set = { "train.stop" = "best-validation" } }]
[[axes]]
name = "training"
[[axes.points]]
name = "as-published"
[[axes.points]]
name = "weight-decay"
set = { "train.weight_decay" = 0.1 }
[[published]]
metric = "validation_loss"
at = { epoch = 0 }
value = 3.6
source = "a paper, Figure 2"
[[published]]
metric = "validation_loss"
at = { epoch = 5 }
value = 5.2
source = "a paper, Figure 2"
"""
TTR = [0.1, 0.2, 0.4, 0.7, 0.7, 0.7]
VALIDATION = [4.0, 3.5, 3.0, 4.0, 5.0, 6.0]


def probe(update, ttr, validation):
    return ProbeRow(update, update / 4, None, validation, 2.0, 0.3, 0.5, 0.6, ttr, 0.75, "", "")


def update(number, loss, accuracy=None):
    return UpdateRow(number, 1, loss, 1e-3, 1.0, 1.0, token_accuracy=accuracy)


def moment(number, ttr, validation, train=1.0):
    return Moment(number, number / 4, ttr, validation, 2.0, train, 0.5)


def moments(ttr, validation):
    return [
        moment(4 * i, a, b, train=4.0 - i)
        for i, (a, b) in enumerate(zip(ttr, validation, strict=True))
    ]


def test_half_of_the_rise_is_where_it_is_first_covered():
    timing = timing_of(moments(TTR, VALIDATION))
    # From 0.1 to 0.7: half is 0.4, first reached at the third probe, whose epoch is 2.
    assert timing.half_rise_epoch == pytest.approx(2.0)
    assert timing.half_rise_train_loss == pytest.approx(2.0)
    assert timing.half_rise_token_accuracy == 0.5
    assert timing.lowest_validation_epoch == 2.0
    assert timing.rise_at_lowest_validation == pytest.approx(0.5)
    assert (timing.validation_rise, timing.validation_return) == (3.0, 0.0)


def test_validation_loss_that_falls_again_has_come_back_by_that_share():
    timing = timing_of(moments(TTR, [4.0, 3.0, 6.0, 7.0, 5.0, 4.0]))
    assert (timing.validation_rise, timing.validation_return) == (4.0, 0.75)


def test_half_of_the_rise_lies_between_two_probes():
    """From 0.1 to 0.9, half is 0.5: a third of the way from 0.4 to 0.7, at update 8 and 12."""
    timing = timing_of(moments([0.1, 0.2, 0.4, 0.7, 0.9, 0.9, 0.9], [4.0] * 7))
    assert timing.half_rise_epoch == pytest.approx(2 + 1 / 3)
    assert timing.half_rise_train_loss == pytest.approx(2 - 1 / 3)


def test_a_second_descent_below_the_first_is_a_return_beyond_all_of_the_rise():
    """The lowest of all is the end then, after which nothing can rise."""
    timing = timing_of(moments([*TTR, 0.7, 0.7], [3.6, 2.7, 3.5, 4.5, 5.2, 4.0, 3.0, 2.0]))
    assert timing.lowest_validation_epoch == 1.0
    assert timing.validation_rise == pytest.approx(2.5)
    assert timing.validation_return == pytest.approx(3.2 / 2.5)


def test_no_rise_has_no_half():
    timing = timing_of(moments([0.5] * 6, VALIDATION))
    assert timing.half_rise_epoch is timing.rise_at_lowest_validation is None


@pytest.fixture
def results(tmp_path):
    def made(validation=VALIDATION, study=STUDY, without_accuracy=None, other=None, **ends):
        def trainings(cell, variant):
            if variant == "original":
                return [], [probe(0, TTR[0], validation[0])]
            shift = ends.get(cell.points["training"].replace("-", "_"), 0.0)
            probes = [
                probe(4 * i, ttr + (shift if i else 0.0) + 0.01 * cell.seed, loss)
                for i, (ttr, loss) in enumerate(
                    zip(TTR, other if other and cell.seed else validation, strict=True)
                )
            ]
            known = cell.seed != without_accuracy
            updates = [
                update(i, 4.0 - 0.1 * i, accuracy=i / 20 if known else None) for i in range(1, 21)
            ]
            return updates, probes

        def measured(cell):
            for variant, value in (("hyperfitted", 0.6), ("early-stopped", 0.3)):
                yield row("ttr_last96", value + 0.01 * cell.seed, variant=variant)
                yield row(
                    "train_loss", {0.6: 0.5, 0.3: 1.5}[value], variant=variant, domain="train",
                    strategy=None,
                )  # fmt: skip

        return results_of(tmp_path, study, measured, trainings=trainings)

    return made


def test_losses_of_a_moment_are_of_the_updates_since_the_probe_before(results):
    found = moments_of(results().finished[0], "hyperfitted")
    assert [each.update for each in found] == [0, 4, 8, 12, 16, 20]
    assert found[0].train_loss is found[0].token_accuracy is None
    assert found[2].train_loss == pytest.approx(4.0 - 0.1 * 6.5)
    assert found[2].token_accuracy == pytest.approx(6.5 / 20)


def test_what_agrees_is_said_in_words(results):
    said = " ".join(find_curves(results()).sentences)
    assert "Half of TTR's rise is reached at epoch 2.00" in said
    assert "validation loss is lowest at epoch 2.00" in said
    assert "so it does not come back, as the paper argues" in said
    assert "Stopped early, at epoch 2, 2, TTR on held-out contexts is 0.305" in said
    assert "trained on, 0.605" in said
    assert (
        "From epoch 0 to 5, validation loss goes from 3.60 to 5.20 in the paper (a paper, Figure "
        "2), ours from 4.00 (4.00 to 4.00) to 6.00 (6.00 to 6.00): the same direction." in said
    )


@pytest.mark.parametrize(
    ("validation", "verdict"),
    [
        ([4.0, 3.0, 6.0, 7.0, 5.0, 3.5], "so it comes back, unlike in the paper"),
        ([3.6, 2.7, 4.5, 5.2, 3.0, 2.0], "so it comes back, unlike in the paper"),
        ([4.0, 3.0, 6.0, 7.0, 6.0, 5.5], "between 0.25 and 0.75, so it comes back in part"),
        ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], "Validation loss does not rise again, unlike in"),
    ],
)
def test_a_validation_loss_that_falls_is_said_to(results, validation, verdict):
    said = " ".join(find_curves(results(validation)).sentences)
    assert verdict in said
    assert "as the paper argues" not in said


def test_seeds_that_differ_much_do_not_tell_whether_it_comes_back(results):
    """One comes back wholly, the other not at all."""
    said = " ".join(
        find_curves(
            results([4.0, 3.0, 6.0, 7.0, 7.0, 7.0], other=[4.0, 3.0, 6.0, 7.0, 5.0, 3.0])
        ).sentences
    )
    assert "whether it comes back cannot be told" in said


@pytest.mark.parametrize(("shift", "word"), [(0.1, "higher"), (-0.1, "lower")])
def test_another_training_is_compared_seed_by_seed(results, shift, word):
    said = " ".join(find_curves(results(weight_decay=shift)).sentences)
    assert f"Weight decay: TTR ends at {0.705 + shift:.3f}" in said
    assert f"({word})" in said


def test_tables_hold_the_kept_weights_of_each_variant(results):
    timing, ends, points = find_curves(results()).tables
    assert [line[0] for line in ends.body] == [
        "as-published",
        "as-published, early-stopped",
        "weight-decay",
        "weight-decay, early-stopped",
    ]
    kept = {row.variant: row.mean.value for row in ends.rows if row.quantity == "epoch"}
    assert kept == {"hyperfitted": 5.0, "early-stopped": 2.0}
    measured = {row.variant: row.mean.value for row in ends.rows if row.quantity == "train_loss"}
    assert measured == {"hyperfitted": 0.5, "early-stopped": 1.5}
    assert len(points.rows) == 2 * (3 * 6 + 2 * 5)
    assert {row.mean.seeds for row in timing.rows} == {2}


def test_a_training_more_than_there_are_colours_has_its_curve_too(results):
    names = [f"rate-{n}" for n in range(5)]
    more = "".join(
        f'[[axes.points]]\nname = "{name}"\nset = {{ "train.learning_rate" = {n + 1}e-5 }}\n'
        for n, name in enumerate(names)
    )
    study = STUDY.replace("[[published]]", f"{more}[[published]]", 1)
    for figure in find_curves(results(study=study)).figures:
        for panel in figure.panels:
            drawn = {series.label for series in panel.series}
            assert {"as-published", "weight-decay", *names} <= drawn


def test_a_mean_of_fewer_seeds_than_others_says_so(results):
    """As where one seed is stopped at once, and has made no update."""
    _, ends, _ = find_curves(results(without_accuracy=1)).tables
    line = next(each for each in ends.body if each[0] == "as-published, early-stopped")
    assert line[-1].endswith(", 1 seed")
