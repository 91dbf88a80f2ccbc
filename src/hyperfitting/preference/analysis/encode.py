"""Judgements as arrays, with the answers by arm instead of by side.

Shapes: N judgements. A pair of arms is (one, other). `reference` is always the other; else the
order of the names decides. So a share reads "how often `one` was preferred to `other`", whichever
text stood first on the page.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import ArmPair, Judgement, JudgementSource
from hyperfitting.records import REFERENCE

_Name = TypeVar("_Name", bound=Hashable)


@dataclass(frozen=True)
class EncodedJudgements:
    """Judgements as arrays. `answer_N`: 1 where the pair's `one` was preferred, 0 equal, -1 where
    the other was.

    `first_N` is 1 where `one` stood first, -1 where it stood second; `ttr_difference_N` is the
    type-token ratio of `one` - that of the other. `pair_N`, `context_N`, `annotator_N`,
    `comparison_N`, `domain_N` are positions in the names of the same noun.
    """

    pairs: tuple[ArmPair, ...]
    contexts: tuple[str, ...]
    annotators: tuple[str, ...]
    comparisons: tuple[str, ...]
    domains: tuple[str, ...]
    pair_N: NDArray[np.int64]
    context_N: NDArray[np.int64]
    annotator_N: NDArray[np.int64]
    comparison_N: NDArray[np.int64]
    domain_N: NDArray[np.int64]
    tokens_N: NDArray[np.int64]
    answer_N: NDArray[np.int64]
    first_N: NDArray[np.int64]
    ttr_difference_N: NDArray[np.float64]

    def __len__(self) -> int:
        """How many judgements."""
        return len(self.answer_N)

    def where(self, chosen_N: NDArray[np.bool_]) -> EncodedJudgements:
        """The chosen judgements. Names keep their positions."""
        arrays = {
            field.name: getattr(self, field.name)[chosen_N]
            for field in dataclasses.fields(self)
            if field.name.endswith("_N")
        }
        return dataclasses.replace(self, **arrays)

    def of_pair(self, pair: ArmPair) -> EncodedJudgements:
        """The judgements of one pair of arms."""
        return self.where(self.pair_N == self.pairs.index(pair))


def of_one_source(
    judgements: Iterable[Judgement], source: JudgementSource | None = None
) -> list[Judgement]:
    """The rows of `source`, or all of them if they are of one source.

    Raises:
        StudyError: there are none, or people, models and simulations would mix.
    """
    rows = list(judgements)
    found = sorted({row.source for row in rows})
    if source is None and len(found) > 1:
        raise StudyError(
            f"{' and '.join(found)} judgements never mix in one estimate: choose one with --source"
        )
    chosen = [row for row in rows if source in (None, row.source)]
    if not chosen:
        there = f"; there are {' and '.join(found)} ones" if found else ""
        raise StudyError(f"no {source + ' ' if source else ''}judgements to analyse{there}")
    return chosen


def of_one_judge(judgements: list[Judgement], judge: str | None = None) -> list[Judgement]:
    """The rows of one language model, by its annotator; rows of people are all of one judge: the
    people.

    Raises:
        StudyError: several models would be pooled, or there is no such one.
    """
    models = sorted({row.annotator for row in judgements if row.source == "model"})
    if judge is None:
        if len(models) > 1:
            raise StudyError(
                f"{len(models)} language models ({', '.join(models)}) never mix in one estimate: "
                "choose one with --judge"
            )
        return judgements
    if judge not in models:
        there = f"there are: {', '.join(models)}" if models else "no language model judged here"
        raise StudyError(f"--judge {judge}: no such judge; {there}")
    return [row for row in judgements if row.annotator == judge]


def counted_rows(judgements: Iterable[Judgement], *, excluded: bool = False) -> list[Judgement]:
    """The rows that enter a score: no checks, repeats or surplus rows, and without `excluded` no
    excluded ones.

    Raises:
        StudyError: an annotator has two counted answers to one comparison.
    """
    rows = [
        row
        for row in judgements
        if row.kind == "scored" and not row.surplus and (excluded or not row.excluded)
    ]
    each = Counter((row.annotator, row.comparison) for row in rows)
    if twice := [key for key, count in each.items() if count > 1]:
        annotator, comparison = twice[0]
        raise StudyError(
            f"annotator {annotator} has two counted answers to comparison {comparison}"
        )
    return rows


def pair_of(row: Judgement) -> ArmPair:
    """The pair of arms (one, other), in an order that does not depend on the sides.

    Raises:
        StudyError: both texts are of one arm.
    """
    if row.arm_first == row.arm_second:
        raise StudyError(f"comparison {row.comparison} sets {row.arm_first} against itself")
    one, other = sorted((row.arm_first, row.arm_second), key=lambda arm: (arm == REFERENCE, arm))
    return one, other


def answer_of(row: Judgement) -> int:
    """1 where the pair's `one` was preferred, 0 equal, -1 where the other was."""
    by_side = {"first": 1, "equal": 0, "second": -1}[row.answer]
    return by_side if row.arm_first == pair_of(row)[0] else -by_side


def encode(rows: Sequence[Judgement], *, by_group: bool = False) -> EncodedJudgements:
    """Rows as arrays. Choose the rows first (`of_one_source`, `counted_rows`).

    With `by_group` the book or article takes the place of the context, since contexts of one book
    are not independent.
    """
    pairs, pair_N = _positions([pair_of(row) for row in rows])
    clusters = [f"{row.domain} {row.group}" if by_group else row.context for row in rows]
    contexts, context_N = _positions(clusters)
    annotators, annotator_N = _positions([row.annotator for row in rows])
    comparisons, comparison_N = _positions([row.comparison for row in rows])
    domains, domain_N = _positions([row.domain for row in rows])
    first_N = np.array(
        [1 if row.arm_first == pair_of(row)[0] else -1 for row in rows], dtype=np.int64
    )
    # Rows from elsewhere may lack their type-token ratios (NaN) and their length (-1).
    ttr_NS = np.array([(row.ttr_first, row.ttr_second) for row in rows], dtype=np.float64)
    ttr_N = np.subtract(*ttr_NS.reshape(-1, 2).T)
    return EncodedJudgements(
        pairs,
        contexts,
        annotators,
        comparisons,
        domains,
        pair_N,
        context_N,
        annotator_N,
        comparison_N,
        domain_N,
        np.array([-1 if row.tokens is None else row.tokens for row in rows], dtype=np.int64),
        np.array([answer_of(row) for row in rows], dtype=np.int64),
        first_N,
        ttr_N * first_N,
    )


def _positions(names: Sequence[_Name]) -> tuple[tuple[_Name, ...], NDArray[np.int64]]:
    """The different names in order, and each one's position among them."""
    found = tuple(sorted(set(names)))  # type: ignore[type-var]  # strings or pairs of strings
    position = {name: index for index, name in enumerate(found)}
    return found, np.array([position[name] for name in names], dtype=np.int64)
