"""Did the steps reach the weights? A float32 Adam, run beside the real one on a fixed sample, says
what was intended.

Shapes: S sampled weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hyperfitting.decoding.rules import float64
from hyperfitting.recipe import TrainSettings
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.optimizer import local_part

SAMPLE = 100_000
WINDOW_UPDATES = 100
# At most so many are sampled: a look at each of a large model's hundreds would cost more than the
# step.
_TENSORS = 64


class Reading(NamedTuple):
    """What one window of updates showed; nothing before a window is complete.

    `step_share`: displacement along the intended steps / intended steps; 1: nothing was lost to
    rounding. `moved_share`: weights that changed at all among those that were to move, in [0, 1].
    Target of both: 1.
    """

    step_share: float | None = None
    moved_share: float | None = None


class StepMeter:
    """Call `before` when the gradients are there and `after` once the optimiser has used them.

    The sample is drawn once from the trained weights that this process holds, from each tensor in
    proportion to its size. The paper is silent on precision; this is the check that plain bfloat16
    at 1e-6 fails.
    """

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        settings: TrainSettings,
        *,
        seed: int,
        ranks: ProcessGroup,
    ):
        self._ranks, self._optimizer, self._settings = ranks, optimizer, settings
        drawn = _draw(weights, torch.Generator().manual_seed(seed))
        self._weights, self._places = (
            [weight for weight, _ in drawn],
            [places for _, places in drawn],
        )
        self._state: dict[str, Tensor] = {}
        self._reading, self._is_judged = Reading(), False

    @torch.no_grad()
    def before(self) -> None:
        """Read the gradients, and let the float32 Adam take its step on the sample."""
        if not self._state:
            self._begin()
        group, held = self._optimizer.param_groups[0], self._state
        gradient_S = self._read([weight.grad for weight in self._weights])
        beta1, beta2 = group["betas"]
        held["step"] += 1
        step = int(held["step"])
        held["mean"].lerp_(gradient_S, 1 - beta1)
        held["square"].mul_(beta2).addcmul_(gradient_S, gradient_S, value=1 - beta2)
        width_S = (held["square"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        now_S = held["start"] + held["intended"]
        held["intended"] -= group["lr"] * group["weight_decay"] * now_S
        held["intended"].addcdiv_(held["mean"], width_S, value=-group["lr"] / (1 - beta1**step))

    @torch.no_grad()
    def after(self, update: int, *, last: bool = False) -> Reading:
        """The reading of a window that is complete, or cut short by the `last` update; then a new
        window begins.
        """
        self._state["updates"] += 1
        if int(self._state["updates"]) < WINDOW_UPDATES and not last:
            self._reading = Reading()
            return self._reading
        return self.close(update)

    @torch.no_grad()
    def close(self, update: int) -> Reading:
        """The reading of the window under way, which ends here; the last one where there is
        none.
        """
        held = self._state
        if not held:
            return self._reading
        # A window cut short may hold nothing but the last steps of a falling rate, which are too
        # small for any dtype.
        self._is_judged = int(held["updates"]) == WINDOW_UPDATES or update < WINDOW_UPDATES
        moved_S = self._read(self._weights) - held["start"]
        asked_S = held["intended"] != 0
        sums = torch.stack(
            [
                (float64(moved_S) * float64(held["intended"])).sum(),
                float64(held["intended"]).square().sum(),
                float64((asked_S & (moved_S != 0)).sum()),
                float64(asked_S.sum()),
            ]
        )
        along, intended, moved, asked = self._ranks.sum(sums).tolist()
        self._state = {}
        self._reading = (
            Reading(round(along / intended, 4), round(moved / asked, 4))
            if intended > 0
            else Reading()
        )
        return self._reading

    def problem(self, precision: str) -> str:
        """What is wrong and the remedy, if too little of the last window's steps reached the
        weights; else nothing.

        A window cut short is judged only if the training has no other.
        """
        share, moved = self._reading
        if share is None or not self._is_judged or share >= self._settings.least_step_share:
            return ""
        return (
            f"only {share:.1%} of the last intended steps reached the weights ({moved:.1%} of the "
            "weights moved): at a "
            f"learning rate of {self._settings.learning_rate:g} they are too small for {precision} "
            "weights: set "
            'train.precision to "bf16-autocast", "bf16-stochastic" or "fp32"'
        )

    def _begin(self) -> None:
        """A new window, from the weights and the optimiser's states as they are."""
        states = [self._optimizer.state.get(weight, {}) for weight in self._weights]
        zeros_S = torch.zeros_like(start_S := self._read(self._weights))
        steps = [
            float(each["step"]) for each in states if each
        ]  # a weight that no gradient reached has no state
        self._state = {
            "start": start_S,
            "intended": zeros_S.clone(),
            "mean": self._read([each.get("exp_avg") for each in states]),
            "square": self._read([each.get("exp_avg_sq") for each in states]),
            "step": torch.tensor(max(steps, default=0.0)),
            "updates": torch.tensor(0.0),
        }

    def _read(self, tensors: Sequence[Any]) -> Tensor:
        parts = [
            local_part(tensor).view(-1)[places].float()
            if tensor is not None
            else torch.zeros(len(places), device=places.device)
            for tensor, places in zip(tensors, self._places, strict=True)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, device=self._ranks.device)

    def state_dict(self) -> dict[str, Tensor]:
        """The window under way, for a checkpoint."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with the window of a checkpoint, if it is of a sample as large as this one."""
        size = sum(map(len, self._places))
        self._state = dict(state) if state and len(state["start"]) == size else {}


def meter_bytes(weights: Sequence[nn.Parameter]) -> int:
    """Bytes of a `StepMeter` over these weights: the places, and a window's four float32 values of
    each.
    """
    return sum(_takes(weights)) * (torch.int64.itemsize + 4 * torch.float32.itemsize)


def _draw(
    weights: Sequence[nn.Parameter], generator: torch.Generator
) -> list[tuple[nn.Parameter, Tensor]]:
    """The weights that are sampled, each with the places in it."""
    return [
        (
            weight,
            torch.randint(local_part(weight).numel(), (take,), generator=generator).to(
                weight.device
            ),
        )
        for weight, take in zip(weights, _takes(weights), strict=True)
        if take
    ]


def _takes(weights: Sequence[nn.Parameter]) -> list[int]:
    """How many places of each weight are sampled: in proportion to size, of about `_TENSORS`
    tensors at most.
    """
    # In numpy, which also counts where torch's tensors have no values (`memory_plan`).
    sizes = np.array([local_part(weight).numel() for weight in weights], dtype=float)
    parts = sizes / max(sizes.sum(), 1)
    if len(weights) > _TENSORS:
        points = (np.arange(_TENSORS) + 0.5) / _TENSORS
        chosen = np.searchsorted(parts.cumsum(), points).clip(max=len(weights) - 1)
        parts = np.bincount(chosen, minlength=len(weights)) / _TENSORS
    return np.minimum(np.ceil(SAMPLE * parts), sizes).astype(int).tolist()  # type: ignore[no-any-return]
