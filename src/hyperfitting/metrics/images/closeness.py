"""How near one set of images is to another, from features of both: Frechet distance, density and
coverage. The value depends on the feature space and on the number of images: compare equal ones
only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperfitting.metrics.stats import LEAST_CLUSTERS

NEIGHBOURS = 5
"""Naeem et al. 2020 take the fifth nearest neighbour."""

_Floats = NDArray[np.float64]


def frechet_distance(features_ND: ArrayLike, other_MD: ArrayLike) -> float:
    """The squared Frechet distance of two normal distributions with the means and covariances of
    the features: |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)).

    Range >= 0, in squared features. Target: lower. Symmetric; 0 for equal means and covariances.
    Known failure: it falls with the number of images, and sees means and covariances only. Source:
    Dowson and Landau 1982; Heusel et al. 2017 take it of Inception features and call that FID,
    which this is not.

    Raises:
        ValueError: a side has fewer than 2 rows.
    """
    one, other = (np.asarray(side, dtype=np.float64) for side in (features_ND, other_MD))
    if min(len(one), len(other)) < 2:
        raise ValueError("a covariance needs 2 images a side")
    root = _root(np.atleast_2d(np.cov(one, rowvar=False)))
    covariance = np.atleast_2d(np.cov(other, rowvar=False))
    # tr((S S')^(1/2)) by the eigenvalues of S^(1/2) S' S^(1/2), which is symmetric.
    shared = np.linalg.eigvalsh(root @ covariance @ root)
    means = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
    spread = np.trace(root @ root) + np.trace(covariance) - 2 * np.sqrt(shared.clip(min=0)).sum()
    return means + max(0.0, float(spread))


def density(features_ND: ArrayLike, true_MD: ArrayLike, *, neighbours: int = NEIGHBOURS) -> float:
    """In how many neighbourhoods of true images an image lies, over `neighbours`; mean over the
    images.

    A true image's neighbourhood reaches to its k-th nearest other true image, which lies outside.
    Range >= 0, unbounded; two samples of one source get 1 on average. Target: that 1, the value of
    true images. Known failure: copies of one typical image score high. Source: Naeem et al. 2020,
    eq. 2, and their code for the border.

    Raises:
        ValueError: there are not more true images than neighbours, or no other images.
    """
    inside_MN = _inside(features_ND, true_MD, neighbours)
    return float(inside_MN.sum(axis=0).mean()) / neighbours


def coverage(features_ND: ArrayLike, true_MD: ArrayLike, *, neighbours: int = NEIGHBOURS) -> float:
    """The share of true images in whose neighbourhood an image lies.

    Range [0, 1]. Target: higher; two samples of one source, equally large, get about
    1 - 2^-k = 0.97 for k = 5. Source: Naeem et al. 2020, eq. 3, and their code for the border.

    Raises:
        ValueError: as `density`.
    """
    return float(_inside(features_ND, true_MD, neighbours).any(axis=1).mean())


def half_sample_error(
    value: Callable[[_Floats, _Floats], float],
    sides: tuple[_Floats, _Floats],
    groups: tuple[Sequence[str], Sequence[str]],
    *,
    draws: int = 20,
) -> float | None:
    """The standard deviation of `value` of two sets of features over random halves of the clusters,
    which estimates that of the whole; None below 10 clusters on a side, or where a half holds no
    more images than `NEIGHBOURS`.

    Why halves, and how their spread is that of the whole: `metrics.mauve.mauve_standard_error`.
    """
    names = [np.asarray(list(each)) for each in groups]
    if min(len(set(each.tolist())) for each in names) < LEAST_CLUSTERS:
        return None
    every, random = np.unique(np.concatenate(names)), np.random.default_rng(0)
    values = []
    for _ in range(draws):
        half = random.permutation(every)[: len(every) // 2]
        one, other = (side[np.isin(own, half)] for side, own in zip(sides, names, strict=True))
        if min(len(one), len(other)) <= NEIGHBOURS:
            return None
        values.append(value(one, other))
    return float(np.std(values, ddof=1))


def _root(symmetric: _Floats) -> _Floats:
    """The square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.sqrt(values.clip(min=0))) @ vectors.T)


def _inside(features_ND: ArrayLike, true_MD: ArrayLike, neighbours: int) -> NDArray[np.bool_]:
    """Which images lie in which true image's neighbourhood: (M, N)."""
    features, true = (np.asarray(each, dtype=np.float64) for each in (features_ND, true_MD))
    if len(true) <= neighbours or not len(features):
        raise ValueError(
            f"{len(true)} true images and {len(features)} others are too few for {neighbours} "
            "neighbours"
        )
    radii_M = np.sort(_distances(true, true), axis=1)[:, neighbours]  # the nearest is itself
    return _distances(true, features) < radii_M[:, None]


def _distances(one_MD: _Floats, other_ND: _Floats) -> _Floats:
    """The squared Euclidean distance of each pair: (M, N), without the rounding of a product."""
    return np.stack([((other_ND - row_D) ** 2).sum(axis=1) for row_D in one_MD])
