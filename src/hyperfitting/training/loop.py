"""The training loop: next-token loss and Adam. Everything that decides the weights is on this screen.

Shapes: N blocks, B blocks of one pass, T tokens.
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
from torch import nn

from hyperfitting.errors import Interrupted, TrainingFailed
from hyperfitting.models import Precision, TrainableModel, autocast, vocabulary_size
from hyperfitting.progress import Narrator, stop_requests
from hyperfitting.recipe import Recipe, TrainSettings
from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.seeds import derive_seed
from hyperfitting.training.checkpoint import Checkpoints, State
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.loss import LossOf, choose_loss
from hyperfitting.training.optimizer import make_optimizer
from hyperfitting.training.plain_failures import diverges, is_lost, not_a_number
from hyperfitting.training.rounding_meter import StepMeter
from hyperfitting.training.stopping import best_probe, is_over, seen_enough


@dataclass(frozen=True)
class Outcome:
    """How training ended: after how many `updates`, why, and of which update the weights are that were `kept`."""

    updates: int
    reason: str
    train_seconds: float
    kept: int
    loss: str


def train(
    selection: TrainableModel,
    ids_NT: NDArray[np.int32],
    recipe: Recipe,
    *,
    precision: Precision,
    ranks: ProcessGroup,
    checkpoints: Checkpoints,
    log: Callable[[UpdateRow], None],
    probe: Callable[[State, float], ProbeRow],
    narrator: Narrator,
) -> Outcome:
    """Minimise the next-token loss of the blocks; the selected weights are changed in place.

    The loss of an update is the mean over all its predicted tokens, in nats, computed in float32. `probe` is called
    before the first update, after every epoch (or `probe.every_updates`) and after the last, with the state and the
    fraction of epochs done. Source: A, section 3 (Adam, lr 1e-6, no weight decay, batch 8, 20 epochs); the paper is
    silent on schedule, clipping and precision.

    Raises:
        TrainingFailed: the loss is no number or diverges, or the steps do not reach the weights.
        OutOfMemory, DiskFull: nothing is lost that a checkpoint holds.
        Interrupted: Ctrl-C; a checkpoint was written first.
    """
    model, settings, weights = (
        selection.model,
        recipe.train,
        [weight for _, weight in selection.trained],
    )
    per_epoch, total = (
        math.ceil(len(ids_NT) / settings.batch_blocks),
        total_updates(settings, len(ids_NT)),
    )
    every = recipe.probe.every_updates or per_epoch
    keeps_best = recipe.engine.keep_best or settings.stop == "best-validation"
    optimizer = make_optimizer(weights, settings, precision, seed=derive_seed("rounding", recipe.seed, ranks.rank))
    meter = StepMeter(weights, optimizer, settings, seed=recipe.seed, ranks=ranks)
    loss_of, words = choose_loss(model, precision, ranks.device), vocabulary_size(model)

    def watch() -> None:
        # The main process's, since all must stop together and a last bit may differ between them.
        state.probes.append(ranks.from_main(probe(state, state.update / per_epoch)))
        if keeps_best and state.probes[-1] is best_probe(state.probes):
            checkpoints.save_best(model, state)

    begun = checkpoints.state().update
    with stop_requests() as stop_requested, narrator.bar("training", total, start=begun) as bar:
        torch.manual_seed(
            derive_seed("dropout", recipe.seed, ranks.rank)
        )  # dropout's, unless a checkpoint holds its state
        state = checkpoints.resume(model, optimizer, meter)
        if not state.probes:
            watch()
        while state.update < total and not state.ended:
            started = time.perf_counter()
            epoch, step = divmod(state.update, per_epoch)
            rows = _order(recipe.order_seed, epoch, len(ids_NT))[step * settings.batch_blocks :][
                : settings.batch_blocks
            ]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate = scheduled_rate(settings, state, total)

            # Dropout is off because the model stays in evaluation mode: ImageGPT and GPT-2 configs ask for 0.1.
            model.train(settings.dropout)
            loss = accumulate_gradients(
                loss_of, ids_NT, rows, ranks, precision, recipe.engine.micro_batch_blocks
            )
            model.eval()
            norm = clip_gradients(weights, settings.clip_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                optimizer.zero_grad()
                checkpoints.save(
                    model, optimizer, meter, state
                )  # the weights are as they were before this update
                raise TrainingFailed(not_a_number(loss, norm, state.update + 1))
            meter.before()
            optimizer.step()
            optimizer.zero_grad()
            reading = meter.after(state.update + 1, last=state.update + 1 == total)

            seconds = time.perf_counter() - started
            state.seconds = (
                ranks.from_main(state.seconds + seconds)
                if settings.minutes
                else state.seconds + seconds
            )
            state.update += 1
            speed = len(rows) * (ids_NT.shape[1] - 1) / seconds
            state.updates.append(
                UpdateRow(state.update, epoch + 1, loss, learning_rate, norm, speed, *reading)
            )
            log(state.updates[-1])
            bar.advance(note=f"loss {loss:.3f}")
            if problem := meter.problem(precision) or diverges(state.updates, words):
                raise TrainingFailed(problem)

            state.ended = is_over(
                settings, state, total=total, epoch_done=state.update % per_epoch == 0
            )
            probed = state.update % every == 0 or bool(state.ended)
            if probed:
                watch()
                state.ended = state.ended or seen_enough(settings, state.probes)
            if state.ended:
                meter.close(state.update)
                if problem := meter.problem(precision):
                    raise TrainingFailed(problem)
            if not is_lost(loss, words):
                checkpoints.maybe_save(model, optimizer, meter, state, probed=probed)
            if ranks.any(stop_requested()) and not state.ended:
                checkpoints.save(model, optimizer, meter, state)
                raise Interrupted(
                    f"stopped after update {state.update} of {total}; the same command goes on from there"
                )
        kept = (
            checkpoints.load_best(model, state)
            if settings.stop == "best-validation" and state.ended
            else state.update
        )
    return Outcome(
        state.update, state.ended or "no updates asked for", state.seconds, kept, loss_of.__name__
    )


def accumulate_gradients(
    loss_of: LossOf,
    ids_NT: NDArray[np.int32],
    rows: torch.Tensor,
    ranks: ProcessGroup,
    precision: Precision,
    micro: int | None,
) -> float:
    """Add up the gradients of the mean loss of the rows' predicted tokens, over micro-batches and processes.

    The sum over tokens divided by all tokens, whatever the parts: a mean of the parts' means would not be the same.
    """
    predicted = len(rows) * (ids_NT.shape[1] - 1)
    total = torch.zeros((), device=ranks.device)
    for part, weights in ranks.share(rows.tolist(), micro):
        ids_BT = torch.as_tensor(ids_NT[part]).long().to(ranks.device)
        with autocast(precision, ranks.device):
            loss = loss_of(ids_BT, torch.tensor(weights, device=ranks.device)) / predicted
        (loss * ranks.world).backward()  # FSDP takes the mean over processes, and the sum is meant
        total += loss.detach()
    return float(ranks.sum(total))


def clip_gradients(weights: list[nn.Parameter], largest: float | None) -> float:
    """The global gradient norm, before clipping to `largest` if that is set."""
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    if hasattr(norm, "full_tensor"):
        norm = norm.full_tensor()
    if largest is not None:
        nn.utils.clip_grads_with_norm_(weights, largest, norm)
    return float(norm)


def total_updates(settings: TrainSettings, blocks: int) -> int:
    """Updates of the whole training, if nothing stops it sooner."""
    return (
        settings.updates
        if settings.updates is not None
        else (settings.epochs or 0) * math.ceil(blocks / settings.batch_blocks)
    )


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, blocks: int) -> torch.Tensor:
    """The order of one epoch: a function of seed and epoch alone, so a resumed run needs no sampler state."""
    return torch.randperm(blocks, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def scheduled_rate(settings: TrainSettings, state: State, total: int) -> float:
    """The learning rate of the next update: linear warm-up, constant, linear decay; constant where neither is set."""
    warm = (
        min(1.0, (state.update + 1) / settings.warmup_updates) if settings.warmup_updates else 1.0
    )
    done = state.update / total
    if settings.minutes is not None:
        done = max(done, state.seconds / (60 * settings.minutes))
    if done <= 1 - settings.decay_share or not settings.decay_share:
        return settings.learning_rate * warm
    left = (1 - done) / settings.decay_share
    end = settings.final_learning_rate_share
    return settings.learning_rate * warm * (end + (1 - end) * max(0.0, left))
