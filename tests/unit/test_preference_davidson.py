"""Davidson's model against closed forms, against an optimum found another way, and at its edges."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import differential_evolution, minimize
from scipy.stats import t as student

from hyperfitting.errors import StudyError
from hyperfitting.preference.analysis import davidson
from hyperfitting.preference.analysis.encode import encode
from hyperfitting.preference.analysis.population import Design, Population
from hyperfitting.preference.records import Judgement
from tests.support.judged import judged, judgement, swapped

ARMS = ("a", "b", "c", "reference")


def duels(*counts: tuple[str, str, int, int, int]) -> list[Judgement]:
    """(one, other, wins of one, ties, wins of other), over 12 contexts and 10 annotators in
    turn.
    """
    rows = []
    for one, other, wins, ties, losses in counts:
        answers = ["first"] * wins + ["equal"] * ties + ["second"] * losses
        for number, answer in enumerate(answers):
            rows.append(
                judgement(
                    answer,
                    comparison=f"{one}-{other}-{number}",
                    context=f"ctx-{number % 12}",
                    annotator=f"ann-{number % 10}",
                    arm_first=one,
                    arm_second=other,
                )
            )
    return rows


def four_arms(seed: int) -> list[Judgement]:
    pairs = tuple(itertools.combinations(ARMS, 2))
    return judged(Design(60, 12, 2), seed=seed, pairs=pairs, population=Population(lean=0.3))


def values(found: davidson.Davidson) -> dict[str, float | None]:
    return {worth.arm: worth.log_worth.value for worth in found.worths}


def test_two_arms_have_a_closed_form():
    found = davidson.fit_davidson(encode(duels(("model", "reference", 30, 20, 60))))
    assert found.baseline == "reference"
    assert values(found)["model"] == pytest.approx(np.log(30 / 60), abs=1e-7)
    assert found.tie == pytest.approx(20 / np.sqrt(30 * 60), abs=1e-7)


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_an_optimum_found_without_derivatives(seed: int):
    rows = four_arms(seed)
    found = davidson.fit_davidson(encode(rows))

    def minus_log_likelihood(parameters: np.ndarray) -> float:
        worth = dict(zip(("reference", "a", "b", "c"), [0.0, *parameters[:3]], strict=True))
        total = 0.0
        for (one, other, answer), count in tally.items():
            pi, pj = np.exp(worth[one]), np.exp(worth[other])
            tie = np.exp(parameters[3]) * np.sqrt(pi * pj)
            total -= count * np.log(
                {"first": pi, "second": pj, "equal": tie}[answer] / (pi + pj + tie)
            )
        return total

    tally: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.arm_first, row.arm_second, row.answer)
        tally[key] = tally.get(key, 0) + 1
    rough = differential_evolution(
        minus_log_likelihood, [(-3, 3)] * 4, seed=seed, maxiter=40, polish=False
    )
    fine = minimize(
        minus_log_likelihood,
        rough.x,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5000},
    )
    assert [values(found)[arm] for arm in "abc"] == pytest.approx(fine.x[:3].tolist(), abs=1e-6)
    assert np.log(found.tie) == pytest.approx(fine.x[3], abs=1e-6)
    assert found.log_likelihood == pytest.approx(-fine.fun, abs=1e-8)


def test_recovers_the_worths_that_answers_were_drawn_from():
    rng, worth, tie = (
        np.random.default_rng(0),
        {"a": 0.8, "b": -0.5, "c": 0.2, "reference": 0.0},
        0.7,
    )
    counts = []
    for one, other in itertools.combinations(ARMS, 2):
        weights = np.array(
            [
                np.exp(worth[one]),
                tie * np.exp((worth[one] + worth[other]) / 2),
                np.exp(worth[other]),
            ]
        )
        counts.append((one, other, *rng.multinomial(20_000, weights / weights.sum())))
    found = davidson.fit_davidson(encode(duels(*counts)))
    for arm in "abc":
        assert values(found)[arm] == pytest.approx(worth[arm], abs=0.03)
    assert found.tie == pytest.approx(tie, abs=0.02)
    assert max(abs(each.preferred - each.preferred_expected) for each in found.expected) < 0.01


def test_information_and_scores_equal_numerical_derivatives():
    problem = davidson.design_matrix(encode(four_arms(3)))
    allowed, point, step = np.ones((6, 3), dtype=bool), np.array([0.3, -0.2, 0.5, -0.4]), 1e-5

    def gradient(b: np.ndarray) -> np.ndarray:
        units = np.eye(4) * step
        return np.array(
            [
                (
                    davidson.log_likelihood_of(problem, allowed, b + u)
                    - davidson.log_likelihood_of(problem, allowed, b - u)
                )
                / 2
                / step
                for u in units
            ]
        )

    hessian = np.array(
        [(gradient(point + u) - gradient(point - u)) / 2 / step for u in np.eye(4) * step]
    )
    assert davidson.information_matrix(problem, allowed, point) == pytest.approx(-hessian, abs=0.05)
    assert davidson._gradient(problem, allowed, point) == pytest.approx(gradient(point), abs=1e-4)


def test_the_sandwich_with_one_judgement_a_cluster_is_the_classical_error():
    # Right model, independent judgements: the sandwich estimates the inverse of the information.
    rng = np.random.default_rng(5)
    rows = [
        judgement(
            str(answer),
            comparison=str(n),
            context=str(n),
            annotator=str(n),
            arm_first="model",
            arm_second="reference",
        )
        for n, answer in enumerate(
            rng.choice(["first", "equal", "second"], 4000, p=[0.3, 0.2, 0.5])
        )
    ]
    encoded = encode(rows)
    problem, interval = (
        davidson.design_matrix(encoded),
        davidson.fit_davidson(encoded).worths[1].log_worth,
    )
    allowed = np.ones((1, 3), dtype=bool)
    information = davidson.information_matrix(
        problem, allowed, davidson.maximise_likelihood(problem, allowed)
    )
    assert interval.error == pytest.approx(np.sqrt(np.linalg.inv(information)[0, 0]), rel=0.02)
    wins, losses = ((encoded.answer_N == each).sum() for each in (1, -1))
    assert interval.error == pytest.approx(
        np.sqrt(1 / wins + 1 / losses), rel=1e-3
    )  # the delta method, by hand


def test_swapping_sides_changes_nothing_and_relabelling_mirrors():
    rows = four_arms(4)
    found = davidson.fit_davidson(encode(rows))
    again = davidson.fit_davidson(encode([swapped(row) for row in rows]))
    assert values(again) == pytest.approx(values(found), abs=1e-9)
    rows = judged(Design(40, 10, 3), pairs=(("a", "b"),))
    other = {"a": "b", "b": "a"}
    mirrored = [
        replace(row, arm_first=other[row.arm_first], arm_second=other[row.arm_second])
        for row in rows
    ]
    one, two = (
        davidson.fit_davidson(encode(rows)).worths[1].log_worth,
        davidson.fit_davidson(encode(mirrored)).worths[1].log_worth,
    )
    assert one.value == pytest.approx(-two.value, abs=1e-9)
    assert (one.low, one.error) == pytest.approx((-two.high, two.error), abs=1e-9)


def test_an_arm_that_never_wins_gets_the_exact_binomial_bound():
    # 120 losses by 12 contexts and 10 annotators count as 10: odds below those at which 0 of 10 has
    # 5 %.
    found = (
        davidson.fit_davidson(encode(duels(("model", "reference", 0, 0, 120)))).worths[1].log_worth
    )
    most = 1 - 0.05 ** (1 / 10)
    assert (found.value, found.low, found.bound) == (None, None, "upper")
    assert found.high == pytest.approx(np.log(most / (1 - most)), abs=1e-4)


def test_an_arm_that_always_wins_gets_a_lower_bound_and_the_others_keep_their_numbers():
    rest = ("b", "reference", 40, 20, 60)
    alone = davidson.fit_davidson(encode(duels(rest)))
    found = davidson.fit_davidson(
        encode(duels(rest, ("a", "reference", 50, 0, 0), ("a", "b", 50, 0, 0)))
    )
    worth = {each.arm: each.log_worth for each in found.worths}
    assert worth["a"].bound == "lower"
    assert worth["a"].value is None
    assert worth["a"].high is None
    assert worth["a"].low > 0
    assert worth["b"].value == pytest.approx(values(alone)["b"], abs=1e-6)
    assert found.tie == pytest.approx(alone.tie, abs=1e-6)


def test_wins_and_ties_without_a_loss_are_an_edge_too():
    found = (
        davidson.fit_davidson(encode(duels(("model", "reference", 30, 20, 0)))).worths[1].log_worth
    )
    assert (found.value, found.bound) == (None, "lower")


def test_without_ties_it_is_bradley_terry():
    found = davidson.fit_davidson(
        encode(
            duels(
                ("a", "b", 30, 0, 10), ("b", "reference", 20, 0, 20), ("a", "reference", 30, 0, 10)
            )
        )
    )
    assert found.tie == 0
    assert values(found)["a"] == pytest.approx(np.log(3), abs=1e-6)  # b is as good as the reference
    assert values(found)["b"] == pytest.approx(0, abs=1e-6)


def test_only_ties_say_nothing_of_worths():
    found = davidson.fit_davidson(encode(duels(("model", "reference", 0, 50, 0))))
    interval = found.worths[1].log_worth
    assert (interval.value, interval.low, interval.high, interval.bound, found.tie) == (
        None,
        None,
        None,
        None,
        None,
    )


def test_disconnected_arms_are_refused_by_name():
    with pytest.raises(
        StudyError,
        match=r"no comparison links \{c, reference\} and \{a, b\}, so .* no common scale",
    ):
        davidson.fit_davidson(encode(duels(("a", "b", 10, 5, 10), ("c", "reference", 10, 5, 10))))


def test_an_arm_that_few_judged_has_a_wider_interval_in_a_study_of_many():
    few = [
        replace(row, annotator=f"ann-{n % 9}")
        for n, row in enumerate(duels(("a", "reference", 20, 10, 30)))
    ]
    rows = encode([*few, *duels(("b", "reference", 30, 20, 60))])
    a, b = (each.log_worth for each in davidson.fit_davidson(rows).worths[1:])
    assert (a.annotators, b.annotators) == (9, 10)
    assert b.high - b.value == pytest.approx(student.ppf(0.975, 9) * b.error)
    assert a.high - a.value > student.ppf(0.975, 60) * a.error


def test_few_clusters_give_intervals_and_one_annotator_one_over_contexts():
    rows = [
        replace(row, annotator=f"ann-{n % 9}")
        for n, row in enumerate(duels(("model", "reference", 30, 20, 60)))
    ]
    interval = davidson.fit_davidson(encode(rows)).worths[1].log_worth
    assert interval.value == pytest.approx(np.log(0.5), abs=1e-7)
    assert interval.low < interval.value < interval.high
    assert interval.over == "both"
    alone = [replace(row, annotator="ann-0") for row in rows]
    assert davidson.fit_davidson(encode(alone)).worths[1].log_worth.over == "contexts"
    never = [
        replace(row, annotator=f"ann-{n % 9}")
        for n, row in enumerate(duels(("model", "reference", 0, 0, 60)))
    ]
    interval = davidson.fit_davidson(encode(never)).worths[1].log_worth
    assert (interval.value, interval.low, interval.bound) == (None, None, "upper")
    assert interval.high == pytest.approx(np.log(1 / (1 - 0.05 ** (1 / 9)) - 1) * -1, abs=1e-3)
