"""Does the type-token ratio (TTR) predict preference within a pair of arms?

Between arms both differ: hyperfitted texts are more varied and preferred. Within one pair of arms
only the contexts differ, so the effect of TTR can be estimated. Shapes: N decided judgements, B
parameters (one for each pair, then the slope).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.arrays import FloatArray
from hyperfitting.preference.analysis.clustered_se import Interval, two_way
from hyperfitting.preference.analysis.encode import EncodedJudgements

TTR_STEP = 0.1
"""The difference in type-token ratio of an odds ratio."""


@dataclass(frozen=True)
class TtrOddsRatio:
    """The factor on the odds of preferring `one` for each 0.1 by which its type-token ratio is
    higher.

    Range (0, inf); 1: no effect. `pairs` is "all" or the arms of one pair. `odds_ratio` is None,
    with the reason in `note`, where the likelihood has no maximum.
    """

    pairs: str
    odds_ratio: Interval | None
    note: str = ""


def ttr_odds_ratios(encoded: EncodedJudgements, *, level: float = CONFIDENCE) -> list[TtrOddsRatio]:
    """A logistic regression of decided answers (without ties) on the difference in TTR, one
    intercept for each pair.

    This is Davidson's model given that the answer is not a tie, with the difference as covariate.
    Interval: two-way clustered sandwich over contexts and annotators, and t, on the log-odds scale.
    First all pairs together, then each.
    """
    decided = encoded.where(encoded.answer_N != 0)
    slopes = [_slope("all", decided, level)]
    if len(encoded.pairs) > 1:
        slopes += [_slope(" / ".join(pair), decided.of_pair(pair), level) for pair in encoded.pairs]
    return slopes


def _slope(name: str, decided: EncodedJudgements, level: float) -> TtrOddsRatio:
    decided = decided.where(_both_ways(decided))
    if note := _why_no_estimate(decided):
        return TtrOddsRatio(name, None, note)
    try:
        found = _odds_ratio(decided, level)
    except (ArithmeticError, ValueError) as error:
        return TtrOddsRatio(name, None, f"the fit failed: {error}")
    if not np.isfinite([end for end in (found.value, found.error, found.high) if end]).all():
        return TtrOddsRatio(name, None, "the differences in type-token ratio are too small")
    return TtrOddsRatio(name, found)


def _odds_ratio(decided: EncodedJudgements, level: float) -> Interval:
    """The odds ratio with its interval; infinite where no number holds it."""
    features_NB, wins_N = _features(decided), (decided.answer_N == 1).astype(np.float64)
    best_B = fit_logistic(features_NB, wins_N)
    residuals_N = wins_N - expit(features_NB @ best_B)
    pull_BN = (
        np.linalg.pinv(_information(features_NB, best_B)) @ (features_NB * residuals_N[:, None]).T
    )
    variance = two_way(pull_BN[[-1]], decided.context_N, decided.annotator_N)
    counts = len(decided), variance.contexts, variance.annotators
    with np.errstate(over="ignore"):
        if variance.clusters < 2:
            return Interval(float(np.exp(best_B[-1])), None, None, None, *counts)
        error, reach = np.sqrt(variance.total()[0]), variance.reach(level)[0]
        value, low, high = np.exp(best_B[-1] + reach * np.array([0, -1, 1])).tolist()
        return Interval(value, float(value * error), low, high, *counts, over=variance.over)


def _features(decided: EncodedJudgements) -> FloatArray:
    """An intercept for each pair of arms that occurs, and the difference in steps of 0.1."""
    pairs = np.unique(decided.pair_N)
    intercepts_NP = decided.pair_N[:, None] == pairs
    return np.column_stack([intercepts_NP, decided.ttr_difference_N / TTR_STEP])


def fit_logistic(features_NB: FloatArray, wins_N: FloatArray) -> FloatArray:
    """The logistic maximum-likelihood parameters."""
    sign_N = 2 * wins_N - 1

    def minus(b: FloatArray) -> float:
        return float(np.logaddexp(0, -sign_N * (features_NB @ b)).sum())

    def gradient(b: FloatArray) -> FloatArray:
        return np.asarray(features_NB.T @ (expit(features_NB @ b) - wins_N))

    start_B = np.zeros(features_NB.shape[1])
    options = {"gtol": 1e-8 * max(1, len(wins_N)), "maxiter": 500}
    found = minimize(
        minus,
        start_B,
        jac=gradient,
        hess=lambda b: _information(features_NB, b),
        method="trust-exact",
        options=options,
    )
    return np.asarray(found.x)


def _information(features_NB: FloatArray, b: FloatArray) -> FloatArray:
    """Minus the second derivatives of the logistic log-likelihood."""
    chance_N = expit(features_NB @ b)
    return np.asarray((features_NB * (chance_N * (1 - chance_N))[:, None]).T @ features_NB)


def _both_ways(decided: EncodedJudgements) -> NDArray[np.bool_]:
    """Judgements of the pairs in which each arm won at least once. The others hold no information
    on the slope.
    """
    wins, losses = (set(decided.pair_N[decided.answer_N == sign].tolist()) for sign in (1, -1))
    return np.isin(decided.pair_N, list(wins & losses))


def _why_no_estimate(decided: EncodedJudgements) -> str:
    """The reason why the likelihood has no maximum; empty if it has one."""
    if not len(decided):
        return "in no pair of arms did each win"
    if not np.isfinite(decided.ttr_difference_N).all():
        return "some rows have no type-token ratio"
    pairs = [decided.where(decided.pair_N == pair) for pair in np.unique(decided.pair_N)]
    if all(np.ptp(pair.ttr_difference_N) == 0 for pair in pairs):
        return "the difference in type-token ratio never varies within a pair of arms"
    # If one threshold in every pair separates wins from losses in the same direction, the slope
    # grows without limit.
    if any(all(_separates(pair, sign) for pair in pairs) for sign in (1, -1)):
        return "the answers are separated: no finite slope"
    return ""


def _separates(pair: EncodedJudgements, sign: int) -> bool:
    """Whether every win has a difference (times `sign`) at least as large as every loss."""
    difference_N = sign * pair.ttr_difference_N
    return bool(difference_N[pair.answer_N == -1].max() <= difference_N[pair.answer_N == 1].min())
