import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.mauve import (
    cluster,
    mauve,
    mauve_of_histograms,
    mauve_standard_error,
    principal_components,
)
from hyperfitting.metrics.specs import AgainstTrueTexts, metrics_measured_as
from hyperfitting.recipe import LEAST_MAUVE_TEXTS

SHARES = st.floats(0.02, 0.98)
COUNTS = st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any)
TOLERANCE = 1e-4


def integrated_area(p, q, scaling):
    """The area as an integral over the mixtures in float64, with the curve's slope worked out by
    hand; no zeros.
    """
    p, q = np.array(p), np.array(q)
    weights = (np.arange(50_000)[:, None] + 0.5) / 50_000
    mixtures = weights * p + (1 - weights) * q
    x, y = (np.exp(-scaling * (side * np.log(side / mixtures)).sum(axis=1)) for side in (q, p))
    slope = scaling * x * (q * (p - q) / mixtures).sum(axis=1)
    return np.exp(-scaling * (q * np.log(q / p)).sum()) + np.mean(y * -slope)


def gaussian(texts, shift, seed):
    """Features around one direction, moved sideways."""
    centre = np.array([5.0, shift, 0, 0, 0, 0, 0, 0])
    return centre + np.random.default_rng(seed).normal(size=(texts, 8))


@given(SHARES, SHARES, st.sampled_from([1.0, 5.0]))
def test_two_bins_equal_the_integral(share, other, scaling):
    p, q = [share, 1 - share], [other, 1 - other]
    area = mauve_of_histograms(p, q, scaling=scaling)
    assert area == pytest.approx(integrated_area(p, q, scaling), abs=TOLERANCE)


def test_the_documented_example():
    area = mauve_of_histograms([1, 1], [3, 1])
    assert area == pytest.approx(integrated_area([0.5, 0.5], [0.75, 0.25], 5), abs=TOLERANCE)
    assert round(area, 3) == 0.941


@given(COUNTS)
def test_equal_histograms_have_1(counts):
    assert mauve_of_histograms(counts, counts) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scaling", [1, 2, 5])
def test_histograms_without_a_common_bin_have_the_least(scaling):
    # exp(-c KL) is (1 - w)^c and w^c: the area is c B(c + 1, c)
    area = mauve_of_histograms([1, 3, 0, 0], [0, 0, 2, 2], scaling=scaling)
    assert area == pytest.approx(1 / math.comb(2 * scaling, scaling), abs=TOLERANCE)


@given(COUNTS, COUNTS)
def test_it_is_symmetric_in_range_and_falls_with_finer_bins(p, q):
    area = mauve_of_histograms(p, q)
    coarse = mauve_of_histograms([p[0] + p[1], p[2] + p[3]], [q[0] + q[1], q[2] + q[3]])
    assert 1 / 252 - TOLERANCE <= area <= 1
    assert area == pytest.approx(mauve_of_histograms(q, p), abs=1e-12)
    assert area <= coarse + TOLERANCE


@pytest.mark.parametrize("bad", [[0, 0], [1, -1], [1, math.nan], [1, math.inf]])
def test_what_is_no_histogram_is_refused(bad):
    with pytest.raises(ValueError, match="counts from 0 up"):
        mauve_of_histograms(bad, [1, 1])


def test_histograms_of_different_bins_are_refused():
    with pytest.raises(ValueError, match="2 and 3 bins"):
        mauve_of_histograms([1, 1], [1, 1, 1])


def test_it_falls_as_gaussians_move_apart():
    still = gaussian(1_000, 0, seed=0)
    values = [
        mauve(still, gaussian(1_000, shift, seed=1), seeds=[0]).value for shift in (0, 1, 2, 4, 8)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.93  # not 1: with 10 texts a cluster, two samples of one source never are
    assert values[-1] < 0.02


def test_the_same_texts_have_1_and_what_was_done_is_told():
    features = gaussian(1_000, 0, seed=0)
    result = mauve(features, features, seeds=[3, 4], clusters=20)
    assert result.by_seed == pytest.approx((1, 1), abs=1e-12)
    assert (result.value, result.n, result.clusters) == (pytest.approx(1, abs=1e-12), 1_000, 20)


def test_a_tenth_of_the_smaller_side_are_the_clusters():
    result = mauve(gaussian(130, 0, seed=0), gaussian(300, 1, seed=1), seeds=[0, 1])
    assert (result.n, result.clusters) == (130, 13)
    assert result.value == pytest.approx(sum(result.by_seed) / 2)
    assert result == mauve(gaussian(130, 0, seed=0), gaussian(300, 1, seed=1), seeds=[0, 1])


def test_smoothing_brings_far_sets_nearer():
    sides = gaussian(100, 0, seed=0), gaussian(100, 8, seed=1)
    plain = mauve(*sides, seeds=[0]).value
    assert plain < mauve(*sides, seeds=[0], smoothing=0.5).value < 1


def test_fewer_than_a_thousand_texts_are_refused():
    few, enough = np.ones((LEAST_MAUVE_TEXTS - 1, 2)), np.ones((LEAST_MAUVE_TEXTS, 2))
    for sides in ((few, enough), (enough, few)):
        with pytest.raises(
            ValueError, match="MAUVE of 999 texts is mostly chance: 1,000 a side are the least"
        ):
            mauve(*sides, least_texts=LEAST_MAUVE_TEXTS)
    with pytest.raises(ValueError, match="MAUVE of 0 texts"):
        mauve(few[:0], few)


def test_a_recipe_and_the_table_ask_for_the_same_number_of_texts():
    [(spec, how)] = metrics_measured_as(AgainstTrueTexts)
    assert (spec.name, how.least_texts) == ("mauve", LEAST_MAUVE_TEXTS)


def test_what_cannot_be_clustered_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        mauve([[1.0, math.nan]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="0 clusters hold nothing"):
        mauve([[1.0, 2.0]], [[1.0, 2.0]], clusters=0)


def test_features_without_variance_have_1():
    assert mauve(np.ones((30, 3)), np.zeros((30, 3)) + 2, seeds=[0]).value == pytest.approx(1)
    assert mauve(np.zeros((30, 3)), np.zeros((30, 3)), seeds=[0]).value == pytest.approx(1)


def test_the_kept_axes_hold_nine_tenths_of_the_variance():
    points = np.random.default_rng(0).normal(size=(400, 6)) * [9, 5, 3, 1, 0.5, 0.1]
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    reduced = principal_components(points)
    share = reduced.var(axis=0).sum() / unit.var(axis=0).sum()
    assert 0.9 <= share < 1
    assert (reduced[:, :-1].var(axis=0).sum() / unit.var(axis=0).sum()) < 0.9


def test_blobs_are_found():
    centres = np.random.default_rng(0).normal(size=(7, 3)) * 20
    labels = np.repeat(np.arange(7), 30)
    points = centres[labels] + np.random.default_rng(1).normal(size=(210, 3)) * 0.1
    found = cluster(points, 7, seed=0)
    assert len({*zip(labels.tolist(), found.tolist(), strict=True)}) == 7
    assert len(set(found.tolist())) == 7


def test_more_clusters_than_different_points_do_no_harm():
    found = cluster(np.array([[0.0], [0.0], [1.0]]), 5, seed=0)
    assert found[0] == found[1] != found[2]


def test_the_standard_error_is_the_spread_of_new_samples():
    """Two overlapping clouds: the error from halves of one sample against the spread of MAUVE over
    24 samples.
    """
    random = np.random.default_rng(5)

    def sample():
        return random.normal(size=(200, 2)), random.normal(loc=0.7, size=(200, 2))

    groups = [str(i) for i in range(200)]
    errors = [mauve_standard_error(*sample(), groups, groups) for _ in range(4)]
    spread = np.std([mauve(*sample(), seeds=(0,)).value for _ in range(24)], ddof=1)
    assert 0.6 * spread < np.mean(errors) < 1.8 * spread


def test_the_texts_of_a_cluster_go_together_and_few_clusters_have_no_error():
    random = np.random.default_rng(6)
    one, other = random.normal(size=(60, 2)), random.normal(size=(60, 2))
    books = [f"book {i % 12}" for i in range(60)]
    error = mauve_standard_error(one, other, books, books)
    assert error is not None
    assert error > 0
    assert mauve_standard_error(one, other, books, books) == error
    assert mauve_standard_error(one, other, books, ["one book"] * 60) is None
    with pytest.raises(ValueError, match="one group for every row"):
        mauve_standard_error(one, other, books[:-1], books)
