"""What the study of curves measures: every curve by update, when things happened, and the ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

from hyperfitting.metrics.specs import TTR_WINDOW_TOKENS
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.studies.analyses.moments import Moment, Timing, kept_moment, timing_of
from hyperfitting.studies.analyses.summary import SeedMean, by_seed, domains_of, over_seeds
from hyperfitting.studies.folder import FinishedCell, StudyResults

TRAINING, PUBLISHED = "training", "as-published"
"""The axis, and the point whose training is the paper's."""

EARLY = "early-stopped"

CURVES: dict[str, tuple[str, Callable[[Moment], float | None]]] = {
    "ttr": ("greedy type-token ratio, validation contexts", lambda each: each.ttr),
    "validation_loss": ("validation loss (nats per token)", lambda each: each.validation_loss),
    "train_loss": ("training loss (nats per token)", lambda each: each.train_loss),
    "entropy": ("entropy on validation texts (nats)", lambda each: each.entropy),
    "token_accuracy": ("token accuracy on training texts", lambda each: each.token_accuracy),
}
ENDS = {
    "epoch": "epoch",
    f"ttr_last{TTR_WINDOW_TOKENS}": "greedy type-token ratio, held-out contexts",
    "ttr": "the same, validation contexts",
    "validation_loss": "validation loss",
    "train_loss": "training loss",
    "entropy": "entropy on validation texts",
    "token_accuracy": "token accuracy on training texts",
}
"""What is told of the weights that a training keeps."""

_SHARES = ("ttr", f"ttr_last{TTR_WINDOW_TOKENS}", "token_accuracy", "half_rise_token_accuracy")
"""Curves and quantities whose intervals stay in [0, 1]."""

_ANY_SIGN = ("rise_at_lowest_validation",)
"""What can lie below 0: TTR may first fall."""


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


def curve_rows(training: str, held: dict[int, list[Moment]]) -> Iterator[CurveRow]:
    """Every curve of one training, whose moments are given by seed."""
    for metric, (_, read) in CURVES.items():
        found: dict[tuple[int, float], list[float]] = {}
        for moments in held.values():
            for each in moments:
                if (value := read(each)) is not None:
                    found.setdefault((each.update, each.epoch), []).append(value)
        for (update, epoch), values in sorted(found.items()):
            yield CurveRow(training, metric, update, epoch, mean_of(metric, values))


def timing_rows(training: str, held: dict[int, list[Moment]]) -> Iterator[TimingRow]:
    """When things happened in one training. A seed in which something did not happen is left out of
    its mean.
    """
    timings = [timing_of(moments) for moments in held.values() if moments]
    for field in fields(Timing):
        values = [getattr(each, field.name) for each in timings]
        known = [each for each in values if each is not None]
        if known:
            yield TimingRow(training, HYPERFITTED, field.name, mean_of(field.name, known))


def end_rows(results: StudyResults) -> Iterator[TimingRow]:
    """What each variant of each training ends with, at the weights that it keeps."""
    for training, cells in results.by_point(TRAINING):
        variants = cells[0].experiment.recipe.variant_names if cells else ()
        for variant in (each for each in (HYPERFITTED, EARLY) if each in variants):
            for name in ENDS:
                if found := _at_end(cells, variant, name):
                    mean = mean_of(name, list(found.values()))
                    yield TimingRow(training, variant, name, mean)


def _at_end(cells: Sequence[FinishedCell], variant: str, name: str) -> dict[int, float]:
    """One value at the end by seed. What was measured of the kept weights stands before what the
    last probe saw: that, an early stop chose.
    """
    where: dict[str, tuple[str, str | None]] = {
        "train_loss": ("train", None),
        "validation_loss": ("validation", None),
        f"ttr_last{TTR_WINDOW_TOKENS}": (next(iter(domains_of(cells)), ""), "greedy"),
    }
    if name in where:
        domain, strategy = where[name]
        measured = by_seed(cells, name, variant=variant, domain=domain, strategy=strategy)
        if measured or name not in CURVES:
            return measured
    kept = {cell.cell.seed: kept_moment(cell, variant) for cell in cells}
    read = (lambda each: each.epoch) if name == "epoch" else CURVES[name][1]
    found = {seed: read(moment) for seed, moment in kept.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def mean_of(name: str, values: Sequence[float]) -> SeedMean:
    """The mean over seeds of one curve or quantity, within the values that it can have."""
    least = float("-inf") if name in _ANY_SIGN else 0.0
    return over_seeds(values, share=name in _SHARES, least=least)
