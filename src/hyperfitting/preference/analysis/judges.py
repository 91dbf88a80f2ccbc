"""A model as judge beside people: on the comparisons that both judged, how often do they say the same?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.agreement import CATEGORIES, Coefficient, bootstrap
from hyperfitting.preference.analysis.coding import answer_of, counted
from hyperfitting.preference.records import Judgement

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Beside:
    """Agreement of one model with people, and of people with each other on the same comparisons; over contexts.

    `agreement`: the chance that the model and a person drawn at random gave the same answer, range [0, 1]. `ac1` takes
    out chance as Gwet's AC1 does. `people`: the same share between two people, the level to compare with; no value
    where no comparison has two people's answers.
    """

    model: str
    agreement: Coefficient
    ac1: Coefficient
    people: Coefficient


def models_beside_people(
    judgements: Sequence[Judgement], *, draws: int, seed: int, level: float = CONFIDENCE
) -> list[Beside]:
    """Every model judge beside the people of the same comparisons; answers coded by arm. Simulated rows never enter."""
    people = counted(row for row in judgements if row.source == "human")
    models = counted(row for row in judgements if row.source == "model")
    answers: dict[str, Floats] = {}
    for row in people:
        answers.setdefault(row.comparison, np.zeros(CATEGORIES))[answer_of(row) + 1] += 1
    found = []
    for name in sorted({row.annotator for row in models}):
        shared = [row for row in models if row.annotator == name and row.comparison in answers]
        if shared:
            found.append(_beside(name, shared, answers, draws=draws, seed=seed, level=level))
    return found


def _beside(
    name: str,
    rows: list[Judgement],
    answers: dict[str, Floats],
    *,
    draws: int,
    seed: int,
    level: float,
) -> Beside:
    people_UQ = np.array([answers[row.comparison] for row in rows])
    model_UQ = np.eye(CATEGORIES)[[answer_of(row) + 1 for row in rows]]
    number_U = people_UQ.sum(axis=1)
    shares_UQ = people_UQ / number_U[:, None]
    pairs_U = number_U * (number_U - 1)
    same_U = (people_UQ * (people_UQ - 1)).sum(axis=1) / np.maximum(pairs_U, 1)
    ones_U = np.ones(len(rows))
    additions_UF = np.column_stack(
        [
            ones_U,
            (model_UQ * shares_UQ).sum(axis=1),
            same_U,
            pairs_U > 0,
            (model_UQ + shares_UQ) / 2,
        ]
    )
    context_U = np.unique([row.context for row in rows], return_inverse=True)[1]
    counts = (len(rows), len(rows) + int(number_U.sum()), len(np.unique(context_U)))

    def coefficient(label: str, value: Callable[[Floats], Floats]) -> Coefficient:
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = float(value(additions_UF.sum(axis=0)))
        if np.isnan(middle):
            return Coefficient(
                label, None, None, None, *counts, "no comparison has two people's answers"
            )
        low, high = bootstrap(value, additions_UF, context_U, draws=draws, seed=seed, level=level)
        return Coefficient(label, middle, low, high, *counts)

    return Beside(
        name,
        coefficient("agreement", _agreement),
        coefficient("ac1", _ac1),
        coefficient("people", _people),
    )


def _agreement(sums: Floats) -> Floats:
    return np.asarray(sums[..., 1] / sums[..., 0])


def _ac1(sums: Floats) -> Floats:
    share = sums[..., 4:] / sums[..., :1]
    chance = (share * (1 - share)).sum(axis=-1) / (CATEGORIES - 1)
    return np.asarray((_agreement(sums) - chance) / (1 - chance))


def _people(sums: Floats) -> Floats:
    return np.asarray(sums[..., 2] / sums[..., 3])
