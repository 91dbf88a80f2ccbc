"""The training loop: next-token loss and Adam. Everything that decides the weights is in this
module.

Shapes: N blocks, B blocks of one pass, T tokens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hyperfitting.errors import Interrupted, TrainingFailed
from hyperfitting.models import Precision, autocast, vocabulary_size
from hyperfitting.progress import Progress, stop_requests
from hyperfitting.recipe import TrainSettings
from hyperfitting.records import ProbeRow, UpdateRow
from hyperfitting.seeds import derive_seed
from hyperfitting.training.checkpoint import Checkpoints, State, TrainingEnd
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.loss import LossOf, choose_loss
from hyperfitting.training.model_setup import TrainingSetup, deterministic_kernels
from hyperfitting.training.optimizer import make_optimizer
from hyperfitting.training.plain_failures import diverges, is_lost, not_a_number
from hyperfitting.training.rounding_meter import StepMeter
from hyperfitting.training.schedule import block_order, scheduled_rate
from hyperfitting.training.stopping import best_probe, stop_after_probe, stop_after_update


@dataclass(frozen=True)
class Outcome:
    """How a variant's training ended: after how many `updates`, why, and of which update the `kept`
    weights are.

    `in_model`: the model that was trained holds them; if not, the checkpoints do.
    """

    updates: int
    reason: str
    train_seconds: float
    kept: int
    loss: str
    in_model: bool = True


@dataclass(frozen=True)
class Outcomes:
    """How a training ended for its variants.

    `failure`: what stopped it when some of them had ended already. Then `ended` holds those, and
    the model is not theirs.
    """

    ended: dict[str, Outcome]
    failure: TrainingFailed | None = None


class Watcher(Protocol):
    """Where the rows of a training go. `variants` are those whose rows they are."""

    def log(self, row: UpdateRow, variants: Sequence[str]) -> None:
        """Keep an update's row."""

    def probe(self, state: State, epoch: float, variants: Sequence[str]) -> ProbeRow:
        """Measure the model as it is after `epoch` epochs, and keep the row."""


def train(
    setup: TrainingSetup,
    ids_NT: NDArray[np.int32],
    stops: Mapping[str, TrainSettings],
    *,
    checkpoints: Checkpoints,
    watcher: Watcher,
    progress: Progress,
) -> Outcomes:
    """Minimise the next-token loss of the blocks; the selected weights are changed in place.

    The loss of an update is the mean over all its predicted tokens, in nats, computed in float32.
    Probes are taken before the first update, after every epoch (or `probe.every_updates`) and after
    the last.

    `stops` holds the variants that this training makes, each with its settings, which differ in
    nothing but when to stop. Training goes on until all of them have ended. Each ends, and keeps
    the weights, as it would alone; weights that are not those of the last update are in
    `checkpoints`. Source: Carlsson et al. 2025, sec. 3 (Adam, learning rate 1e-6, no weight decay,
    batch 8, 20 epochs), silent on schedule, clipping and precision.

    Raises:
        TrainingFailed: the loss is no number or diverges, or the steps do not reach the weights,
            before any variant has ended.
        OutOfMemory, DiskFull: nothing is lost that a checkpoint holds.
        Interrupted: Ctrl-C; a checkpoint was written first.
    """
    loop = _Loop(setup, ids_NT, stops, checkpoints, watcher)
    begun = checkpoints.state().update
    if begun:
        progress.log(f"training: going on from update {begun:,} of {loop.total:,}")
    with (
        stop_requests() as stop_requested,
        progress.bar("training" if loop.total else "probing", loop.total, start=begun) as bar,
        deterministic_kernels(setup.recipe.engine.deterministic),
    ):
        state = loop.begin()
        try:
            while loop.goes_on:
                row = loop.update()
                bar.advance(note=f"loss {row.loss:.3f}")
                loop.after_update(row)
                if setup.ranks.any(stop_requested()) and loop.goes_on:
                    loop.save()
                    raise Interrupted(
                        f"stopped after update {state.update} of {loop.total}; the same command "
                        "goes on from there"
                    )
        except TrainingFailed as failure:
            return loop.ended_before(failure)
    return Outcomes({name: loop.outcome(name) for name in stops})


class _Loop:
    """A training under way: model, optimiser, meter, and where it stands."""

    def __init__(
        self,
        setup: TrainingSetup,
        ids_NT: NDArray[np.int32],
        stops: Mapping[str, TrainSettings],
        checkpoints: Checkpoints,
        watcher: Watcher,
    ):
        recipe, ranks = setup.recipe, setup.ranks
        self._setup, self._recipe, self._settings = setup, recipe, recipe.train
        self._ids_NT, self._stops = ids_NT, stops
        self._checkpoints, self._watcher = checkpoints, watcher
        self._model = setup.selection.model
        self._weights = [weight for _, weight in setup.selection.trained]
        self._optimizer = make_optimizer(
            self._weights,
            recipe.train,
            setup.precision,
            seed=derive_seed("rounding", recipe.seed, ranks.rank),
        )
        self._meter = StepMeter(
            self._weights, self._optimizer, recipe.train, seed=recipe.seed, ranks=ranks
        )
        self._loss_of = choose_loss(self._model, setup.precision, ranks.device)
        self._vocabulary = vocabulary_size(self._model)
        self._epoch_updates = recipe.train.epoch_updates(len(ids_NT))
        self._probe_updates = recipe.probe_updates(len(ids_NT))
        self._state = State()
        self.total = recipe.train.total_updates(len(ids_NT))

    @property
    def goes_on(self) -> bool:
        """Whether there is an update to make: one is left, and not all variants have ended."""
        going = [name for name in self._stops if self._state.variants[name] is None]
        return bool(going) and self._state.update < self.total

    def begin(self) -> State:
        """Go on from the newest checkpoint, or probe the model before its first update."""
        # Dropout's, unless a checkpoint holds its state.
        torch.manual_seed(derive_seed("dropout", self._recipe.seed, self._setup.ranks.rank))
        self._state = self._checkpoints.resume(self._model, self._optimizer, self._meter)
        self._state.variants = {**dict.fromkeys(self._stops), **self._state.variants}
        if not self._state.probes:
            self._probe()
            self._keep_weights()
        return self._state

    def update(self) -> UpdateRow:
        """One optimiser step, on the next blocks of the epoch.

        Raises:
            TrainingFailed: loss or gradient are no numbers; the weights are as they were before,
                and are saved.
        """
        started, state, size = time.perf_counter(), self._state, self._settings.batch_blocks
        epoch, step = divmod(state.update, self._epoch_updates)
        order = block_order(
            self._recipe.order_seed, epoch, len(self._ids_NT), self._settings.swapped_blocks
        )
        rows = order[step * size :][:size]
        rate = scheduled_rate(self._settings, state, self.total)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss, accuracy, norm = self._gradients(rows)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self._optimizer.zero_grad()
            self.save()
            raise TrainingFailed(not_a_number(loss, norm, state.update + 1))
        self._meter.before()
        self._optimizer.step()
        self._optimizer.zero_grad()
        reading = self._meter.after(state.update + 1, last=state.update + 1 == self.total)

        seconds = time.perf_counter() - started
        state.seconds += seconds
        if self._settings.minutes:  # all must stop together
            state.seconds = self._setup.ranks.from_main(state.seconds)
        state.update += 1
        speed = len(rows) * (self._ids_NT.shape[1] - 1) / seconds
        row = UpdateRow(
            state.update, epoch + 1, loss, rate, norm, speed, *reading, token_accuracy=accuracy
        )
        state.updates.append(row)
        self._watcher.log(row, state.unfinished)
        return row

    def _gradients(self, rows: torch.Tensor) -> tuple[float, float, float]:
        """Loss, token accuracy and gradient norm of the blocks; the gradients are left in the
        weights.
        """
        setup = self._setup
        # Dropout is off because the model stays in evaluation mode: ImageGPT and GPT-2 configs ask
        # for 0.1.
        self._model.train(self._settings.dropout)
        loss, accuracy = accumulate_gradients(
            self._loss_of,
            self._ids_NT,
            rows,
            setup.ranks,
            setup.precision,
            self._recipe.engine.micro_batch_blocks,
            untrained_tokens=self._recipe.data.untrained_tokens,
        )
        self._model.eval()
        return loss, accuracy, clip_gradients(self._weights, self._settings.clip_norm)

    def after_update(self, row: UpdateRow) -> None:
        """Refuse what has gone wrong, end the variants that are to stop here, probe, and save.

        Raises:
            TrainingFailed: the loss diverges, or the steps do not reach the weights.
        """
        self._refuse(diverges(self._state.updates, self._vocabulary))
        ended = self._end(self._why_after_update)
        if probed := ended or row.update % self._probe_updates == 0:
            self._probe()
            if row.update % self._probe_updates == 0:
                self._end(lambda name: stop_after_probe(self._stops[name], self._probes(name)))
            self._keep_weights()
        if not self.goes_on:
            self._meter.close(row.update)
            self._refuse()
        if not is_lost(row.loss, self._vocabulary):
            self._checkpoints.maybe_save(
                self._model, self._optimizer, self._meter, self._state, probed=probed
            )

    def _refuse(self, diverging: str = "") -> None:
        if problem := self._meter.problem(self._setup.precision) or diverging:
            raise TrainingFailed(problem)

    def _why_after_update(self, name: str) -> str:
        return stop_after_update(
            self._stops[name],
            self._state,
            total=self.total,
            epoch_done=self._state.update % self._epoch_updates == 0,
        )

    def _end(self, why: Callable[[str], str]) -> bool:
        """End the variants that have a reason to; whether there are any."""
        state = self._state
        reasons = {name: why(name) for name in state.unfinished if name in self._stops}
        ended = {
            name: TrainingEnd(state.update, state.seconds, reason)
            for name, reason in reasons.items()
            if reason
        }
        state.variants |= ended
        return bool(ended)

    def _probe(self) -> None:
        state = self._state
        variants = state.probed_now(self._probe_updates)
        row = self._watcher.probe(state, state.update / self._epoch_updates, variants)
        # The main process's, since all must stop together and a last bit may differ between them.
        state.probes.append(self._setup.ranks.from_main(row))

    def _probes(self, name: str) -> list[ProbeRow]:
        return self._state.rows_of(name, self._probe_updates).probes

    def _keep_weights(self) -> None:
        """Keep the weights as they are now, if a variant wants them after the training has gone
        on.
        """
        wanted = {update for name in self._stops if (update := self._wanted(name)) is not None}
        if self._recipe.engine.keep_best:
            wanted.add(best_probe(self._state.probes).update)
        if self._state.update in wanted:
            self._checkpoints.keep_weights(self._model, self._state.update, wanted)

    def _wanted(self, name: str) -> int | None:
        """The update whose weights a variant would keep if it ended now; None where the model
        itself has them.
        """
        if self._stops[name].stop == "best-validation":
            return best_probe(self._probes(name)).update
        ending = self._state.variants[name]
        passed = ending is not None and (self.goes_on or ending.update < self._state.update)
        return ending.update if ending is not None and passed else None

    def save(self) -> None:
        """Write a checkpoint."""
        self._checkpoints.save(self._model, self._optimizer, self._meter, self._state)

    def ended_before(self, failure: TrainingFailed) -> Outcomes:
        """The outcomes of the variants whose training ended before the failure.

        Raises:
            TrainingFailed: there are none, or the steps did not reach the weights, which holds of
                those variants too.
        """
        names = [name for name in self._stops if name not in self._state.unfinished]
        if not names or self._meter.problem(self._setup.precision):
            raise failure
        kept = {name: replace(self.outcome(name), in_model=False) for name in names}
        return Outcomes(kept, failure)

    def outcome(self, name: str) -> Outcome:
        """How a variant's training ended."""
        ending = self._state.variants[name]
        if ending is None:
            ending = TrainingEnd(self._state.update, self._state.seconds, "no updates asked for")
        kept = ending.update
        if self._stops[name].stop == "best-validation" and self.total:
            ranked = sorted(self._probes(name), key=lambda row: row.validation_loss)
            kept = self._checkpoints.first_kept([row.update for row in ranked])
        return Outcome(
            ending.update,
            ending.reason,
            ending.seconds,
            kept,
            self._loss_of.__name__,
            in_model=kept == self._state.update,
        )


def accumulate_gradients(
    loss_of: LossOf,
    ids_NT: NDArray[np.int32],
    rows: torch.Tensor,
    ranks: ProcessGroup,
    precision: Precision,
    micro: int | None,
    *,
    untrained_tokens: int = 1,
) -> tuple[float, float]:
    """Add up the gradients of the mean loss of the rows' predicted tokens, over micro-batches and
    processes; that loss, and the share in [0, 1] of those tokens that were the most probable.

    Sums over tokens divided by all tokens, whatever the parts: a mean of the parts' means would
    not be the same. The first `untrained_tokens` of a block do not count: the first one, which
    nothing predicts, and in a chat the user's turn.
    """
    predicted = len(rows) * (ids_NT.shape[1] - untrained_tokens)
    total, hits = (torch.zeros((), device=ranks.device) for _ in range(2))
    for part, weights in ranks.share(rows.tolist(), micro):
        ids_BT = torch.as_tensor(ids_NT[part]).long().to(ranks.device)
        with autocast(precision, ranks.device):
            weight_BS = torch.tensor(weights).unsqueeze(1).repeat(1, ids_BT.shape[1] - 1)
            weight_BS[:, : untrained_tokens - 1] = 0
            sums = loss_of(ids_BT, weight_BS.to(ranks.device))
            loss = sums.loss / predicted
        (loss * ranks.world).backward()  # FSDP takes the mean over processes, and the sum is meant
        total += loss.detach()
        hits += sums.hits
    return float(ranks.sum(total)), float(ranks.sum(hits)) / predicted


def clip_gradients(weights: list[nn.Parameter], largest: float | None) -> float:
    """The global gradient norm, before clipping to `largest` if that is set."""
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    if hasattr(norm, "full_tensor"):
        norm = norm.full_tensor()
    if largest is not None:
        nn.utils.clip_grads_with_norm_(weights, largest, norm)
    return float(norm)
