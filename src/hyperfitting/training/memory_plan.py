"""How much memory a recipe needs: its own update, run on tensors without storage, counting live
bytes.

Nothing is estimated by a formula that could drift from the code: the model, the loss, FSDP over as
many make-believe processes, checkpointing and the optimiser are those of training. What is not
counted: the allocator's fragmentation, a GPU's context (about half a GiB), and buffers inside
kernels and collectives.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from hyperfitting import models
from hyperfitting.errors import ModelError
from hyperfitting.models import Precision, TrainableModel, autocast
from hyperfitting.recipe import EngineSettings, Recipe
from hyperfitting.training.distributed import ProcessGroup, deal_out
from hyperfitting.training.loop import accumulate_gradients
from hyperfitting.training.loss import choose_loss, plain_next_token_loss
from hyperfitting.training.model_setup import equip, training_settings
from hyperfitting.training.optimizer import StochasticAdamW, chunks, local_part, make_optimizer
from hyperfitting.training.rounding_meter import meter_bytes

_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16-autocast", "bf16-stochastic")
USABLE_SHARE = 0.95
"""Of a device's memory: the rest goes to its context and to gaps between allocations."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each device during an update.

    `activations`: what the layers keep for the backward pass. `logits`: what the head and the loss
    need on top of them at their height. Gradients come while activations go, so `peak` is less than
    the sum.
    """

    weights: int
    gradients: int
    states: int
    activations: int
    logits: int
    peak: int


@dataclass(frozen=True)
class MemoryFit:
    """One choice of settings, what it needs, and whether a device holds it."""

    precision: str
    engine: EngineSettings
    memory: Memory
    fits: bool


def plan(
    recipe: Recipe, *, device_bytes: int, count: int, device: str = "cuda"
) -> Iterator[MemoryFit]:
    """For each precision, the recipe's own engine; where that does not fit, checkpointing, then
    smaller micro-batches.

    Raises:
        ModelError: there is no config to build the architecture from.
    """
    for precision in _PRECISIONS:
        for engine in _levers(recipe.engine):
            memory = memory_of(recipe, precision, engine, count=count, device=device)
            room = USABLE_SHARE * device_bytes
            yield MemoryFit(precision, engine, memory, memory.peak <= room)
            if memory.peak <= room or memory.weights + memory.gradients + memory.states > room:
                break  # it fits, or no lever makes it fit


def _levers(engine: EngineSettings) -> Iterator[EngineSettings]:
    checkpointing = {"activation_checkpointing": True}
    tried: list[dict[str, Any]] = [{}, checkpointing, {**checkpointing, "micro_batch_blocks": 1}]
    yield from dict.fromkeys(engine.model_copy(update=change) for change in tried)


def memory_of(
    recipe: Recipe,
    precision: Precision,
    engine: EngineSettings,
    *,
    count: int = 1,
    device: str = "cuda",
) -> Memory:
    """Live bytes on each of `count` devices during the recipe's second update, when all states are
    there.

    Counted on the CPU's kernels, whose attention keeps what a GPU's does; `device` decides which
    kernel is chosen.

    Raises:
        ModelError: it is a mixture of experts, whose work depends on the texts.
    """
    settings = training_settings(recipe, precision)
    selection = models.select_trained(models.build_empty(settings), recipe.train)
    if models.has_experts(selection.model):
        raise ModelError(
            f"{settings.source}: the memory of a mixture of experts depends on the texts: no plan "
            "of it"
        )
    if models.output_head(selection.model) is None:
        raise ModelError(
            f"{settings.source}: the model does not say which its head is: no plan of its memory"
        )
    in_chunks = models.has_plain_head(selection.model)
    plain = engine.model_copy(
        update={"compile": False}
    )  # compiled code does not run on tensors without storage
    equip(selection.model, recipe.model_copy(update={"engine": plain}), torch.device(device))
    processes = (
        _pretend_processes(count) if count > 1 else nullcontext(ProcessGroup(torch.device("cpu")))
    )
    with processes as ranks, FakeTensorMode(allow_non_fake_inputs=True), LiveBytes() as live:
        if count > 1:
            deal_out(selection.model, ranks, precision)
        selection.model.to_empty(device="cpu")
        if count == 1:
            selection.model.tie_weights()  # type: ignore[operator]
        try:
            return _watch_updates(
                selection, recipe, precision, engine, ranks, live, in_chunks=in_chunks
            )
        except Exception as error:  # code that looks at values
            kind = type(selection.model).__name__
            raise ModelError(
                f"{settings.source}: no plan of its memory: {kind} does not run on tensors without "
                "values"
            ) from error


def dry_run(recipe: Recipe, precision: Precision, device: torch.device) -> tuple[int, float]:
    """Updates of the recipe's shape with random weights and tokens, on this device: peak bytes, and
    tokens per second.

    On a GPU the peak is the allocator's own count, elsewhere that of `LiveBytes`, which is not on
    while the clock runs.
    """
    counting = LiveBytes() if device.type != "cuda" else nullcontext()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with counting:
        update = _random_updates(recipe, precision, device)
        update(), update()
    peak = (
        counting.peak
        if isinstance(counting, LiveBytes)
        else torch.cuda.max_memory_allocated(device)
    )
    return peak, recipe.train.batch_blocks * recipe.data.block_tokens / min(update(), update())


def update_seconds(recipe: Recipe, precision: Precision, device: torch.device) -> float:
    """Seconds of an update of the recipe's shape on this device, its second, with random weights
    and tokens.
    """
    update = _random_updates(recipe, precision, device)
    update()
    return update()


def _random_updates(
    recipe: Recipe, precision: Precision, device: torch.device
) -> Callable[[], float]:
    """A function that makes one update of a model with random weights, and returns its seconds."""
    ranks = ProcessGroup(device)
    settings = training_settings(recipe, precision).model_copy(update={"initialise": "random"})
    rows = torch.arange(recipe.train.batch_blocks)
    selection = models.select_trained(
        models.load_model(settings, device, seed=recipe.seed), recipe.train
    )
    equip(selection.model, recipe, device)
    weights = [weight for _, weight in selection.trained]
    optimizer = make_optimizer(weights, recipe.train, precision, seed=recipe.seed)
    loss_of = choose_loss(selection.model, precision, device)
    selection.model.train(recipe.train.dropout)
    ids_NT = np.random.default_rng(recipe.seed).integers(
        models.predicted_tokens(selection.model),
        size=(len(rows), recipe.data.block_tokens),
        dtype=np.int32,
    )

    def update() -> float:
        started = time.perf_counter()
        accumulate_gradients(
            loss_of, ids_NT, rows, ranks, precision, recipe.engine.micro_batch_blocks
        )
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    return update


def _watch_updates(
    selection: TrainableModel,
    recipe: Recipe,
    precision: Precision,
    engine: EngineSettings,
    ranks: ProcessGroup,
    live: LiveBytes,
    *,
    in_chunks: bool,
) -> Memory:
    model, weights = selection.model, [weight for _, weight in selection.trained]
    optimizer = make_optimizer(weights, recipe.train, precision, seed=0)
    loss_of: Any = model.next_token_loss if in_chunks else partial(plain_next_token_loss, model)
    model.train(recipe.train.dropout)
    held = sum(_bytes(each) for each in [*model.parameters(), *model.buffers()])
    trained = sum(map(_bytes, weights))
    at_loss: list[tuple[int, int]] = []
    _watch_head(model, live, at_loss)
    before = live.peak = live.now
    rows = list(range(recipe.train.batch_blocks))
    # Passes after the second repeat it.
    for part, row_weights in islice(ranks.share(rows, engine.micro_batch_blocks), 2):
        ids_BT = torch.ones(len(part), recipe.data.block_tokens, dtype=torch.long)
        with autocast(precision, ranks.device):
            loss = loss_of(ids_BT, torch.tensor(row_weights)).loss
        loss.backward()
        del loss, ids_BT
    passes, live.peak = live.peak, live.now
    _step(optimizer, weights)
    step = live.peak
    optimizer.zero_grad()
    # The passes of the second update are those of the first beside the states.
    peak = max(passes + live.now - before, step) + meter_bytes(weights)
    states = sum(_bytes(value) for each in optimizer.state.values() for value in each.values())
    entered, height = at_loss[0]
    return Memory(held, trained, states, entered - before, height - entered, peak)


def _step(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]) -> None:
    """Make the states and update beside them. Weights that are updated in turn: after all states
    are there, and the largest alone, since the others need less.
    """
    if isinstance(optimizer, StochasticAdamW):
        optimizer.chunks = lambda tensors: iter(())
        optimizer.step()
        largest = max(map(_bytes, weights))
        optimizer.chunks = lambda tensors: islice(
            chunks(tensors), int(_bytes(tensors[0]) == largest)
        )
    optimizer.step()


def _watch_head(model: nn.Module, live: LiveBytes, seen: list[tuple[int, int]]) -> None:
    """Note the live bytes when the head begins, and their height until it is done, for every
    pass.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    before: list[int] = []

    def enter(*_: Any) -> None:
        before.append(live.peak)
        live.peak = live.now
        seen.append((live.now, live.now))

    def leave(*_: Any) -> None:
        seen[-1] = (seen[-1][0], live.peak)
        live.peak = max(before.pop(), live.peak)

    head.register_forward_pre_hook(enter)
    head.register_forward_hook(leave)


def _bytes(tensor: Tensor) -> int:
    local = local_part(tensor)
    return local.numel() * local.element_size()


@contextmanager
def _pretend_processes(count: int) -> Iterator[ProcessGroup]:
    """The first of `count` processes, whose collectives move nothing."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=count)
    try:
        yield ProcessGroup(torch.device("cpu"), 0, count, init_device_mesh("cpu", (count,)))
    finally:
        dist.destroy_process_group()


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every storage that is alive: `now`, and their height `peak`. Real tensors
    and fake ones.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._sizes = WeakIdKeyDictionary()
        self._resize: Callable[..., Any] = torch.UntypedStorage.resize_

    def __enter__(self) -> LiveBytes:
        """Count from here on."""

        def resize_(storage: Any, size: int) -> Any:
            result = self._resize(
                storage, size
            )  # FSDP frees what it gathered so, and no operator tells of it
            if storage in self._sizes:
                self._grow(self._sizes[storage], storage.nbytes())
            return result

        torch.UntypedStorage.resize_ = resize_  # type: ignore[assignment]
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        """Stop counting."""
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and count the storages that it made."""
        result = func(*args, **(kwargs or {}))
        for tensor in (result,) if isinstance(result, Tensor) else tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return result

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, if it is not counted yet, for as long as it lives."""
        storage = getattr(tensor, "_local_tensor", tensor).untyped_storage()
        if storage not in self._sizes:
            self._sizes[storage] = size = [0]
            self._grow(size, storage.nbytes())
            weakref.finalize(storage, self._grow, size, 0)

    def _grow(self, size: list[int], to: int) -> None:
        self.now += to - size[0]
        self.peak = max(self.peak, self.now)
        size[0] = to
