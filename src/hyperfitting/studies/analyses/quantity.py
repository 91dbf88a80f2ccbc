"""How many training texts hyperfitting needs: at constant updates, as Carlsson et al. 2025 (Figure
5, right) did, and at constant epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.records import REFERENCE
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import Findings, Panel, Series, StudyFigure, StudyTable
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
from hyperfitting.studies.folder import FinishedCell, StudyResults
from hyperfitting.studies.settings import PublishedValue

TEXTS, SCHEDULE = "texts", "schedule"
"""The axes: how many texts, and what is held constant (`updates`, or `epochs`)."""

_GREEDY = "greedy"
_SHARES = ("ttr_last96", "recited_8gram_share")
_MEASURED = (*_SHARES, "train_loss", "validation_loss")
_PAPER_PASSES = 40_000
"""How many texts a training of the paper saw at each count: 5,000 updates of 8."""


@dataclass(frozen=True)
class QuantityRow:
    """One metric after training on so many texts: the mean over seeds with its interval. Each text
    is seen `epochs` times.
    """

    schedule: str
    texts: int
    updates: int
    epochs: float
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
        for texts, cells in _by_texts(results, schedule).items():
            yield from _rows_of(schedule, texts, cells)


def _by_texts(results: StudyResults, schedule: str) -> dict[int, list[FinishedCell]]:
    """The finished cells of one schedule by their number of texts, the fewest first: the axis may
    have them in another order.
    """
    held: dict[int, list[FinishedCell]] = {}
    for cell in results.at(schedule=schedule):
        held.setdefault(cell.experiment.recipe.data.train_blocks, []).append(cell)
    return dict(sorted(held.items()))


def _rows_of(schedule: str, texts: int, cells: Sequence[FinishedCell]) -> Iterator[QuantityRow]:
    """The rows of one point of both axes."""
    train = cells[0].experiment.recipe.train
    updates = train.total_updates(texts)
    epochs = updates / train.epoch_updates(texts)
    for metric in _MEASURED:
        for domain in _domains(metric, domains_of(cells)):
            if found := _by_seed(cells, metric, domain):
                mean = over_seeds(list(found.values()), share=_is_share(metric))
                yield QuantityRow(schedule, texts, updates, epochs, domain, metric, mean)


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
            for schedule, colour in coloured(results.points(SCHEDULE))
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
    body, means = [], [row.mean for row in rows]
    for schedule, texts in dict.fromkeys((row.schedule, row.texts) for row in rows):
        mine = [row for row in rows if (row.schedule, row.texts) == (schedule, texts)]
        values = []
        for metric in _MEASURED:
            found = _of(mine, schedule, metric, domain)
            values.append(marked(found[0].mean, means) if found else "")
        title = f"{texts:,} texts, constant {schedule}"
        body.append((title, f"{mine[0].updates:,}", _times(mine[0].epochs), *values))
    return StudyTable(
        name="quantity",
        title="By number of texts",
        note=f"Greedy text on {domain}; every domain stands in the CSV. "
        f"{intervals_in_words(means)}",
        head=("", "updates", "times each text is seen", *map(metric_label, _MEASURED)),
        body=tuple(body),
        rows=rows,
    )


def _times(epochs: float) -> str:
    return f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.1f}"


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
        yield from _of_the_drop(results, domain)
    for each in published_values(results.study, "ttr_last96"):
        yield from _against_the_paper(each, rows, domain)


def _of_the_drop(results: StudyResults, domain: str) -> Iterator[str]:
    """What agrees with Figure 5: TTR drops from 16 texts to 8, more than in any other step."""
    ttr = {
        texts: _by_seed(cells, "ttr_last96", domain)
        for texts, cells in _by_texts(results, "updates").items()
    }
    drops = {
        (more, fewer): {
            seed: ttr[more][seed] - ttr[fewer][seed]
            for seed in ttr[more].keys() & ttr[fewer].keys()
        }
        for fewer, more in pairwise(ttr)
    }
    drop = seed_difference(ttr[16], ttr[8]) if (16, 8) in drops else None
    if drop is None:
        return
    neither = "stays about as it is, where the paper's drops"
    falls = verdict(drop, "falls, as in the paper", "rises, unlike in the paper", neither)
    yield f"From 16 texts to 8 greedy TTR {falls}."
    yield from _of_the_largest_step(drops)


def _of_the_largest_step(drops: dict[tuple[int, int], dict[int, float]]) -> Iterator[str]:
    """The drop from 16 texts to 8 against the largest of the other steps, paired by seed."""
    others = {step: found for step, found in drops.items() if found and step != (16, 8)}
    if not others:
        return
    more, fewer = max(others, key=lambda step: over_seeds(list(others[step].values())).value)
    apart = seed_difference(drops[16, 8], others[more, fewer])
    if apart is not None:
        words = verdict(
            apart,
            "larger, as in the paper",
            "smaller, unlike in the paper",
            "about as large, where the paper's is larger",
        )
        yield f"Against the largest other step, from {more:,} texts to {fewer:,}, it is {words}."


def _against_the_paper(
    each: PublishedValue, rows: Sequence[QuantityRow], domain: str
) -> Iterator[str]:
    """A published value beside ours of each schedule, and how often each text was seen."""
    ours = [
        row
        for row in rows
        if (row.metric, row.domain) == ("ttr_last96", domain)
        and str(row.texts) == str(each.at.get(TEXTS))
    ]
    if not ours:
        return
    texts = ours[0].texts
    note = f", {each.note}" if each.note else ""
    listed = " and ".join(
        f"{row.mean} at constant {row.schedule}, each seen {_times(row.epochs)} times"
        for row in ours
    )
    yield (
        f"The paper has {number(each.value)} at {texts:,} texts ({each.source}{note}), each seen "
        f"{_times(_PAPER_PASSES / texts)} times; ours is {listed}."
    )
