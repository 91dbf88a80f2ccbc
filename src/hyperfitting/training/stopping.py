"""When a training stops before its epochs or updates are over: one small rule a name. Only
validation texts decide.

Each rule gives the reason to stop, or an empty text. And, once it has stopped, whether it came near
zero loss.
"""

from __future__ import annotations

from collections.abc import Sequence

from hyperfitting.recipe import Recipe, TrainSettings
from hyperfitting.records import ProbeRow, Verdict
from hyperfitting.training.checkpoint import State


def stop_after_update(
    settings: TrainSettings, state: State, *, total: int, epoch_done: bool
) -> str:
    """Why a training ends after this update, whatever a probe would show; empty if it goes on."""
    if settings.minutes is not None and state.seconds >= 60 * settings.minutes:
        return f"{settings.minutes:g} minutes are over"
    if settings.stop == "train-loss" and epoch_done and state.epoch_loss < settings.stop_loss:  # type: ignore[operator]
        return f"mean training loss of the epoch below {settings.stop_loss:g}"
    if settings.stop == "token-accuracy" and epoch_done and _is_memorised(settings, state):
        return f"mean token accuracy of the epoch at least {settings.stop_token_accuracy:g}"
    return "all updates done" if state.update == total else ""


def _is_memorised(settings: TrainSettings, state: State) -> bool:
    """Whether the training texts' tokens were predicted as well as the recipe asks."""
    accuracy, asked = state.epoch_token_accuracy, settings.stop_token_accuracy
    return accuracy is not None and asked is not None and accuracy >= asked


def stop_after_probe(settings: TrainSettings, probes: Sequence[ProbeRow]) -> str:
    """Why a training ends after this probe; empty if it goes on."""
    patience = settings.patience_probes
    if settings.stop == "best-validation" and _falls_no_more(probes, patience):
        return f"validation loss has not fallen for {patience} probes"
    if settings.stop == "auto" and _loops_no_less(probes, settings.stop_loss or 0.0, patience):
        return (
            f"training loss below {settings.stop_loss:g}, and greedy TTR has not risen for "
            f"{patience} probes"
        )
    return ""


def best_probe(probes: Sequence[ProbeRow]) -> ProbeRow:
    """The probe of the lowest validation loss, the first of equals."""
    return min(probes, key=lambda row: row.validation_loss)


NEAR_ZERO_LOSS = 0.3
"""Nats per token below which a training loss is near zero, where the recipe sets no
`train.stop_loss`.
"""


def near_zero(recipe: Recipe, probes: Sequence[ProbeRow], kept: int) -> Verdict:
    """Whether a finished training came near zero loss: the last epoch's mean at the probe of the
    update `kept`.

    It is below `train.stop_loss`, or `NEAR_ZERO_LOSS` where none is set. Carlsson et al. 2025 train
    to near zero.
    """
    settings = recipe.train
    limit = NEAR_ZERO_LOSS if settings.stop_loss is None else settings.stop_loss
    loss = next((row.train_loss for row in reversed(probes) if row.update == kept), None)
    return Verdict(loss, limit, loss is not None and loss < limit, _advice(settings, loss))


def _advice(settings: TrainSettings, loss: float | None) -> str:
    length, most = (
        ("updates", settings.updates) if settings.epochs is None else ("epochs", settings.epochs)
    )
    if loss is None:
        return f"Raise train.{length}"
    if settings.stop == "best-validation":
        return (
            'Set train.stop to "train-loss" or "end": the best validation loss comes long before '
            "near-zero loss"
        )
    also = "" if settings.minutes is None else f", train.minutes ({settings.minutes:g})"
    return (
        f"Raise train.learning_rate ({settings.learning_rate:g}){also} or train.{length} ({most})"
    )


def _falls_no_more(probes: Sequence[ProbeRow], patience: int) -> bool:
    return len(probes) - 1 - probes.index(best_probe(probes)) >= patience


def _loops_no_less(probes: Sequence[ProbeRow], near_zero: float, patience: int) -> bool:
    """Near-zero loss, and the last `patience` probes' TTR no higher than the highest before
    them.
    """
    last, before = probes[-patience:], probes[:-patience]
    loss = probes[-1].train_loss
    if not before or loss is None or loss >= near_zero:
        return False
    return max(row.ttr for row in last) <= max(row.ttr for row in before)
