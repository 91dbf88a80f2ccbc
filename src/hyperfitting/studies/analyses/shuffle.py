"""How much of a model is the order of its training texts, and how much is rounding?

The share of positions with the same most probable token, for every two trainings (Carlsson et al.
2025, Figure 5, left), with the control that the paper lacks: the same order again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from hyperfitting.studies.analyses.kinds import (
    ROUNDING,
    BinRow,
    Kind,
    bin_rows,
    changed_against,
    kinds_of,
    share_difference,
)
from hyperfitting.studies.analyses.pairs import (
    ALL_DOMAINS,
    KINDS,
    ORDER,
    OTHER_ORDER,
    SWAP,
    TEXT_CLUSTERS,
    PairRow,
    compare_cells,
    pair_rows,
    read_predicted,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    domains_of,
    intervals_in_words,
    marked,
    place_in_range,
    published_series,
    published_values,
    verdict,
)
from hyperfitting.studies.folder import StudyResults
from hyperfitting.studies.settings import PublishedValue

_METRIC = "top1_same_share"
_COLOUR_OF = dict(
    zip(
        KINDS,
        ("reference", "other-1", "other-2", "other-3", "original", "other-4", "hyperfitted"),
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
    kinds = kinds_of(pairs)
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
    means = [row.mean for row in held.values()]
    body = [
        (
            one,
            *(
                marked(row.mean, means) if (row := held.get(frozenset((one, other)))) else ""
                for other in names
            ),
        )
        for one in names
    ]
    return StudyTable(
        name="matrix",
        title="Every two trainings",
        note=f"The share of positions with the same most probable token. {_intervals(means)} Each "
        "domain stands in pairs.csv.",
        head=("", *names),
        body=tuple(body),
        rows=list(held.values()),
    )


def _intervals(means: Iterable[SeedMean]) -> str:
    return intervals_in_words(means, alone=TEXT_CLUSTERS)


def _kinds_figure(
    results: StudyResults, kinds: dict[str, Kind], bins: Sequence[BinRow]
) -> StudyFigure:
    places = {kind: float(place) for place, kind in enumerate(kinds)}
    ours = Series(
        "ours",
        tuple(found.share.at(places[kind]) for kind, found in kinds.items()),
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
        "Agreement by the one thing that differs between two trainings, by confidence and by "
        "position in the text (Carlsson et al. 2025, Figure 5, left)."
    )
    return StudyFigure("agreement", caption, tuple(panels))


def _bin_series(kind: str, by: str, bins: Sequence[BinRow]) -> Series:
    points = tuple(
        Point((row.start + row.end) / 2, row.mean.value)
        for row in bins
        if (row.kind, row.by) == (kind, by)
    )
    return Series(kind, points, _COLOUR_OF[kind])


def _kinds_table(kinds: dict[str, Kind], rows: Sequence[PairRow]) -> StudyTable:
    shares = {kind: found.share for kind, found in kinds.items()}
    means = [*shares.values(), *(row.mean for row in rows)]
    body = []
    for kind, share in shares.items():
        mine = [row for row in rows if (row.kind, row.domain) == (kind, ALL_DOMAINS)]
        lowest = min(mine, key=lambda row: row.mean.value, default=None)
        least = f"{lowest.one}, {lowest.other}: {marked(lowest.mean, means)}" if lowest else ""
        body.append((kind, str(kinds[kind].comparisons), marked(share, means), least))
    return StudyTable(
        name="pairs",
        title="By what differs",
        note="Pairs that differ in one thing; repeats of a training count once. "
        f"{_intervals(means)} Every pair in every domain stands in the CSV.",
        head=("", "comparisons", "same most probable token", "the pair that agrees least"),
        body=tuple(body),
        rows=rows,
    )


def _bins_table(bins: Sequence[BinRow]) -> StudyTable:
    held = [row for row in bins if row.by == "confidence"]
    means = [row.mean for row in held]
    edges = list(dict.fromkeys(row.start for row in held))
    body = []
    for kind in dict.fromkeys(row.kind for row in held):
        mine = {row.start: marked(row.mean, means) for row in held if row.kind == kind}
        body.append((kind, *(mine.get(start, "") for start in edges)))
    return StudyTable(
        name="bins",
        title="By confidence",
        note="Columns: from which mean of both probabilities on. "
        f"{_intervals(means)} By position in the CSV.",
        head=("", *(f"{start:g}" for start in edges)),
        body=tuple(body),
        rows=bins,
    )


def _sentences(
    results: StudyResults, kinds: dict[str, Kind], bins: Sequence[BinRow]
) -> Iterator[str]:
    means = {kind: found.share for kind, found in kinds.items()}
    listed = "; ".join(
        f"{kind} {marked(mean, means.values())}" for kind, mean in reversed(means.items())
    )
    if listed:
        yield f"The share of positions with the same most probable token: {listed}."
        yield _intervals(means.values())
    if OTHER_ORDER not in means:
        return
    controls = [kind for kind in ROUNDING if kind in kinds]
    yield from (_of_rounding(control, kinds) for control in controls)
    if SWAP in means and (apart := share_difference(kinds[SWAP], kinds[OTHER_ORDER])):
        more, fewer = "more tokens the same", "fewer tokens the same"
        neither = "about as many tokens the same"
        found = verdict(apart, more, fewer, neither)
        yield f"Against another order, one swap of two texts leaves {found}."
    for each in published_values(results.study, _METRIC):
        if each.at.get("pair") == OTHER_ORDER:
            yield _against_the_paper(each, means[OTHER_ORDER])
            yield _of_what_changes(each, kinds, controls)
    shuffled = [row for row in bins if (row.kind, row.by) == (OTHER_ORDER, "confidence")]
    if len(shuffled) > 1:
        yield (
            f"After another order they agree at {shuffled[-1].mean} where they are surest and "
            f"at {shuffled[0].mean} where they are least sure."
        )


def _of_rounding(control: str, kinds: dict[str, Kind]) -> str:
    """How large a difference the control makes against that of another order, seed by seed."""
    ratio = changed_against(kinds[control], kinds[OTHER_ORDER])
    means = [kind.share for kind in kinds.values()]
    if ratio is None:
        return f"{control.capitalize()}: no difference of an order to compare with."
    if not ratio.value:
        return f"{control.capitalize()}: no token changes, so none of the difference is of this."
    return (
        f"{control.capitalize()}: rounding alone changes {marked(ratio, means)} times as many "
        "tokens as another order does."
    )


def _against_the_paper(each: PublishedValue, ours: SeedMean) -> str:
    low, high = _range(each)
    return (
        f"The paper has {number(low)} to {number(high)} for another order ({each.source}); "
        f"ours is {ours}, {place_in_range(ours, low, high)}."
    )


def _range(each: PublishedValue) -> tuple[float, float]:
    return (
        each.value if each.low is None else each.low,
        each.value if each.high is None else each.high,
    )


def _of_what_changes(each: PublishedValue, kinds: dict[str, Kind], controls: Sequence[str]) -> str:
    """How much of the paper's share of changed tokens may be rounding, by the control that changes
    most.
    """
    low, high = _range(each)
    theirs = f"Of the paper's {_percent(1 - high)} to {_percent(1 - low)} % of tokens that change"
    found = {
        control: apart
        for control in controls
        if (apart := share_difference(kinds[control], kinds[OTHER_ORDER]))
    }
    if not found:
        return f"{theirs} it is not known how much is rounding: no control is finished here either."
    control = min(found, key=lambda kind: kinds[kind].share.value)
    order, rounding = (_changed(kinds[kind].share) for kind in (OTHER_ORDER, control))
    return (
        f"{theirs}, a part may be rounding, for which it has no control: here {order} change "
        f"after another order and {rounding} by rounding alone ({control}), so that the order adds "
        f"{_in_percent(found[control])}{found[control].doubt}."
    )


def _changed(share: SeedMean) -> str:
    """The share of positions that are not the same, in per cent."""
    low, high = (None if bound is None else 1 - bound for bound in (share.high, share.low))
    return _in_percent(SeedMean(1 - share.value, low, high, share.seeds))


def _in_percent(mean: SeedMean) -> str:
    if mean.low is None or mean.high is None:
        return f"{_percent(mean.value)} %"
    return f"{_percent(mean.value)} % ({_percent(mean.low)} to {_percent(mean.high)})"


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.3g}"
