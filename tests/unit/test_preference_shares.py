"""Coding by arm, and the two-way clustered intervals, against values worked out by hand and slow
formulas.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from hyperfitting.errors import InputError, StudyError
from hyperfitting.preference.analysis.clustered_se import share, two_way
from hyperfitting.preference.analysis.encode import counted_rows, encode, of_one_source
from hyperfitting.preference.analysis.population import Design, Population, draw_answers
from hyperfitting.preference.analysis.shares import pair_shares
from tests.support.judged import MODEL, REFERENCE, judged, judgement, swapped


def test_answers_are_coded_by_arm_whatever_stood_first():
    rows = [
        judgement("first", comparison="a"),
        judgement("second", comparison="b"),
        judgement(
            "first",
            comparison="c",
            arm_first=REFERENCE,
            arm_second=MODEL,
            ttr_first=0.9,
            ttr_second=0.4,
        ),
        judgement("equal", comparison="d"),
    ]
    encoded = encode(rows)
    assert encoded.pairs == ((MODEL, REFERENCE),)
    assert encoded.answer_N.tolist() == [1, -1, -1, 0]
    assert encoded.first_N.tolist() == [1, 1, -1, 1]
    assert encoded.ttr_difference_N.tolist() == pytest.approx([-0.1, -0.1, -0.5, -0.1])


def test_reference_is_always_the_other_even_where_the_alphabet_says_not():
    encoded = encode([judgement("first", arm_first="zebra")])
    assert encoded.pairs == (("zebra", "reference"),)


def test_only_scored_rows_within_the_quota_of_those_not_excluded_count():
    rows = [
        judgement(comparison="scored"),
        judgement(comparison="check", kind="attention"),
        judgement(comparison="again", kind="repeat", repeats="scored"),
        judgement(comparison="late", surplus=True),
        judgement(comparison="out", excluded="answered in a second"),
    ]
    assert [row.comparison for row in counted_rows(rows)] == ["scored"]
    assert [row.comparison for row in counted_rows(rows, excluded=True)] == ["scored", "out"]


def test_one_annotator_with_two_counted_answers_to_a_comparison_is_refused():
    with pytest.raises(
        StudyError, match="annotator ann-0 has two counted answers to comparison c-0"
    ):
        counted_rows([judgement(), judgement("equal")])


def test_sources_never_mix():
    rows = [
        judgement(),
        judgement(comparison="b", source="model"),
        judgement(comparison="c", source="simulated"),
    ]
    with pytest.raises(
        StudyError, match=r"human and model and simulated judgements never mix .*--source"
    ):
        of_one_source(rows)
    assert [row.source for row in of_one_source(rows, "model")] == ["model"]
    with pytest.raises(StudyError, match="no model judgements to analyse; there are human ones"):
        of_one_source(rows[:1], "model")


def test_an_arm_against_itself_is_refused():
    with pytest.raises(StudyError, match="comparison c-0 sets reference against itself"):
        encode([judgement(arm_first=REFERENCE)])


def slow_two_way(
    values: list[float], contexts: list[int], annotators: list[int]
) -> dict[str, float]:
    """The three clustered variances of a mean, by loops."""
    mean = sum(values) / len(values)

    def by(keys: list[object]) -> float:
        sums: dict[object, float] = {}
        for value, key in zip(values, keys, strict=True):
            sums[key] = sums.get(key, 0.0) + value - mean
        clusters = len(sums)
        return sum(each**2 for each in sums.values()) / len(values) ** 2 * clusters / (clusters - 1)

    both = by(list(zip(contexts, annotators, strict=True)))
    return {"context": by(contexts), "annotator": by(annotators), "both": both}


def test_two_way_variance_equals_the_formula_by_loops():
    rng = np.random.default_rng(3)
    values, contexts, annotators = (
        rng.random(200),
        rng.integers(0, 15, 200),
        rng.integers(0, 11, 200),
    )
    slow = slow_two_way(values.tolist(), contexts.tolist(), annotators.tolist())
    found = two_way(((values - values.mean()) / 200)[None], contexts, annotators)
    assert found.context_P[0] == pytest.approx(slow["context"], rel=1e-12)
    assert found.annotator_P[0] == pytest.approx(slow["annotator"], rel=1e-12)
    assert found.both_P[0] == pytest.approx(slow["both"], rel=1e-12)
    assert (found.contexts, found.annotators, found.clusters) == (15, 11, 11)
    three = slow["context"] + slow["annotator"] - slow["both"]
    assert found.total()[0] == pytest.approx(
        max(three, slow["context"], slow["annotator"]), rel=1e-12
    )


def test_the_total_is_never_below_the_larger_one_way_value():
    # Within each context annotators disagree by plan, so the sum of the three falls below the value
    # by annotator.
    contexts, annotators = np.repeat(np.arange(12), 12), np.tile(np.arange(12), 12)
    values = ((contexts + annotators) % 2).astype(float)
    found = two_way(((values - values.mean()) / 144)[None], contexts, annotators)
    assert found.context_P[0] + found.annotator_P[0] - found.both_P[0] < 0
    assert found.total()[0] == max(found.context_P[0], found.annotator_P[0])


def test_share_by_hand_with_t_of_the_fewer_clusters():
    contexts, annotators = np.repeat(np.arange(20), 2), np.tile(np.arange(10), 4)
    hits = np.arange(40) % 5 < 2
    found = share(hits, contexts, annotators)
    slow = slow_two_way(hits.astype(float).tolist(), contexts.tolist(), annotators.tolist())
    error = math.sqrt(
        max(sum(slow.values()) - 2 * slow["both"], slow["context"], slow["annotator"])
    )
    reach = student.ppf(0.975, 9) * error / (0.4 * 0.6)
    low = 1 / (1 + math.exp(-(math.log(0.4 / 0.6) - reach)))
    assert found.value == pytest.approx(0.4)
    assert found.error == pytest.approx(error)
    assert found.low == pytest.approx(low)
    assert (found.n, found.contexts, found.annotators, found.bound) == (40, 20, 10, None)


@pytest.mark.parametrize(("contexts", "annotators"), [(9, 12), (12, 9)])
def test_below_ten_clusters_t_has_satterthwaites_degrees_of_freedom(contexts: int, annotators: int):
    rng = np.random.default_rng(contexts)
    numbers = np.arange(contexts * annotators)
    context_N, annotator_N = numbers % contexts, numbers // contexts
    hits_N = rng.random(len(numbers)) < 0.2 + 0.5 * rng.random(annotators)[annotator_N]
    found = share(hits_N, context_N, annotator_N)
    parts = slow_two_way(hits_N.tolist(), context_N.tolist(), annotator_N.tolist())
    p, three = found.value, parts["context"] + parts["annotator"] - parts["both"]
    independent = p * (1 - p) / len(numbers)
    total = max(three, parts["context"], parts["annotator"], independent)
    split = parts["context"] ** 2 / (contexts - 1) + parts["annotator"] ** 2 / (annotators - 1)
    freedom = max(8.0, total**2 / split)
    reach = student.ppf(0.975, freedom) * math.sqrt(total) / (p * (1 - p))
    ends = [1 / (1 + math.exp(-math.log(p / (1 - p)) - way * reach)) for way in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(ends)
    assert (found.contexts, found.annotators, found.over) == (contexts, annotators, "both")


def test_one_annotator_or_one_context_gives_an_interval_over_the_other():
    numbers = np.arange(24)
    alone = share(numbers % 3 == 0, numbers, numbers * 0)
    assert alone.over == "contexts"
    reach = student.ppf(0.975, 23) * math.sqrt(2 / 9 / 23) / (2 / 9)
    assert alone.high == pytest.approx(1 / (1 + math.exp(math.log(2) - reach)))
    assert share(numbers % 3 == 0, numbers * 0, numbers).over == "annotators"
    single = share(numbers == 0, numbers * 0, numbers * 0)
    assert (single.value, single.low, single.high) == (pytest.approx(1 / 24), None, None)


def test_sums_over_few_clusters_that_cancel_do_not_make_a_narrow_interval():
    hits_N = np.array([True, False, False, True])
    found = share(hits_N, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert found.error == pytest.approx(math.sqrt(0.25 / 4))
    assert found.low < 0.2 < 0.8 < found.high


def test_never_and_always_get_one_sided_bounds():
    numbers = np.arange(120)
    never = share(numbers < 0, numbers % 12, numbers // 12)
    assert (never.value, never.low, never.bound, never.error) == (0, 0, "upper", None)
    assert never.high == pytest.approx(
        1 - 0.05 ** (1 / 10)
    )  # exact binomial: nothing in 10 clusters
    always = share(numbers >= 0, numbers % 12, numbers // 12)
    assert (always.value, always.high, always.bound) == (1, 1, "lower")
    assert always.low == pytest.approx(0.05 ** (1 / 10))


BANDS = {128: "97–128", 250: "129–256"}


def test_shares_by_pair_domain_and_length():
    rows = judged(Design(30, 10, 3)) + [
        replace(row, comparison="long " + row.comparison, tokens=250)
        for row in judged(Design(30, 10, 3), seed=1)
    ]
    found = {(each.domain, each.tokens): each for each in pair_shares(encode(rows))}
    domains, lengths = ("all", "fiction", "news", "wiki"), ("all", "97–128", "129–256")
    assert set(found) == {(domain, tokens) for domain in domains for tokens in lengths}
    for each in found.values():
        parts = [each.preferred.value, each.equal.value, each.not_preferred.value]
        assert sum(parts) == pytest.approx(1)
        assert each.preferred_or_equal.value == pytest.approx(parts[0] + parts[1])
        inside = [
            row
            for row in rows
            if each.domain in ("all", row.domain) and each.tokens in ("all", BANDS[row.tokens])
        ]
        assert each.preferred.n == len(inside)
    whole = found["all", "all"]
    by_hand = sum(
        (row.answer == "first") == (row.arm_first == MODEL) and row.answer != "equal"
        for row in rows
    )
    assert whole.preferred.value == pytest.approx(by_hand / len(rows))
    assert (whole.comparisons, whole.preferred.contexts, whole.preferred.annotators) == (60, 30, 10)


@given(st.integers(0, 1000))
def test_swapping_all_sides_changes_no_share(seed: int):
    rows = judged(Design(20, 10, 3), seed=seed)
    assert pair_shares(encode(rows)) == pair_shares(encode([swapped(row) for row in rows]))


@given(st.integers(0, 1000))
def test_relabelling_the_arms_mirrors_the_shares(seed: int):
    rows = judged(Design(20, 10, 3), seed=seed, pairs=(("a", "b"),))
    other = {"a": "b", "b": "a"}
    mirrored = [
        replace(row, arm_first=other[row.arm_first], arm_second=other[row.arm_second])
        for row in rows
    ]
    shares = pair_shares(encode(rows))
    assert shares
    for one, two in zip(shares, pair_shares(encode(mirrored)), strict=True):
        assert one.preferred == two.not_preferred
        assert one.equal == two.equal
        if one.preferred.low is not None and one.preferred.bound is None:
            assert one.preferred_or_equal.low == pytest.approx(1 - two.preferred.high)


def test_a_design_deals_evenly_and_never_twice_to_one_annotator():
    contexts, annotators = Design(300, 30, 3).assign()
    assert np.bincount(annotators).tolist() == [30] * 30
    assert np.bincount(contexts).tolist() == [3] * 300
    assert len(set(zip(contexts.tolist(), annotators.tolist(), strict=True))) == 900
    with pytest.raises(
        InputError, match="3 judgements a comparison need as many annotators, and there are 2"
    ):
        Design(10, 2, 3)


def test_side_bias_pulls_towards_the_first_text():
    answers, _, _, firsts = draw_answers(
        Population(lean=0, side_bias=2.0), Design(200, 10, 3), 4, np.random.default_rng(0)
    )
    assert (answers * firsts == 1).mean() > 2 * (answers * firsts == -1).mean()
