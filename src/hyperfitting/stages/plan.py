"""Plan the memory of a training, or try a few of its updates. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting import models, training
from hyperfitting.recipe import Recipe, checked_number, memory_size, read_or_given


@dataclass(frozen=True)
class MemoryPlan:
    """What each choice of settings needs on each of `device_count` devices, and whether it fits
    into `device_bytes`.
    """

    recipe: Recipe
    device_bytes: int
    device_count: int
    fits: Sequence[training.MemoryFit]


@dataclass(frozen=True)
class DryRun:
    """What a few updates took on a device, `peak_bytes` at their height, beside the plan."""

    recipe: Recipe
    precision: str
    device: str
    planned: training.Memory
    peak_bytes: int
    tokens_per_second: float


def plan_memory(
    recipe: Recipe | str | Path,
    *,
    memory: int | str | None = None,
    count: int = 1,
    device: str = "auto",
) -> MemoryPlan:
    """What each precision needs on each of `count` devices of `memory`, in bytes or as
    `"80GiB"`, and which settings fit.

    Only the architecture is read, from `model.architecture` where `model.source` is not at hand.
    Without `memory` it is that of `device`.

    Examples:
        >>> plan = hyperfitting.plan("mine.toml", memory="24GiB")
        >>> plan.fits[0].fits
        True

    Raises:
        InputError: `memory` is no amount of memory, or `count` no number of devices.
        ModelError: there is no config, or the model's memory depends on the texts.
    """
    recipe = read_or_given(recipe)
    checked_number("count", count, 1, 1024)
    place = models.resolve_device(device)
    kind = "cuda" if memory is not None else place.type
    room = models.memory_bytes(place) if memory is None else _given_bytes(memory)
    fits = training.plan(recipe, device_bytes=room, count=count, device=kind)
    return MemoryPlan(recipe, room, count, tuple(fits))


def _given_bytes(memory: int | str) -> int:
    if isinstance(memory, str):
        return memory_size(memory)
    return checked_number("memory", memory, 1, 2**63)


def try_updates(recipe: Recipe, *, device: str = "auto") -> DryRun:
    """A few updates of the recipe's shape on this device, with random weights and tokens: no hub,
    no texts.

    Raises:
        OutOfMemory: the device is too small.
    """
    place = models.resolve_device(device)
    precision = models.resolve_precision(recipe.train.precision, place)
    planned = training.memory_of(recipe, precision, recipe.engine, device=place.type)
    with training.translate_torch_errors():
        peak, rate = training.dry_run(recipe, precision, place)
    return DryRun(recipe, precision, models.describe_device(place), planned, peak, rate)
