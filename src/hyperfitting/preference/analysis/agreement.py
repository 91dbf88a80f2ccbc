"""Agreement of annotators: several coefficients, since each has known failures, with intervals over
contexts.

Shapes: U items (comparisons), Q categories in order, C contexts, D draws; counts_UQ: the judges
that gave each item each answer. Every coefficient is a function of sums over items, so that a
bootstrap over contexts is one matrix product. Each is 1 where all agree. Alpha, AC1 and kappa are 0
at chance agreement, which each of them defines in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from hyperfitting.metrics.stats import CONFIDENCE, LEAST_CLUSTERS, cluster_weights
from hyperfitting.preference.analysis.arrays import FloatArray
from hyperfitting.preference.analysis.encode import EncodedJudgements

CATEGORIES = 3
"""Worse, equal, better."""


@dataclass(frozen=True)
class Coefficient:
    """One coefficient with its interval over contexts (percentile bootstrap); without a value,
    `note` says why.

    `items` are comparisons with two judgements or more. Below `LEAST_CLUSTERS` contexts the
    interval is a jackknife's; with one context there is none.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    items: int
    judgements: int
    contexts: int
    note: str = ""


@dataclass(frozen=True)
class Statistic:
    """A coefficient in two steps: the addends of each item (U, F), and the value of their sums
    (..., F) -> (...).
    """

    name: str
    addends: Callable[[FloatArray], FloatArray]
    value: Callable[[FloatArray], FloatArray]

    def of(self, counts_UQ: FloatArray) -> float:
        """The coefficient of a table of counts; NaN where it is undefined, for example without any
        variation.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.value(self.addends(counts_UQ).sum(axis=0)))


def counts_table(
    item_N: NDArray[np.int64], category_N: NDArray[np.int64], categories: int
) -> FloatArray:
    """The number of judges that gave each item each category."""
    counts_UQ = np.zeros((int(item_N.max(initial=-1)) + 1, categories))
    np.add.at(counts_UQ, (item_N, category_N), 1)
    return counts_UQ


def _paired(counts_UQ: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Judges per item, and the share of agreeing pairs of judges, 0 for items with fewer than
    two.
    """
    judges_U = counts_UQ.sum(axis=1)
    pairs_U = np.maximum(judges_U * (judges_U - 1), 1)
    return judges_U, (counts_UQ * (counts_UQ - 1)).sum(axis=1) / pairs_U


def _coincidences(counts_UQ: FloatArray) -> FloatArray:
    """Ordered pairs of answers within items, each item weighing as many answers as it has; flat (U,
    Q * Q).
    """
    judges_U = counts_UQ.sum(axis=1)
    outer_UQQ = (
        counts_UQ[:, :, None] * counts_UQ[:, None, :]
        - np.eye(counts_UQ.shape[1]) * counts_UQ[:, :, None]
    )
    weight_U = np.where(judges_U > 1, 1 / np.maximum(judges_U - 1, 1), 0)
    return np.asarray((outer_UQQ * weight_U[:, None, None]).reshape(len(counts_UQ), -1))


def _square(flat: FloatArray) -> FloatArray:
    side = int(np.sqrt(flat.shape[-1]))
    return flat.reshape(*flat.shape[:-1], side, side)


def _alpha(flat: FloatArray, *, ordinal: bool) -> FloatArray:
    together = _square(flat)
    totals = together.sum(axis=-1)
    number = totals.sum(axis=-1)
    apart = _ordinal(totals) if ordinal else 1 - np.eye(totals.shape[-1])
    expected = (totals[..., :, None] * totals[..., None, :] * apart).sum(axis=(-1, -2))
    return np.asarray(1 - (number - 1) * (together * apart).sum(axis=(-1, -2)) / expected)


def _ordinal(totals: FloatArray) -> FloatArray:
    """Squared distances: how many answers lie between two categories, half of both ends left
    out.
    """
    below = np.cumsum(totals, axis=-1) - totals / 2
    return np.asarray((below[..., :, None] - below[..., None, :]) ** 2)


ALPHA_NOMINAL = Statistic("alpha_nominal", _coincidences, lambda sums: _alpha(sums, ordinal=False))
"""Krippendorff's alpha with equal weights of all disagreements. Source: Krippendorff 2011."""

ALPHA_ORDINAL = Statistic("alpha_ordinal", _coincidences, lambda sums: _alpha(sums, ordinal=True))
"""Krippendorff's alpha in which worse against better weighs more than either against equal. Same
source.
"""


def _raw_addends(counts_UQ: FloatArray) -> FloatArray:
    judges_U, agree_U = _paired(counts_UQ)
    return np.stack([agree_U, judges_U > 1], axis=1)


RAW = Statistic("raw_agreement", _raw_addends, lambda sums: sums[..., 0] / sums[..., 1])
"""The share of agreeing pairs of judges of one item, mean over items. Range [0, 1]; not corrected
for chance.
"""


def _ac1_addends(counts_UQ: FloatArray) -> FloatArray:
    judges_U, agree_U = _paired(counts_UQ)
    shares_UQ = counts_UQ / np.maximum(judges_U, 1)[:, None]
    return np.column_stack([agree_U, judges_U > 1, judges_U > 0, shares_UQ])


def _ac1_value(sums: FloatArray) -> FloatArray:
    return gwet_ac1(sums[..., 0] / sums[..., 1], sums[..., 3:] / sums[..., 2:3])


def gwet_ac1(agreement: FloatArray, shares_Q: FloatArray) -> FloatArray:
    """AC1 of the share of pairs that agree and the share of each answer, which lie on the last
    axis.
    """
    chance = (shares_Q * (1 - shares_Q)).sum(axis=-1) / (shares_Q.shape[-1] - 1)
    return np.asarray((agreement - chance) / (1 - chance))


AC1 = Statistic("ac1", _ac1_addends, _ac1_value)
"""Gwet's AC1, at most 1 (full agreement), 0 at chance; it stays high where one answer prevails.
Source: Gwet 2008, "Computing inter-rater reliability and its variance in the presence of high
agreement".
"""


def _fleiss_addends(counts_UQ: FloatArray) -> FloatArray:
    judges_U, agree_U = _paired(counts_UQ)
    return np.column_stack([agree_U, judges_U > 0, counts_UQ])


def _fleiss(sums: FloatArray) -> FloatArray:
    share = sums[..., 2:] / sums[..., 2:].sum(axis=-1, keepdims=True)
    chance = (share**2).sum(axis=-1)
    return np.asarray((sums[..., 0] / sums[..., 1] - chance) / (1 - chance))


FLEISS = Statistic("fleiss_kappa", _fleiss_addends, _fleiss)
"""Fleiss' kappa, at most 1, 0 at chance; for items with the same number of judges each. Source:
Fleiss 1971.
"""

STATISTICS = (RAW, ALPHA_NOMINAL, ALPHA_ORDINAL, AC1, FLEISS)


def agreement_coefficients(
    encoded: EncodedJudgements, *, draws: int, seed: int, level: float = CONFIDENCE
) -> list[Coefficient]:
    """All coefficients, with answers by arm (worse < equal < better).

    Fleiss' kappa has no value unless every item has the same number of judges.
    """
    items, item_N = np.unique(encoded.comparison_N, return_inverse=True)
    counts_UQ = counts_table(item_N, encoded.answer_N + 1, CATEGORIES)
    context_U = np.zeros(len(items), dtype=np.int64)
    context_U[item_N] = encoded.context_N
    return [
        coefficient(each, counts_UQ, context_U, draws=draws, seed=seed, level=level)
        for each in STATISTICS
    ]


def coefficient(
    statistic: Statistic,
    counts_UQ: FloatArray,
    context_U: NDArray[np.int64],
    *,
    draws: int,
    seed: int,
    level: float = CONFIDENCE,
) -> Coefficient:
    """One coefficient of a table of counts, with a percentile bootstrap that draws whole
    contexts.
    """
    judges_U = counts_UQ.sum(axis=1)
    counts = (int((judges_U > 1).sum()), int(judges_U.sum()), len(np.unique(context_U)))
    if note := _undefined(statistic, judges_U):
        return Coefficient(statistic.name, None, None, None, *counts, note)
    bare = Coefficient(statistic.name, None, None, None, *counts, "every answer is the same")
    return bootstrapped(
        bare,
        statistic.value,
        statistic.addends(counts_UQ),
        context_U,
        draws=draws,
        seed=seed,
        level=level,
    )


def bootstrapped(
    bare: Coefficient,
    value: Callable[[FloatArray], FloatArray],
    addends_UF: FloatArray,
    context_U: NDArray[np.int64],
    *,
    draws: int,
    seed: int,
    level: float,
) -> Coefficient:
    """A coefficient with the value of the summed addends and its interval; `bare`, which says why
    there is none, where that is undefined.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = float(value(addends_UF.sum(axis=0)))
    if np.isnan(found):
        return bare
    low, high = bootstrap(value, addends_UF, context_U, draws=draws, seed=seed, level=level)
    return replace(bare, value=found, low=low, high=high, note="")


def _undefined(statistic: Statistic, judges_U: FloatArray) -> str:
    if not (judges_U > 1).any():
        return "no comparison has two judgements"
    if statistic is FLEISS and len(set(judges_U.tolist())) > 1:
        return (
            f"comparisons have {int(judges_U.min())} to {int(judges_U.max())} judgements, not the "
            "same number each"
        )
    return ""


def bootstrap(
    value: Callable[[FloatArray], FloatArray],
    addends_UF: FloatArray,
    context_U: NDArray[np.int64],
    *,
    draws: int,
    seed: int,
    level: float,
) -> tuple[float, float] | tuple[None, None]:
    """Percentile bounds of a function of summed addends, drawing whole contexts. Below
    `LEAST_CLUSTERS` contexts, where a bootstrap is too narrow, those of `_jackknife`.
    """
    names, position_U = np.unique(context_U, return_inverse=True)
    sums_CF = np.zeros((len(names), addends_UF.shape[1]))
    np.add.at(sums_CF, position_U, addends_UF)
    if len(names) < LEAST_CLUSTERS:
        return _jackknife(value, sums_CF, level)
    weights_DC = cluster_weights(len(names), draws=draws, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn_D = value(weights_DC @ sums_CF)
    low, high = np.nanquantile(drawn_D, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _jackknife(
    value: Callable[[FloatArray], FloatArray], sums_CF: FloatArray, level: float
) -> tuple[float, float] | tuple[None, None]:
    """Bounds from the values without each context in turn, with t of C - 1 degrees of freedom,
    within -1 and 1; None with one context, or where a value is undefined without one of them.
    """
    contexts = len(sums_CF)
    whole_F = sums_CF.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        without_C, found = value(whole_F - sums_CF), float(value(whole_F))
    if contexts < 2 or not np.isfinite(without_C).all():
        return None, None
    error = np.sqrt((contexts - 1) * np.var(without_C))
    reach = float(student.ppf((1 + level) / 2, contexts - 1) * error)
    return max(-1.0, found - reach), min(1.0, found + reach)
