import numpy as np
import pytest

from hyperfitting.metrics.stats import jackknife, ratio_of_sums


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
    perplexity = ratio_of_sums(losses, [1] * 20, [str(i) for i in range(20)], draws=500, transform=np.exp)
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
    # 95 % of 200 is 190; four binomial standard errors below. Texts taken as independent would cover about 0.6.
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
