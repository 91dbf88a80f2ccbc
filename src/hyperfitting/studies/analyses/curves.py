"""What a training does by update: as Carlsson et al. 2025 (Figure 2) trained, and in other ways.

And when: does greedy text get varied as the training loss nears zero, and does the validation loss
come back?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import cycle
from statistics import fmean

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import (
    Findings,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyTable,
)
from hyperfitting.studies.analyses.moments import (
    Moment,
    Timing,
    kept_moment,
    moments_of,
    timing_of,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    over_seeds,
    published_series,
    published_values,
    seed_difference,
    seeds_in_words,
)
from hyperfitting.studies.folder import StudyResults

TRAINING, PUBLISHED = "training", "as-published"
"""The axis, and the point whose training is the paper's."""

_EARLY = "early-stopped"
_CAME_BACK = 0.5
"""Validation loss has come back where it fell by this share of what it had risen."""


@dataclass(frozen=True)
class CurveRow:
    """One curve at one update: the mean over seeds with its interval."""

    training: str
    metric: str
    update: int
    epoch: float
    mean: SeedMean


@dataclass(frozen=True)
class TimingRow:
    """One field of `Timing`, or a value at the end: the mean over seeds with its interval."""

    training: str
    variant: str
    quantity: str
    mean: SeedMean


_CURVES: dict[str, tuple[str, Callable[[Moment], float | None]]] = {
    "ttr": ("greedy type-token ratio, validation contexts", lambda each: each.ttr),
    "validation_loss": ("validation loss (nats per token)", lambda each: each.validation_loss),
    "train_loss": ("training loss (nats per token)", lambda each: each.train_loss),
    "entropy": ("entropy on validation texts (nats)", lambda each: each.entropy),
    "token_accuracy": ("token accuracy on training texts", lambda each: each.token_accuracy),
}
_FIGURES = {
    "curves": ("ttr", "validation_loss", "train_loss"),
    "sharpness": ("entropy", "token_accuracy"),
}
_SHARES = ("ttr", "token_accuracy", "half_rise_token_accuracy")
"""Curves and quantities whose intervals stay in [0, 1]."""

_COLOURS = ("hyperfitted", "other-1", "other-2", "other-3", "other-4")


def find_curves(results: StudyResults) -> Findings:
    """Curves by epoch, the timing of TTR against both losses, and the values at the end."""
    moments = {
        training: {cell.cell.seed: moments_of(cell, HYPERFITTED) for cell in cells}
        for training, cells in results.by_point(TRAINING)
        if cells
    }
    rows = [row for training, held in moments.items() for row in _curve_rows(training, held)]
    timings = [row for training, held in moments.items() for row in _timing_rows(training, held)]
    ends = list(_end_rows(results))
    return Findings(
        sentences=tuple(_sentences(results, moments, timings, ends)),
        figures=tuple(
            _figure(results, name, metrics, moments, rows) for name, metrics in _FIGURES.items()
        ),
        tables=(_timing_table(timings), _end_table(ends), _curve_table(rows)),
    )


def _curve_rows(training: str, by_seed: dict[int, list[Moment]]) -> Iterator[CurveRow]:
    for metric, (_, read) in _CURVES.items():
        held: dict[tuple[int, float], list[float]] = {}
        for moments in by_seed.values():
            for each in moments:
                if (value := read(each)) is not None:
                    held.setdefault((each.update, each.epoch), []).append(value)
        for (update, epoch), values in sorted(held.items()):
            yield CurveRow(training, metric, update, epoch, _mean(metric, values))


def _timing_rows(training: str, by_seed: dict[int, list[Moment]]) -> Iterator[TimingRow]:
    timings = [timing_of(moments) for moments in by_seed.values() if moments]
    for field in fields(Timing):
        values = [getattr(each, field.name) for each in timings]
        known = [each for each in values if each is not None]
        if known:
            yield TimingRow(training, HYPERFITTED, field.name, _mean(field.name, known))


def _end_rows(results: StudyResults) -> Iterator[TimingRow]:
    """What each variant of each training ends with, at the weights that it keeps."""
    for training, cells in results.by_point(TRAINING):
        variants = cells[0].experiment.recipe.variant_names if cells else ()
        for variant in (each for each in (HYPERFITTED, _EARLY) if each in variants):
            kept = [kept_moment(cell, variant) for cell in cells]
            for metric, (_, read) in {"epoch": ("", _epoch), **_CURVES}.items():
                values = [read(each) for each in kept]
                known = [each for each in values if each is not None]
                if known:
                    yield TimingRow(training, variant, metric, _mean(metric, known))


def _mean(name: str, values: Sequence[float]) -> SeedMean:
    return over_seeds(values, share=name in _SHARES)


def _epoch(moment: Moment) -> float | None:
    return moment.epoch


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
            for training, colour in zip(moments, cycle(_COLOURS), strict=False)
        ]
        true = _true_texts(results, moments) if metric == "ttr" else []
        theirs = published_series(results.study, metric, "epoch", float)
        limits = (0.0, 1.0) if metric in ("ttr", "token_accuracy") else None
        series = (*ours, *true, *theirs)
        panels.append(Panel(_CURVES[metric][0], "epoch", series, limits=limits))
    caption = "By epoch, with 95 % intervals over seeds (Carlsson et al. 2025, Figure 2)."
    return StudyFigure(name, caption, tuple(panels))


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


def _timing_table(rows: Sequence[TimingRow]) -> StudyTable:
    return StudyTable(
        name="timing",
        title="When",
        note="TTR's rise is from the original's to the mean of its last three probes. "
        f"{seeds_in_words(max((row.mean.seeds for row in rows), default=1))}",
        head=("", *_QUANTITIES.values()),
        body=tuple(_body(rows, _QUANTITIES)),
        rows=rows,
    )


def _end_table(rows: Sequence[TimingRow]) -> StudyTable:
    titles = {"epoch": "epoch", **{name: title for name, (title, _) in _CURVES.items()}}
    return StudyTable(
        name="ends",
        title="At the weights that are kept",
        note="Of an early-stopped training those of the lowest validation loss.",
        head=("", *titles.values()),
        body=tuple(_body(rows, titles)),
        rows=rows,
    )


def _body(rows: Sequence[TimingRow], titles: dict[str, str]) -> Iterator[tuple[str, ...]]:
    for training, variant in dict.fromkeys((row.training, row.variant) for row in rows):
        held = {
            row.quantity: str(row.mean)
            for row in rows
            if (row.training, row.variant) == (training, variant)
        }
        name = training if variant == HYPERFITTED else f"{training}, {variant}"
        yield (name, *(held.get(each, "") for each in titles))


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


def _sentences(
    results: StudyResults,
    moments: dict[str, dict[int, list[Moment]]],
    timings: Sequence[TimingRow],
    ends: Sequence[TimingRow],
) -> Iterator[str]:
    of_timing = {(row.training, row.quantity): row.mean for row in timings}
    of_end = {(row.training, row.variant, row.quantity): row.mean for row in ends}
    if PUBLISHED in moments:
        yield from _of_published(of_timing, of_end)
    if (PUBLISHED, _EARLY, "ttr") in of_end:
        early, late = (of_end[PUBLISHED, each, "ttr"] for each in (_EARLY, HYPERFITTED))
        yield f"Stopped early, TTR is {early}; trained on, {late}."
    for training in moments:
        if training != PUBLISHED and PUBLISHED in moments:
            yield _compared(training, moments)
    yield from _against_published(results, moments)


def _of_published(
    of_timing: dict[tuple[str, str], SeedMean], of_end: dict[tuple[str, str, str], SeedMean]
) -> Iterator[str]:
    end = {metric: of_end.get((PUBLISHED, HYPERFITTED, metric)) for metric in _CURVES}
    found = {name: of_timing.get((PUBLISHED, name)) for name in _QUANTITIES}
    yield f"As published, training ends at a loss of {end['train_loss']} and a TTR of {end['ttr']}."
    if found["half_rise_epoch"] is None:
        yield "TTR does not rise, unlike in the paper."
        return
    yield (
        f"Half of TTR's rise is reached at epoch {found['half_rise_epoch']}, where the training "
        f"loss is {found['half_rise_train_loss']}; validation loss is lowest at epoch "
        f"{found['lowest_validation_epoch']}, when {found['rise_at_lowest_validation']} of the "
        "rise is done."
    )
    back = found["validation_return"]
    if back is None:
        yield "Validation loss does not rise again, unlike in the paper."
        return
    verdict = (
        "it does not come back, as the paper argues: neither grokking nor double descent"
        if back.value < _CAME_BACK
        else "it comes back, unlike in the paper"
    )
    yield (
        f"Validation loss then rises by {found['validation_rise']} and comes back by {back} of "
        f"that: {verdict}."
    )


def _compared(training: str, moments: dict[str, dict[int, list[Moment]]]) -> str:
    """TTR at the end against that of the published training, paired by seed."""
    ends = {
        name: {seed: held[-1].ttr for seed, held in moments[name].items() if held}
        for name in (training, PUBLISHED)
    }
    difference = seed_difference(ends[training], ends[PUBLISHED])
    if difference is None:
        return f"{training.capitalize()}: no seed in common with the published training."
    end = _mean("ttr", list(ends[training].values()))
    return (
        f"{training.replace('-', ' ').capitalize()}: TTR ends at {end}, {difference} from as "
        f"published ({difference.told})."
    )


def _against_published(
    results: StudyResults, moments: dict[str, dict[int, list[Moment]]]
) -> Iterator[str]:
    """The first and last published TTR and validation loss beside ours."""
    held = moments.get(PUBLISHED, {})
    for metric, words in {"ttr": "TTR", "validation_loss": "validation loss"}.items():
        values = [each for each in published_values(results.study, metric) if "epoch" in each.at]
        ours = [
            [value for each in seed if (value := _CURVES[metric][1](each)) is not None]
            for seed in held.values()
        ]
        if len(values) < 2 or not ours:
            continue
        first, last = (_mean(metric, [seed[place] for seed in ours]) for place in (0, -1))
        same = (values[-1].value - values[0].value) * (last.value - first.value) > 0
        yield (
            f"The paper's {words} goes from {number(values[0].value)} "
            f"to {number(values[-1].value)} ({values[0].source}), ours from {first} to {last}: "
            f"{'the same direction' if same else 'the other direction'}."
        )
