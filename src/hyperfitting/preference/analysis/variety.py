"""Does the type-token ratio predict preference? Comparison by comparison, within a pair of arms.

Between arms it must: the hyperfitted arm is both more varied and more liked. Within a pair of arms, whose texts differ
by context only, the question has an answer. Shapes: N decided judgements, B parameters (one a pair, then the slope).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.clusters import Interval, two_way
from hyperfitting.preference.analysis.coding import Coded

Floats = NDArray[np.float64]

STEP = 0.1
"""The difference in type-token ratio that an odds ratio is told for."""


@dataclass(frozen=True)
class Slope:
    """Odds of preferring `one` multiply by `odds_ratio` for each 0.1 by which its type-token ratio is higher.

    Range (0, inf); 1: no prediction. `pairs` is "all" or one pair's arms. None, with a `note`, where it has no maximum.
    """

    pairs: str
    odds_ratio: Interval | None
    note: str = ""


def does_variety_predict(coded: Coded, *, level: float = CONFIDENCE) -> list[Slope]:
    """A logistic regression of decided answers (ties out) on the difference in TTR, an intercept for each pair of arms.

    That is Davidson's model given that the answer is no tie, with the difference as covariate. Interval: two-way
    sandwich over contexts and annotators and t on the log-odds scale. First all pairs together, then each.
    """
    decided = coded.where(coded.answer_N != 0)
    slopes = [_slope("all", decided, level)]
    if len(coded.pairs) > 1:
        slopes += [_slope(" / ".join(pair), decided.of_pair(pair), level) for pair in coded.pairs]
    return slopes


def _slope(name: str, decided: Coded, level: float) -> Slope:
    decided = decided.where(_both_ways(decided))
    if note := _hopeless(decided):
        return Slope(name, None, note)
    features_NB, wins_N = _features(decided), (decided.answer_N == 1).astype(np.float64)
    best_B = maximise(features_NB, wins_N)
    chance_N = expit(features_NB @ best_B)
    information_BB = (features_NB * (chance_N * (1 - chance_N))[:, None]).T @ features_NB
    pull_BN = np.linalg.pinv(information_BB) @ (features_NB * (wins_N - chance_N)[:, None]).T
    variance = two_way(pull_BN[[-1]], decided.context_N, decided.annotator_N)
    value, counts = (
        float(np.exp(best_B[-1])),
        (len(decided), variance.contexts, variance.annotators),
    )
    if not variance.enough:
        return Slope(name, Interval(value, None, None, None, *counts))
    error = float(np.sqrt(variance.total()[0]))
    low, high = (
        float(np.exp(best_B[-1] + sign * variance.quantile(level) * error)) for sign in (-1, 1)
    )
    return Slope(name, Interval(value, value * error, low, high, *counts))


def _features(decided: Coded) -> Floats:
    """An intercept for each pair of arms that occurs, then the difference in steps of 0.1."""
    pairs = np.unique(decided.pair_N)
    intercepts_NP = decided.pair_N[:, None] == pairs
    return np.column_stack([intercepts_NP, decided.ttr_difference_N / STEP])


def maximise(features_NB: Floats, wins_N: Floats) -> Floats:
    """The logistic maximum-likelihood parameters."""
    sign_N = 2 * wins_N - 1

    def minus(b: Floats) -> float:
        return float(np.logaddexp(0, -sign_N * (features_NB @ b)).sum())

    def gradient(b: Floats) -> Floats:
        return np.asarray(features_NB.T @ (expit(features_NB @ b) - wins_N))

    def hessian(b: Floats) -> Floats:
        chance_N = expit(features_NB @ b)
        return np.asarray((features_NB * (chance_N * (1 - chance_N))[:, None]).T @ features_NB)

    start_B = np.zeros(features_NB.shape[1])
    options = {"gtol": 1e-8 * max(1, len(wins_N)), "maxiter": 500}
    found = minimize(
        minus, start_B, jac=gradient, hess=hessian, method="trust-exact", options=options
    )
    return np.asarray(found.x)


def _both_ways(decided: Coded) -> NDArray[np.bool_]:
    """Judgements of the pairs in which each arm won once or more: the others say nothing of the slope."""
    wins, losses = (set(decided.pair_N[decided.answer_N == sign].tolist()) for sign in (1, -1))
    return np.isin(decided.pair_N, list(wins & losses))


def _hopeless(decided: Coded) -> str:
    """Why there is no maximum, if there is none."""
    if not len(decided):
        return "in no pair of arms did each win"
    if not np.isfinite(decided.ttr_difference_N).all():
        return "some rows have no type-token ratio"
    pairs = [decided.where(decided.pair_N == pair) for pair in np.unique(decided.pair_N)]
    if all(np.ptp(pair.ttr_difference_N) == 0 for pair in pairs):
        return "the difference in type-token ratio never varies within a pair of arms"
    # A threshold in every pair that parts its wins from its losses, on the same side, lets the slope grow for ever.
    if any(all(_parts(pair, sign) for pair in pairs) for sign in (1, -1)):
        return "the answers are separated: no finite slope"
    return ""


def _parts(pair: Coded, sign: int) -> bool:
    """Whether every win has a difference (times `sign`) at least as large as every loss."""
    difference_N = sign * pair.ttr_difference_N
    return bool(difference_N[pair.answer_N == -1].max() <= difference_N[pair.answer_N == 1].min())
