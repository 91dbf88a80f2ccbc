"""Frechet distance, density and coverage, against formulas, other code and brute force."""

import numpy as np
import pytest

from hyperfitting.data.drawn import draw_pictures
from hyperfitting.metrics.images.closeness import (
    coverage,
    density,
    frechet_distance,
    half_sample_error,
)
from hyperfitting.metrics.images.features import (
    PatchPca,
    in_deviations,
    random_convolution_features,
)

RANDOM = np.random.default_rng(0)


def test_the_frechet_distance_of_one_feature_is_the_known_formula():
    one, other = np.array([[0.0], [2.0], [4.0]]), np.array([[10.0], [11.0], [12.0]])
    # means 2 and 11, standard deviations 2 and 1: (2 - 11)^2 + (2 - 1)^2
    assert frechet_distance(one, other) == pytest.approx(82)


def test_the_frechet_distance_is_that_of_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    one = RANDOM.normal(size=(40, 6)) @ RANDOM.normal(size=(6, 6))
    other = RANDOM.normal(size=(30, 6)) * [1, 2, 3, 4, 5, 6] + 1
    covariances = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    means = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    slow = means + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(slow)
    assert frechet_distance(other, one) == pytest.approx(slow)


def test_the_frechet_distance_of_equal_and_of_shifted_sets():
    one = RANDOM.normal(size=(20, 50))  # fewer images than features
    assert frechet_distance(one, one[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, one + 3) == pytest.approx(50 * 9)
    assert frechet_distance(one, 2 * one) >= 0
    with pytest.raises(ValueError, match="a covariance needs 2 images a side"):
        frechet_distance(one, one[:1])


def test_density_and_coverage_by_hand():
    true = np.array([[0.0], [1.0], [3.0], [6.0]])
    # nearest other true image: radii 1, 1, 2, 3
    written = np.array([[0.5], [2.0], [20.0]])
    # 0.5 lies within the first two, 2.0 within the third (not on the second's border), 20 nowhere
    assert density(written, true, neighbours=1) == pytest.approx((2 + 1 + 0) / 3)
    assert coverage(written, true, neighbours=1) == 3 / 4


def test_density_and_coverage_are_those_of_a_slow_count():
    true, written, k = RANDOM.normal(size=(25, 3)), RANDOM.normal(size=(17, 3)), 5
    inside = np.zeros((25, 17), dtype=bool)
    for i, centre in enumerate(true):
        others = sorted(np.linalg.norm(centre - each) for j, each in enumerate(true) if j != i)
        for j, point in enumerate(written):
            inside[i, j] = np.linalg.norm(centre - point) < others[k - 1]
    assert density(written, true) == pytest.approx(inside.sum() / (k * 17))
    assert coverage(written, true) == pytest.approx(inside.any(axis=1).mean())


def test_two_samples_of_one_source_have_the_values_of_the_paper():
    """Density 1 and coverage 1 - (N - 1)...(N - k) / ((M + N - 1)...(M + N - k)), on average."""
    k, n, draws = 5, 60, 60
    found = [RANDOM.normal(size=(2, n, 4)) for _ in range(draws)]
    expected = 1 - np.prod([(n - each) / (2 * n - each) for each in range(1, k + 1)])
    densities, coverages = ([function(*pair) for pair in found] for function in (density, coverage))
    assert np.mean(densities) == pytest.approx(1, abs=4 * np.std(densities) / np.sqrt(draws))
    assert np.mean(coverages) == pytest.approx(expected, abs=4 * np.std(coverages) / np.sqrt(draws))


def test_copies_of_one_image_are_dense_and_cover_little():
    true = RANDOM.normal(size=(40, 2))
    copies = np.repeat(true.mean(axis=0, keepdims=True), 40, axis=0)
    assert density(copies, true) > 1
    assert coverage(copies, true) < 0.5


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="5 true images and 3 others are too few for 5 neighbours"):
        density(np.zeros((3, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="9 true images and 0 others are too few"):
        coverage(np.zeros((0, 2)), np.zeros((9, 2)))


def test_the_spread_over_halves_is_the_error_of_the_whole():
    def mean_difference(one, other):
        return float(one.mean() - other.mean())

    one, other = RANDOM.normal(size=(400, 1)), np.zeros((400, 1))
    names = [str(number) for number in range(400)]
    error = half_sample_error(mean_difference, (one, other), (names, names), draws=200)
    assert error == pytest.approx(one.std() / np.sqrt(400), rel=0.2)


def test_there_is_no_error_for_few_clusters_or_few_images():
    few = RANDOM.normal(size=(30, 2))
    nine, ten = ([str(each % count) for each in range(30)] for count in (9, 10))
    assert half_sample_error(density, (few, few), (nine, nine)) is None
    assert half_sample_error(density, (few, few), (ten, ten)) is not None
    ten_of_10 = few[:10], few[:10]  # halves of 5 images
    assert half_sample_error(density, ten_of_10, (ten[:10], ten[:10])) is None


@pytest.fixture(scope="module")
def pictures():
    """Forty smooth images of 12 x 16 pixels."""
    corners = np.random.default_rng(1).integers(0, 256, size=(40, 2, 2, 3))
    y, x = np.linspace(0, 1, 12)[:, None, None], np.linspace(0, 1, 16)[None, :, None]
    rows = corners[:, :1] * (1 - y) + corners[:, 1:] * y
    return np.round(rows[:, :, :1] * (1 - x) + rows[:, :, 1:] * x).astype(np.uint8)


def test_random_convolutions_are_those_of_a_slow_network(pictures):
    """The same layers with loops, on the weights that RandomState(0) gives."""
    shown, weights = pictures[0] / 127.5 - 1, np.random.RandomState(0)
    layer = shown
    for number, inputs in enumerate((27, 288, 288)):
        filters = weights.standard_normal((inputs, 32)) * np.sqrt(2 / inputs)
        for channel in range(16 if number == 0 else 0):
            for colour in range(3):  # edges: each colour's nine weights add up to 0
                filters[9 * colour : 9 * colour + 9, channel] -= filters[
                    9 * colour : 9 * colour + 9, channel
                ].mean()
        padded = np.pad(layer, ((1, 1), (1, 1), (0, 0)), mode="edge")
        step = 2 if number else 1
        found = [
            [
                np.maximum(padded[y : y + 3, x : x + 3].transpose(2, 0, 1).ravel() @ filters, 0)
                for x in range(0, layer.shape[1], step)
            ]
            for y in range(0, layer.shape[0], step)
        ]
        layer = np.array(found)
    slow = np.concatenate([layer.mean(axis=(0, 1)), layer.std(axis=(0, 1))])
    assert random_convolution_features(pictures)[0] == pytest.approx(slow)


def test_features_do_not_depend_on_the_images_beside(pictures):
    many = np.concatenate([pictures] * 2)  # more than are taken at once
    together, alone = random_convolution_features(many), random_convolution_features(many[70:71])
    assert together.shape == (80, 64)
    assert together[70] == pytest.approx(alone[0])
    assert random_convolution_features(pictures[:0]).shape == (0, 64)


def test_the_axes_of_patches_are_orthonormal_and_explain_most(pictures):
    space = PatchPca.of_images(pictures)
    assert space.axes_PA.T @ space.axes_PA == pytest.approx(np.eye(16), abs=1e-9)
    features = space.features(pictures)
    assert features.shape == (40, 32)
    variances = (features**2).mean(axis=0).reshape(2, 16).sum(axis=0)  # between images and within
    assert (np.diff(variances) <= 1e-9).all()
    assert variances[:3].sum() > 0.9 * variances.sum()
    assert (space.axes_PA.max(axis=0) >= -space.axes_PA.min(axis=0)).all()
    for images in (pictures[:, :3], pictures[:, :, :3]):
        for act in (PatchPca.of_images, space.features):
            with pytest.raises(ValueError, match="hold no 4 x 4 patch"):
                act(images)


def test_features_are_brought_to_the_deviations_of_training_images():
    training = np.array([[0.0, 5.0, 1.0], [4.0, 5.0, 3.0]])  # deviations 2, 0 and 1
    assert in_deviations(np.array([[6.0, 7.0, 8.0]]), training).tolist() == [[3.0, 7.0, 8.0]]


@pytest.mark.parametrize("space", ["random", "patches"])
def test_pixels_in_random_order_are_far_from_the_pictures_that_they_are_of(space):
    """Each set has the same colours, which alone tell nothing apart."""
    pictures = np.stack([each.colours_HWC for each in draw_pictures(120, side=16)])
    random = np.random.default_rng(0)
    shuffled = np.stack(
        [random.permutation(each.reshape(-1, 3)).reshape(each.shape) for each in pictures[:40]]
    )
    own = PatchPca.of_images(pictures[80:]).features if space == "patches" else None
    plain = own or random_convolution_features
    true, other, mixed, training = (
        in_deviations(plain(each), plain(pictures[80:]))
        for each in (pictures[:40], pictures[40:80], shuffled, pictures[80:])
    )
    assert training.shape == (40, true.shape[1])
    assert frechet_distance(mixed, true) > 2 * frechet_distance(other, true)
    assert coverage(mixed, true) < coverage(other, true) - 0.1


@pytest.mark.parametrize("space", ["random", "patches"])
def test_noise_is_further_from_pictures_than_other_pictures_are(pictures, space):
    own = PatchPca.of_images(pictures).features if space == "patches" else None
    features = own or random_convolution_features
    noise = np.random.default_rng(2).integers(0, 256, size=pictures.shape, dtype=np.uint8)
    near = frechet_distance(features(pictures[:20]), features(pictures[20:]))
    assert frechet_distance(features(pictures), features(noise)) > 3 * near
