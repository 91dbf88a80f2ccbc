"""Agreement of a language model with people, on the comparisons that both judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.agreement import (
    CATEGORIES,
    Coefficient,
    bootstrapped,
    gwet_ac1,
)
from hyperfitting.preference.analysis.arrays import FloatArray
from hyperfitting.preference.analysis.encode import answer_of, counted_rows
from hyperfitting.preference.records import Judgement


@dataclass(frozen=True)
class LlmAgreement:
    """Agreement of one model with people, and of people with each other on the same comparisons.

    `agreement`: the probability that the model and a random person gave the same answer, in [0, 1].
    `ac1`: the same corrected for chance, as in Gwet's AC1. `people`: the agreement of two people,
    for comparison; no value where no comparison has answers of two people. Intervals are over
    contexts.
    """

    model: str
    agreement: Coefficient
    ac1: Coefficient
    people: Coefficient


def llm_agreements(
    judgements: Sequence[Judgement], *, draws: int, seed: int, level: float = CONFIDENCE
) -> list[LlmAgreement]:
    """The agreement of every model with the people of the same comparisons; simulated rows are
    skipped.
    """
    people = counted_rows(row for row in judgements if row.source == "human")
    models = counted_rows(row for row in judgements if row.source == "model")
    answers: dict[str, FloatArray] = {}
    for row in people:
        answers.setdefault(row.comparison, np.zeros(CATEGORIES))[answer_of(row) + 1] += 1
    found = []
    for name in sorted({row.annotator for row in models}):
        shared = [row for row in models if row.annotator == name and row.comparison in answers]
        if shared:
            found.append(_agreement_of(name, shared, answers, draws=draws, seed=seed, level=level))
    return found


def _agreement_of(
    name: str,
    rows: list[Judgement],
    answers: dict[str, FloatArray],
    *,
    draws: int,
    seed: int,
    level: float,
) -> LlmAgreement:
    people_UQ = np.array([answers[row.comparison] for row in rows])
    model_UQ = np.eye(CATEGORIES)[[answer_of(row) + 1 for row in rows]]
    number_U = people_UQ.sum(axis=1)
    shares_UQ = people_UQ / number_U[:, None]
    pairs_U = number_U * (number_U - 1)
    same_U = (people_UQ * (people_UQ - 1)).sum(axis=1) / np.maximum(pairs_U, 1)
    ones_U = np.ones(len(rows))
    addends_UF = np.column_stack(
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

    def coefficient(label: str, value: Callable[[FloatArray], FloatArray]) -> Coefficient:
        note = "no comparison has two people's answers"
        bare = Coefficient(label, None, None, None, *counts, note)
        return bootstrapped(bare, value, addends_UF, context_U, draws=draws, seed=seed, level=level)

    return LlmAgreement(
        name,
        coefficient("agreement", _agreement),
        coefficient("ac1", _ac1),
        coefficient("people", _people),
    )


def _agreement(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 1] / sums[..., 0])


def _ac1(sums: FloatArray) -> FloatArray:
    return gwet_ac1(_agreement(sums), sums[..., 4:] / sums[..., :1])


def _people(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 2] / sums[..., 3])
