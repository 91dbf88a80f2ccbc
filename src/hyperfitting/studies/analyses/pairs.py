"""Every two trainings of a study compared position by position: where they find the same token most
probable.

Shapes: N texts, S predicted positions of each, P all of these, I some of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import ratio_of_sums
from hyperfitting.recipe import HYPERFITTED, EngineSettings
from hyperfitting.studies.analyses.summary import SeedMean, domains_of, over_seeds
from hyperfitting.studies.folder import FinishedCell
from hyperfitting.studies.predictions import Predictions

ORDER = "order"
"""The axis: the trainings that are compared."""

SAME = "the same order again"
SAME_DETERMINISTIC = "the same order again, deterministic"
KERNELS = "other kernels"
THREADS = "other threads"
DEVICE = "another device"
SWAP = "one swap"
OTHER_ORDER = "another order"
KINDS = (SAME_DETERMINISTIC, SAME, KERNELS, THREADS, DEVICE, SWAP, OTHER_ORDER)
"""The one thing in which two trainings differ, from the least to the most. All but the last two are
rounding.
"""

SEVERAL = "several"
"""Two trainings that differ in several things, or in another one: they tell nothing of a kind, and
stand in the matrix alone.
"""

TEXT_CLUSTERS = "clusters of texts"
"""Over what an interval of one seed is."""

_KIND_OF = {
    "kernels": KERNELS,
    "threads": THREADS,
    "device": DEVICE,
    "swap": SWAP,
    "order": OTHER_ORDER,
}
_ROUNDING_SETTINGS = {
    *("micro_batch_blocks", "activation_checkpointing", "compile"),
    *("deterministic", "attention"),
}
"""Of the recipe's `engine`: what changes the order of sums. Threads are those of the cell."""

_VARIED = ("order_seed", "swapped_blocks")
_ASIDE = {"name", "description", "report_to", "engine"}
"""Settings of `train` that have a kind of their own, and settings that change no result."""

ALL_DOMAINS = "all domains"
_DRAWS = 1_000


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
class Conditions:
    """What may make two trainings differ that have the seed and the texts in common.

    `kernels` has the settings of the engine that change rounding, the others at their defaults;
    `device` is in words, and `rest` all other settings of the recipe.
    """

    order: int
    swap: tuple[int, int] | None
    kernels: EngineSettings
    threads: int
    device: str
    rest: str


@dataclass(frozen=True, eq=False)
class PredictedCell:
    """A training with its conditions, what its model predicted, and the group of each text, both by
    domain: read once for all pairs that it is in.
    """

    cell: FinishedCell
    conditions: Conditions
    predictions: dict[str, Predictions]
    groups: dict[str, list[str]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two trainings of one seed on the true texts of all domains, position by position.

    `same_P`: whether both find the same token most probable. `confidence_P`: the mean of their
    probabilities. `position_P`: of the predicted token in its text. `text_P`: which text it is of;
    `domains` and `groups` name a text's. `comparison` is the same of pairs that compare the same
    two things, such as two orders: a training that was repeated makes several of these.
    """

    one: str
    other: str
    kind: str
    comparison: frozenset[tuple[object, ...]]
    seed: int
    same_P: NDArray[np.bool_]
    confidence_P: NDArray[np.float32]
    position_P: NDArray[np.int64]
    text_P: NDArray[np.int64]
    domains: tuple[str, ...]
    groups: tuple[str, ...]


def conditions_of(cell: FinishedCell) -> Conditions:
    """The conditions of a training: as the cell asks for them, and those of the engine as they were
    in effect, in which a cell that was used again may differ.
    """
    asked, made = cell.cell.recipe, cell.experiment
    rest = asked.model_dump(mode="json", exclude=_ASIDE)
    rest["train"] = {name: value for name, value in rest["train"].items() if name not in _VARIED}
    return Conditions(
        order=asked.order_seed,
        swap=asked.train.swapped_blocks,
        kernels=EngineSettings(**made.recipe.engine.model_dump(include=_ROUNDING_SETTINGS)),
        threads=cell.facts.threads,
        device=made.run(HYPERFITTED).train_facts.device,
        rest=json.dumps(rest),
    )


def pair_kind(one: Conditions, other: Conditions) -> str:
    """The one thing in which two trainings on the same texts differ, or `SEVERAL`.

    A repeat is no difference: nothing but chance makes it another training.
    """
    apart = _differences(one, other)
    if not apart:
        return SAME_DETERMINISTIC if one.kernels.deterministic else SAME
    two_swaps = one.swap is not None and other.swap is not None
    if len(apart) > 1 or (apart == ["swap"] and two_swaps):
        return SEVERAL
    return _KIND_OF.get(apart[0], SEVERAL)


def _differences(one: Conditions, other: Conditions) -> list[str]:
    names = [field.name for field in fields(Conditions)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _comparison(one: Conditions, other: Conditions) -> frozenset[tuple[object, ...]]:
    """The two orders, each with its swap and with what else differs."""
    names = ["order", "swap", *_differences(one, other)]
    return frozenset(tuple(getattr(each, name) for name in names) for each in (one, other))


def read_predicted(cell: FinishedCell) -> PredictedCell:
    """A training with its predictions.

    Raises:
        RunError: the study did not ask for predictions.
    """
    groups = {name: cell.experiment.blocks(name).groups for name in domains_of([cell])}
    return PredictedCell(cell, conditions_of(cell), cell.predictions(HYPERFITTED), groups)


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
        kind=pair_kind(one.conditions, other.conditions),
        comparison=_comparison(one.conditions, other.conditions),
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
    for one, other in dict.fromkeys((each.one, each.other) for each in pairs):
        mine = [each for each in pairs if (each.one, each.other) == (one, other)]
        kinds = {each.kind for each in mine}  # several where a seed was made on another device
        kind = mine[0].kind if len(kinds) == 1 else SEVERAL
        for domain in (ALL_DOMAINS, *(domains if len(domains) > 1 else ())):
            masks = [_positions_of(each, domain) for each in mine]
            sums = {
                each.seed: text_sums(each, mask) for each, mask in zip(mine, masks, strict=True)
            }
            positions = sum(int(mask.sum()) for mask in masks)
            yield PairRow(one, other, kind, domain, ratio_over_seeds(sums, share=True), positions)


def _positions_of(pair: Pair, domain: str) -> NDArray[np.bool_]:
    if domain == ALL_DOMAINS:
        return np.ones(len(pair.same_P), dtype=bool)
    return np.array([each == domain for each in pair.domains])[pair.text_P]


@dataclass(frozen=True, eq=False)
class TextSums:
    """The numerator and the denominator of a ratio by text, and the cluster that a text is of."""

    above_N: NDArray[np.float64]
    below_N: NDArray[np.float64]
    groups: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """The ratio over all texts; None where there is nothing to divide by."""
        below = float(self.below_N.sum())
        return float(self.above_N.sum()) / below if below else None


def text_sums(pair: Pair, inside_P: NDArray[np.bool_]) -> TextSums:
    """At how many of the positions inside both find the same token most probable, of how many."""
    texts, text_I, same_I = len(pair.groups), pair.text_P[inside_P], pair.same_P[inside_P]
    same_N = np.bincount(text_I, weights=same_I, minlength=texts)
    count_N = np.bincount(text_I, minlength=texts)
    return TextSums(same_N.astype(np.float64), count_N.astype(np.float64), pair.groups)


def ratio_over_seeds(sums: Mapping[int, TextSums], *, share: bool = False) -> SeedMean:
    """A ratio of each seed, averaged over seeds with an interval over them; of one seed the ratio
    with a bootstrap over clusters of texts, which draws the same clusters each time.

    The interval does not reach below 0, and that of a `share` stays in [0, 1].

    Raises:
        ValueError: no seed has a ratio.
    """
    held = {seed: ratio for seed, each in sums.items() if (ratio := each.ratio) is not None}
    mean = over_seeds(list(held.values()), share=share, least=0.0)
    return mean if mean.seeds > 1 else over_texts(sums[next(iter(held))])


def over_texts(sums: TextSums) -> SeedMean:
    """A ratio of one seed with a bootstrap over clusters of texts, which draws the same clusters
    each time.
    """
    above, below = sums.above_N.tolist(), sums.below_N.tolist()
    found = ratio_of_sums(above, below, sums.groups, draws=_DRAWS)
    return SeedMean(found.value, found.low, found.high, 1)
