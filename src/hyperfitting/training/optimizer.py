"""AdamW for each precision: torch's fused one over float32 weights, ours for bfloat16 weights and
states.

Near-zero steps are what hyperfitting is made of, and bfloat16 rounds them to nothing: at 1e-6 half
a unit in the last place of a typical weight is sixty times the step, and at beta2 = 0.999 a second
moment cannot decay, since each step of its average is below half a unit. Rounding up or down at
random, in proportion to the distance, keeps both right in the mean. The well-kept library that
rounds weights so keeps its states rounded to nearest, hence ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hyperfitting.models import Precision
from hyperfitting.recipe import TrainSettings
from hyperfitting.seeds import derive_seed

_CHUNK = 2**22
"""Weights updated at once: their float32 copies are a few times 16 MiB whatever the size of the
tensor.
"""


def make_optimizer(
    weights: Iterable[nn.Parameter], settings: TrainSettings, precision: Precision, *, seed: int
) -> torch.optim.Optimizer:
    """AdamW over the trained weights; with weight decay 0 it is Adam, the paper's optimiser
    (Carlsson et al. 2025, sec. 3).
    """
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": settings.betas,
        "eps": settings.epsilon,
        "weight_decay": settings.weight_decay,
    }
    if precision == "bf16-stochastic":
        return StochasticAdamW(weights, **options, seed=seed)
    return torch.optim.AdamW(weights, **options, fused=True)


class StochasticAdamW(torch.optim.Optimizer):
    """AdamW whose weights and states are bfloat16, each update computed in float32 and rounded
    stochastically.

    Weights may be DTensors: each process updates its shard. The noise is a function of `seed` and
    the update alone, so a resumed training rounds as an uninterrupted one.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        seed: int,
    ):
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )
        self._seed = seed
        self.chunks = chunks

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for number, weight in enumerate(group["params"]):
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(weight)
                    state["exp_avg_sq"] = torch.zeros_like(weight)
                state["step"] += 1
                tensors = (weight, weight.grad, state["exp_avg"], state["exp_avg_sq"])
                noise = torch.Generator(weight.device)
                noise.manual_seed(derive_seed(self._seed, number, int(state["step"])))
                for chunk in self.chunks(tensors):
                    _update(chunk, group, int(state["step"]), noise)


def chunks(tensors: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """A weight with its gradient and states, in flat parts that are updated in turn."""
    flat = (local_part(each).view(-1) for each in tensors)
    yield from zip(*(each.split(_CHUNK) for each in flat), strict=True)  # type: ignore[no-untyped-call]


def local_part(tensor: Any) -> Tensor:
    """This process's part of a tensor that is dealt out; the whole of any other."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor  # type: ignore[no-any-return]


def _update(
    chunk: tuple[Tensor, ...], group: dict[str, Any], step: int, noise: torch.Generator
) -> None:
    weight, gradient, mean, square = chunk
    (beta1, beta2), rate = group["betas"], group["lr"]
    gradient32 = gradient.float()
    mean32 = mean.float().lerp_(gradient32, 1 - beta1)
    square32 = square.float().mul_(beta2).addcmul_(gradient32, gradient32, value=1 - beta2)
    width = (square32 / (1 - beta2**step)).sqrt_().add_(group["eps"])
    weight32 = weight.float().mul_(1 - rate * group["weight_decay"])
    weight32.addcdiv_(mean32, width, value=-rate / (1 - beta1**step))
    for kept, exact in ((weight, weight32), (mean, mean32), (square, square32)):
        kept.copy_(round_stochastically(exact, noise))


def round_stochastically(exact: Tensor, noise: torch.Generator) -> Tensor:
    """float32 to bfloat16, up or down with the probabilities that make the mean exact; any shape.

    bfloat16 is the upper half of a float32: 16 random bits added to the lower half carry as often
    as they should.
    """
    bits = torch.randint(
        0, 1 << 16, exact.shape, generator=noise, device=exact.device, dtype=torch.int32
    )
    return bits.add_(exact.view(torch.int32)).bitwise_and_(-65536).view(torch.float32).bfloat16()
