"""A training as its probes and updates show it, and when things happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.studies.folder import FinishedCell

_LAST_PROBES = 3
"""The level that TTR ends at is the mean of so many probes: one of a few dozen texts wanders."""


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
    """When things happened in one training. Moments between two probes are interpolated.

    Args:
        half_rise_epoch: when TTR had first covered half of its way from the original's to its end.
        half_rise_train_loss: training loss there, in nats per token.
        half_rise_token_accuracy: token accuracy there.
        lowest_validation_epoch: the probe from which validation loss rose most; that of the lowest
            where it never rose.
        rise_at_lowest_validation: share of TTR's way covered by then.
        validation_rise: what validation loss rose by from there to its peak, in nats per token.
        validation_return: share of that rise by which it had fallen again at the end, above 1 where
            it ended lower than it had been before; None where it did not rise.
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
    start, end = moments[0].ttr, ttr_at_end(moments)
    rise = end - start
    half = _first_at(moments, start + rise / 2) if rise > 0 else None
    lowest, peak = _largest_rise(moments)
    risen = peak.validation_loss - lowest.validation_loss
    back = peak.validation_loss - moments[-1].validation_loss
    return Timing(
        half_rise_epoch=None if half is None else half.epoch,
        half_rise_train_loss=None if half is None else half.train_loss,
        half_rise_token_accuracy=None if half is None else half.token_accuracy,
        lowest_validation_epoch=lowest.epoch,
        rise_at_lowest_validation=(lowest.ttr - start) / rise if rise > 0 else None,
        validation_rise=risen,
        validation_return=back / risen if risen > 0 else None,
    )


def ttr_at_end(moments: Sequence[Moment]) -> float:
    """The TTR that a training ends at: the mean of its last probes."""
    return fmean(each.ttr for each in moments[-_LAST_PROBES:])


def _first_at(moments: Sequence[Moment], ttr: float) -> Moment | None:
    """The moment at which TTR first came up to this value."""
    for before, after in pairwise(moments):
        if before.ttr < ttr <= after.ttr:
            return _between(before, after, (ttr - before.ttr) / (after.ttr - before.ttr))
    return None


def _between(before: Moment, after: Moment, share: float) -> Moment:
    """The moment at this share of the way from one probe to the next. What the earlier one has not
    is that of the later one.
    """

    def at(early: float | None, late: float | None) -> float | None:
        return late if early is None or late is None else early + share * (late - early)

    return replace(
        after,
        epoch=before.epoch + share * (after.epoch - before.epoch),
        train_loss=at(before.train_loss, after.train_loss),
        token_accuracy=at(before.token_accuracy, after.token_accuracy),
    )


def _largest_rise(moments: Sequence[Moment]) -> tuple[Moment, Moment]:
    """From where to where validation loss rose most; twice the lowest where it never rose.

    Not from the lowest of all: after a double descent that would be the end.
    """
    trough = moments[0]
    best = (trough, trough)
    for each in moments:
        if each.validation_loss < trough.validation_loss:
            trough = each
        if each.validation_loss - trough.validation_loss > _rise(best):
            best = (trough, each)
    return best if _rise(best) > 0 else (trough, trough)


def _rise(pair: tuple[Moment, Moment]) -> float:
    return pair[1].validation_loss - pair[0].validation_loss


def at_epoch(moments: Sequence[Moment], epoch: float) -> Moment | None:
    """The last moment that is not later than this epoch; None where the training ended before."""
    if not moments or moments[-1].epoch < epoch:
        return None
    return [each for each in moments if each.epoch <= epoch][-1]


def kept_moment(cell: FinishedCell, variant: str) -> Moment:
    """The moment of the weights that a variant keeps: its last, or that of the lowest validation
    loss.
    """
    moments = moments_of(cell, variant)
    if cell.experiment.recipe.of(variant).train.stop == "best-validation":
        return min(moments, key=lambda each: each.validation_loss)
    return moments[-1]
