"""Agreement against published worked examples, against slow formulas, and at its edges."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.preference.analysis.agreement import (
    AC1,
    ALPHA_NOMINAL,
    ALPHA_ORDINAL,
    FLEISS,
    RAW,
    agreement_coefficients,
    coefficient,
)
from hyperfitting.preference.analysis.encode import encode
from hyperfitting.preference.analysis.population import Design
from tests.support.judged import judged, judgement, swapped


def table(units: list[list[int]], categories: int) -> np.ndarray:
    """Counts from the answers to each unit, which are 1, 2, ..."""
    return np.array(
        [[unit.count(each) for each in range(1, categories + 1)] for unit in units], dtype=float
    )


# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve
# units, values 1-5, some missing; he works out alpha nominal 0.743 and ordinal 0.815.
KRIPPENDORFF = table(
    [
        [int(digit) for digit in unit]
        for unit in [
            "111",
            "2232",
            "3333",
            "3333",
            "2222",
            "1234",
            "4444",
            "1121",
            "2222",
            "555",
            "11",
            "3",
        ]
    ],
    5,
)

# Fleiss 1971, "Measuring nominal scale agreement among many raters", Table 1: 30 patients, 6
# psychiatrists each, 5 diagnoses; kappa 0.430.
FLEISS_1971 = np.array(
    [
        [int(digit) for digit in row]
        for row in [
            "00060",
            "03003",
            "01401",
            "00006",
            "03030",
            "20400",
            "00402",
            "20310",
            "20040",
            "00006",
            "10050",
            "11040",
            "03300",
            "10050",
            "02031",
            "00501",
            "30012",
            "51000",
            "02040",
            "10203",
            "00006",
            "01050",
            "02013",
            "20040",
            "10041",
            "05010",
            "40002",
            "02040",
            "10500",
            "00006",
        ]
    ],
    dtype=float,
)

# Gwet 2014, "Handbook of Inter-Rater Reliability", 4th edition (data set cont3x3abstractors of his
# R package irrCAC): two abstractors, 100 pregnancies; AC1 0.8493305, agreement 0.89, Krippendorff's
# alpha 0.7972585.
GWET = table([[1, 1]] * 13 + [[2, 2]] * 20 + [[2, 3]] * 7 + [[3, 2]] * 4 + [[3, 3]] * 56, 3)


def test_krippendorffs_worked_example():
    assert ALPHA_NOMINAL.of(KRIPPENDORFF) == pytest.approx(0.743, abs=5e-4)
    assert ALPHA_ORDINAL.of(KRIPPENDORFF) == pytest.approx(0.815, abs=5e-4)


def test_gwets_examples():
    assert AC1.of(GWET) == pytest.approx(0.8493305, abs=5e-8)
    assert RAW.of(GWET) == pytest.approx(0.89, abs=1e-12)
    assert ALPHA_NOMINAL.of(GWET) == pytest.approx(0.7972585, abs=5e-8)
    # Krippendorff's data again, with missing answers (cac.raw4raters in irrCAC): AC1 0.77544,
    # agreement 0.81818.
    assert AC1.of(KRIPPENDORFF) == pytest.approx(0.77544, abs=5e-6)
    assert RAW.of(KRIPPENDORFF) == pytest.approx(0.81818, abs=5e-6)


def test_fleiss_worked_example():
    assert FLEISS_1971.sum(axis=0).tolist() == [
        26,
        26,
        30,
        55,
        43,
    ]  # the column totals that he prints
    assert FLEISS.of(FLEISS_1971) == pytest.approx(0.430, abs=5e-4)
    assert RAW.of(FLEISS_1971) == pytest.approx(500 / 900, abs=1e-12)


def slow_alpha(counts: np.ndarray, *, ordinal: bool) -> float:
    """Krippendorff's formula, pair of answers by pair of answers."""
    totals = counts[counts.sum(axis=1) > 1].sum(axis=0)

    def distance(one: int, two: int) -> float:
        low, high = sorted((one, two))
        if not ordinal:
            return float(one != two)
        return (totals[low : high + 1].sum() - (totals[low] + totals[high]) / 2) ** 2

    observed = 0.0
    for row in counts[counts.sum(axis=1) > 1]:
        answers = [category for category, count in enumerate(row) for _ in range(int(count))]
        observed += sum(distance(*pair) for pair in itertools.permutations(answers, 2)) / (
            len(answers) - 1
        )
    everything = [category for category, count in enumerate(totals) for _ in range(int(count))]
    expected = sum(distance(*pair) for pair in itertools.permutations(everything, 2)) / (
        len(everything) - 1
    )
    return 1 - observed / expected


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=3, max_size=12))
def test_alpha_equals_the_formula_by_loops(units: list[list[int]]):
    counts = table(units, 3)
    shared = [answer for unit in units if len(unit) > 1 for answer in unit]
    if len(set(shared)) < 2:
        assert np.isnan(ALPHA_NOMINAL.of(counts))
        return
    assert ALPHA_NOMINAL.of(counts) == pytest.approx(slow_alpha(counts, ordinal=False), abs=1e-12)
    assert ALPHA_ORDINAL.of(counts) == pytest.approx(slow_alpha(counts, ordinal=True), abs=1e-12)


def test_worse_against_better_weighs_more_than_against_equal():
    near = table([[1, 2], [2, 3], [1, 1], [3, 3], [2, 2]] * 4, 3)
    far = table([[1, 3], [1, 3], [1, 1], [3, 3], [2, 2]] * 4, 3)
    assert ALPHA_ORDINAL.of(near) > ALPHA_NOMINAL.of(near)
    assert ALPHA_ORDINAL.of(far) < ALPHA_NOMINAL.of(far)


def test_alpha_collapses_where_one_answer_prevails_and_ac1_does_not():
    counts = table([[1, 1]] * 96 + [[1, 2], [2, 1], [1, 2], [2, 1]], 3)
    assert ALPHA_NOMINAL.of(counts) == pytest.approx(-0.015, abs=5e-3)
    assert AC1.of(counts) > 0.95


def test_of_judgements_coded_by_arm():
    rows = judged(Design(60, 12, 3))
    found = {each.name: each for each in agreement_coefficients(encode(rows), draws=300, seed=0)}
    assert set(found) == {"raw_agreement", "alpha_nominal", "alpha_ordinal", "ac1", "fleiss_kappa"}
    for each in found.values():
        assert (each.items, each.judgements, each.contexts) == (60, 180, 60)
        assert each.low < each.value < each.high
    assert agreement_coefficients(
        encode([swapped(row) for row in rows]), draws=300, seed=0
    ) == list(found.values())


def test_the_interval_over_contexts_covers_the_jackknifes():
    counts = np.random.default_rng(0).multinomial(3, [0.5, 0.2, 0.3], size=400).astype(float)
    found = coefficient(AC1, counts, np.arange(400), draws=4000, seed=1)
    without = np.array([AC1.of(np.delete(counts, index, axis=0)) for index in range(400)])
    error = np.sqrt(399 / 400 * ((without - without.mean()) ** 2).sum())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_contexts_are_drawn_whole():
    # Forty comparisons of ten contexts that are copies of each other know as much as ten
    # comparisons.
    ten = np.random.default_rng(2).multinomial(3, [0.5, 0.2, 0.3], size=10).astype(float)
    one = coefficient(RAW, ten, np.arange(10), draws=500, seed=0)
    four = coefficient(
        RAW, np.repeat(ten, 4, axis=0), np.repeat(np.arange(10), 4), draws=500, seed=0
    )
    assert (four.low, four.high) == pytest.approx((one.low, one.high), abs=1e-12)


def test_what_cannot_be_said_says_why():
    rows = judged(Design(60, 12, 3))
    uneven = {
        each.name: each for each in agreement_coefficients(encode(rows[1:]), draws=50, seed=0)
    }
    assert uneven["fleiss_kappa"].value is None
    assert (
        uneven["fleiss_kappa"].note
        == "comparisons have 2 to 3 judgements, not the same number each"
    )
    assert uneven["ac1"].value is not None
    single = agreement_coefficients(
        encode([judgement(comparison=str(n), context=str(n)) for n in range(20)]), draws=50, seed=0
    )
    assert {each.note for each in single} == {"no comparison has two judgements"}
    same = [
        judgement(comparison=str(n // 2), context=str(n // 2), annotator=str(n % 2))
        for n in range(40)
    ]
    alike = {each.name: each for each in agreement_coefficients(encode(same), draws=50, seed=0)}
    assert (alike["alpha_nominal"].value, alike["alpha_nominal"].note) == (
        None,
        "every answer is the same",
    )
    assert (alike["raw_agreement"].value, alike["ac1"].value) == (1, 1)
    few = [replace(row, context="wiki-0") for row in rows]
    assert agreement_coefficients(encode(few), draws=50, seed=0)[0].low is None
