"""Bradley-Terry with ties (Davidson 1970) over all arms, by maximum likelihood, with the two-way clustered sandwich.

An arm has a worth exp(w). Of `one` against `other`, one is preferred in proportion to its worth, the other to its own,
and they are equal in proportion to v * sqrt(product of both). The log-likelihood is concave in (w, log v).

Shapes: K arms, P pairs of arms, 3 outcomes (one preferred, equal, other preferred), B = K parameters: the log-worths of
all arms but the baseline, then log v; D observed outcomes beside an alternative; N judgements.
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
from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS
from hyperfitting.preference.analysis.clusters import Interval, quantile, two_way
from hyperfitting.preference.analysis.coding import REFERENCE, Coded, Pair

Floats = NDArray[np.float64]

_FURTHEST = 30.0
"""Log-worths beyond which a probability is 0 to the last bit that matters: the ends of a search for a bound."""


@dataclass(frozen=True)
class Worth:
    """An arm's log-worth relative to the baseline: 0 is as good, ln 2 is preferred twice as often as not, ties aside.

    `log_worth` holds no value but a bound where the arm always or never won (or is linked to the baseline only through
    such arms), and neither where nothing is known.
    """

    arm: str
    log_worth: Interval


@dataclass(frozen=True)
class Expected:
    """What the model expects of a pair, beside what was seen: large gaps say that one scale does not hold the arms."""

    one: str
    other: str
    n: int
    preferred: float
    preferred_expected: float
    equal: float
    equal_expected: float


@dataclass(frozen=True)
class Davidson:
    """The fit. `tie` is v: 0 without ties, 2 where equal worths tie half the time; none where only ties were seen."""

    baseline: str
    worths: tuple[Worth, ...]
    tie: float | None
    log_likelihood: float
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Problem:
    """Counts of outcomes by pair, and what each outcome says of the parameters: log-probability + constant = X b."""

    arms: tuple[str, ...]
    pairs: tuple[Pair, ...]
    counts_P3: Floats
    features_P3B: Floats


def fit(coded: Coded, *, level: float = CONFIDENCE) -> Davidson:
    """Fit all arms; the baseline is `reference` where there is one, else the first by name.

    Bounds of arms at the edge are one-sided, by profile likelihood: the values under which the log-likelihood stays
    within -ln(1 - level) of its supremum (ln 20 at 95 %), each judgement weighted as if every one of the fewer clusters
    (contexts or annotators of that arm) spoke once. For two arms without ties that is the exact binomial bound.

    Raises:
        StudyError: there is one arm, or groups of arms were never compared with each other.
    """
    problem = pose(coded)
    _refuse_disconnected(problem)
    allowed_P3, edge_DB = limit(problem)
    best_B = maximise(problem, allowed_P3)
    log_likelihood = likelihood(problem, allowed_P3, best_B)
    known = _known(problem, allowed_P3)
    intervals = _intervals(problem, allowed_P3, best_B, coded, level)
    for index in np.flatnonzero(~known[:-1]).tolist():
        intervals[index] = _bound(problem, coded, edge_DB, index, log_likelihood, level)
    log_worths = [_nothing_varies(coded, problem.arms[0]), *intervals]
    worths = tuple(Worth(*each) for each in zip(problem.arms, log_worths, strict=True))
    tie = (
        float(np.exp(best_B[-1]))
        if known[-1]
        else 0.0
        if not problem.counts_P3[:, 1].any()
        else None
    )
    return Davidson(
        problem.arms[0],
        worths,
        tie,
        log_likelihood,
        tuple(_expectations(problem, allowed_P3, best_B)),
    )


def pose(coded: Coded) -> Problem:
    """The outcomes counted by pair, and their features.

    Raises:
        StudyError: there is one arm or none.
    """
    arms = tuple(
        sorted(
            {arm for pair in coded.pairs for arm in pair}, key=lambda arm: (arm != REFERENCE, arm)
        )
    )
    if len(arms) < 2:
        raise StudyError("a scale of worths needs comparisons of two arms or more")
    counts_P3 = np.zeros((len(coded.pairs), 3))
    np.add.at(counts_P3, (coded.pair_N, 1 - coded.answer_N), 1)
    features_P3B = np.zeros((len(coded.pairs), 3, len(arms)))
    for index, pair in enumerate(coded.pairs):
        one, other = (_unit(arms.index(arm), len(arms)) for arm in pair)
        features_P3B[index] = [one, (one + other) / 2, other]
        features_P3B[index, 1, -1] = 1
    return Problem(arms, coded.pairs, counts_P3, features_P3B)


def _unit(arm: int, parameters: int) -> Floats:
    """The parameter of an arm; the baseline, arm 0, has none."""
    unit_B = np.zeros(parameters)
    if arm:
        unit_B[arm - 1] = 1
    return unit_B


def _refuse_disconnected(problem: Problem) -> None:
    group = {arm: {arm} for arm in problem.arms}
    for pair, count in zip(problem.pairs, problem.counts_P3.sum(axis=1), strict=True):
        if count:
            joined = group[pair[0]] | group[pair[1]]
            group.update(dict.fromkeys(joined, joined))
    parts = {tuple(sorted(each)) for each in group.values()}
    if len(parts) > 1:
        named = " and ".join("{" + ", ".join(part) + "}" for part in sorted(parts))
        raise StudyError(
            f"no comparison links {named}: their worths have no common scale; compare an arm of each"
        )


def limit(problem: Problem) -> tuple[NDArray[np.bool_], Floats]:
    """Which outcomes keep a probability as the likelihood nears its supremum, and the differences D that decide it.

    A direction in which no observed outcome loses against its alternatives costs nothing; where some win for good, the
    maximum lies at infinity. One linear programme finds all alternatives that vanish there. Source: Albert and
    Anderson 1984, "On the Existence of Maximum Likelihood Estimates"; Konis 2007.
    """
    observed = [
        (pair, seen, alternative)
        for pair, seen in np.argwhere(problem.counts_P3 > 0).tolist()
        for alternative in range(3)
        if alternative != seen
    ]
    X = problem.features_P3B
    edge_DB = np.array(
        [X[pair, seen] - X[pair, alternative] for pair, seen, alternative in observed]
    )
    slack = _slack(edge_DB)
    allowed_P3 = np.ones(problem.counts_P3.shape, dtype=bool)
    for (pair, _, alternative), gains in zip(observed, slack > 0.5, strict=True):
        if gains:
            allowed_P3[pair, alternative] = False
    return allowed_P3, edge_DB


def _slack(edge_DB: Floats) -> Floats:
    """1 for every difference that some direction without loss makes positive, else 0: the largest sum of slacks."""
    rows, parameters = edge_DB.shape
    found = linprog(
        np.concatenate([np.zeros(parameters), -np.ones(rows)]),
        A_ub=np.hstack([-edge_DB, np.eye(rows)]),
        b_ub=np.zeros(rows),
        bounds=[(None, None)] * parameters + [(0, 1)] * rows,
    )
    return np.asarray(found.x[parameters:])


def maximise(
    problem: Problem, allowed_P3: NDArray[np.bool_], start_B: Floats | None = None
) -> Floats:
    """The maximum-likelihood parameters among the outcomes allowed, by a trust-region Newton method."""

    def minus(b: Floats) -> float:
        return -likelihood(problem, allowed_P3, b)

    found = minimize(
        minus,
        np.zeros(problem.features_P3B.shape[2]) if start_B is None else start_B,
        jac=lambda b: -_gradient(problem, allowed_P3, b),
        hess=lambda b: information(problem, allowed_P3, b),
        method="trust-exact",
        options={"gtol": 1e-8 * max(1.0, float(problem.counts_P3.sum())), "maxiter": 500},
    )
    return np.asarray(found.x)


def likelihood(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats) -> float:
    """The log-likelihood of the judgements."""
    score_P3, seen_P3 = problem.features_P3B @ b, problem.counts_P3 > 0
    free_P3 = np.where(allowed_P3, score_P3, -np.inf)
    log_P3 = score_P3 - logsumexp(free_P3, axis=1, keepdims=True)
    return float((problem.counts_P3[seen_P3] * log_P3[seen_P3]).sum())


def probabilities(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats) -> Floats:
    """Each outcome's probability in each pair."""
    free_P3 = np.where(allowed_P3, problem.features_P3B @ b, -np.inf)
    return np.asarray(np.exp(free_P3 - logsumexp(free_P3, axis=1, keepdims=True)))


def _scores(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats) -> Floats:
    """What one judgement of each outcome adds to the gradient."""
    chance_P3 = probabilities(problem, allowed_P3, b)
    mean_PB = np.einsum("po,pob->pb", chance_P3, problem.features_P3B)
    return np.asarray(problem.features_P3B - mean_PB[:, None])


def _gradient(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats) -> Floats:
    return np.asarray(np.einsum("po,pob->b", problem.counts_P3, _scores(problem, allowed_P3, b)))


def information(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats) -> Floats:
    """Minus the second derivatives of the log-likelihood."""
    centred_P3B = _scores(problem, allowed_P3, b)
    weight_P3 = probabilities(problem, allowed_P3, b) * problem.counts_P3.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("po,poa,pob->ab", weight_P3, centred_P3B, centred_P3B))


def influences(problem: Problem, allowed_P3: NDArray[np.bool_], b: Floats, coded: Coded) -> Floats:
    """(B, N): how far each judgement pulls each parameter: the bread of the sandwich times its filling."""
    bread_BB = np.linalg.pinv(information(problem, allowed_P3, b), hermitian=True)
    return np.asarray(
        bread_BB @ _scores(problem, allowed_P3, b)[coded.pair_N, 1 - coded.answer_N].T
    )


def _known(problem: Problem, allowed_P3: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which parameters the outcomes that keep a probability determine."""
    rows = [
        problem.features_P3B[pair, allowed] - problem.features_P3B[pair, allowed][0]
        for pair, allowed in enumerate(allowed_P3)
        if problem.counts_P3[pair].any()
    ]
    differences = np.concatenate(rows)
    unknown = np.eye(differences.shape[1]) - np.linalg.pinv(differences) @ differences
    return np.asarray(np.abs(unknown).max(axis=1) < 1e-8)


def _intervals(
    problem: Problem, allowed_P3: NDArray[np.bool_], best_B: Floats, coded: Coded, level: float
) -> list[Interval]:
    """Each arm's log-worth with the two-way sandwich over all judgements, and t by the clusters that judged the arm."""
    pull_BN = influences(problem, allowed_P3, best_B, coded)
    made = []
    for index, arm in enumerate(problem.arms[1:]):
        value, counts = float(best_B[index]), _counts(coded, _involves(coded, arm))
        if min(counts[1:]) < LEAST_CLUSTERS:
            made.append(Interval(value, None, None, None, *counts))
            continue
        error = float(
            np.sqrt(two_way(pull_BN[[index]], coded.context_N, coded.annotator_N).total()[0])
        )
        reach = quantile(level, min(counts[1:])) * error
        made.append(Interval(value, error, value - reach, value + reach, *counts))
    return made


def _involves(coded: Coded, arm: str) -> NDArray[np.bool_]:
    return np.isin(coded.pair_N, [index for index, pair in enumerate(coded.pairs) if arm in pair])


def _counts(coded: Coded, chosen_N: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Judgements, contexts and annotators of those chosen."""
    contexts, annotators = (
        np.unique(ids[chosen_N]) for ids in (coded.context_N, coded.annotator_N)
    )
    return int(chosen_N.sum()), len(contexts), len(annotators)


def _nothing_varies(coded: Coded, arm: str) -> Interval:
    return Interval(0.0, 0.0, 0.0, 0.0, *_counts(coded, _involves(coded, arm)))


def _bound(
    problem: Problem, coded: Coded, edge_DB: Floats, index: int, supremum: float, level: float
) -> Interval:
    """A one-sided bound by profile likelihood for a parameter without a maximum; nothing where both sides are open."""
    counts = _counts(coded, _involves(coded, problem.arms[1 + index]))
    up, down = _open(edge_DB, index, 1), _open(edge_DB, index, -1)
    if (up and down) or min(counts[1:]) < LEAST_CLUSTERS:
        return Interval(None, None, None, None, *counts)
    drop = -np.log(1 - level) * counts[0] / min(counts[1:])
    at = float(
        brentq(
            lambda value: supremum - _profile(problem, index, value) - drop, -_FURTHEST, _FURTHEST
        )
    )
    side: Literal["upper", "lower"] = "lower" if up else "upper"
    return Interval(None, None, at if up else None, None if up else at, *counts, side)


def _open(edge_DB: Floats, index: int, sign: int) -> bool:
    """Whether the parameter can go on for ever to this side without loss."""
    aim = np.zeros(edge_DB.shape[1])
    aim[index] = -sign
    bounds = [(-1, 1) if each == index else (None, None) for each in range(len(aim))]
    found = linprog(aim, A_ub=-edge_DB, b_ub=np.zeros(len(edge_DB)), bounds=bounds)
    return bool(sign * found.x[index] > 0.5)


def _profile(problem: Problem, index: int, value: float) -> float:
    """The largest log-likelihood with one parameter held."""
    everything = np.ones(problem.counts_P3.shape, dtype=bool)
    others = [each for each in range(problem.features_P3B.shape[2]) if each != index]

    def whole(rest: Floats) -> Floats:
        b = np.full(len(others) + 1, value)
        b[others] = rest
        return b

    found = minimize(
        lambda rest: -likelihood(problem, everything, whole(rest)),
        np.zeros(len(others)),
        jac=lambda rest: -_gradient(problem, everything, whole(rest))[others],
        bounds=[(-2 * _FURTHEST, 2 * _FURTHEST)] * len(others),
        method="L-BFGS-B",
    )
    return -float(found.fun)


def _expectations(
    problem: Problem, allowed_P3: NDArray[np.bool_], best_B: Floats
) -> Sequence[Expected]:
    chance_P3 = probabilities(problem, allowed_P3, best_B)
    share_P3 = problem.counts_P3 / np.maximum(problem.counts_P3.sum(axis=1, keepdims=True), 1)
    return [
        Expected(*pair, int(seen.sum()), share[0], chance[0], share[1], chance[1])
        for pair, seen, share, chance in zip(
            problem.pairs, problem.counts_P3, share_P3.tolist(), chance_P3.tolist(), strict=True
        )
        if seen.any()
    ]
