"""Functions of a tensor with a number for each token, for metrics under a model. They need no torch
of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def above(bound: int) -> Callable[[Tensor], Tensor]:
    """Which tokens have a rank above `bound`."""
    return lambda rank_S: rank_S > bound


def above_among_changed(bound: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Which tokens have a rank above `bound`, and among which they count: those that are not of
    rank 1.
    """
    return lambda rank_S: (rank_S > bound, rank_S > 1)


def sums_and_counts(values: Tensor | tuple[Tensor, Tensor]) -> tuple[Any, Any]:
    """Values summed over their last axis, in float64, and what the sums are divided by: the tokens,
    or as given.
    """
    summed, counted = values if isinstance(values, tuple) else (values, None)
    sums = summed.double().sum(-1)
    if counted is None:
        return sums.tolist(), sums.new_full(sums.shape, summed.shape[-1]).tolist()
    return sums.tolist(), counted.double().sum(-1).tolist()


def of_one_text(
    function: Callable[[Tensor], Any] = lambda values: values,
) -> Callable[[Tensor], tuple[float, float] | None]:
    """The sum and the count over the tokens of one text; None where nothing counts."""

    def value(values_S: Tensor) -> tuple[float, float] | None:
        total, count = sums_and_counts(function(values_S))
        return (total, count) if count else None

    return value
