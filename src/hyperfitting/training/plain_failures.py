"""What stops a training from outside: memory, disk, numbers. Each becomes one line with the
remedy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException

from hyperfitting.errors import (
    DiskFull,
    InputError,
    OutOfMemory,
    ProcessLost,
    causes,
    is_disk_full,
    is_out_of_memory,
    kind_of,
)
from hyperfitting.records import UpdateRow

_LOST_UPDATES = 20
_FULL_DISK_WORDS = ("No space left", "Disk quota exceeded", "file write failed")

_LOST_PROCESS_WORDS = ("gloo", "NCCL")


@contextmanager
def translate_torch_errors(out_of_memory: str = "") -> Iterator[None]:
    """Turn a full memory or disk, and a process lost, into an error of ours. Checkpoints before it
    stay as they are.

    `out_of_memory` is the remedy, where it is not that of a training.

    Raises:
        OutOfMemory, DiskFull, ProcessLost: see above.
        InputError: torch cannot compile the model.
    """
    try:
        yield
    except (Exception, CheckpointException) as error:  # torch's is no Exception
        if is_out_of_memory(error):
            raise OutOfMemory(out_of_memory) from error
        if _tells_of_full_disk(error):
            raise DiskFull() from error
        if isinstance(error, RuntimeError) and (
            isinstance(error, dist.DistError)
            or any(words in str(error) for words in _LOST_PROCESS_WORDS)
        ):
            raise ProcessLost(kind_of(error)) from error
        if any(
            kind.__name__ == "TorchDynamoException" for kind in type(error).__mro__
        ):  # importing it takes a second
            raise InputError(
                f"engine.compile: torch could not compile this model ({kind_of(error)}): set it to "
                "false"
            ) from error
        raise


def _tells_of_full_disk(error: BaseException) -> bool:
    """Whether the error, or one that it hides, is that of a full disk; torch's writers keep only
    words of it.
    """
    return any(
        is_disk_full(each)
        or any(words in str(each) for words in _FULL_DISK_WORDS)
        or any(
            _tells_of_full_disk(failure[0] if isinstance(failure, tuple) else failure)
            for failure in getattr(each, "failures", {}).values()
        )
        for each in causes(error)
    )


def not_a_number(loss: float, gradient_norm: float, update: int) -> str:
    """What to say when a step would leave weights that are no numbers."""
    if update == 1:
        return (
            f"the loss is {loss} and its gradient {gradient_norm} before any step: the model gives "
            "no finite numbers "
            'for these texts in this precision: try train.precision = "fp32", or another model'
        )
    if not math.isfinite(loss):
        return f"the loss is {loss} at update {update}: lower train.learning_rate"
    return (
        f"the gradient is {gradient_norm} at update {update}: lower train.learning_rate, or set "
        "train.clip_norm"
    )


def is_lost(loss: float, words: int) -> bool:
    """Whether a loss is more than a nat worse than guessing among that many tokens: no state to
    keep in a checkpoint.
    """
    return loss > math.log(words) + 1


def diverges(updates: Sequence[UpdateRow], words: int) -> str:
    """What to say when the loss is, for 20 updates, worse than that of a model that knows nothing;
    else nothing.
    """
    last, blind = updates[-_LOST_UPDATES:], math.log(words)
    if len(last) < _LOST_UPDATES or not is_lost(
        math.fsum(row.loss for row in last) / len(last), words
    ):
        return ""
    return (
        f"the loss diverges: {last[-1].loss:.2f} at update {last[-1].update}, where guessing gives "
        f"{blind:.2f}: lower train.learning_rate, or set train.clip_norm or train.warmup_updates"
    )
