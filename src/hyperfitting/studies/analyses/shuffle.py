"""How much of a model is the order of its training texts, and how much is rounding?

The share of positions with the same most probable token, for every two trainings (Carlsson et al.
2025, Figure 5, left), with the control that the paper lacks: the same order again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

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
from hyperfitting.studies.analyses.pairs import (
    ALL_DOMAINS,
    KINDS,
    ORDER,
    OTHER_ORDER,
    SWAP,
    BinRow,
    PairRow,
    bin_rows,
    compare_cells,
    kind_by_seed,
    pair_rows,
    read_predicted,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    domains_of,
    over_seeds,
    published_series,
    published_values,
    seed_difference,
    seeds_in_words,
)
from hyperfitting.studies.folder import StudyResults

_METRIC = "top1_same_share"
_COLOURS = dict(
    zip(
        KINDS,
        ("reference", "other-1", "other-2", "other-3", "other-4", "hyperfitted"),
        strict=True,
    )
)


def find_shuffle(results: StudyResults) -> Findings:
    """The matrix of agreement, agreement by kind, by confidence and by position."""
    pairs = [
        compare_cells(one, other)
        for seed in dict.fromkeys(cell.cell.seed for cell in results.finished)
        for one, other in combinations(map(read_predicted, results.at(seed=seed)), 2)
    ]
    if not pairs:
        return Findings(("No two trainings of one seed are finished.",), (), ())
    rows = list(pair_rows(pairs, domains_of(results.finished)))
    bins = [*bin_rows(pairs, "confidence"), *bin_rows(pairs, "position")]
    names = [name for name in results.points(ORDER) if results.at(order=name)]
    kinds = {kind: found for kind in KINDS if (found := kind_by_seed(pairs, kind))}
    return Findings(
        sentences=tuple(_sentences(results, kinds, bins)),
        figures=(_matrix_figure(names, rows), _kinds_figure(results, kinds, bins)),
        tables=(_kinds_table(kinds, rows), _matrix_table(names, rows), _bins_table(bins)),
    )


def _matrix_figure(names: Sequence[str], rows: Sequence[PairRow]) -> StudyFigure:
    held = _pooled(rows)
    values = tuple(
        tuple(1.0 if one == other else _value(held, one, other) for other in names) for one in names
    )
    caption = (
        "Share of the positions of the true texts (%) at which two trainings find the same token "
        "most probable; mean over seeds. Intervals stand in the table."
    )
    title = "same most probable token (%)"
    return StudyFigure("matrix", caption, (Heatmap(title, tuple(names), tuple(names), values),))


def _pooled(rows: Sequence[PairRow]) -> dict[frozenset[str], PairRow]:
    """The rows over all domains together, by their pair."""
    return {frozenset((row.one, row.other)): row for row in rows if row.domain == ALL_DOMAINS}


def _value(held: dict[frozenset[str], PairRow], one: str, other: str) -> float | None:
    row = held.get(frozenset((one, other)))
    return None if row is None else row.mean.value


def _matrix_table(names: Sequence[str], rows: Sequence[PairRow]) -> StudyTable:
    held = _pooled(rows)
    body = [
        (
            one,
            *(
                str(row.mean) if (row := held.get(frozenset((one, other)))) else ""
                for other in names
            ),
        )
        for one in names
    ]
    seeds = max((row.mean.seeds for row in rows), default=1)
    over = "seeds" if seeds > 1 else "clusters of texts, at one seed"
    return StudyTable(
        name="matrix",
        title="Every two trainings",
        note=f"The share with its 95 % interval over {over}. Each domain stands in pairs.csv.",
        head=("", *names),
        body=tuple(body),
        rows=list(held.values()),
    )


def _kinds_figure(
    results: StudyResults, kinds: dict[str, dict[int, float]], bins: Sequence[BinRow]
) -> StudyFigure:
    places = {kind: float(place) for place, kind in enumerate(kinds)}
    ours = Series(
        "ours",
        tuple(
            over_seeds(list(found.values()), share=True).at(places[kind])
            for kind, found in kinds.items()
        ),
        "hyperfitted",
        "marks",
    )
    theirs = published_series(results.study, _METRIC, "pair", lambda kind: places.get(str(kind)))
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
        Point(
            (row.start + min(row.end, 1.0 if by == "confidence" else row.end)) / 2, row.mean.value
        )
        for row in bins
        if (row.kind, row.by) == (kind, by)
    )
    return Series(kind, points, _COLOURS[kind])


def _kinds_table(kinds: dict[str, dict[int, float]], rows: Sequence[PairRow]) -> StudyTable:
    body = []
    for kind, found in kinds.items():
        mean = over_seeds(list(found.values()), share=True)
        mine = [row for row in rows if (row.kind, row.domain) == (kind, ALL_DOMAINS)]
        lowest = min(mine, key=lambda row: row.mean.value)
        body.append(
            (kind, str(len(mine)), str(mean), f"{lowest.one}, {lowest.other}: {lowest.mean}")
        )
    seeds = max((row.mean.seeds for row in rows), default=1)
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
        mine = {row.start: str(row.mean) for row in held if row.kind == kind}
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
    means = {kind: over_seeds(list(found.values()), share=True) for kind, found in kinds.items()}
    listed = "; ".join(f"{kind} {mean}" for kind, mean in reversed(means.items()))
    if listed:
        yield f"The share of positions with the same most probable token: {listed}."
    if OTHER_ORDER not in means:
        return
    for control in (each for each in KINDS if each in means and each not in (OTHER_ORDER, SWAP)):
        yield _of_rounding(control, kinds)
    if SWAP in means and (apart := seed_difference(kinds[SWAP], kinds[OTHER_ORDER])):
        yield (
            "One swap of two texts instead of a new order changes the share by "
            f"{apart}{apart.doubt}."
        )
    yield from _against_the_paper(results, means[OTHER_ORDER])
    shuffled = [row for row in bins if (row.kind, row.by) == (OTHER_ORDER, "confidence")]
    if len(shuffled) > 1:
        yield (
            f"After another order they agree at {shuffled[-1].mean} where they are surest and "
            f"at {shuffled[0].mean} where they are least sure."
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
