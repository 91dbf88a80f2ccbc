"""Which kind of text to train on: each kind and a mixture, continued on each kind (Carlsson et al.
2025, Table 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import fmean

from hyperfitting.recipe import HYPERFITTED, ORIGINAL
from hyperfitting.records import REFERENCE
from hyperfitting.report.study.content import (
    Findings,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyTable,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    by_seed,
    domains_of,
    metric_label,
    over_seeds,
    published_series,
    published_values,
    seeds_in_words,
)
from hyperfitting.studies.folder import StudyResults

DATA, NONE, TRUE = "data", "none", "true texts"
"""The axis: what is trained on. And the rows beside its points: the original, and the authors."""

_PREFERENCE = "mean_preference"
"""What the paper measured: the share of texts that raters prefer or find equal."""

_MEASURED = ("ttr_last96", "repeated_4gram_share", "recited_8gram_share")
_COLOURS = ("hyperfitted", "other-1", "other-2", "other-3")


@dataclass(frozen=True)
class DataTypeRow:
    """One metric of greedy texts in one domain after training on one kind of text: the mean over
    seeds with its interval.
    """

    trained_on: str
    domain: str
    metric: str
    mean: SeedMean


def find_data_type(results: StudyResults) -> Findings:
    """TTR, repetition and recitation by what was trained on and what is continued."""
    rows = list(_rows(results))
    domains = domains_of(results.finished)
    return Findings(
        sentences=tuple(_sentences(results, rows, domains)),
        figures=(_figure(results, rows, domains),),
        tables=tuple(_table(rows, domains, metric) for metric in _MEASURED),
        commands=(_preference_command(results),),
    )


def _rows(results: StudyResults) -> Iterator[DataTypeRow]:
    kinds = [NONE, *results.points(DATA), TRUE]
    for metric in _MEASURED:
        for domain in domains_of(results.finished):
            for kind in kinds:
                if found := _by_seed(results, kind, domain, metric):
                    mean = over_seeds(list(found.values()), share=True)
                    yield DataTypeRow(kind, domain, metric, mean)


def _by_seed(results: StudyResults, kind: str, domain: str, metric: str) -> dict[int, float]:
    """A metric by seed. The original and the true texts are the same in every cell of a seed, but
    for what is measured against the training texts, which is the mean over the cells.
    """
    if kind in (NONE, TRUE):
        variant, strategy = (ORIGINAL, "greedy") if kind == NONE else (REFERENCE, None)
        held: dict[int, list[float]] = {}
        for cell in results.finished:
            found = by_seed([cell], metric, variant=variant, domain=domain, strategy=strategy)
            for seed, value in found.items():
                held.setdefault(seed, []).append(value)
        return {seed: fmean(values) for seed, values in held.items()}
    cells = results.at(data=kind)
    return by_seed(cells, metric, variant=HYPERFITTED, domain=domain, strategy="greedy")


def _figure(
    results: StudyResults, rows: Sequence[DataTypeRow], domains: Sequence[str]
) -> StudyFigure:
    kinds = [NONE, *results.points(DATA)]
    panels = [
        _panel(rows, domains, kinds, metric) for metric in ("ttr_last96", "recited_8gram_share")
    ]
    places = {kind: float(place) for place, kind in enumerate(kinds)}
    theirs = published_series(results.study, _PREFERENCE, DATA, lambda kind: places.get(str(kind)))
    if theirs:
        title = "mean preference (%): not measured here"
        panels.append(Panel(title, "trained on", tuple(theirs), ticks=tuple(kinds)))
    caption = (
        "Greedy texts of models that were trained on one kind of text, by the kind that they "
        "continue. Dashed: the true texts."
    )
    return StudyFigure("data-type", caption, tuple(panels))


def _panel(
    rows: Sequence[DataTypeRow], domains: Sequence[str], kinds: Sequence[str], metric: str
) -> Panel:
    series = []
    for number, (domain, colour) in enumerate(zip(domains, cycle(_COLOURS), strict=False)):
        held = {row.trained_on: row for row in rows if (row.domain, row.metric) == (domain, metric)}
        shift = 0.08 * (number - (len(domains) - 1) / 2)  # intervals stand beside each other
        points = [
            held[kind].mean.at(place + shift) for place, kind in enumerate(kinds) if kind in held
        ]
        series.append(Series(f"continued: {domain}", tuple(points), colour, "marks"))
        if metric == "ttr_last96" and TRUE in held:
            level = tuple(Point(x, held[TRUE].mean.value) for x in (0.0, len(kinds) - 1.0))
            series.append(Series(f"true {domain}", level, colour, "dashed"))
    limits = (0.0, 1.0) if metric == "ttr_last96" else None
    return Panel(
        metric_label(metric), "trained on", tuple(series), ticks=tuple(kinds), limits=limits
    )


def _table(rows: Sequence[DataTypeRow], domains: Sequence[str], metric: str) -> StudyTable:
    mine = [row for row in rows if row.metric == metric]
    held = {(row.trained_on, row.domain): row for row in mine}
    body = [
        (
            kind,
            *(str(held[kind, each].mean) if (kind, each) in held else "" for each in domains),
        )
        for kind in dict.fromkeys(row.trained_on for row in mine)
    ]
    return StudyTable(
        name=metric,
        title=metric_label(metric).capitalize(),
        note="A row for what was trained on, a column for what is continued, greedy. "
        f"{seeds_in_words(max((row.mean.seeds for row in mine), default=1))}",
        head=("", *domains),
        body=tuple(body),
        rows=mine,
    )


def _sentences(
    results: StudyResults, rows: Sequence[DataTypeRow], domains: Sequence[str]
) -> Iterator[str]:
    held = {
        (row.trained_on, row.domain): row.mean.value for row in rows if row.metric == "ttr_last96"
    }
    kinds = [kind for kind in results.points(DATA) if all((kind, each) in held for each in domains)]
    means = {kind: fmean(held[kind, each] for each in domains) for kind in kinds}
    if not means or not all((NONE, each) in held for each in domains):
        return
    listed = ", ".join(f"{mean:.2f} after {kind}" for kind, mean in means.items())
    untrained = fmean(held[NONE, each] for each in domains)
    yield f"Greedy TTR, mean over what is continued: {untrained:.2f} without training, {listed}."
    yield _everywhere(held, kinds, domains)
    if own := _own_kind(results, kinds, domains):
        yield own
    yield from _order(results, means, untrained)


def _everywhere(
    held: dict[tuple[str, str], float], kinds: Sequence[str], domains: Sequence[str]
) -> str:
    lower = [
        f"{domain} after {kind}"
        for kind in kinds
        for domain in domains
        if held[kind, domain] <= held[NONE, domain]
    ]
    if not lower:
        return "Every kind of text raises TTR on every kind that is continued."
    return f"TTR is not raised on {', '.join(lower)}."


def _own_kind(results: StudyResults, kinds: Sequence[str], domains: Sequence[str]) -> str:
    """TTR on a kind after training on it minus that after training on each other kind."""
    apart: dict[int, list[float]] = {}
    for domain in (each for each in domains if each in kinds):
        own = _by_seed(results, domain, domain, "ttr_last96")
        for kind in (each for each in kinds if each in domains and each != domain):
            other = _by_seed(results, kind, domain, "ttr_last96")
            for seed in own.keys() & other.keys():
                apart.setdefault(seed, []).append(own[seed] - other[seed])
    if not apart:
        return ""
    mean = over_seeds([fmean(values) for values in apart.values()])
    told = mean.direction
    return (
        f"Trained on the kind that is continued instead of another, TTR changes by {mean}: {told}."
    )


def _order(results: StudyResults, means: dict[str, float], untrained: float) -> Iterator[str]:
    """The kinds in the order of our TTR and of the paper's preference, which is another thing."""
    theirs = {str(each.at.get(DATA)): each for each in published_values(results.study, _PREFERENCE)}
    ours = {NONE: untrained, **means}
    both = [kind for kind in ours if kind in theirs]
    if len(both) < 2:
        return
    by_ttr = sorted(both, key=lambda kind: ours[kind])
    by_preference = sorted(both, key=lambda kind: theirs[kind].value)
    verdict = "the same order" if by_ttr == by_preference else "another order"
    yield (
        f"By TTR the order is {' < '.join(by_ttr)}; the paper's raters preferred "
        f"{' < '.join(by_preference)} ({theirs[both[0]].source}): {verdict}. TTR is not "
        "preference, which this page does not measure."
    )


def _preference_command(results: StudyResults) -> tuple[str, str]:
    """The command that asks people about every two of the models of one seed, the original once,
    and the true texts.
    """
    seed = results.finished[0].cell.seed
    first, *others = [f"cells/{cell.cell.folder_name}" for cell in results.at(seed=seed)]
    folders = " ".join([first, *(f"{cell}/{HYPERFITTED}" for cell in others)])
    return (
        f"A preference study of all pairs at seed {seed}, in the study's folder:",
        f"hyperfit preference create {folders} --pairs all --out preference",
    )
