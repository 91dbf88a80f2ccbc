"""Every two trainings of a study compared position by position: where they find the same token most
probable.

Shapes: N texts, S predicted positions of each, P all of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import ratio_of_sums
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.studies.analyses.summary import SeedMean, domains_of, over_seeds
from hyperfitting.studies.folder import FinishedCell
from hyperfitting.studies.predictions import Predictions

ORDER = "order"
"""The axis: the trainings that are compared."""

SAME = "the same order again"
SAME_DETERMINISTIC = "the same order again, deterministic"
KERNELS = "other kernels"
THREADS = "other threads"
SWAP = "one swap"
OTHER_ORDER = "another order"
KINDS = (SAME_DETERMINISTIC, SAME, KERNELS, THREADS, SWAP, OTHER_ORDER)
"""In what two trainings differ, from the least to the most. All but the last two are rounding."""

ALL_DOMAINS = "all domains"
_DRAWS = 1_000
_CONFIDENCE_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_POSITION_STEP = 32


@dataclass(frozen=True)
class PairRow:
    """The share of positions at which two trainings find the same token most probable.

    The mean over seeds with an interval over them; with one seed an interval over clusters of
    texts.
    """

    one: str
    other: str
    kind: str
    domain: str
    mean: SeedMean
    positions: int


@dataclass(frozen=True)
class BinRow:
    """The same share over all pairs of a kind, at the positions of one bin.

    `by` is `confidence` (the mean of both probabilities of the most probable tokens) or `position`
    (in tokens of the text); the bin is from `start` to below `end`.
    """

    kind: str
    by: str
    start: float
    end: float
    mean: SeedMean
    positions: int


@dataclass(frozen=True, eq=False)
class PredictedCell:
    """A training with what its model predicted, and the group of each text, both by domain: read
    once for all pairs that it is in.
    """

    cell: FinishedCell
    predictions: dict[str, Predictions]
    groups: dict[str, list[str]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two trainings of one seed on the true texts of all domains, position by position.

    `same_P`: whether both find the same token most probable. `confidence_P`: the mean of their
    probabilities. `position_P`: of the predicted token in its text. `text_P`: which text it is of;
    `domains` and `groups` name a text's.
    """

    one: str
    other: str
    kind: str
    seed: int
    same_P: NDArray[np.bool_]
    confidence_P: NDArray[np.float32]
    position_P: NDArray[np.int64]
    text_P: NDArray[np.int64]
    domains: tuple[str, ...]
    groups: tuple[str, ...]


def pair_kind(one: FinishedCell, other: FinishedCell) -> str:
    """In what two trainings on the same texts differ; the largest difference counts."""
    first, second = one.experiment.recipe, other.experiment.recipe
    kernels = [each.engine.deterministic for each in (first, second)]
    if first.order_seed != second.order_seed:
        return OTHER_ORDER
    if first.train.swapped_blocks != second.train.swapped_blocks:
        return SWAP
    if one.facts.threads != other.facts.threads:
        return THREADS
    if kernels[0] != kernels[1]:
        return KERNELS
    return SAME_DETERMINISTIC if all(kernels) else SAME


def read_predicted(cell: FinishedCell) -> PredictedCell:
    """A training with its predictions.

    Raises:
        RunError: the study did not ask for predictions.
    """
    groups = {name: cell.experiment.blocks(name).groups for name in domains_of([cell])}
    return PredictedCell(cell, cell.predictions(HYPERFITTED), groups)


def compare_cells(one: PredictedCell, other: PredictedCell) -> Pair:
    """Two trainings position by position; they predicted the same texts."""
    same, confidence, position, text = [], [], [], []
    domains, groups = list[str](), list[str]()
    for domain, group_of_texts in one.groups.items():
        a, b = one.predictions[domain], other.predictions[domain]
        texts, steps = a.top1_NS.shape
        same.append((a.top1_NS == b.top1_NS).ravel())
        confidence.append(((a.probability_NS + b.probability_NS) / 2).ravel())
        position.append(np.tile(np.arange(1, steps + 1), texts))
        text.append(np.repeat(np.arange(texts) + len(domains), steps))
        domains += [domain] * texts
        groups += [f"{domain} {group}" for group in group_of_texts]
    return Pair(
        one=one.cell.coordinates[ORDER],
        other=other.cell.coordinates[ORDER],
        kind=pair_kind(one.cell, other.cell),
        seed=one.cell.cell.seed,
        same_P=np.concatenate(same),
        confidence_P=np.concatenate(confidence),
        position_P=np.concatenate(position),
        text_P=np.concatenate(text),
        domains=tuple(domains),
        groups=tuple(groups),
    )


def pair_rows(pairs: Sequence[Pair], domains: Sequence[str]) -> Iterator[PairRow]:
    """A row for every pair of trainings over all domains, and for each where there are several."""
    for one, other, kind in dict.fromkeys((each.one, each.other, each.kind) for each in pairs):
        mine = [each for each in pairs if (each.one, each.other) == (one, other)]
        for domain in (ALL_DOMAINS, *(domains if len(domains) > 1 else ())):
            masks = [_positions_of(each, domain) for each in mine]
            shares = [
                float(each.same_P[mask].mean()) for each, mask in zip(mine, masks, strict=True)
            ]
            mean = over_seeds(shares, share=True)
            if mean.seeds == 1:
                mean = _over_texts(mine[0], masks[0])
            positions = sum(int(mask.sum()) for mask in masks)
            yield PairRow(one, other, kind, domain, mean, positions)


def _positions_of(pair: Pair, domain: str) -> NDArray[np.bool_]:
    if domain == ALL_DOMAINS:
        return np.ones(len(pair.same_P), dtype=bool)
    return np.array([each == domain for each in pair.domains])[pair.text_P]


def _over_texts(pair: Pair, mask_P: NDArray[np.bool_]) -> SeedMean:
    """The share with an interval over clusters of texts, where one seed has no other."""
    texts = len(pair.groups)
    same_N = np.bincount(pair.text_P[mask_P], weights=pair.same_P[mask_P], minlength=texts)
    count_N = np.bincount(pair.text_P[mask_P], minlength=texts)
    found = ratio_of_sums(same_N.tolist(), count_N.tolist(), pair.groups, draws=_DRAWS)
    return SeedMean(found.value, found.low, found.high, 1)


def kind_by_seed(pairs: Sequence[Pair], kind: str) -> dict[int, float]:
    """The share over all pairs of a kind, by seed."""
    held: dict[int, list[NDArray[np.bool_]]] = {}
    for each in pairs:
        if each.kind == kind:
            held.setdefault(each.seed, []).append(each.same_P)
    return {seed: float(np.concatenate(same).mean()) for seed, same in held.items()}


def bin_rows(pairs: Sequence[Pair], by: Literal["confidence", "position"]) -> Iterator[BinRow]:
    """A row for every kind of pair and every bin that holds positions."""
    last = max((int(each.position_P.max()) for each in pairs), default=0)
    edges = {
        "confidence": (*_CONFIDENCE_EDGES[:-1], np.inf),  # a probability of 1 counts to the last
        "position": tuple(range(0, last + _POSITION_STEP, _POSITION_STEP)),
    }[by]
    for kind in KINDS:
        for start, end in pairwise(edges):
            held: dict[int, list[NDArray[np.bool_]]] = {}
            for each in (each for each in pairs if each.kind == kind):
                value_P = each.confidence_P if by == "confidence" else each.position_P
                inside = (value_P >= start) & (value_P < end)
                held.setdefault(each.seed, []).append(each.same_P[inside])
            same = {seed: np.concatenate(parts) for seed, parts in held.items()}
            shares = [float(each.mean()) for each in same.values() if len(each)]
            if shares:
                mean = over_seeds(shares, share=True)
                bounds = (float(start), min(float(end), last + 1.0))
                count = sum(map(len, same.values()))
                yield BinRow(kind, by, *bounds, mean, count)
