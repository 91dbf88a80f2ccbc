"""Bradley-Terry with ties (Davidson 1970) over all arms, by maximum likelihood, with the two-way
clustered sandwich.

An arm has a worth exp(w). Of `one` against `other`, one is preferred in proportion to its worth,
the other to its own, and they are equal in proportion to v * sqrt(product of both). The
log-likelihood is concave in (w, log v).

Shapes: K arms, P pairs of arms, 3 outcomes (one preferred, equal, other preferred), B = K
parameters: the log-worths of all arms but the baseline, then log v; D observed outcomes beside an
alternative; N judgements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog, minimize
from scipy.special import logsumexp

from hyperfitting.errors import StudyError
from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.arrays import FloatArray
from hyperfitting.preference.analysis.clustered_se import (
    Interval,
    effective_clusters,
    generalises,
    two_way,
)
from hyperfitting.preference.analysis.encode import EncodedJudgements
from hyperfitting.preference.records import ArmPair, linked_arms, unlinked_in_words
from hyperfitting.records import REFERENCE

_FURTHEST = 30.0
"""Log-worths beyond which a probability is 0 to the last bit that matters: the ends of a search for
a bound.
"""


@dataclass(frozen=True)
class Worth:
    """An arm's log-worth relative to the baseline: 0 is equal, ln 2 is preferred twice as often as
    not, ties aside.

    Where the arm always or never won, or is linked to the baseline only through such arms,
    `log_worth` has a bound and no value; where the data determine nothing, it has neither.
    """

    arm: str
    log_worth: Interval


@dataclass(frozen=True)
class Expected:
    """Observed and expected shares of one pair. Large gaps mean that one scale does not fit the
    arms.
    """

    one: str
    other: str
    n: int
    preferred: float
    preferred_expected: float
    equal: float
    equal_expected: float


@dataclass(frozen=True)
class Davidson:
    """The fit. `tie` is v: 0 without ties, 2 where equal worths tie half the time; None where only
    ties were seen.
    """

    baseline: str
    worths: tuple[Worth, ...]
    tie: float | None
    log_likelihood: float
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class DavidsonData:
    """Counts of outcomes by pair, and the features X of each outcome: log-probability + constant =
    X b.
    """

    arms: tuple[str, ...]
    pairs: tuple[ArmPair, ...]
    counts_P3: FloatArray
    features_P3B: FloatArray


def fit_davidson(encoded: EncodedJudgements, *, level: float = CONFIDENCE) -> Davidson:
    """Fit all arms, which comparisons link (`linked_arms`). The baseline is `reference` where there
    is one, else the first by name.

    Bounds of arms at the edge are one-sided, by profile likelihood: the values under which the
    log-likelihood stays within -ln(1 - level) of its supremum (ln 20 at 95 %), each judgement
    weighted as if every one of the fewer clusters (contexts or annotators of that arm) spoke once.
    For two arms without ties that is the exact binomial bound.

    Raises:
        StudyError: there is one arm, or groups of arms were never compared with each other.
    """
    data = design_matrix(encoded)
    _refuse_disconnected(data)
    allowed_P3, edge_DB = limiting_outcomes(data)
    best_B = maximise_likelihood(data, allowed_P3)
    log_likelihood = log_likelihood_of(data, allowed_P3, best_B)
    known = _known(data, allowed_P3)
    intervals = _intervals(data, allowed_P3, best_B, encoded, level)
    for index in np.flatnonzero(~known[:-1]).tolist():
        intervals[index] = _bound(data, encoded, edge_DB, index, log_likelihood, level)
    baseline = Interval(0.0, 0.0, 0.0, 0.0, *_counts(encoded, _involves(encoded, data.arms[0])))
    worths = map(Worth, data.arms, [baseline, *intervals])
    tie = (
        float(np.exp(best_B[-1])) if known[-1] else 0.0 if not data.counts_P3[:, 1].any() else None
    )
    return Davidson(
        data.arms[0],
        tuple(worths),
        tie,
        log_likelihood,
        tuple(_expectations(data, allowed_P3, best_B)),
    )


def design_matrix(encoded: EncodedJudgements) -> DavidsonData:
    """The counts of outcomes by pair, and their features.

    Raises:
        StudyError: there is one arm or none.
    """
    arms = tuple(
        sorted(
            {arm for pair in encoded.pairs for arm in pair}, key=lambda arm: (arm != REFERENCE, arm)
        )
    )
    if len(arms) < 2:
        raise StudyError("a scale of worths needs comparisons of two arms or more")
    counts_P3 = np.zeros((len(encoded.pairs), 3))
    np.add.at(counts_P3, (encoded.pair_N, 1 - encoded.answer_N), 1)
    parameter_KB = np.eye(len(arms), k=-1)  # the baseline, arm 0, has none
    features_P3B = np.zeros((len(encoded.pairs), 3, len(arms)))
    for index, pair in enumerate(encoded.pairs):
        one_B, other_B = parameter_KB[[arms.index(arm) for arm in pair]]
        features_P3B[index] = [one_B, (one_B + other_B) / 2, other_B]
    features_P3B[:, 1, -1] = 1
    return DavidsonData(arms, encoded.pairs, counts_P3, features_P3B)


def _refuse_disconnected(data: DavidsonData) -> None:
    seen_P = (data.counts_P3.sum(axis=1) > 0).tolist()
    groups = linked_arms(pair for pair, seen in zip(data.pairs, seen_P, strict=True) if seen)
    if len(groups) > 1:
        raise StudyError(unlinked_in_words(groups))


def limiting_outcomes(data: DavidsonData) -> tuple[NDArray[np.bool_], FloatArray]:
    """Which outcomes keep a positive probability in the limit of the likelihood's supremum, and the
    differences D.

    In a direction without a loss for any observed outcome against its alternatives, the likelihood
    does not fall; where some outcomes win, the maximum is at infinity. One linear program finds all
    alternatives that vanish there. Source: Albert and Anderson 1984, "On the Existence of Maximum
    Likelihood Estimates"; Konis 2007.
    """
    observed = [
        (pair, seen, alternative)
        for pair, seen in np.argwhere(data.counts_P3 > 0).tolist()
        for alternative in range(3)
        if alternative != seen
    ]
    X = data.features_P3B
    edge_DB = np.array(
        [X[pair, seen] - X[pair, alternative] for pair, seen, alternative in observed]
    )
    allowed_P3 = np.ones(data.counts_P3.shape, dtype=bool)
    pair_D, _, alternative_D = np.array(observed)[_slack(edge_DB) > 0.5].T
    allowed_P3[pair_D, alternative_D] = False
    return allowed_P3, edge_DB


def _slack(edge_DB: FloatArray) -> FloatArray:
    """1 for every difference that is positive in some direction without loss, else 0: the largest
    sum of slacks.
    """
    rows, parameters = edge_DB.shape
    found = linprog(
        np.concatenate([np.zeros(parameters), -np.ones(rows)]),
        A_ub=np.hstack([-edge_DB, np.eye(rows)]),
        b_ub=np.zeros(rows),
        bounds=[(None, None)] * parameters + [(0, 1)] * rows,
    )
    return np.asarray(found.x[parameters:])


def maximise_likelihood(data: DavidsonData, allowed_P3: NDArray[np.bool_]) -> FloatArray:
    """The maximum-likelihood parameters among the outcomes allowed, by a trust-region Newton
    method.
    """
    found = minimize(
        lambda b: -log_likelihood_of(data, allowed_P3, b),
        np.zeros(data.features_P3B.shape[2]),
        jac=lambda b: -_gradient(data, allowed_P3, b),
        hess=lambda b: information_matrix(data, allowed_P3, b),
        method="trust-exact",
        options={"gtol": 1e-8 * max(1.0, float(data.counts_P3.sum())), "maxiter": 500},
    )
    return np.asarray(found.x)


def log_likelihood_of(data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray) -> float:
    """The log-likelihood of the judgements."""
    score_P3, seen_P3 = data.features_P3B @ b, data.counts_P3 > 0
    free_P3 = np.where(allowed_P3, score_P3, -np.inf)
    log_P3 = score_P3 - logsumexp(free_P3, axis=1, keepdims=True)
    return float((data.counts_P3[seen_P3] * log_P3[seen_P3]).sum())


def probabilities(data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray) -> FloatArray:
    """Each outcome's probability in each pair."""
    free_P3 = np.where(allowed_P3, data.features_P3B @ b, -np.inf)
    return np.asarray(np.exp(free_P3 - logsumexp(free_P3, axis=1, keepdims=True)))


def _scores(data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray) -> FloatArray:
    """The gradient of one judgement of each outcome."""
    chance_P3 = probabilities(data, allowed_P3, b)
    mean_PB = np.einsum("po,pob->pb", chance_P3, data.features_P3B)
    return np.asarray(data.features_P3B - mean_PB[:, None])


def _gradient(data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("po,pob->b", data.counts_P3, _scores(data, allowed_P3, b)))


def information_matrix(
    data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray
) -> FloatArray:
    """Minus the second derivatives of the log-likelihood."""
    centred_P3B = _scores(data, allowed_P3, b)
    weight_P3 = probabilities(data, allowed_P3, b) * data.counts_P3.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("po,poa,pob->ab", weight_P3, centred_P3B, centred_P3B))


def influences(
    data: DavidsonData, allowed_P3: NDArray[np.bool_], b: FloatArray, encoded: EncodedJudgements
) -> FloatArray:
    """Influence of each judgement on each parameter (B, N): the bread of the sandwich times its
    filling.
    """
    bread_BB = np.linalg.pinv(information_matrix(data, allowed_P3, b), hermitian=True)
    return np.asarray(
        bread_BB @ _scores(data, allowed_P3, b)[encoded.pair_N, 1 - encoded.answer_N].T
    )


def _known(data: DavidsonData, allowed_P3: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which parameters are determined by the outcomes that keep a positive probability."""
    rows = [
        data.features_P3B[pair, allowed] - data.features_P3B[pair, allowed][0]
        for pair, allowed in enumerate(allowed_P3)
        if data.counts_P3[pair].any()
    ]
    differences = np.concatenate(rows)
    unknown = np.eye(differences.shape[1]) - np.linalg.pinv(differences) @ differences
    return np.asarray(np.abs(unknown).max(axis=1) < 1e-8)


def _intervals(
    data: DavidsonData,
    allowed_P3: NDArray[np.bool_],
    best_B: FloatArray,
    encoded: EncodedJudgements,
    level: float,
) -> list[Interval]:
    """Each arm's log-worth with the two-way sandwich over all judgements, and t by the clusters
    that judged the arm.
    """
    pull_BN = influences(data, allowed_P3, best_B, encoded)
    made = []
    for index, arm in enumerate(data.arms[1:]):
        value, counts = float(best_B[index]), _counts(encoded, _involves(encoded, arm))
        if effective_clusters(*counts[1:]) < 2:
            made.append(Interval(value, None, None, None, *counts))
            continue
        variance = two_way(pull_BN[[index]], encoded.context_N, encoded.annotator_N)
        error, reach = (
            float(np.sqrt(variance.total()[0])),
            float(variance.reach(level, counts[1:])[0]),
        )
        ends = value - reach, value + reach
        made.append(Interval(value, error, *ends, *counts, over=generalises(*counts[1:])))
    return made


def _involves(encoded: EncodedJudgements, arm: str) -> NDArray[np.bool_]:
    return np.isin(
        encoded.pair_N, [index for index, pair in enumerate(encoded.pairs) if arm in pair]
    )


def _counts(encoded: EncodedJudgements, chosen_N: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Judgements, contexts and annotators of those chosen."""
    contexts, annotators = (
        np.unique(ids[chosen_N]) for ids in (encoded.context_N, encoded.annotator_N)
    )
    return int(chosen_N.sum()), len(contexts), len(annotators)


def _bound(
    data: DavidsonData,
    encoded: EncodedJudgements,
    edge_DB: FloatArray,
    index: int,
    supremum: float,
    level: float,
) -> Interval:
    """A one-sided bound by profile likelihood for a parameter without a maximum; none where both
    sides are open.
    """
    counts = _counts(encoded, _involves(encoded, data.arms[1 + index]))
    up, down = _is_unbounded(edge_DB, index, 1), _is_unbounded(edge_DB, index, -1)
    if (up and down) or (least := effective_clusters(*counts[1:])) < 2:
        return Interval(None, None, None, None, *counts)
    drop = -np.log(1 - level) * counts[0] / least
    at = float(
        brentq(lambda value: supremum - _profile(data, index, value) - drop, -_FURTHEST, _FURTHEST)
    )
    side: Literal["upper", "lower"] = "lower" if up else "upper"
    low, high = (at, None) if up else (None, at)
    return Interval(None, None, low, high, *counts, side, generalises(*counts[1:]))


def _is_unbounded(edge_DB: FloatArray, index: int, sign: int) -> bool:
    """Whether the parameter can grow to this side without limit and without loss."""
    parameters = edge_DB.shape[1]
    aim_B = -sign * np.eye(parameters)[index]
    bounds = [(-1, 1) if each == index else (None, None) for each in range(parameters)]
    found = linprog(aim_B, A_ub=-edge_DB, b_ub=np.zeros(len(edge_DB)), bounds=bounds)
    return bool(sign * found.x[index] > 0.5)


def _profile(data: DavidsonData, index: int, value: float) -> float:
    """The largest log-likelihood with one parameter held."""
    everything = np.ones(data.counts_P3.shape, dtype=bool)
    others = data.features_P3B.shape[2] - 1
    found = minimize(
        lambda rest: -log_likelihood_of(data, everything, np.insert(rest, index, value)),
        np.zeros(others),
        jac=lambda rest: np.delete(
            -_gradient(data, everything, np.insert(rest, index, value)), index
        ),
        bounds=[(-2 * _FURTHEST, 2 * _FURTHEST)] * others,
        method="L-BFGS-B",
    )
    return -float(found.fun)


def _expectations(
    data: DavidsonData, allowed_P3: NDArray[np.bool_], best_B: FloatArray
) -> Sequence[Expected]:
    chance_P3 = probabilities(data, allowed_P3, best_B)
    share_P3 = data.counts_P3 / np.maximum(data.counts_P3.sum(axis=1, keepdims=True), 1)
    return [
        Expected(*pair, int(seen.sum()), share[0], chance[0], share[1], chance[1])
        for pair, seen, share, chance in zip(
            data.pairs, data.counts_P3, share_P3.tolist(), chance_P3.tolist(), strict=True
        )
        if seen.any()
    ]
