"""The training loop: next-token loss, all parameters, Adam. Everything that decides the weights is on this screen.

Shapes: N blocks, B blocks of one update, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperfitting.errors import Interrupted, TrainingFailed
from hyperfitting.models import Precision, autocast, device_of
from hyperfitting.progress import Narrator, stop_requests
from hyperfitting.recipe import Recipe, TrainSettings
from hyperfitting.records import UpdateRow
from hyperfitting.training.checkpoint import Checkpoints, State


@dataclass(frozen=True)
class Outcome:
    """How training ended."""

    updates: int
    reason: str
    train_seconds: float


def train(
    model: nn.Module,
    ids_NT: NDArray[np.int32],
    recipe: Recipe,
    *,
    precision: Precision,
    checkpoints: Checkpoints,
    log: Callable[[UpdateRow], None],
    probe: Callable[[State, float], None],
    narrator: Narrator,
) -> Outcome:
    """Minimise the next-token loss of the blocks; the model's weights are changed in place.

    The loss of an update is the mean over all its predicted tokens, in nats, computed in float32. `probe` is called
    before the first update, after every epoch (or `probe.every_updates`) and after the last, with the state and the
    fraction of epochs done. Source: A, section 3 (Adam, lr 1e-6, no weight decay, batch 8, 20 epochs); the paper is
    silent on schedule, clipping and precision.

    Raises:
        TrainingFailed: the loss is no longer finite.
        Interrupted: Ctrl-C; a checkpoint was written first.
    """
    settings, device = recipe.train, device_of(model)
    per_epoch = math.ceil(len(ids_NT) / settings.batch_blocks)
    total = total_updates(settings, len(ids_NT))
    every = recipe.probe.every_updates or per_epoch
    # AdamW with weight_decay = 0 is Adam. Dropout is off because the model stays in evaluation mode: ImageGPT and GPT-2
    # configs ask for 0.1.
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, settings.betas, settings.epsilon, settings.weight_decay, fused=True
    )
    state = checkpoints.resume(model, optimizer)
    if state.update == 0:
        probe(state, 0.0)

    with stop_requests() as stop_requested, narrator.bar("training", total, start=state.update) as bar:
        while state.update < total and not state.ended:
            started = time.perf_counter()
            epoch, step = divmod(state.update, per_epoch)
            if step == 0:
                state.losses.clear()
            rows = _order(recipe.seed, epoch, len(ids_NT))[step * settings.batch_blocks :][: settings.batch_blocks]
            ids_BT = torch.as_tensor(ids_NT[rows]).long().to(device)
            learning_rate = scheduled_rate(settings, state, total)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate

            model.train(settings.dropout)
            with autocast(precision, device):
                logits_BTV = model(ids_BT, use_cache=False).logits
            loss = cross_entropy(logits_BTV[:, :-1].float().flatten(0, 1), ids_BT[:, 1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            model.eval()

            value, seconds = loss.item(), time.perf_counter() - started
            if not math.isfinite(value):
                raise TrainingFailed(f"the loss is {value} at update {state.update + 1}: lower train.learning_rate")
            state.update, state.seconds = state.update + 1, state.seconds + seconds
            state.losses.append(value)
            log(UpdateRow(state.update, epoch + 1, value, learning_rate, ids_BT[:, 1:].numel() / seconds))
            bar.advance(note=f"loss {value:.3f}")

            mean_loss = math.fsum(state.losses) / len(state.losses)
            epoch_done = state.update % per_epoch == 0
            if settings.minutes is not None and state.seconds >= 60 * settings.minutes:
                state.ended = f"{settings.minutes:g} minutes are over"
            elif epoch_done and settings.stop_below_loss is not None and mean_loss < settings.stop_below_loss:
                state.ended = f"mean training loss of the epoch below {settings.stop_below_loss:g}"
            elif state.update == total:
                state.ended = "all updates done"
            if state.update % every == 0 or state.ended:
                probe(state, state.update / per_epoch)
                checkpoints.maybe_save(model, optimizer, state)
            if stop_requested() and not state.ended:
                checkpoints.save(model, optimizer, state)
                raise Interrupted(
                    f"stopped after update {state.update} of {total}; the same command goes on from there"
                )
    return Outcome(state.update, state.ended or "no updates asked for", state.seconds)


def total_updates(settings: TrainSettings, blocks: int) -> int:
    """Updates of the whole training, if nothing stops it sooner."""
    return (
        settings.updates
        if settings.updates is not None
        else (settings.epochs or 0) * math.ceil(blocks / settings.batch_blocks)
    )


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, blocks: int) -> Tensor:
    """The order of one epoch: a function of seed and epoch alone, so a resumed run needs no sampler state."""
    return torch.randperm(blocks, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def scheduled_rate(settings: TrainSettings, state: State, total: int) -> float:
    """The learning rate of the next update: linear warm-up, constant, linear decay; constant where neither is set."""
    warm = min(1.0, (state.update + 1) / settings.warmup_updates) if settings.warmup_updates else 1.0
    done = state.update / total
    if settings.minutes is not None:
        done = max(done, state.seconds / (60 * settings.minutes))
    if done <= 1 - settings.decay_share or not settings.decay_share:
        return settings.learning_rate * warm
    left = (1 - done) / settings.decay_share
    end = settings.final_learning_rate_share
    return settings.learning_rate * warm * (end + (1 - end) * max(0.0, left))
