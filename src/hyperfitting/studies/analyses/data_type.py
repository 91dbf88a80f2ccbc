"""Which kind of text to train on: each kind and a mixture, continued on each kind (Carlsson et al.
2025, Table 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from hyperfitting.errors import RecipeError
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
    coloured,
    domains_of,
    intervals_in_words,
    marked,
    metric_label,
    over_seeds,
    published_series,
    published_values,
    seed_difference,
    verdict,
)
from hyperfitting.studies.folder import StudyResults
from hyperfitting.studies.settings import StudySettings

DATA, NONE, TRUE = "data", "none", "true texts"
"""The axis: what is trained on. And the rows beside its points: the original, and the authors."""

_PREFERENCE = "mean_preference"
"""What the paper measured: the share of texts that raters prefer or find equal."""

_TTR = "ttr_last96"
_MEASURED = (_TTR, "repeated_4gram_share", "recited_8gram_share")


_BySeed = dict[tuple[str, str], dict[int, float]]
"""TTR by seed, of what was trained on and what is continued."""


@dataclass(frozen=True)
class DataTypeRow:
    """One metric of greedy texts in one domain after training on one kind of text: the mean over
    seeds with its interval.
    """

    trained_on: str
    domain: str
    metric: str
    mean: SeedMean


def refuse_reserved_points(study: StudySettings) -> None:
    """Refuse a point with the name of the row of the original, whose values it would get. `TRUE` is
    no name that a point can have.

    Raises:
        RecipeError: there is one.
    """
    names = [point.name for axis in study.axes if axis.name == DATA for point in axis.all_points]
    if NONE in names:
        raise RecipeError(
            f"{study.name}: a point of the axis {DATA!r} is called {NONE!r}, as the page calls the "
            "original: give it another name"
        )


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
    panels = [_panel(rows, domains, kinds, metric) for metric in (_TTR, "recited_8gram_share")]
    places = {kind: float(place) for place, kind in enumerate(kinds)}
    theirs = published_series(results.study, _PREFERENCE, DATA, lambda kind: places.get(str(kind)))
    if theirs:
        title = "mean preference (%): not measured here"
        shares = (0.0, 100.0)
        panels.append(Panel(title, "trained on", tuple(theirs), ticks=tuple(kinds), limits=shares))
    caption = (
        "Greedy texts of models that were trained on one kind of text, by the kind that they "
        "continue. Dashed: the true texts."
    )
    return StudyFigure("data-type", caption, tuple(panels))


def _panel(
    rows: Sequence[DataTypeRow], domains: Sequence[str], kinds: Sequence[str], metric: str
) -> Panel:
    series = []
    for number, (domain, colour) in enumerate(coloured(domains)):
        held = {row.trained_on: row for row in rows if (row.domain, row.metric) == (domain, metric)}
        shift = 0.08 * (number - (len(domains) - 1) / 2)  # intervals stand beside each other
        points = [
            held[kind].mean.at(place + shift) for place, kind in enumerate(kinds) if kind in held
        ]
        series.append(Series(f"continued: {domain}", tuple(points), colour, "marks"))
        if metric == _TTR and TRUE in held:
            level = tuple(Point(x, held[TRUE].mean.value) for x in (0.0, len(kinds) - 1.0))
            series.append(Series(f"true {domain}", level, colour, "dashed"))
    limits = (0.0, 1.0) if metric == _TTR else None
    return Panel(
        metric_label(metric), "trained on", tuple(series), ticks=tuple(kinds), limits=limits
    )


def _table(rows: Sequence[DataTypeRow], domains: Sequence[str], metric: str) -> StudyTable:
    mine = [row for row in rows if row.metric == metric]
    means = [row.mean for row in mine]
    held = {(row.trained_on, row.domain): marked(row.mean, means) for row in mine}
    body = [
        (kind, *(held.get((kind, each), "") for each in domains))
        for kind in dict.fromkeys(row.trained_on for row in mine)
    ]
    return StudyTable(
        name=metric,
        title=metric_label(metric).capitalize(),
        note="A row for what was trained on, a column for what is continued, greedy. "
        f"{intervals_in_words(means)}",
        head=("", *domains),
        body=tuple(body),
        rows=mine,
    )


def _sentences(
    results: StudyResults, rows: Sequence[DataTypeRow], domains: Sequence[str]
) -> Iterator[str]:
    ttr = {
        (row.trained_on, row.domain): _by_seed(results, row.trained_on, row.domain, _TTR)
        for row in rows
        if row.metric == _TTR
    }
    kinds = [kind for kind in results.points(DATA) if all((kind, each) in ttr for each in domains)]
    if not kinds or not all((NONE, each) in ttr for each in domains):
        return
    means = {kind: _over_domains(ttr, kind, domains) for kind in (NONE, *kinds)}
    shown = {kind: over_seeds(list(each.values()), share=True) for kind, each in means.items()}
    listed = ", ".join(f"{shown[kind]} after {kind}" for kind in kinds)
    yield f"Greedy TTR, mean over what is continued: {shown[NONE]} without training, {listed}."
    yield from _everywhere(results, ttr, kinds, domains)
    if own := _own_kind(ttr, kinds, domains):
        yield own
    yield from _order(results, means)


def _over_domains(ttr: _BySeed, kind: str, domains: Sequence[str]) -> dict[int, float]:
    """TTR by seed, mean over what is continued, of the seeds that have all of it."""
    seeds = set.intersection(*(set(ttr[kind, each]) for each in domains))
    return {seed: fmean(ttr[kind, each][seed] for each in domains) for seed in sorted(seeds)}


def _everywhere(
    results: StudyResults, ttr: _BySeed, kinds: Sequence[str], domains: Sequence[str]
) -> Iterator[str]:
    """Whether training raises TTR, for every kind trained on and every kind continued."""
    apart = {
        (kind, domain): found
        for kind in kinds
        for domain in domains
        if (found := seed_difference(ttr[kind, domain], ttr[NONE, domain]))
    }
    points = results.points(DATA)
    done = "" if len(kinds) == len(points) else f" ({_listed(kinds)}; of {len(points)} kinds)"
    pairs = f"a kind trained on{done} and a kind continued"
    raised = [place for place, each in apart.items() if each.sign == 1]
    if apart and len(raised) == len(apart):
        least = min(apart, key=lambda place: apart[place].value)
        yield f"TTR is raised in every pair of {pairs}, least {_shown(apart, [least])}."
    elif apart:
        yield f"Of {len(apart)} pairs of {pairs}, TTR is raised in {len(raised)}."
        yield from _elsewhere(apart)


def _elsewhere(apart: dict[tuple[str, str], SeedMean]) -> Iterator[str]:
    """Where TTR is not raised, or where nobody can tell."""
    for sign, words in {-1: "It is lowered", 0: "Not told apart from none is its change"}.items():
        if places := [place for place, each in apart.items() if each.sign == sign]:
            yield f"{words} {_shown(apart, places)}."
    untested = [place for place, each in apart.items() if each.sign is None]
    if untested:
        lower = [place for place in untested if apart[place].value <= 0]
        but = f", but not {_shown(apart, lower)}" if lower else ""
        yield (
            f"In {len(untested) - len(lower)} of {len(untested)} it is higher, of one seed and so "
            f"not tested{but}."
        )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _shown(apart: dict[tuple[str, str], SeedMean], places: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"on {domain} after {kind} ({apart[kind, domain]})" for kind, domain in places)


def _own_kind(ttr: _BySeed, kinds: Sequence[str], domains: Sequence[str]) -> str:
    """TTR on a kind after training on it minus that after training on each other kind."""
    apart: dict[int, list[float]] = {}
    for domain in (each for each in domains if each in kinds):
        own = ttr[domain, domain]
        for kind in (each for each in kinds if each in domains and each != domain):
            other = ttr[kind, domain]
            for seed in own.keys() & other.keys():
                apart.setdefault(seed, []).append(own[seed] - other[seed])
    if not apart:
        return ""
    mean = over_seeds([fmean(values) for values in apart.values()])
    found = verdict(mean, "higher", "lower", "about the same")
    return f"Trained on the kind that is continued instead of another, TTR is {found}."


def _order(results: StudyResults, means: dict[str, dict[int, float]]) -> Iterator[str]:
    """The kinds in the order of our TTR and of the paper's preference, which is another thing."""
    theirs = {str(each.at.get(DATA)): each for each in published_values(results.study, _PREFERENCE)}
    both = [kind for kind in means if kind in theirs and means[kind]]
    if len(both) < 2:
        return
    by_ttr = sorted(both, key=lambda kind: fmean(means[kind].values()))
    by_preference = sorted(both, key=lambda kind: theirs[kind].value)
    missing = [kind for kind in theirs if kind not in both]
    yield (
        f"By TTR the order is {' < '.join(by_ttr)}; the paper's raters preferred "
        f"{' < '.join(by_preference)} ({theirs[both[0]].source}): "
        f"{_same_order(means, by_preference)}. "
        f"{f'Not among them: {_listed(missing)}. ' if missing else ''}TTR is not preference, which "
        "this page does not measure."
    )


def _same_order(means: dict[str, dict[int, float]], theirs: Sequence[str]) -> str:
    """Whether our TTR has the same order as another one, the lowest first: every two kinds
    compared, paired by seed.
    """
    apart = {
        (low, high): found
        for low, high in combinations(theirs, 2)
        if (found := seed_difference(means[high], means[low]))
    }
    if against := [place for place, each in apart.items() if each.sign == -1]:
        return f"another order ({_compared(apart, against)})"
    words = "the same order" if all(each.value > 0 for each in apart.values()) else "another order"
    untold = [place for place, each in apart.items() if each.sign != 1]
    if all(apart[place].sign is None for place in untold) and untold:
        return f"{words}, of one seed and so not tested"
    return f"{words}, but not told apart are {_compared(apart, untold)}" if untold else words


def _compared(apart: dict[tuple[str, str], SeedMean], places: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{high} from {low}: {apart[low, high]}" for low, high in places)


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
