"""The clock of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

_Made = TypeVar("_Made")


def clock(work: Callable[[], _Made]) -> tuple[float, _Made]:
    """Seconds of one call, until the GPU has finished too, and the call's result."""
    started = time.perf_counter()
    made = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, made
