"""Answers drawn from a model, as arrays: for power calculations and to check the coverage of
intervals.

Each answer comes from a latent preference: the pair's lean + offsets of the context and of the
annotator + the annotator's bias towards the first text + logistic noise. The answer is "equal"
where the preference is nearer to 0 than the annotator's tie width.

Shapes: S studies side by side, N judgements, C contexts, A annotators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperfitting.errors import InputError
from hyperfitting.preference.analysis.arrays import FloatArray, IntArray
from hyperfitting.preference.analysis.encode import EncodedJudgements
from hyperfitting.preference.records import ArmPair


@dataclass(frozen=True)
class Population:
    """The distribution of annotators and contexts, in units of the latent preference, whose noise
    has a deviation of 1.8.

    `context_sd` and `annotator_sd`: how far contexts and annotators differ in their lean.
    `tie_width` is the median annotator's, and log-normal among them with `tie_sd`. `side_bias`: the
    mean bias towards the first text, `side_sd` its spread among annotators.
    """

    lean: float = -0.6
    tie_width: float = 0.5
    context_sd: float = 1.0
    annotator_sd: float = 0.5
    tie_sd: float = 0.4
    side_bias: float = 0.2
    side_sd: float = 0.2


@dataclass(frozen=True)
class Design:
    """A design: every context is judged `judgements` times by different annotators; all get equal
    shares, within one.

    Raises:
        InputError: there are fewer annotators than judgements of a comparison.
    """

    contexts: int
    annotators: int
    judgements: int

    def __post_init__(self) -> None:
        """Refuse a design that cannot be assigned."""
        if min(self.contexts, self.annotators, self.judgements) < 1:
            raise InputError("a design needs at least one context, one annotator and one judgement")
        if self.annotators < self.judgements:
            raise InputError(
                f"{self.judgements} judgements a comparison need as many annotators, and there are "
                f"{self.annotators}"
            )

    @property
    def size(self) -> int:
        """Judgements in all."""
        return self.contexts * self.judgements

    def assign(self) -> tuple[IntArray, IntArray]:
        """(context_N, annotator_N): each block of contexts groups the annotators in another way."""
        context_N = np.repeat(np.arange(self.contexts), self.judgements)
        turn_N = np.tile(np.arange(self.judgements), self.contexts)
        steps = np.array(
            [step for step in range(1, min(self.annotators, 500)) if self._apart(step)] or [0]
        )
        step_N = steps[context_N // self.annotators % len(steps)]
        return context_N, (context_N + turn_N * step_N) % self.annotators

    def _apart(self, step: int) -> bool:
        return (
            len({turn * step % self.annotators for turn in range(self.judgements)})
            == self.judgements
        )


def draw_answers(
    population: Population,
    design: Design,
    studies: int,
    rng: np.random.Generator,
    *,
    lean_N: FloatArray | None = None,
) -> tuple[NDArray[np.int8], IntArray, IntArray, NDArray[np.int8]]:
    """Answers by arm (S, N), context_N, annotator_N, and where `one` stood (S, N; 1 first, -1
    second).

    `lean_N` gives each judgement's own lean where the pairs of arms differ.
    """
    context_N, annotator_N = design.assign()
    annotators = (studies, design.annotators)
    first_SN = (2 * rng.integers(2, size=(studies, design.size)) - 1).astype(np.int8)
    pull_SA = population.side_bias + population.side_sd * rng.standard_normal(annotators)
    latent_SN = rng.logistic(size=(studies, design.size)) + (
        population.lean if lean_N is None else lean_N
    )
    latent_SN += (population.context_sd * rng.standard_normal((studies, design.contexts)))[
        :, context_N
    ]
    latent_SN += (population.annotator_sd * rng.standard_normal(annotators))[:, annotator_N]
    latent_SN += first_SN * pull_SA[:, annotator_N]
    width_SA = population.tie_width * np.exp(population.tie_sd * rng.standard_normal(annotators))
    answer_SN = np.sign(latent_SN) * (np.abs(latent_SN) >= width_SA[:, annotator_N])
    return answer_SN.astype(np.int8), context_N, annotator_N, first_SN


def as_encoded(
    answer_N: NDArray[np.int8],
    context_N: IntArray,
    annotator_N: IntArray,
    first_N: NDArray[np.int8],
    *,
    pairs: tuple[ArmPair, ...] = (("one", "other"),),
    pair_N: IntArray | None = None,
) -> EncodedJudgements:
    """One drawn study as the analysis takes it. Each context is one comparison."""
    nothing_N = np.zeros(len(answer_N), dtype=np.int64)
    contexts = tuple(f"{number:07d}" for number in range(int(context_N.max()) + 1))
    annotators = tuple(f"{number:07d}" for number in range(int(annotator_N.max()) + 1))
    return EncodedJudgements(
        pairs,
        contexts,
        annotators,
        contexts,
        ("drawn",),
        nothing_N if pair_N is None else pair_N,
        context_N,
        annotator_N,
        context_N,
        nothing_N,
        nothing_N,
        answer_N.astype(np.int64),
        first_N.astype(np.int64),
        nothing_N.astype(np.float64),
    )
