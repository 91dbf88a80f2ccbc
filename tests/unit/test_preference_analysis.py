"""How the judging went, what predicts it, who was left out and whether the plan was kept; and the
whole of it.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import preference_coverage as coverage
from hyperfitting.errors import InputError, StudyError
from hyperfitting.preference.analysis import (
    Design,
    Population,
    analyse_judgements,
    calibrated_population,
    power_of_designs,
    published_preference,
)
from hyperfitting.preference.analysis.agreement import AC1, RAW, counts_table
from hyperfitting.preference.analysis.data_quality import (
    checks_by_annotator,
    self_consistency,
    side_bias,
    side_bias_by_annotator,
)
from hyperfitting.preference.analysis.encode import counted_rows, encode
from hyperfitting.preference.analysis.llm_agreement import llm_agreements
from hyperfitting.preference.analysis.power import power_in_words
from hyperfitting.preference.analysis.protocol_adherence import check_protocol, hasty
from hyperfitting.preference.analysis.ttr_regression import ttr_odds_ratios
from hyperfitting.preference.protocol import PlannedAnalysis, Protocol
from hyperfitting.preference.records import BlindedComparison, Judgement, ShownText
from tests.support.judged import MODEL, NUCLEUS, REFERENCE, judged, judgement, swapped

PAIRS = ((MODEL, REFERENCE), (NUCLEUS, REFERENCE), (MODEL, NUCLEUS))


def again(row: Judgement, answer: str) -> Judgement:
    """The repeat of a row: sides swapped, and this answer."""
    return replace(
        swapped(row),
        kind="repeat",
        comparison=row.comparison + "-again",
        repeats=row.comparison,
        answer=answer,
    )


def check(annotator: str, answer: str, number: int = 0, **changes: object) -> Judgement:
    """An attention check whose better text stands first."""
    return judgement(
        answer,
        kind="attention",
        annotator=annotator,
        comparison=f"check-{number}",
        context=f"check-{number}",
        arm_second="shuffled",
        **changes,
    )


def test_self_consistency_is_coded_by_arm():
    first = [
        judgement("first", comparison=str(n), context=str(n), annotator=f"ann-{n % 10}")
        for n in range(40)
    ]
    # The reference moved to the left: "second" is the model again, "first" is the other arm.
    answers = ["second"] * 20 + ["first"] * 12 + ["equal"] * 8
    rows = first + [again(row, answer) for row, answer in zip(first, answers, strict=True)]
    found = self_consistency(rows)
    assert (found.repeats, found.unmatched) == (40, 0)
    assert (found.same.value, found.reversed.value, found.moved.value) == (0.5, 0.3, 0.2)
    assert found.same.low < 0.5 < found.same.high
    stray = replace(rows[-1], repeats="never judged")
    assert (
        self_consistency([*rows[:-1], stray]).repeats,
        self_consistency([*rows[:-1], stray]).unmatched,
    ) == (39, 1)
    assert self_consistency(first).same is None


def test_side_bias_is_the_exact_binomial_over_decided_answers():
    answers = ["first"] * 15 + ["second"] * 5 + ["equal"] * 10
    encoded = encode([judgement(answer, comparison=str(n)) for n, answer in enumerate(answers)])
    found = side_bias(encoded)
    assert (found.first, found.second, found.share_first) == (15, 5, 0.75)
    assert found.p_value == pytest.approx(0.04138947, abs=1e-8)  # 2 * P(X >= 15), X ~ B(20, 1/2)
    assert (found.low, found.high) == pytest.approx(
        (0.5089541, 0.9134285), abs=1e-6
    )  # Clopper and Pearson
    assert side_bias(encode([judgement("equal")])).p_value is None


def test_side_bias_by_annotator_is_adjusted_for_their_number():
    rows = [judgement("first", comparison=str(n), annotator="left") for n in range(20)]
    rows += [
        judgement("first" if n % 2 else "second", comparison=str(n), annotator="fair")
        for n in range(20)
    ]
    rows += [judgement("equal", comparison=str(n), annotator="mild") for n in range(20)]
    found = {each.annotator: each for each in side_bias_by_annotator(encode(rows))}
    assert found["left"].p_value == pytest.approx(2 / 2**20)
    assert found["left"].p_adjusted == pytest.approx(4 / 2**20)
    assert found["fair"].p_adjusted == 1
    assert (found["mild"].p_value, found["mild"].p_adjusted) == (None, None)


def test_attention_checks_fail_by_the_wrong_text_and_by_equal():
    rows = [
        check("a", "first"),
        check("a", "second", 1),
        check("b", "equal"),
        judgement(annotator="c"),
    ]
    assert [(each.annotator, each.checks, each.failures) for each in checks_by_annotator(rows)] == [
        ("a", 2, 1),
        ("b", 1, 1),
        ("c", 0, 0),
    ]
    unnamed = replace(check("a", "first"), arm_second="scrambled")
    (unknown,) = checks_by_annotator([unnamed])
    assert (unknown.checks, unknown.failures, unknown.unknown) == (1, 0, 1)
    text = ShownText("scrambled", "run", "text", 10, 0.5)
    comparison = BlindedComparison(
        "check-0", "attention", "wiki", "c", "g", "context", replace(text, arm=MODEL), text
    )
    assert checks_by_annotator([unnamed], [comparison])[0].failures == 0


def test_annotators_who_answer_in_no_time_are_hasty_and_models_never_are():
    rows = [judgement(comparison=str(n), annotator="quick", seconds=1.0) for n in range(3)]
    rows += [
        judgement(comparison=str(n), annotator="model", seconds=0.1, source="model")
        for n in range(3)
    ]
    rows += [
        judgement(comparison=str(n), annotator="sound", seconds=each)
        for n, each in enumerate([1.0, 9.0, 9.0])
    ]
    assert hasty(rows, PlannedAnalysis()) == {"quick"}


def test_variety_slope_equals_a_fit_by_scipy_without_derivatives():
    from scipy.optimize import minimize

    encoded = encode(judged(Design(40, 12, 3), pairs=PAIRS))
    found = ttr_odds_ratios(encoded)
    assert [each.pairs for each in found] == ["all", *(" / ".join(pair) for pair in encoded.pairs)]
    decided = encoded.where(encoded.answer_N != 0)

    def minus(b: np.ndarray) -> float:
        score = b[:3][decided.pair_N] + b[3] * decided.ttr_difference_N / 0.1
        return float(np.logaddexp(0, -decided.answer_N * score).sum())

    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 9000, "maxfev": 9000}
    slow = minimize(minus, np.zeros(4), method="Nelder-Mead", options=options)
    assert np.log(found[0].odds_ratio.value) == pytest.approx(slow.x[3], abs=1e-5)
    assert found[0].odds_ratio.low < found[0].odds_ratio.value < found[0].odds_ratio.high


def test_variety_does_not_mix_what_is_between_arms_with_what_is_within():
    # Arm a is both more varied and more liked; within its pair, variety and liking are unrelated.
    rows = []
    for n in range(400):
        good, ttr = n % 2 == 0, 0.1 if n % 4 < 2 else 0.2
        answer = "first" if (n // 4) % 10 < (8 if good else 2) else "second"
        ttr_first = 0.5 + (ttr if good else -ttr)
        arms = {"arm_first": "a" if good else "b", "arm_second": REFERENCE}
        rows.append(
            judgement(
                answer,
                comparison=str(n),
                context=str(n),
                annotator=str(n % 20),
                ttr_first=ttr_first,
                ttr_second=0.5,
            )
        )
        rows[-1] = replace(rows[-1], **arms)
    assert ttr_odds_ratios(encode(rows))[0].odds_ratio.value == pytest.approx(1, abs=0.1)


def test_where_variety_has_no_slope_the_note_says_why():
    def note(rows: list[Judgement]) -> str:
        return ttr_odds_ratios(encode(rows))[0].note

    rows = [judgement("first" if n % 2 else "second", comparison=str(n)) for n in range(20)]
    assert note(rows) == "the difference in type-token ratio never varies within a pair of arms"
    apart = [
        replace(row, ttr_first=0.9 if row.answer == "first" else 0.1 + n / 100)
        for n, row in enumerate(rows)
    ]
    assert note(apart) == "the answers are separated: no finite slope"
    assert (
        note([replace(row, answer="first") for row in apart]) == "in no pair of arms did each win"
    )
    assert (
        note([replace(row, ttr_first=float("nan")) for row in rows])
        == "some rows have no type-token ratio"
    )


def test_a_model_beside_people():
    rows = [row for row in judged(Design(40, 12, 3)) if row.annotator != "ann-0"]
    first = {row.comparison: row for row in reversed(rows)}
    model = [replace(row, annotator="judge-1", source="model") for row in first.values()]
    (found,) = llm_agreements([*rows, *model], draws=200, seed=0)
    same = []
    for one in model:
        others = [row for row in rows if row.comparison == one.comparison]
        turned = [row if row.arm_first == one.arm_first else swapped(row) for row in others]
        same.append(sum(row.answer == one.answer for row in turned) / len(turned))
    assert found.model == "judge-1"
    assert found.agreement.value == pytest.approx(np.mean(same))
    assert found.agreement.low < found.agreement.value < found.agreement.high
    encoded = encode(rows)
    people = counts_table(encoded.comparison_N, encoded.answer_N + 1, 3)
    assert found.people.value == pytest.approx(RAW.of(people))


def test_with_one_person_a_comparison_ac1_beside_people_is_gwets():
    rows = judged(Design(40, 12, 1))
    model = [
        replace(row, annotator="judge", source="model") for row in judged(Design(40, 12, 1), seed=1)
    ]
    (found,) = llm_agreements([*rows, *model], draws=200, seed=0)
    encoded = encode([*rows, *model])
    assert found.ac1.value == pytest.approx(
        AC1.of(counts_table(encoded.comparison_N, encoded.answer_N + 1, 3))
    )
    assert (found.people.value, found.people.note) == (
        None,
        "no comparison has two people's answers",
    )


def test_calibration_gives_the_shares_asked_for():
    population = calibrated_population(Population(), preferred=0.3, equal=0.25, seed=0)
    from hyperfitting.preference.analysis.population import draw_answers

    answers = draw_answers(population, Design(100_000, 5_000, 1), 1, np.random.default_rng(1))[0]
    assert (answers == 1).mean() == pytest.approx(0.3, abs=0.01)
    assert (answers == 0).mean() == pytest.approx(0.25, abs=0.01)
    with pytest.raises(
        InputError, match=r"--preferred 0.7 and --equal 0.4 leave no share for each answer"
    ):
        calibrated_population(Population(), preferred=0.7, equal=0.4, seed=0)


def test_power_shrinks_with_contexts_and_annotators_and_counts_hours():
    designs = [Design(60, 10, 3), Design(60, 30, 3), Design(300, 30, 3), Design(60, 9, 3)]
    small, more, large, few = power_of_designs(
        Population(), designs, studies=200, seconds_each=40, seed=0
    )
    assert small.half_width > more.half_width > large.half_width
    assert small.half_width < small.half_width_90
    assert (large.judgements_total, large.judgements_each, large.hours_total) == (900, 30, 10)
    assert large.hours_each == pytest.approx(1 / 3)
    assert more.half_width < small.half_width < few.half_width < 2 * small.half_width


def test_power_says_what_a_few_annotators_can_show():
    designs = [
        Design(60, 10, 3),
        Design(24, 5, 3),
        Design(8, 12, 3),
        Design(24, 1, 1),
        Design(1, 1, 1),
    ]
    rows = power_of_designs(Population(), designs, studies=50, seconds_each=40, seed=0)
    five, few, alone, none = power_in_words(rows)  # of the first, the table says enough
    assert five.startswith("24 contexts and 5 annotators tell a share from 50 % if it is below 3")
    assert five.endswith("roughly; more annotators narrow it most")
    assert few.endswith("roughly; more contexts narrow it most")
    assert alone.startswith("24 contexts and 1 annotator tell a share")
    assert alone.endswith("that speaks of this one annotator")
    assert none == "1 context and 1 annotator tell no share from 50 %"


def test_power_predicts_the_interval_of_a_study():
    design = Design(300, 30, 3)
    (expected,) = power_of_designs(Population(), [design], studies=400, seconds_each=40, seed=0)
    widths = []
    for seed in range(8):
        share = analyse_judgements(judged(design, seed=seed), draws=10).shares[0].preferred_or_equal
        widths.append((share.high - share.low) / 2)
    assert np.median(widths) == pytest.approx(expected.half_width, rel=0.15)


def test_the_papers_values_are_there_with_their_source():
    found = {(each.model, each.weights, each.decoding): each for each in published_preference()}
    assert found["TinyLlama 1.1B", "original", "greedy"].preferred_or_equal_percent == 4.9
    assert found["TinyLlama 1.1B", "hyperfitted", "greedy"].preferred_or_equal_percent == 34.4
    assert found["Llama 3.1 70B", "hyperfitted", "greedy"].preferred_or_equal_percent == 52.4
    assert {each.source for each in found.values()} == {"A, Table 1"}


def test_the_whole_leaves_out_whom_the_plan_leaves_out():
    rows = judged(Design(60, 12, 3))
    rows += [check("ann-0", "second", number) for number in range(2)] + [check("ann-1", "second")]
    rows = [replace(row, seconds=1.0) if row.annotator == "ann-2" else row for row in rows]
    rows = [
        replace(row, excluded="withdrew by mail") if row.annotator == "ann-3" else row
        for row in rows
    ]
    found = analyse_judgements(rows, rules=PlannedAnalysis(), draws=50)
    assert (found.inattentive, found.hasty) == (("ann-0",), ("ann-2",))
    assert found.primary_set == "nor hasty"
    assert found.counts.annotators == 9
    numbers = [sets[0].preferred.n for sets in found.sensitivity.values()]
    assert numbers == [180, 165, 150, 135]
    assert found.shares[0] == found.sensitivity["nor hasty"][0]
    without_plan = analyse_judgements(rows, draws=50)
    assert without_plan.primary_set == "not excluded by hand"
    assert without_plan.shares[0] == without_plan.sensitivity["not excluded by hand"][0]


def test_contexts_of_one_book_widen_the_interval_only():
    rows = judged(Design(60, 12, 3))
    rows = [replace(row, group=f"book {int(row.context.split('-')[1]) // 2}") for row in rows]
    found = analyse_judgements(rows, draws=50)
    assert (
        "by book or article" not in found.sensitivity
    )  # neighbours are of two domains: every context has its book
    (whole,) = found.sensitivity["not excluded by hand"]
    same = analyse_judgements([replace(row, group=row.context) for row in rows], draws=50)
    assert "by book or article" not in same.sensitivity
    one = analyse_judgements(
        [
            replace(row, domain="all", group=f"book {int(row.context.split('-')[1]) // 3}")
            for row in rows
        ]
    )
    (grouped,) = one.sensitivity["by book or article"]
    assert (grouped.preferred.contexts, grouped.preferred.value) == (20, whole.preferred.value)
    assert grouped.preferred.low != whole.preferred.low


def test_a_study_of_nothing_that_counts_is_refused():
    with pytest.raises(
        StudyError, match="none of 2 human judgements counts: all are checks, surplus or left out"
    ):
        analyse_judgements([check("a", "first"), judgement(surplus=True)])


def _changed_only_in_side_bias(one: dict, two: dict) -> list[str]:
    return [key for key in one if one[key] != two[key]]


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_swapping_all_sides_changes_nothing_but_the_side_bias(seed: int):
    rows = judged(Design(24, 12, 3), seed=seed, pairs=PAIRS)
    rows += [again(row, ("first", "second", "equal")[seed % 3]) for row in rows[:20]] + [
        check("ann-1", "second")
    ]
    one, two = (
        asdict(analyse_judgements(each, draws=50))
        for each in (rows, [swapped(row) for row in rows])
    )
    assert set(_changed_only_in_side_bias(one, two)) <= {"side_bias", "side_bias_by_annotator"}
    assert one["side_bias"]["first"] == two["side_bias"]["second"]


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_relabelling_two_arms_mirrors_every_estimate(seed: int):
    rows = judged(Design(24, 12, 3), seed=seed, pairs=(("a", "b"),))
    other = {"a": "b", "b": "a"}
    mirrored = [
        replace(row, arm_first=other[row.arm_first], arm_second=other[row.arm_second])
        for row in rows
    ]
    one, two = analyse_judgements(rows, draws=50), analyse_judgements(mirrored, draws=50)
    assert one.shares[0].preferred == two.shares[0].not_preferred
    worths = [each.davidson.worths[1].log_worth.value for each in (one, two)]
    assert worths[0] == pytest.approx(-worths[1], abs=1e-6)
    for before, after in zip(one.agreement["all"], two.agreement["all"], strict=True):
        assert before.value == pytest.approx(after.value, abs=1e-9)
    assert one.side_bias == two.side_bias
    # With the arms, the sign of the difference in TTR turns as well: what predicts preference
    # stays.
    assert one.ttr_regression[0].odds_ratio.value == pytest.approx(
        two.ttr_regression[0].odds_ratio.value, rel=1e-6
    )


def odd_rows(seed: int) -> list[Judgement]:
    """A few rows of few arms, contexts and annotators, with taste that may be all for one arm, or
    none.
    """
    r = random.Random(seed)
    arms, rows, seen = r.sample(["a", "b", "c", REFERENCE], r.randint(2, 4)), [], set()
    weights = r.choice([(1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1), (5, 1, 1), (1, 0, 1)])
    contexts, annotators = r.randint(1, 30), r.randint(1, 15)
    for number in range(r.randint(1, 80)):
        one, other = r.sample(arms, 2)
        context, annotator = r.randrange(contexts), r.randrange(annotators)
        key = (*sorted((one, other)), context)
        if (key, annotator) not in seen:
            seen.add((key, annotator))
            answer = r.choices(["first" if one < other else "second", "equal", "first"], weights)[0]
            changes = {
                "tokens": r.choice([20, 100, 300]),
                "seconds": r.choice([1.0, 30.0]),
                "domain": r.choice("xy"),
            }
            names = {"comparison": str(key), "context": str(context), "annotator": str(annotator)}
            sides = {
                "arm_first": one,
                "arm_second": other,
                "ttr_first": r.choice([0.4, 0.5]),
                "ttr_second": 0.5,
            }
            left = {"surplus": r.random() < 0.05, "excluded": None if annotator else "absent"}
            rows.append(
                judgement(answer, assignment=str(number), **names, **sides, **changes, **left)
            )
    return rows


def test_odd_rows_are_analysed_with_what_can_be_computed():
    # Warnings are errors here: no division by nothing, no logarithm of 0, on the way to any figure.
    for seed in range(30):
        rows, rules = odd_rows(seed), PlannedAnalysis() if seed % 2 else None
        if all(row.surplus for row in rows):
            continue
        found = analyse_judgements(rows, rules=rules, draws=20)
        json.dumps(asdict(found), allow_nan=False)
        for each in found.shares:
            for interval in (
                each.preferred,
                each.equal,
                each.not_preferred,
                each.preferred_or_equal,
            ):
                assert (
                    interval.low is None
                    or 0 <= interval.low <= interval.value <= interval.high <= 1
                )
        for worth in (worth for scale in found.scales for worth in scale.worths):
            known = worth.log_worth.value is not None
            assert not (known and worth.log_worth.bound)
            assert not known or abs(worth.log_worth.value) < 20
        assert all(each.why and "\n" not in each.why for each in found.not_computed)


def planned(rows: list[Judgement]) -> list[BlindedComparison]:
    """The comparisons that rows answer."""
    made = {}
    for row in rows:
        one, other = (
            ShownText(arm, "run", "text", 128, 0.5) for arm in (row.arm_first, row.arm_second)
        )
        made[row.comparison] = BlindedComparison(
            row.comparison, row.kind, row.domain, row.context, row.group, "context", one, other
        )
    return list(made.values())


def test_a_plan_that_was_kept_and_every_way_not_to_keep_it():
    rows, digest = judged(Design(30, 10, 3)), "0" * 64
    comparisons, plan = planned(rows), Protocol(name="study")

    def held(
        changed: list[Judgement],
        created: str = "2026-11-24T00:00:00+00:00",
        out: frozenset = frozenset(),
    ) -> dict:
        return {
            each.what: each
            for each in check_protocol(plan, digest, created, comparisons, changed, out)
        }

    assert all(each.kept for each in held(rows).values())
    assert held(rows)["stop rule"].found == "all 30 have them"
    assert (
        held(rows)["primary estimand"].planned
        == "share preferred or equal, by pair of arms, 95 % intervals"
    )
    early = held(rows[1:])["stop rule"]
    assert (early.kept, early.found) == (False, "1 of 30 comparisons have fewer")
    other = held([replace(rows[0], study="f" * 64), *rows[1:]])["version"]
    assert (other.kept, other.found) == (False, "1 judgements name another version")
    assert not held(rows, created="2026-11-26T00:00:00+00:00")["order"].kept
    strange = held([replace(rows[0], arm_first="unknown"), *rows[1:]])["primary estimand"]
    assert (strange.kept, strange.found) == (False, "1 judgements of other comparisons")
    by_hand = [
        replace(row, excluded="too slow") if row.annotator == "ann-1" else row for row in rows
    ]
    assert (
        held(by_hand)["exclusions"].found
        == "0 left out by the rule, 1 more by hand: 1 for “too slow”"
    )
    assert not held(by_hand)["exclusions"].kept
    assert held(by_hand, out=frozenset({"ann-1"}))["exclusions"].kept
    assert counted_rows(by_hand) != counted_rows(rows)


@pytest.mark.parametrize(
    "design",
    [*coverage.DESIGNS, coverage.SMALL_DESIGNS[0]],
    ids=["300x30x3", "60x10x3", "24x5x3"],
)
def test_intervals_hold_the_truth_in_a_small_coverage_study(design: Design):
    # The full one has 1,000 studies: `make acceptance`, or `python -m bench.preference_coverage`.
    found = [*coverage.shares(design, coverage.USUAL, 300), *coverage.worths(design, 40)]
    for each in found:
        low, high = each.wilson()
        assert low <= 0.975, each.line()
        assert high >= 0.93, each.line()
