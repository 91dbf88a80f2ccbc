"""Confidence against accuracy: probabilities over the choices, their calibration error, and one
temperature that a held-out half decides.

Shapes: N items, C choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperfitting.runs.answers import AnsweredItem
from hyperfitting.seeds import derive_seed

_Floats = NDArray[np.float64]

BINS = 10
"""Bins of equal width of `expected_calibration_error`."""

LEAST_HALF = 20
"""Items of each half below which no temperature is fitted."""

TEMPERATURES = (0.02, 50.0)
"""Bounds of the temperature: at either of them the half does not decide it."""


@dataclass(frozen=True)
class Calibration:
    """How well the probabilities over the choices fit. Losses and entropies in nats per item.

    `error` is the expected calibration error in [0, 1], `loss` the negative log-probability of the
    right choice, `entropy` that of the choices, each a mean over all items (target: lower, lower,
    none of its own). `temperature` was fitted on half of the items; `held_out` are error and loss
    of the other half before and after it; None of both where a half is too small.
    """

    error: float
    loss: float
    entropy: float
    temperature: float | None = None
    held_out: tuple[float, float, float, float] | None = None

    @property
    def is_at_bound(self) -> bool:
        """Whether no temperature within the bounds is best: the scores say next to nothing of the
        right choice, or nothing but it.
        """
        low, high = TEMPERATURES
        return self.temperature is not None and not 1.01 * low < self.temperature < 0.99 * high


def choice_scores(item: AnsweredItem) -> tuple[float, ...]:
    """The score of each choice, by which the model chooses: its log-likelihood, or that per
    character.
    """
    if not item.lengths:
        return item.loglikelihoods
    return tuple(a / b for a, b in zip(item.loglikelihoods, item.lengths, strict=True))


def calibrate(items: Sequence[AnsweredItem]) -> Calibration | None:
    """Calibration of answers that have log-likelihoods; None of others.

    Probabilities are the softmax of `choice_scores`. The halves are drawn by what the items say,
    so they are the same for all models.
    """
    known = [each for each in items if each.loglikelihoods and each.gold is not None]
    if not known:
        return None
    scores_NC, gold_N = _padded_scores(known), np.array([each.gold for each in known])
    error, loss, entropy = _errors(scores_NC, gold_N, 1.0)
    is_fitted_N = np.array([derive_seed("half", each.item_sha256) % 2 == 0 for each in known])
    if min(is_fitted_N.sum(), (~is_fitted_N).sum()) < LEAST_HALF:
        return Calibration(error, loss, entropy)
    temperature = fit_temperature(scores_NC[is_fitted_N], gold_N[is_fitted_N])
    other = scores_NC[~is_fitted_N], gold_N[~is_fitted_N]
    before, after = _errors(*other, 1.0), _errors(*other, temperature)
    held_out = (before[0], after[0], before[1], after[1])
    return Calibration(error, loss, entropy, temperature, held_out)


def _padded_scores(items: Sequence[AnsweredItem]) -> _Floats:
    """The scores of each item's choices, (N, C); minus infinity where an item has fewer."""
    scores = [choice_scores(each) for each in items]
    made_NC = np.full((len(items), max(map(len, scores))), -np.inf)
    for row_C, each in zip(made_NC, scores, strict=True):
        row_C[: len(each)] = each
    return made_NC


def _errors(
    scores_NC: _Floats, gold_N: NDArray[np.int64], temperature: float
) -> tuple[float, float, float]:
    """Calibration error, loss and entropy at a temperature."""
    log_p_NC = _log_softmax(scores_NC, temperature)
    p_NC = np.exp(log_p_NC)
    error = expected_calibration_error(p_NC.max(1).tolist(), (p_NC.argmax(1) == gold_N).tolist())
    loss = -float(log_p_NC[np.arange(len(gold_N)), gold_N].mean())
    finite_NC = np.where(p_NC > 0, log_p_NC, 0.0)
    entropy = -float((p_NC * finite_NC).sum(1).mean())
    return error, loss, entropy


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """Mean distance of confidence and accuracy over `BINS` of equal width, weighted by their items.

    Range [0, 1]; 0: in every bin the share of right answers equals the mean confidence (target:
    lower). A confidence on a border counts in the lower bin. Source: Guo et al. 2017, equation 3;
    the papers are silent.

    Raises:
        ValueError: there are no items, or not one confidence for each.
    """
    if not len(confidences) or len(confidences) != len(correct):
        raise ValueError("a calibration error needs items, and a confidence for each")
    confidence_N, correct_N = np.asarray(confidences), np.asarray(correct, dtype=np.float64)
    bin_N = np.ceil(confidence_N * BINS).astype(int).clip(1, BINS)
    gaps = [
        abs(float((correct_N[bin_N == each] - confidence_N[bin_N == each]).sum()))
        for each in range(1, BINS + 1)
    ]
    return sum(gaps) / len(confidence_N)


def fit_temperature(scores_NC: _Floats, gold_N: NDArray[np.int64]) -> float:
    """The temperature in [0.02, 50] at which the right choices are most probable.

    Scores are divided by it; it never changes which choice is likeliest. Found by golden section
    over its logarithm, along which the loss falls and rises once. Source: Guo et al. 2017, section
    4.2.
    """

    def loss(log_temperature: float) -> float:
        log_p_NC = _log_softmax(scores_NC, math.exp(log_temperature))
        return -float(log_p_NC[np.arange(len(gold_N)), gold_N].mean())

    return math.exp(_lowest(loss, *map(math.log, TEMPERATURES)))


def _lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls and then rises is lowest, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    one, other = high - ratio * (high - low), low + ratio * (high - low)
    at_one, at_other = function(one), function(other)
    while high - low > 1e-5:
        if at_one <= at_other:
            high, other, at_other = other, one, at_one
            one = high - ratio * (high - low)
            at_one = function(one)
        else:
            low, one, at_one = one, other, at_other
            other = low + ratio * (high - low)
            at_other = function(other)
    return (low + high) / 2


def _log_softmax(scores_NC: _Floats, temperature: float) -> _Floats:
    scaled_NC = scores_NC / temperature
    shifted_NC = scaled_NC - scaled_NC.max(1, keepdims=True)
    found_NC: _Floats = shifted_NC - np.log(np.exp(shifted_NC).sum(1, keepdims=True))
    return found_NC
