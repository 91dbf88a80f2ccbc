"""Paired statistics: against scipy, against hand-computed values, and by the coverage they
promise.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from hyperfitting.downstream.paired import (
    Discordance,
    PairedInterval,
    accuracy,
    bootstrap_difference,
    excluded_loss,
    f1,
    item_counts,
    matthews,
    mcnemar,
    score_interval,
    with_added_items,
)
from tests.support.sheets import item


def answers(lost: int, gained: int, both: int, neither: int) -> tuple[list[bool], list[bool]]:
    before = [True] * lost + [False] * gained + [True] * both + [False] * neither
    after = [False] * lost + [True] * gained + [True] * both + [False] * neither
    return before, after


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (3, 9), (9, 3), (40, 40), (130, 170)])
def test_mcnemar_equals_scipys_exact_binomial_test(lost, gained):
    found = mcnemar(*answers(lost, gained, 5, 7))
    expected = stats.binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert (found.lost, found.gained) == (lost, gained)
    assert found.p == pytest.approx(expected, rel=1e-12)


def test_mcnemar_needs_equally_many_answers():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        mcnemar([True], [True, False])


def test_an_item_shuffled_control_shows_no_difference():
    """The same answers in another order of the models: losses and gains are the same in number."""
    random_ = np.random.default_rng(0)
    before = random_.random(400) < 0.6
    swapped = [mcnemar(before, random_.permutation(before)).p for _ in range(200)]
    assert np.mean(np.array(swapped) < 0.05) < 0.08


def test_no_discordant_item_excludes_what_the_formula_says():
    low, high = score_interval(0, 0, 500)
    bound = 1.959963984540054**2 / (500 + 1.959963984540054**2)
    assert (low, high) == pytest.approx((-bound, bound))


def test_the_score_interval_is_symmetric_and_holds_the_difference():
    for lost, gained in ((0, 4), (12, 3), (50, 50), (100, 0), (0, 100)):
        low, high = score_interval(lost, gained, 100)
        assert -1 <= low <= (gained - lost) / 100 <= high <= 1
        assert score_interval(gained, lost, 100) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("lost", "gained"), [(0.02, 0.02), (0.1, 0.05), (0.0, 0.03)])
def test_the_score_interval_covers_the_truth_as_often_as_it_says(lost, gained):
    """By enumeration of all outcomes of 60 items."""
    items, covered = 60, 0.0
    for x, y in product(range(25), range(25)):
        p = stats.multinomial.pmf([x, y, items - x - y], items, [lost, gained, 1 - lost - gained])
        if p > 1e-9:
            low, high = score_interval(x, y, items)
            covered += p * (low <= gained - lost <= high)
    assert 0.93 < covered < 1.0


def test_a_score_interval_needs_items():
    with pytest.raises(ValueError, match="needs items"):
        score_interval(3, 3, 5)


def test_f1_and_matthews_by_hand():
    counts = np.array([6.0, 2.0, 3.0, 9.0])  # hit, false, missed, true
    assert f1(counts) == pytest.approx(12 / 17)
    expected = (6 * 9 - 2 * 3) / math.sqrt(8 * 9 * 11 * 12)
    assert matthews(counts) == pytest.approx(expected)
    assert f1(np.array([0.0, 0.0, 0.0, 5.0])) == matthews(np.array([0.0, 0.0, 0.0, 5.0])) == 0
    assert accuracy(np.array([3.0, 4.0])) == 0.75


def test_an_unparsed_answer_counts_as_wrong_in_every_metric():
    rows = [item(1, 1, 1), item(2, 1, None), item(3, 0, None), item(4, 0, 0)]
    assert item_counts(rows, "acc").sum(0).tolist() == [2, 4]
    assert item_counts(rows, "f1").sum(0).tolist() == [1, 1, 1, 1]


def bootstrapped(score, metric, draws):
    random_ = np.random.default_rng(1)
    gold = random_.integers(2, size=300)
    before, after = (np.where(random_.random(300) < share, gold, 1 - gold) for share in (0.8, 0.7))
    counts = [
        item_counts(
            [item(n, int(g), int(c)) for n, (g, c) in enumerate(zip(gold, each, strict=True))],
            metric,
        )
        for each in (after, before)
    ]
    clusters = [str(number) for number in range(300)]
    return counts, bootstrap_difference(*counts, clusters, score, draws=draws)


@pytest.mark.parametrize(("score", "metric"), [(accuracy, "acc"), (f1, "f1"), (matthews, "mcc")])
def test_the_bootstrap_equals_scipys(score, metric):
    (after, before), found = bootstrapped(score, metric, 4000)

    def difference(rows):
        rows = rows.astype(int)
        return float(score(after[rows].sum(0)) - score(before[rows].sum(0)))

    expected = stats.bootstrap(
        (np.arange(300),),
        difference,
        n_resamples=4000,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert found.value == pytest.approx(difference(np.arange(300)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.012)


def test_clusters_are_drawn_whole():
    """Two hundred copies of twelve items are twelve clusters: as wide as twelve items."""
    one = np.array([[1.0, 1.0]] * 7 + [[0.0, 1.0]] * 5)
    other = np.array([[1.0, 1.0]] * 5 + [[0.0, 1.0]] * 7)
    names = [str(number) for number in range(12)]
    few = bootstrap_difference(one, other, names, accuracy, draws=500)
    many = bootstrap_difference(
        np.repeat(one, 200, 0), np.repeat(other, 200, 0), list(np.repeat(names, 200)), accuracy,
        draws=500,
    )  # fmt: skip
    assert (many.value, many.low, many.high) == (few.value, few.low, few.high)
    assert many.clusters == 12


def test_there_are_no_bounds_below_ten_clusters():
    counts = np.array([[1.0, 1.0]] * 9)
    found = bootstrap_difference(counts, counts, list("abcdefghi"), accuracy, draws=50)
    assert found == PairedInterval(0.0, None, None, 9)
    with pytest.raises(ValueError, match="a cluster for each"):
        bootstrap_difference(counts, counts, ["a"], accuracy, draws=50)


def test_equal_answers_do_not_exclude_every_loss():
    same = PairedInterval(0.0, 0.0, 0.0, 300)
    none = Discordance(0, 0, 1.0)
    assert excluded_loss(same, none, items=300, metric="acc") == pytest.approx(0.01264, abs=1e-4)


def counts_of(random_, items, *, lost, gained, metric):
    """Counts after and before of items of which two in three are of class 1."""
    gold = (random_.random(items) < 0.68).astype(int)
    before = np.where(random_.random(items) < 0.6, gold, 1 - gold)
    flips = random_.random(items) < np.where(before == gold, lost, gained)
    after = np.where(flips, 1 - before, before)
    return [
        item_counts(
            [item(n, int(g), int(c)) for n, (g, c) in enumerate(zip(gold, each, strict=True))],
            metric,
        )
        for each in (after, before)
    ]


@pytest.mark.parametrize(("score", "metric"), [(f1, "f1"), (matthews, "mcc")])
@pytest.mark.parametrize("gained", [0.0, 0.01])
def test_few_discordant_items_do_not_exclude_losses_that_are_there(score, metric, gained):
    """A larger loss than the true one is excluded in at least 97.5 % of the samples; by the plain
    bootstrap of F1 and Matthews' correlation it is in 85 to 93 %.
    """
    random_ = np.random.default_rng(0)
    how = {"lost": 0.012, "gained": gained, "metric": metric}
    after, before = (each.sum(0) for each in counts_of(random_, 40_000, **how))
    loss, names, wrong = float(score(before) - score(after)), [str(n) for n in range(400)], 0
    for seed in range(100):
        counts = counts_of(random_, 400, **how)
        found = with_added_items(*counts, names, score, draws=200, seed=seed)
        excluded = excluded_loss(found, Discordance(0, 0, 1.0), items=400, metric=metric)
        wrong += loss > excluded
    assert wrong <= 3


def test_added_items_need_ten_clusters_too():
    counts = np.array([[1.0, 0.0, 0.0, 0.0]] * 9)
    found = with_added_items(counts, counts, list("abcdefghi"), f1, draws=50)
    assert (found.low, found.high) == (None, None)
    assert excluded_loss(found, Discordance(0, 0, 1.0), items=9, metric="f1") is None


def test_the_excluded_loss_is_the_larger_of_two_bounds():
    some = Discordance(10, 10, 1.0)
    wide = PairedInterval(0.0, -0.2, 0.2, 20)
    assert excluded_loss(wide, some, items=300, metric="acc") == 0.2
    narrow = PairedInterval(0.0, -0.001, 0.001, 20)
    by_score = -score_interval(10, 10, 300)[0]
    assert excluded_loss(narrow, some, items=300, metric="acc") == pytest.approx(by_score)
    gain = PairedInterval(0.3, 0.2, 0.4, 20)
    assert excluded_loss(gain, Discordance(0, 90, 0.0), items=300, metric="acc") == 0.0
