"""Which of many columns is nearest to its target, and which cannot be told apart from it.

Shapes: C columns (a model in a strategy), K clusters, D draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS

_Floats = NDArray[np.float64]


def drawn_ratios(
    sums_CK: _Floats, counts_CK: _Floats, weights_DK: _Floats
) -> tuple[_Floats, _Floats]:
    """The ratio of sums of each column (C,), and what each bootstrap sample makes of it (C, D)."""
    value_C = sums_CK.sum(1) / counts_CK.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn_CD = (sums_CK @ weights_DK.T) / (counts_CK @ weights_DK.T)
    return value_C, np.where(np.isfinite(drawn_CD), drawn_CD, value_C[:, None])


def drawn_pseudo_values(value_C: _Floats, without_CK: _Floats, weights_DK: _Floats) -> _Floats:
    """Bootstrap samples (C, D) of metrics of pooled texts, through the pseudo-values of their
    jackknife.

    A bootstrap that draws texts twice would ruin them. Pseudo-value k is K times the measure minus
    K - 1 times the measure without cluster k: what the cluster adds. Their mean is drawn, and moved
    to stand at the measure itself.
    """
    clusters = without_CK.shape[1]
    pseudo_CK = clusters * value_C[:, None] - (clusters - 1) * without_CK
    drawn_CD: _Floats = pseudo_CK @ weights_DK.T / clusters
    drawn_CD += value_C[:, None] - pseudo_CK.mean(1, keepdims=True)
    return drawn_CD


def not_told_apart_from_nearest(
    distance_C: _Floats, drawn_CD: _Floats, *, clusters: int
) -> list[bool]:
    """For each column whether its distance to the target is the least, or cannot be told apart from
    the least.

    The nearest column is always among them; where it is alone, the data say which is nearest.
    Column i is told apart from the nearest j where d_i - d_j exceeds q standard errors of that
    difference, q being the 95 % quantile, over the draws, of the largest standardised deviation
    among all pairs of columns: with 95 % confidence no difference of the table is misjudged,
    whichever column came out nearest. Standard errors are widened by sqrt(K / (K - 1)). Nothing is
    told apart below 10 clusters. Source: the papers are silent; all-pairs comparison by max-T
    bootstrap.

    Known failure: with 10 to 20 clusters a bootstrap is somewhat too sure.
    """
    if clusters < LEAST_CLUSTERS or len(distance_C) < 2:
        return [True] * len(distance_C)
    deviation_CD = drawn_CD - distance_C[:, None]
    error_CC = _pair_errors(deviation_CD) * np.sqrt(clusters / (clusters - 1))
    nearest = int(distance_C.argmin())
    bound_C = _largest_deviation(deviation_CD, error_CC) * error_CC[nearest]
    return [bool(each) for each in (distance_C - distance_C[nearest] <= bound_C)]


def _pair_errors(deviation_CD: _Floats) -> _Floats:
    """Standard deviation of the difference of each pair of columns, over the draws."""
    covariance_CC = np.atleast_2d(np.cov(deviation_CD))
    variance_C = np.diag(covariance_CC)
    errors_CC: _Floats = np.sqrt(
        np.maximum(variance_C[:, None] + variance_C - 2 * covariance_CC, 0)
    )
    return errors_CC


def _largest_deviation(deviation_CD: _Floats, error_CC: _Floats) -> float:
    """The 95 % quantile over the draws; pairs that never differ, such as a model and itself, say
    nothing.
    """
    alike_CC = error_CC <= 1e-9 * max(1e-300, float(error_CC.max()))
    inverse_CC = np.where(alike_CC, 0.0, 1 / np.where(alike_CC, 1.0, error_CC))
    largest_D = [(np.abs(draw_C[:, None] - draw_C) * inverse_CC).max() for draw_C in deviation_CD.T]
    return float(np.quantile(largest_D, CONFIDENCE))
