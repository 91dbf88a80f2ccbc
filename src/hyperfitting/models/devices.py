"""Devices and precisions: which ones are used, and their memory."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, cast

import torch
from torch import nn

from hyperfitting.errors import InputError

Precision = Literal["fp32", "bf16-autocast", "bf16-stochastic", "bf16"]


def resolve_device(name: str) -> torch.device:
    """The device of this name; `auto` is the accelerator if there is one (CUDA, Apple's MPS), else
    the CPU.

    MPS is untested.

    Raises:
        InputError: the device is unknown or absent.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # fails on `meta`, whose tensors hold no values
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name}: not available here (use auto, cpu, cuda, cuda:1 or mps)"
        ) from error
    return device


def resolve_precision(name: str, device: torch.device) -> Precision:
    """The precision of this name; `auto` is bf16-autocast on devices with bf16 instructions, else
    fp32.

    Emulated bf16 is slower than fp32.
    """
    if name != "auto":
        return cast("Precision", name)
    if device.type == "cuda":
        return (
            "bf16-autocast" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        )
    gains = (
        device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    )
    return "bf16-autocast" if gains else "fp32"


def describe_device(device: torch.device) -> str:
    """The device's name as it is kept with a run: a GPU's model, else the type."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def memory_bytes(device: torch.device) -> int:
    """Bytes of memory of a GPU, or of this machine for any other device."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def keep_freed_memory() -> None:
    """Make glibc keep freed memory in the process; no effect with other C libraries.

    By default it returns large blocks to the system, and every update or batch requests them again
    page by page: this took a tenth of the time of a training and a fifth of the time of scoring.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def return_freed_memory() -> None:
    """Give the memory that `keep_freed_memory` kept back to the system: what a training or the
    writing of texts needed would else stay with the process while it measures.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        gc.collect()  # a model with its loss is a cycle of references
        trim(0)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """So many threads of torch while the block runs; None: as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's first weight."""
    return next(model.parameters()).device


def autocast(precision: Precision, device: torch.device) -> Any:
    """The context manager in which a forward pass of this precision runs; weights are not
    converted.
    """
    return (
        torch.autocast(device.type, torch.bfloat16)
        if precision == "bf16-autocast"
        else nullcontext()
    )


def weights_dtype(precision: Precision) -> torch.dtype:
    """The dtype of the weights during training."""
    return torch.bfloat16 if precision in ("bf16-stochastic", "bf16") else torch.float32
