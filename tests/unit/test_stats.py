import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics import stats
from hyperfitting.metrics.stats import (
    EXACT_CLUSTERS,
    holm,
    jackknife,
    paired_difference,
    ratio_of_sums,
    sign_flip_p,
)


def test_the_value_is_the_ratio_of_sums():
    estimate = ratio_of_sums([1, 2, 6], [1, 1, 4], ["a", "b", "c"], draws=10)
    assert estimate.value == 9 / 6
    assert (estimate.n, estimate.clusters) == (3, 3)


def test_no_interval_below_ten_clusters():
    few = ratio_of_sums([1.0] * 30, [1.0] * 30, [str(i % 9) for i in range(30)], draws=100)
    enough = ratio_of_sums([1.0] * 30, [1.0] * 30, [str(i % 10) for i in range(30)], draws=100)
    assert (few.low, few.high) == (None, None)
    assert (enough.low, enough.high) == (1.0, 1.0)


def test_the_transform_is_applied_to_value_and_bounds():
    losses = list(np.linspace(1, 2, 20))
    plain = ratio_of_sums(losses, [1] * 20, [str(i) for i in range(20)], draws=500)
    perplexity = ratio_of_sums(
        losses, [1] * 20, [str(i) for i in range(20)], draws=500, transform=np.exp
    )
    assert perplexity.value == pytest.approx(np.exp(plain.value))
    assert perplexity.low == pytest.approx(np.exp(plain.low), rel=1e-3)


def test_the_interval_covers_the_mean_of_clusters_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        effects = random.normal(size=40)
        values, groups = [], []
        for group, effect in enumerate(effects):
            values += list(effect + 0.1 * random.normal(size=5))
            groups += [str(group)] * 5
        estimate = ratio_of_sums(values, [1.0] * len(values), groups, draws=400, seed=trial)
        covered += estimate.low <= 0 <= estimate.high
    # 95 % of 200 is 190; four binomial standard errors below. Texts taken as independent would
    # cover about 0.6.
    assert covered >= 178


def test_one_cluster_in_many_texts_widens_the_interval():
    random = np.random.default_rng(1)
    values = list(np.repeat(random.normal(size=20), 10))
    clustered = ratio_of_sums(values, [1.0] * 200, [str(i // 10) for i in range(200)], draws=1000)
    alone = ratio_of_sums(values, [1.0] * 200, [str(i) for i in range(200)], draws=1000)
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="nothing to average"):
        ratio_of_sums([], [], [], draws=10)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(size=30)
    estimate = jackknife(values.mean(), [np.delete(values, i).mean() for i in range(30)], n=30)
    error = values.std(ddof=1) / np.sqrt(30)
    assert (estimate.high - estimate.low) / 2 == pytest.approx(1.96 * error, rel=1e-3)


def test_the_jackknife_gives_no_interval_below_ten_groups():
    estimate = jackknife(0.5, [0.4, 0.6], n=7)
    assert (estimate.low, estimate.high, estimate.n, estimate.clusters) == (None, None, 7, 2)


def paired_texts(random, clusters):
    """Two values of each text: a large effect of the text, a difference that differs by cluster,
    0.3 in the mean.
    """
    groups = [str(cluster) for cluster in range(clusters) for _ in range(random.integers(2, 9))]
    of_cluster = dict(
        zip(map(str, range(clusters)), random.normal(0.3, 0.5, clusters), strict=True)
    )
    other = random.normal(0, 5, len(groups))
    one = (
        other
        + np.array([of_cluster[group] for group in groups])
        + random.normal(0, 0.2, len(groups))
    )
    return list(one), list(other), groups


def test_a_paired_difference_by_hand():
    estimate = paired_difference([3, 5, 4], [1, 5, 5], ["a", "a", "b"], draws=10)
    assert estimate.value == pytest.approx(
        1 / 3
    )  # (2 + 0 - 1) / 3: texts count alike, not clusters
    assert (estimate.low, estimate.high, estimate.n, estimate.clusters) == (None, None, 3, 2)
    assert paired_difference(
        [1, 5, 5], [3, 5, 4], ["a", "a", "b"], draws=10
    ).value == pytest.approx(-1 / 3)


def test_pairs_that_do_not_match_are_refused():
    for lengths in ((2, 1, 2), (2, 2, 1), (1, 2, 2)):
        one, other, groups = (range(length) for length in lengths)
        with pytest.raises(ValueError, match="zip"):
            paired_difference(one, other, [str(group) for group in groups], draws=10)
    with pytest.raises(ValueError, match="nothing to average"):
        paired_difference([], [], [], draws=10)


def test_the_interval_of_a_paired_difference_covers_as_often_as_it_says():
    random = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        one, other, groups = paired_texts(random, 40)
        estimate = paired_difference(one, other, groups, draws=400, seed=trial)
        covered += estimate.low <= 0.3 <= estimate.high
    assert 178 <= covered <= 199  # 190 expected, as above


def test_pairing_takes_the_spread_between_texts_out():
    one, other, groups = paired_texts(np.random.default_rng(4), 40)
    paired = paired_difference(one, other, groups, draws=1000)
    alone = ratio_of_sums(one, [1.0] * len(one), groups, draws=1000)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def every_flip(sums):
    """The mean under every choice of signs, one by one."""
    if not sums:
        return [0]
    return [sign * sums[0] + rest for rest in every_flip(sums[1:]) for sign in (1, -1)]


@given(st.lists(st.tuples(st.integers(-9, 9), st.sampled_from("abcdef")), min_size=1, max_size=20))
def test_a_sign_flip_test_equals_the_enumeration(rows):
    differences, groups = zip(*rows, strict=True)
    sums = [sum(value for value, group in rows if group == name) for name in sorted(set(groups))]
    flips = every_flip(sums)
    share = sum(abs(flip) >= abs(sum(sums)) for flip in flips) / len(flips)
    assert (
        sign_flip_p(differences, groups, draws=1) == share
    )  # whole numbers: no rounding in either
    assert (
        sign_flip_p([value / 10 for value in differences], groups, draws=1) == share
    )  # tenths: rounding in ours


def test_the_least_p_value_by_hand():
    clusters = [str(cluster) for cluster in range(6)]
    assert sign_flip_p([1.0] * 5, clusters[:5], draws=1) == 2 / 32
    assert sign_flip_p([1.0, 1.5, 0.1, 2.0, 0.3, 0.7], clusters, draws=1) == 2 / 64
    assert sign_flip_p([0.0] * 6, clusters, draws=1) == 1.0
    assert (
        sign_flip_p([1.0] * 5, ["one book"] * 5, draws=1) == 1.0
    )  # five texts of one book are one observation


def test_the_worked_example_of_paired_differences():
    differences, groups = [0.5, 0.5, 0.75, 0.25], ["one", "one", "two", "three"]
    assert paired_difference(differences, [0.0] * 4, groups, draws=10).value == 0.5
    assert sign_flip_p(differences, groups, draws=10) == 0.25


def test_many_clusters_are_drawn_and_the_observed_one_counts():
    many = [str(cluster) for cluster in range(EXACT_CLUSTERS + 1)]
    assert sign_flip_p([1.0] * len(many), many, draws=99) == 1 / 100
    mixed = list(np.random.default_rng(5).normal(0.2, 1, len(many)))
    assert sign_flip_p(mixed, many, draws=999, seed=1) == sign_flip_p(
        mixed, many, draws=999, seed=1
    )
    assert sign_flip_p(mixed, many, draws=999, seed=1) != sign_flip_p(
        mixed, many, draws=999, seed=2
    )


def test_drawn_flips_come_near_all_flips(monkeypatch):
    values, groups = (
        list(np.random.default_rng(6).normal(0.2, 1, 12)),
        [str(cluster) for cluster in range(12)],
    )
    exact = sign_flip_p(values, groups, draws=1)
    monkeypatch.setattr(stats, "EXACT_CLUSTERS", 0)
    assert 0.05 < exact < 0.95
    assert sign_flip_p(values, groups, draws=20_000) == pytest.approx(
        exact, abs=0.015
    )  # 4 standard errors


def test_a_sign_flip_test_errs_as_often_as_it_says():
    random = np.random.default_rng(7)
    groups = [str(text // 3) for text in range(36)]
    p_values = [
        sign_flip_p(
            list(np.repeat(random.normal(size=12), 3) + 0.1 * random.normal(size=36)),
            groups,
            draws=1,
        )
        for _ in range(400)
    ]
    # 20 of 400 expected, 4.4 the standard error. Texts taken as independent would err in some 100.
    assert 4 <= sum(p <= 0.05 for p in p_values) <= 38


@pytest.mark.parametrize(
    ("differences", "groups"),
    [([], []), ([1.0], ["a", "b"]), ([np.nan, 1.0], ["a", "b"]), ([np.inf], ["a"])],
)
def test_a_sign_flip_test_of_nothing_or_of_no_numbers_is_refused(differences, groups):
    with pytest.raises(ValueError, match="finite differences, and a group for each"):
        sign_flip_p(differences, groups, draws=10)


def test_holm_by_hand():
    """Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and the last may not fall below the
    one before.
    """
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms())
def test_holm_keeps_the_order_and_never_gives_less(p_values, random):
    adjusted = holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    assert [new for _, new in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)
    assert min(adjusted) == min(1.0, len(p_values) * min(p_values))
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert holm([p_values[place] for place in order]) == [adjusted[place] for place in order]


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_holm_of_what_is_no_p_value_is_refused(bad):
    with pytest.raises(ValueError, match="p-values lie in"):
        holm([0.5, bad])
