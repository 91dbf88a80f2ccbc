"""What stops a training from outside: memory, disk, numbers. Each becomes one line with the remedy."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException

from hyperfitting.errors import DiskFull, OutOfMemory, causes
from hyperfitting.records import UpdateRow

_LOST_UPDATES = 20
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_FULL_DISK_WORDS = ("No space left", "Disk quota exceeded", "file write failed")


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn a full memory or disk into an error of ours. Checkpoints written before it stay as they are."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory() from error
    except MemoryError as error:
        raise OutOfMemory() from error
    except (Exception, CheckpointException) as error:  # torch's is no Exception
        if "DefaultCPUAllocator" in str(error):
            raise OutOfMemory() from error
        if _tells_of_full_disk(error):
            raise DiskFull() from error
        raise


def _tells_of_full_disk(error: BaseException) -> bool:
    """Whether the error, or one that it hides, is that of a full disk; torch's writers keep only words of it."""
    for each in causes(error):
        if getattr(each, "errno", None) in _FULL_DISK or any(words in str(each) for words in _FULL_DISK_WORDS):
            return True
        inner = getattr(each, "failures", {}).values()
        if any(_tells_of_full_disk(failure[0] if isinstance(failure, tuple) else failure) for failure in inner):
            return True
    return False


def not_a_number(loss: float, gradient_norm: float, update: int) -> str:
    """What to say when a step would leave weights that are no numbers."""
    if not math.isfinite(loss):
        return f"the loss is {loss} at update {update}: lower train.learning_rate"
    return f"the gradient is {gradient_norm} at update {update}: lower train.learning_rate, or set train.clip_norm"


def diverges(updates: Sequence[UpdateRow], config: Any) -> str:
    """What to say when the loss is, for 20 updates, worse than that of a model that knows nothing; else nothing."""
    last, blind = updates[-_LOST_UPDATES:], math.log(config.vocab_size)
    if len(last) < _LOST_UPDATES or math.fsum(row.loss for row in last) / len(last) <= blind + 1:
        return ""
    return (
        f"the loss diverges: {last[-1].loss:.2f} at update {last[-1].update}, where guessing gives {blind:.2f}: "
        "lower train.learning_rate, or set train.clip_norm or train.warmup_updates"
    )
