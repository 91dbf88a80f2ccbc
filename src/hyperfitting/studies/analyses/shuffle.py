"""How much of a model is the order of its training texts, and how much is rounding? The share of
positions with the same most probable token, for every two trainings (Carlsson et al. 2025, Figure
5, left), with the control that the paper lacks: the same order again.

Shapes: N texts, S predicted positions of each, P all of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import ratio_of_sums
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import (
    Findings,
    Heatmap,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyTable,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    domains_of,
    mean_of,
    over_seeds,
    published_series,
    published_values,
    seed_difference,
    seeds_in_words,
)
from hyperfitting.studies.folder import FinishedCell, StudyResults

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

_METRIC = "top1_same_share"
_ALL = "all domains"
_DRAWS = 1_000
_CONFIDENCE_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_POSITION_STEP = 32
_COLOURS = dict(
    zip(
        KINDS,
        ("reference", "other-1", "other-2", "other-3", "other-4", "hyperfitted"),
        strict=True,
    )
)


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
    value: float
    low: float | None
    high: float | None
    seeds: int
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
    value: float
    low: float | None
    high: float | None
    seeds: int
    positions: int


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


def find_shuffle(results: StudyResults) -> Findings:
    """The matrix of agreement, agreement by kind, by confidence and by position."""
    pairs = [
        compare_cells(one, other)
        for seed in dict.fromkeys(cell.cell.seed for cell in results.finished)
        for one, other in combinations(results.at(seed=seed), 2)
    ]
    rows = list(_pair_rows(pairs, domains_of(results.finished)))
    bins = [*_bin_rows(pairs, "confidence"), *_bin_rows(pairs, "position")]
    kinds = {kind: found for kind in KINDS if (found := _by_seed(pairs, kind))}
    return Findings(
        sentences=tuple(_sentences(results, kinds, bins)),
        figures=(
            _matrix(results, rows),
            _kinds_figure(results, kinds, bins),
        ),
        tables=(_kinds_table(kinds, rows), _bins_table(bins)),
    )


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


def compare_cells(one: FinishedCell, other: FinishedCell) -> Pair:
    """Two trainings position by position; they predicted the same texts.

    Raises:
        RunError: the study did not ask for predictions.
    """
    first, second = (cell.predictions(HYPERFITTED) for cell in (one, other))
    same, confidence, position, text = [], [], [], []
    domains, groups = list[str](), list[str]()
    for domain in domains_of([one]):
        a, b = first[domain], second[domain]
        texts, steps = a.top1_NS.shape
        same.append((a.top1_NS == b.top1_NS).ravel())
        confidence.append(((a.probability_NS + b.probability_NS) / 2).ravel())
        position.append(np.tile(np.arange(1, steps + 1), texts))
        text.append(np.repeat(np.arange(texts) + len(domains), steps))
        domains += [domain] * texts
        groups += [f"{domain} {group}" for group in one.experiment.blocks(domain).groups]
    return Pair(
        one=one.coordinates[ORDER],
        other=other.coordinates[ORDER],
        kind=pair_kind(one, other),
        seed=one.cell.seed,
        same_P=np.concatenate(same),
        confidence_P=np.concatenate(confidence),
        position_P=np.concatenate(position),
        text_P=np.concatenate(text),
        domains=tuple(domains),
        groups=tuple(groups),
    )


def _pair_rows(pairs: Sequence[Pair], domains: Sequence[str]) -> Iterator[PairRow]:
    for one, other, kind in dict.fromkeys((each.one, each.other, each.kind) for each in pairs):
        mine = [each for each in pairs if (each.one, each.other) == (one, other)]
        for domain in (_ALL, *(domains if len(domains) > 1 else ())):
            masks = [_positions_of(each, domain) for each in mine]
            mean = over_seeds(
                [float(each.same_P[mask].mean()) for each, mask in zip(mine, masks, strict=True)]
            )
            if mean.seeds == 1:
                mean = _over_texts(mine[0], masks[0])
            positions = sum(int(mask.sum()) for mask in masks)
            yield PairRow(
                one, other, kind, domain, mean.value, mean.low, mean.high, mean.seeds, positions
            )


def _positions_of(pair: Pair, domain: str) -> NDArray[np.bool_]:
    if domain == _ALL:
        return np.ones(len(pair.same_P), dtype=bool)
    return np.array([each == domain for each in pair.domains])[pair.text_P]


def _over_texts(pair: Pair, mask_P: NDArray[np.bool_]) -> SeedMean:
    """The share with an interval over clusters of texts, where one seed has no other."""
    texts = len(pair.groups)
    same_N = np.bincount(pair.text_P[mask_P], weights=pair.same_P[mask_P], minlength=texts)
    count_N = np.bincount(pair.text_P[mask_P], minlength=texts)
    found = ratio_of_sums(same_N.tolist(), count_N.tolist(), pair.groups, draws=_DRAWS)
    return SeedMean(found.value, found.low, found.high, 1)


def _by_seed(pairs: Sequence[Pair], kind: str) -> dict[int, float]:
    """The share over all pairs of a kind, by seed."""
    held: dict[int, list[NDArray[np.bool_]]] = {}
    for each in pairs:
        if each.kind == kind:
            held.setdefault(each.seed, []).append(each.same_P)
    return {seed: float(np.concatenate(same).mean()) for seed, same in held.items()}


def _bin_rows(pairs: Sequence[Pair], by: str) -> Iterator[BinRow]:
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
                mean = over_seeds(shares)
                bounds = (float(start), min(float(end), last + 1.0))
                count = sum(map(len, same.values()))
                yield BinRow(kind, by, *bounds, mean.value, mean.low, mean.high, mean.seeds, count)


def _matrix(results: StudyResults, rows: Sequence[PairRow]) -> StudyFigure:
    names = [name for name in results.points(ORDER) if results.at(order=name)]
    held = {frozenset((row.one, row.other)): row.value for row in rows if row.domain == _ALL}
    values = tuple(
        tuple(1.0 if one == other else held.get(frozenset((one, other))) for other in names)
        for one in names
    )
    caption = (
        "Share of the positions of the true texts (%) at which two trainings find the same token "
        "most probable; mean over seeds. Intervals stand in the table and the CSV."
    )
    title = "same most probable token (%)"
    return StudyFigure("matrix", caption, (Heatmap(title, tuple(names), tuple(names), values),))


def _kinds_figure(
    results: StudyResults, kinds: dict[str, dict[int, float]], bins: Sequence[BinRow]
) -> StudyFigure:
    places = {kind: float(place) for place, kind in enumerate(kinds)}
    ours = Series(
        "ours",
        tuple(over_seeds(list(found.values())).at(places[kind]) for kind, found in kinds.items()),
        "hyperfitted",
        "marks",
    )
    theirs = published_series(results.study, _METRIC, "pair", places, colour="original")
    title = "share with the same most probable token"
    panels = [Panel(title, "", (ours, *theirs), ticks=tuple(kinds), limits=(0.0, 1.05))]
    for by, unit in (("confidence", "mean of both probabilities"), ("position", "tokens")):
        series = tuple(_bin_series(kind, by, bins) for kind in kinds)
        panels.append(Panel(f"by {by}", unit, series, limits=(0.0, 1.05)))
    caption = (
        "Agreement by what differs between two trainings, by confidence and by position in the "
        "text (Carlsson et al. 2025, Figure 5, left)."
    )
    return StudyFigure("agreement", caption, tuple(panels))


def _bin_series(kind: str, by: str, bins: Sequence[BinRow]) -> Series:
    points = tuple(
        Point((row.start + min(row.end, 1.0 if by == "confidence" else row.end)) / 2, row.value)
        for row in bins
        if (row.kind, row.by) == (kind, by)
    )
    return Series(kind, points, _COLOURS[kind])


def _kinds_table(kinds: dict[str, dict[int, float]], rows: Sequence[PairRow]) -> StudyTable:
    body = []
    for kind, found in kinds.items():
        mean = over_seeds(list(found.values()))
        mine = [row for row in rows if (row.kind, row.domain) == (kind, _ALL)]
        lowest = min(mine, key=lambda row: row.value)
        body.append(
            (kind, str(len(mine)), str(mean), f"{lowest.one}, {lowest.other}: {mean_of(lowest)}")
        )
    seeds = max((row.seeds for row in rows), default=1)
    return StudyTable(
        name="pairs",
        title="By what differs",
        note=f"{seeds_in_words(seeds)} Every pair in every domain stands in the CSV, with an "
        "interval over texts where there is one seed.",
        head=("", "pairs", "same most probable token", "the pair that agrees least"),
        body=tuple(body),
        rows=rows,
    )


def _bins_table(bins: Sequence[BinRow]) -> StudyTable:
    held = [row for row in bins if row.by == "confidence"]
    edges = list(dict.fromkeys(row.start for row in held))
    body = []
    for kind in dict.fromkeys(row.kind for row in held):
        mine = {row.start: str(mean_of(row)) for row in held if row.kind == kind}
        body.append((kind, *(mine.get(start, "") for start in edges)))
    return StudyTable(
        name="bins",
        title="By confidence",
        note="Columns: from which mean of both probabilities on. By position in the CSV.",
        head=("", *(f"{start:g}" for start in edges)),
        body=tuple(body),
        rows=bins,
    )


def _sentences(
    results: StudyResults, kinds: dict[str, dict[int, float]], bins: Sequence[BinRow]
) -> Iterator[str]:
    means = {kind: over_seeds(list(found.values())) for kind, found in kinds.items()}
    listed = "; ".join(f"{kind} {mean}" for kind, mean in reversed(means.items()))
    if listed:
        yield f"The share of positions with the same most probable token: {listed}."
    if OTHER_ORDER not in means:
        return
    for control in (each for each in KINDS if each in means and each not in (OTHER_ORDER, SWAP)):
        yield _of_rounding(control, kinds)
    if SWAP in means and (apart := seed_difference(kinds[SWAP], kinds[OTHER_ORDER])):
        told = "" if apart.sign else ", which is not told apart from none"
        yield f"One swap of two texts instead of a new order changes the share by {apart}{told}."
    yield from _against_the_paper(results, means[OTHER_ORDER])
    shuffled = [row for row in bins if (row.kind, row.by) == (OTHER_ORDER, "confidence")]
    if len(shuffled) > 1:
        yield (
            f"After another order they agree at {mean_of(shuffled[-1])} where they are surest and "
            f"at {mean_of(shuffled[0])} where they are least sure."
        )


def _of_rounding(control: str, kinds: dict[str, dict[int, float]]) -> str:
    """How large a difference the control makes against that of another order, seed by seed."""
    both = sorted(kinds[control].keys() & kinds[OTHER_ORDER].keys())
    shares = [
        (1 - kinds[control][seed]) / (1 - kinds[OTHER_ORDER][seed])
        for seed in both
        if kinds[OTHER_ORDER][seed] < 1
    ]
    if not shares:
        return f"{control.capitalize()}: no difference of an order to compare with."
    if not any(shares):
        return f"{control.capitalize()}: no token changes, so none of the difference is of this."
    return (
        f"{control.capitalize()}: rounding alone changes {over_seeds(shares)} as many tokens as "
        "another order does."
    )


def _against_the_paper(results: StudyResults, ours: SeedMean) -> Iterator[str]:
    for each in published_values(results.study, _METRIC):
        if each.at.get("pair") != OTHER_ORDER:
            continue
        low, high = (each.value if one is None else one for one in (each.low, each.high))
        verdict = (
            "within that"
            if low <= ours.value <= high
            else f"{'below' if ours.value < low else 'above'} it"
        )
        yield (
            f"The paper has {number(low)} to {number(high)} for another order ({each.source}); "
            f"ours is {ours}, {verdict}."
        )
