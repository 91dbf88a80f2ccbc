"""What a training does by update: as Carlsson et al. 2025 (Figure 2) trained, and in other ways.

And when: does greedy text get varied as the training loss nears zero, and does the validation loss
come back?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.subject import counted
from hyperfitting.report.study.content import (
    Findings,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyTable,
)
from hyperfitting.studies.analyses.curve_rows import (
    CURVES,
    EARLY,
    ENDS,
    TRAINING,
    CurveRow,
    TimingRow,
    curve_rows,
    end_rows,
    timing_rows,
)
from hyperfitting.studies.analyses.curve_sentences import sentences
from hyperfitting.studies.analyses.moments import Moment, moments_of
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    coloured,
    published_series,
    seeds_in_words,
)
from hyperfitting.studies.folder import StudyResults

_FIGURES = {
    "curves": ("ttr", "validation_loss", "train_loss"),
    "sharpness": ("entropy", "token_accuracy"),
}
_CAPTIONS = {
    "curves": "By epoch, with 95 % intervals over seeds (Carlsson et al. 2025, Figure 2).",
    "sharpness": "By epoch, with 95 % intervals over seeds; the paper shows neither.",
}


def find_curves(results: StudyResults) -> Findings:
    """Curves by epoch, the timing of TTR against both losses, and the values at the end."""
    moments = {
        training: {cell.cell.seed: moments_of(cell, HYPERFITTED) for cell in cells}
        for training, cells in results.by_point(TRAINING)
        if cells
    }
    rows = [row for training, held in moments.items() for row in curve_rows(training, held)]
    timings = [row for training, held in moments.items() for row in timing_rows(training, held)]
    ends = list(end_rows(results))
    return Findings(
        sentences=tuple(sentences(results, moments, timings, ends)),
        figures=tuple(
            _figure(results, name, metrics, moments, rows) for name, metrics in _FIGURES.items()
        ),
        tables=(_timing_table(timings, moments), _end_table(ends), _curve_table(rows)),
    )


def _figure(
    results: StudyResults,
    name: str,
    metrics: Sequence[str],
    moments: dict[str, dict[int, list[Moment]]],
    rows: Sequence[CurveRow],
) -> StudyFigure:
    panels = []
    for metric in metrics:
        ours = [
            Series(
                training,
                tuple(
                    row.mean.at(row.epoch)
                    for row in rows
                    if (row.training, row.metric) == (training, metric)
                ),
                colour,
            )
            for training, colour in coloured(moments)
        ]
        true = _true_texts(results, moments) if metric == "ttr" else []
        theirs = published_series(results.study, metric, "epoch", float)
        limits = (0.0, 1.0) if metric in ("ttr", "token_accuracy") else None
        series = (*ours, *true, *theirs)
        panels.append(Panel(CURVES[metric][0], "epoch", series, limits=limits))
    return StudyFigure(name, _CAPTIONS[name], tuple(panels))


def _true_texts(results: StudyResults, moments: dict[str, dict[int, list[Moment]]]) -> list[Series]:
    probes = [cell.probes(HYPERFITTED) for cell in results.finished]
    level = fmean(rows[-1].reference_ttr for rows in probes if rows)
    last = max(each.epoch for held in moments.values() for seed in held.values() for each in seed)
    return [Series("true texts", (Point(0, level), Point(last, level)), "reference", "dashed")]


_QUANTITIES = {
    "half_rise_epoch": "half of TTR's rise (epoch)",
    "half_rise_train_loss": "training loss there",
    "half_rise_token_accuracy": "token accuracy there",
    "lowest_validation_epoch": "lowest validation loss (epoch)",
    "rise_at_lowest_validation": "share of TTR's rise by then",
    "validation_rise": "validation loss rises by",
    "validation_return": "share of that rise that came back",
}


def _timing_table(
    rows: Sequence[TimingRow], moments: dict[str, dict[int, list[Moment]]]
) -> StudyTable:
    seeds = max((len(held) for held in moments.values()), default=1)
    return StudyTable(
        name="timing",
        title="When",
        note="TTR's rise is from the original's to the mean of its last three probes. The lowest "
        "validation loss is that of a probe; half of the rise lies between two. "
        f"{seeds_in_words(seeds)}",
        head=("", *_QUANTITIES.values()),
        body=tuple(_body(rows, _QUANTITIES)),
        rows=rows,
    )


def _end_table(rows: Sequence[TimingRow]) -> StudyTable:
    return StudyTable(
        name="ends",
        title="At the weights that are kept",
        note=f"Of {EARLY} those of the lowest validation loss, on the texts and contexts of its "
        "probes: only the held-out contexts and the training texts had no part in that choice.",
        head=("", *ENDS.values()),
        body=tuple(_body(rows, ENDS)),
        rows=rows,
    )


def _body(rows: Sequence[TimingRow], titles: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """A line for each training and variant. A mean of fewer seeds than others says so."""
    seeds = max((row.mean.seeds for row in rows), default=1)
    for training, variant in dict.fromkeys((row.training, row.variant) for row in rows):
        held = {
            row.quantity: _cell(row.mean, seeds)
            for row in rows
            if (row.training, row.variant) == (training, variant)
        }
        name = training if variant == HYPERFITTED else f"{training}, {variant}"
        yield (name, *(held.get(each, "") for each in titles))


def _cell(mean: SeedMean, seeds: int) -> str:
    return str(mean) if mean.seeds == seeds else f"{mean}, {counted(mean.seeds, 'seed')}"


def _curve_table(rows: Sequence[CurveRow]) -> StudyTable:
    """The curves as numbers: on the page only their number, all of them in the CSV."""
    trainings = list(dict.fromkeys(row.training for row in rows))
    body = [
        (training, f"{sum(row.training == training for row in rows):,}") for training in trainings
    ]
    return StudyTable(
        name="curves",
        title="The curves",
        note="Every point with its interval stands in the CSV.",
        head=("", "points"),
        body=tuple(body),
        rows=rows,
    )
