"""Calibration: hand-computed values, and a temperature that is known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hyperfitting.downstream.calibration import (
    calibrate,
    choice_scores,
    expected_calibration_error,
    fit_temperature,
)
from hyperfitting.runs.answers import AnsweredItem


def item(number, scores, gold, lengths=()):
    chosen = int(np.argmax(scores))
    return AnsweredItem(
        number, "all", f"{number:016x}", gold, chosen, float(chosen == gold), tuple(scores),
        tuple(lengths), 0,
    )  # fmt: skip


def test_the_calibration_error_by_hand():
    found = expected_calibration_error([0.95, 0.92, 0.55, 0.6], [True, False, True, False])
    assert found == pytest.approx((abs(1 - 1.87) + abs(1 - 1.15)) / 4)
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0
    with pytest.raises(ValueError, match="a confidence for each"):
        expected_calibration_error([], [])


def test_a_border_counts_in_the_lower_bin():
    apart = expected_calibration_error([0.5, 0.51], [True, False])
    assert apart == pytest.approx((0.5 + 0.51) / 2)


def sharpened(items, factor, seed=0):
    """Answers drawn from honest probabilities, whose scores are then made `factor` times larger."""
    random_ = np.random.default_rng(seed)
    rows = []
    for number in range(items):
        honest = random_.normal(size=4) * 1.5
        p = np.exp(honest) / np.exp(honest).sum()
        rows.append(item(number, [float(each) * factor for each in honest], random_.choice(4, p=p)))
    return rows


def test_the_temperature_gives_back_what_sharpening_took():
    rows = sharpened(3000, 4.0)
    scores = np.array([row.loglikelihoods for row in rows])
    assert fit_temperature(scores, np.array([row.gold for row in rows])) == pytest.approx(
        4, rel=0.1
    )
    found = calibrate(rows)
    error, error_after, loss, loss_after = found.held_out
    assert error > 0.15 > 0.04 > error_after
    assert loss > loss_after + 0.3
    honest = calibrate(sharpened(3000, 1.0))
    assert honest.temperature == pytest.approx(1, rel=0.15)
    assert honest.entropy > found.entropy


def test_a_temperature_that_nothing_decides_is_at_its_bound():
    """Scores that prefer a wrong choice as often as they can are best ignored."""
    found = calibrate([item(n, [4.0, 0, 0, 0], 1 + n % 3) for n in range(80)])
    assert (found.temperature, found.is_at_bound) == (pytest.approx(50, rel=1e-3), True)
    assert not calibrate(sharpened(400, 2.0)).is_at_bound


def test_uniform_scores_have_the_entropy_and_loss_of_chance():
    found = calibrate([item(n, [-3.0] * 4, n % 4) for n in range(8)])
    assert (found.loss, found.entropy) == pytest.approx((math.log(4), math.log(4)))
    assert (found.temperature, found.held_out) == (None, None)


def test_items_may_have_different_numbers_of_choices():
    rows = [item(1, [0.0, 0.0], 0), item(2, [0.0, 0.0, 0.0, 0.0], 3)]
    found = calibrate(rows)
    assert found.loss == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert found.entropy == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_scores_are_per_character_where_lengths_are_known():
    assert choice_scores(item(1, [-4.0, -9.0], 0, lengths=[2, 9])) == (-2.0, -1.0)


def test_answers_without_likelihoods_have_no_calibration():
    assert calibrate([AnsweredItem(1, "all", "", 0, 0, 1.0, (), (), 0, "A")]) is None
