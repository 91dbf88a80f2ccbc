import numpy as np
import pytest

from hyperfitting.metrics.multiple_comparisons import (
    drawn_pseudo_values,
    drawn_ratios,
    not_told_apart_from_nearest,
)
from hyperfitting.metrics.stats import by_cluster, cluster_weights


def test_values_are_summed_by_cluster_in_the_order_given():
    assert by_cluster([1, 2, 4], ["b", "a", "b"], ["a", "b", "c"]).tolist() == [2, 5, 0]


def test_every_draw_holds_as_many_clusters_as_there_are():
    weights_DK = cluster_weights(12, draws=50, seed=1)
    assert weights_DK.shape == (50, 12)
    assert set(weights_DK.sum(1)) == {12}
    assert np.array_equal(weights_DK, cluster_weights(12, draws=50, seed=1))


def test_a_drawn_ratio_is_that_of_the_clusters_drawn():
    sums_CK, counts_CK = np.array([[1.0, 6.0], [3.0, 3.0]]), np.array([[1.0, 2.0], [1.0, 3.0]])
    value_C, drawn_CD = drawn_ratios(sums_CK, counts_CK, np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert value_C.tolist() == [7 / 3, 6 / 4]
    assert drawn_CD.tolist() == [[1.0, 7 / 3], [3.0, 6 / 4]]


def test_pseudo_values_of_a_mean_are_the_clusters_own_values():
    own_K = np.array([1.0, 2.0, 6.0])
    without_1K = np.array([[(9 - own) / 2 for own in own_K]])
    drawn_CD = drawn_pseudo_values(np.array([3.0]), without_1K, np.array([[3.0, 0, 0], [1, 1, 1]]))
    assert drawn_CD[0] == pytest.approx([1.0, 3.0])


def drawn_table(means_C, *, clusters, spread, random):
    """Distances that each cluster shifts by itself, as sums and counts of one text a cluster."""
    values_CK = np.array(means_C)[:, None] + spread * random.normal(size=(len(means_C), clusters))
    weights_DK = cluster_weights(clusters, draws=600, seed=int(random.integers(10**6)))
    return drawn_ratios(values_CK, np.ones_like(values_CK), weights_DK)


def test_what_is_far_is_told_apart_and_what_is_equal_is_not():
    random = np.random.default_rng(0)
    value_C, drawn_CD = drawn_table([0.1, 0.1, 0.9], clusters=40, spread=0.1, random=random)
    assert not_told_apart_from_nearest(value_C, drawn_CD, clusters=40) == [True, True, False]
    value_C, drawn_CD = drawn_table([0.1, 0.5, 0.9], clusters=40, spread=0.1, random=random)
    assert not_told_apart_from_nearest(value_C, drawn_CD, clusters=40) == [True, False, False]


def test_nothing_is_told_apart_below_ten_clusters():
    value_C, drawn_CD = drawn_table(
        [0.1, 50.0], clusters=9, spread=0.1, random=np.random.default_rng(0)
    )
    assert not_told_apart_from_nearest(value_C, drawn_CD, clusters=9) == [True, True]


def test_a_column_and_its_copy_share_a_mark():
    random = np.random.default_rng(0)
    value_C, drawn_CD = drawn_table([0.1, 0.8], clusters=30, spread=0.1, random=random)
    twice = [0, 0, 1]
    assert not_told_apart_from_nearest(value_C[twice], drawn_CD[twice], clusters=30) == [
        True,
        True,
        False,
    ]


def test_the_truly_nearest_column_is_marked_as_often_as_is_said():
    random = np.random.default_rng(1)
    means_C = np.array(
        [0.30, *np.linspace(0.31, 0.45, 11)]
    )  # close enough for another to come out nearest
    marked = 0
    for _ in range(200):
        value_C, drawn_CD = drawn_table(means_C, clusters=40, spread=0.2, random=random)
        marked += not_told_apart_from_nearest(value_C, drawn_CD, clusters=40)[0]
    assert marked >= 190 - 4 * np.sqrt(
        200 * 0.95 * 0.05
    )  # 95 % of 200, less four binomial standard errors


def test_a_table_of_equal_columns_is_rarely_split():
    random = np.random.default_rng(2)
    split = 0
    for _ in range(200):
        value_C, drawn_CD = drawn_table([0.3] * 12, clusters=40, spread=0.2, random=random)
        split += not all(not_told_apart_from_nearest(value_C, drawn_CD, clusters=40))
    assert split <= 10 + 4 * np.sqrt(200 * 0.95 * 0.05)
