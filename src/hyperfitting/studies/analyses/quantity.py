"""How many training texts hyperfitting needs: at constant updates, as Carlsson et al. 2025 (Figure
5, right) did, and at constant epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.records import REFERENCE
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import Findings, Panel, Series, StudyFigure, StudyTable
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    by_seed,
    domains_of,
    metric_label,
    over_seeds,
    published_series,
    published_values,
    seed_difference,
    seeds_in_words,
)
from hyperfitting.studies.folder import FinishedCell, StudyResults

TEXTS, SCHEDULE = "texts", "schedule"
"""The axes: how many texts, and what is held constant (`updates`, or `epochs`)."""

_GREEDY = "greedy"
_SHARES = ("ttr_last96", "recited_8gram_share")
_MEASURED = (*_SHARES, "train_loss", "validation_loss")
_COLOURS = ("hyperfitted", "other-1", "other-2", "other-3")


@dataclass(frozen=True)
class QuantityRow:
    """One metric after training on so many texts: the mean over seeds with its interval."""

    schedule: str
    texts: int
    updates: int
    domain: str
    metric: str
    mean: SeedMean


def find_quantity(results: StudyResults) -> Findings:
    """TTR, recitation and losses by the number of training texts."""
    rows = list(_rows(results))
    domain = (domains_of(results.finished) or [""])[0]
    return Findings(
        sentences=tuple(_sentences(results, rows, domain)),
        figures=(_figure(results, rows, domain),),
        tables=(_table(rows, domain),),
    )


def _rows(results: StudyResults) -> Iterator[QuantityRow]:
    for schedule in results.points(SCHEDULE):
        for texts in results.points(TEXTS):
            if cells := results.at(texts=texts, schedule=schedule):
                yield from _rows_of(schedule, cells)


def _rows_of(schedule: str, cells: Sequence[FinishedCell]) -> Iterator[QuantityRow]:
    """The rows of one point of both axes."""
    recipe = cells[0].experiment.recipe
    texts = recipe.data.train_blocks
    updates = recipe.train.total_updates(texts)
    for metric in _MEASURED:
        for domain in _domains(metric, domains_of(cells)):
            if found := _by_seed(cells, metric, domain):
                mean = over_seeds(list(found.values()), share=_is_share(metric))
                yield QuantityRow(schedule, texts, updates, domain, metric, mean)


def _domains(metric: str, domains: Sequence[str]) -> Sequence[str]:
    return {"train_loss": ["train"], "validation_loss": ["validation"]}.get(metric, domains)


def _is_share(metric: str) -> bool:
    """Whether it is a share of texts' tokens, in [0, 1]; if not, it is a loss of the model."""
    return metric in _SHARES


def _by_seed(cells: Sequence[FinishedCell], metric: str, domain: str) -> dict[int, float]:
    strategy = _GREEDY if _is_share(metric) else None
    return by_seed(cells, metric, variant=HYPERFITTED, domain=domain, strategy=strategy)


def _of(rows: Sequence[QuantityRow], schedule: str, metric: str, domain: str) -> list[QuantityRow]:
    wanted = (schedule, metric, _domains(metric, [domain])[0])
    return [row for row in rows if (row.schedule, row.metric, row.domain) == wanted]


def _figure(results: StudyResults, rows: Sequence[QuantityRow], domain: str) -> StudyFigure:
    places = {str(row.texts): float(row.texts) for row in rows}
    panels = []
    for metric in _MEASURED:
        ours = [
            Series(
                f"constant {schedule}",
                tuple(row.mean.at(row.texts) for row in _of(rows, schedule, metric, domain)),
                colour,
            )
            for schedule, colour in zip(results.points(SCHEDULE), cycle(_COLOURS), strict=False)
        ]
        if metric == "ttr_last96":
            ours += _reference(results, domain, sorted(places.values()))
        theirs = published_series(
            results.study, metric, TEXTS, lambda texts: places.get(str(texts))
        )
        limits = (0.0, 1.0) if metric == "ttr_last96" else None
        panels.append(
            Panel(
                metric_label(metric),
                "training texts",
                (*ours, *theirs),
                logarithmic=True,
                limits=limits,
            )
        )
    caption = (
        f"Greedy text on {domain} and losses after training on so many texts "
        "(Carlsson et al. 2025, Figure 5, right)."
    )
    return StudyFigure("quantity", caption, tuple(panels))


def _reference(results: StudyResults, domain: str, places: Sequence[float]) -> list[Series]:
    found = by_seed(results.finished, "ttr_last96", variant=REFERENCE, domain=domain, strategy=None)
    if not found:
        return []
    mean = over_seeds(list(found.values()), share=True)
    ends = (places[0], places[-1])
    points = tuple(SeedMean(mean.value, None, None, mean.seeds).at(x) for x in ends)
    return [Series("true texts", points, "reference", "dashed")]


def _table(rows: Sequence[QuantityRow], domain: str) -> StudyTable:
    body = []
    for schedule, texts in dict.fromkeys((row.schedule, row.texts) for row in rows):
        held = {
            metric: [row for row in _of(rows, schedule, metric, domain) if row.texts == texts]
            for metric in _MEASURED
        }
        updates = next(row.updates for found in held.values() for row in found)
        values = [str(found[0].mean) if found else "" for found in held.values()]
        body.append((f"{texts:,} texts, constant {schedule}", f"{updates:,}", *values))
    return StudyTable(
        name="quantity",
        title="By number of texts",
        note=f"Greedy text on {domain}; every domain stands in the CSV. "
        f"{seeds_in_words(max((row.mean.seeds for row in rows), default=1))}",
        head=("", "updates", *map(metric_label, _MEASURED)),
        body=tuple(body),
        rows=rows,
    )


def _sentences(results: StudyResults, rows: Sequence[QuantityRow], domain: str) -> Iterator[str]:
    for schedule in results.points(SCHEDULE):
        ttr = _of(rows, schedule, "ttr_last96", domain)
        if len(ttr) < 2:
            continue
        fewest, most = ttr[0], ttr[-1]
        recited = _of(rows, schedule, "recited_8gram_share", domain)
        words = (
            f"At constant {schedule}, greedy TTR on {domain} is {most.mean} with "
            f"{most.texts:,} texts and {fewest.mean} with {fewest.texts:,}"
        )
        if recited:
            words += f"; the share of recited 8-grams is {recited[-1].mean} and {recited[0].mean}"
        yield words + "."
    if "updates" in results.points(SCHEDULE):
        yield from _against_the_paper(results, rows, domain)


def _against_the_paper(
    results: StudyResults, rows: Sequence[QuantityRow], domain: str
) -> Iterator[str]:
    """What agrees with Figure 5: a slow fall down to 16 texts, a drop at 8, still above 0.50."""
    ttr = _of(rows, "updates", "ttr_last96", domain)
    drops = {
        (more.texts, fewer.texts): _drop(results, domain, more.texts, fewer.texts)
        for fewer, more in pairwise(ttr)
    }
    if (16, 8) in drops and (drop := drops[16, 8]) is not None:
        others = [each.value for step, each in drops.items() if each and step != (16, 8)]
        if drop.value > 0 and drop.value >= max(others, default=0.0):
            verdict = f"is the largest step, as in the paper{drop.doubt}"
        else:
            verdict = "is not the largest step, unlike in the paper"
        falls = "falls" if drop.value > 0 else "does not fall"
        yield f"From 16 texts to 8 it {falls} (by {drop}), which {verdict}."
    for each in published_values(results.study, "ttr_last96"):
        ours = next((row for row in ttr if str(row.texts) == str(each.at.get(TEXTS))), None)
        if ours is not None:
            yield (
                f"The paper has {number(each.value)} at {ours.texts:,} texts ({each.source}"
                f"{', ' + each.note if each.note else ''}); ours is {ours.mean}."
            )


def _drop(results: StudyResults, domain: str, more: int, fewer: int) -> SeedMean | None:
    """By how much TTR falls from more texts to fewer, paired by seed."""
    one, other = (
        _by_seed(results.at(texts=str(texts), schedule="updates"), "ttr_last96", domain)
        for texts in (more, fewer)
    )
    return seed_difference(one, other)
