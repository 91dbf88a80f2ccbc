"""What an update trains on, and at which rate: the order of the blocks, and the learning rate.

Shapes: N blocks.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from hyperfitting.recipe import TrainSettings
from hyperfitting.training.checkpoint import State


@lru_cache(maxsize=2)
def block_order(
    seed: int, epoch: int, blocks: int, swapped: tuple[int, int] | None = None
) -> torch.Tensor:
    """The order (N,) of one epoch, with two `swapped` blocks in each other's place: a function of
    its arguments alone, so a resumed run needs no sampler state.
    """
    order_N = torch.randperm(
        blocks, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    )
    if swapped is not None:
        first, second = swapped
        at_first, at_second = order_N == first, order_N == second
        order_N[at_first], order_N[at_second] = second, first
    return order_N


def scheduled_rate(settings: TrainSettings, state: State, total: int) -> float:
    """The learning rate of the next update: linear warm-up, constant, linear decay; constant where
    neither is set.
    """
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
