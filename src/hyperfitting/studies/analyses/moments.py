"""A training as its probes and updates show it, and when things happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.studies.folder import FinishedCell

_LAST_PROBES = 3
"""The level that TTR ends at is the mean of so many probes: one of 16 texts wanders."""


@dataclass(frozen=True)
class Moment:
    """A training at one probe. `train_loss` is the mean over the updates since the probe before."""

    update: int
    epoch: float
    ttr: float
    validation_loss: float
    entropy: float
    train_loss: float | None
    token_accuracy: float | None


@dataclass(frozen=True)
class Timing:
    """When things happened in one training.

    Args:
        half_rise_epoch: when TTR had covered half of its way from the original's to its end.
        half_rise_train_loss: training loss there, in nats per token.
        half_rise_token_accuracy: token accuracy there.
        lowest_validation_epoch: when validation loss was lowest.
        rise_at_lowest_validation: share of TTR's way covered by then.
        validation_rise: what validation loss rose by, from its lowest to its highest afterwards.
        validation_return: share of that rise by which it had fallen again at the end; None where
            it did not rise.
    """

    half_rise_epoch: float | None
    half_rise_train_loss: float | None
    half_rise_token_accuracy: float | None
    lowest_validation_epoch: float
    rise_at_lowest_validation: float | None
    validation_rise: float
    validation_return: float | None


def moments_of(cell: FinishedCell, variant: str) -> list[Moment]:
    """What a training was like at each of its probes."""
    updates, moments, before = cell.updates(variant), list[Moment](), 0
    for probe in cell.probes(variant):
        passed = [row for row in updates if before < row.update <= probe.update]
        moments.append(_moment(probe, passed))
        before = probe.update
    return moments


def _moment(probe: ProbeRow, passed: Sequence[UpdateRow]) -> Moment:
    accuracies = [row.token_accuracy for row in passed if row.token_accuracy is not None]
    return Moment(
        probe.update,
        probe.epoch,
        probe.ttr,
        probe.validation_loss,
        probe.entropy,
        fmean(row.loss for row in passed) if passed else None,
        fmean(accuracies) if accuracies else None,
    )


def timing_of(moments: Sequence[Moment]) -> Timing:
    """When TTR rose and what the losses were then. The half of a rise that is none has no moment.

    Raises:
        ValueError: there are no moments.
    """
    start, end = moments[0].ttr, fmean(each.ttr for each in moments[-_LAST_PROBES:])
    rise = end - start
    half = next((each for each in moments if rise > 0 and each.ttr >= start + rise / 2), None)
    lowest = min(moments, key=lambda each: each.validation_loss)
    after = [each.validation_loss for each in moments if each.update >= lowest.update]
    risen = max(after) - after[0]
    return Timing(
        half_rise_epoch=None if half is None else half.epoch,
        half_rise_train_loss=None if half is None else half.train_loss,
        half_rise_token_accuracy=None if half is None else half.token_accuracy,
        lowest_validation_epoch=lowest.epoch,
        rise_at_lowest_validation=(lowest.ttr - start) / rise if rise > 0 else None,
        validation_rise=risen,
        validation_return=(max(after) - after[-1]) / risen if risen > 0 else None,
    )


def kept_moment(cell: FinishedCell, variant: str) -> Moment:
    """The moment of the weights that a variant keeps: its last, or that of the lowest validation
    loss.
    """
    moments = moments_of(cell, variant)
    if cell.experiment.recipe.of(variant).train.stop == "best-validation":
        return min(moments, key=lambda each: each.validation_loss)
    return moments[-1]
