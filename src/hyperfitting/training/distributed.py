"""One process or many: who this one is, what it takes of a batch, and how the model is dealt out
(FSDP2).

`torchrun --nproc-per-node 8 -m hyperfitting train RECIPE` starts the processes; without torchrun
there is one.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from hyperfitting.errors import InputError
from hyperfitting.models import Precision, decoder_layers, input_embeddings, output_head

Result = TypeVar("Result")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among `world`, and the device that it computes on."""

    device: torch.device
    rank: int = 0
    world: int = 1
    mesh: DeviceMesh | None = None

    @property
    def is_main(self) -> bool:
        """The one that writes files and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def any(self, said: bool) -> bool:
        """Whether one of the processes says so."""
        return (
            said
            if self.world == 1
            else bool(self.sum(torch.tensor(float(said), device=self.device)))
        )

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()

    def from_main(self, value: Any) -> Any:
        """What the main process holds."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def on_main(self, work: Callable[[], Result]) -> Result | None:
        """What `work` gives on the main process, None on the others. If it fails there, the others
        leave in silence.
        """
        if self.world == 1:
            return work()
        result, failed = None, None
        if self.is_main:
            try:
                result = work()
            except Exception as error:
                failed = error
        code = self.from_main(None if failed is None else getattr(failed, "exit_code", 1))
        if failed is not None:
            raise failed
        if code is not None:
            raise SystemExit(code)
        return result

    @contextmanager
    def alone(self, hold: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        """Enter what `hold` gives on the main process alone."""
        with ExitStack() as stack:
            self.on_main(lambda: stack.enter_context(hold()))
            yield

    def share(
        self, rows: Sequence[int], micro: int | None
    ) -> Iterator[tuple[list[int], list[float]]]:
        """This process's rows of an update with their weights, in parts of at most `micro`.

        Every process gets as many parts of the same sizes, since all must meet in every pass: where
        rows do not divide, a row stands in with weight 0.
        """
        each_takes = -(-len(rows) // self.world)
        mine = list(rows)[self.rank * each_takes :][:each_takes]
        weights = [1.0] * len(mine) + [0.0] * (each_takes - len(mine))
        mine += [rows[0]] * (each_takes - len(mine))
        size = micro or each_takes
        for start in range(0, each_takes, size):
            yield mine[start : start + size], weights[start : start + size]


def process_count() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join_processes(device: torch.device) -> ProcessGroup:
    """Join the processes that torchrun started, each on an accelerator of its own; or be the only
    one.

    Raises:
        InputError: they were not started by torchrun, or there are fewer accelerators.
    """
    world = process_count()
    if world == 1:
        return ProcessGroup(device)
    if missing := [name for name in ("RANK", "LOCAL_RANK") if name not in os.environ]:
        raise InputError(
            f"WORLD_SIZE is set, and {' and '.join(missing)} not: start the processes with torchrun"
        )
    if device.type == "cuda" and int(os.environ["LOCAL_RANK"]) >= torch.cuda.device_count():
        raise InputError(
            f"more processes than the {torch.cuda.device_count()} GPUs: lower --nproc-per-node"
        )
    ranks = ProcessGroup(device, int(os.environ["RANK"]), world)
    if device.type == "cuda":
        ranks = replace(ranks, device=torch.device("cuda", int(os.environ["LOCAL_RANK"])))
        torch.cuda.set_device(ranks.device)
    if not dist.is_initialized():
        dist.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
        atexit.register(dist.destroy_process_group)
    return replace(ranks, mesh=init_device_mesh(ranks.device.type, (world,)))


def shard(
    empty: nn.Module, full: nn.Module | None, ranks: ProcessGroup, precision: Precision
) -> nn.Module:
    """Deal the weights of the main process's `full` model out over the `empty` one, layer by layer.

    Weights are sharded in the dtype they have: float32 masters, gathered as bfloat16 under
    bf16-autocast.
    """
    deal_out(empty, ranks, precision)
    empty.to_empty(device=ranks.device)
    set_model_state_dict(empty, full.state_dict() if full is not None else {}, options=_WHOLE)
    # Buffers outside the state dict, such as rotary frequencies, are garbage after to_empty.
    true = dict(full.named_buffers()) if full is not None else {}
    for name, buffer in empty.named_buffers():
        if ranks.is_main:
            buffer.copy_(true[name])
        dist.broadcast(buffer, 0)
    return empty


def deal_out(model: nn.Module, ranks: ProcessGroup, precision: Precision) -> None:
    """Shard layer by layer; embeddings and head too, unless they are one weight, so that each is
    whole in turn only.
    """
    gathered = torch.bfloat16 if precision == "bf16-autocast" else None
    summed = torch.float32 if precision != "bf16-stochastic" else None  # that mode is for memory
    policy = MixedPrecisionPolicy(param_dtype=gathered, reduce_dtype=summed)
    embeddings, head = input_embeddings(model), output_head(model)
    apart = (
        [embeddings, head]
        if None not in (embeddings, head) and embeddings.weight is not head.weight
        else []
    )
    for module in [*decoder_layers(model), *apart]:
        fully_shard(
            module, mesh=ranks.mesh, mp_policy=policy, reshard_after_forward=module is not head
        )
    fully_shard(model, mesh=ranks.mesh, mp_policy=policy)
    if hasattr(model, "next_token_loss"):
        register_fsdp_forward_method(model, "next_token_loss")


def gather(model: nn.Module) -> dict[str, Tensor]:
    """The whole state dict, on the CPU of the main process; every process must call it."""
    return get_model_state_dict(  # type: ignore[return-value]
        model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )


_WHOLE = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
