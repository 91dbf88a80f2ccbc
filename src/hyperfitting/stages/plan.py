"""Plan the memory of a training, or try a few of its updates. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
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

    def __repr__(self) -> str:
        """The run, and which precisions fit."""
        fit = list(dict.fromkeys(each.precision for each in self.fits if each.fits))
        return f"<MemoryPlan {self._head}: {', '.join(fit) or 'nothing'} fits>"

    def _repr_html_(self) -> str:
        """What a notebook shows of it: what each choice of settings needs, and whether it fits."""
        rows = "".join(
            f"<tr><th>{each.precision}</th><td>{each.engine.micro_batch_blocks or 'all'}</td>"
            f"<td>{'on' if each.engine.activation_checkpointing else 'off'}</td>"
            f"<td>{_gib(each.memory.peak)}</td><td>{'yes' if each.fits else 'no'}</td></tr>"
            for each in self.fits
        )
        heads = ("precision", "micro-batch", "checkpointing", "peak", "fits")
        head = "".join(f"<th>{each}</th>" for each in heads)
        return f"<table><caption>{escape(self._head)}</caption><tr>{head}</tr>{rows}</table>"

    @property
    def _head(self) -> str:
        devices = "a device" if self.device_count == 1 else f"each of {self.device_count} devices"
        return f"{self.recipe.run_name}, {_gib(self.device_bytes)} on {devices}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


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
    torch_device = models.resolve_device(device)
    kind = "cuda" if memory is not None else torch_device.type
    room = models.memory_bytes(torch_device) if memory is None else _given_bytes(memory)
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
    torch_device = models.resolve_device(device)
    precision = models.resolve_precision(recipe.train.precision, torch_device)
    planned = training.memory_of(recipe, precision, recipe.engine, device=torch_device.type)
    with training.translate_torch_errors():
        peak, rate = training.dry_run(recipe, precision, torch_device)
    return DryRun(recipe, precision, models.describe_device(torch_device), planned, peak, rate)
