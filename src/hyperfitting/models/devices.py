"""Where a model computes and in which arithmetic."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import nullcontext
from typing import Any, Literal, cast

import torch
from torch import nn

from hyperfitting.errors import InputError

Precision = Literal["fp32", "bf16-autocast", "bf16-stochastic", "bf16"]


def resolve_device(name: str) -> torch.device:
    """`auto` is the accelerator where there is one (CUDA, Apple's MPS, ...), else the CPU. MPS is untested.

    Raises:
        InputError: if the device is unknown or absent.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # `meta` has tensors, and nothing in them
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {name}: not available here (use auto, cpu, cuda, cuda:1 or mps)"
        ) from error
    return device


def resolve_precision(name: str, device: torch.device) -> Precision:
    """`auto` is bf16-autocast on CUDA and CPUs with bf16 instructions, else fp32, since emulation is slower."""
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
    """The device in words, as kept with a run."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def memory_bytes(device: torch.device) -> int:
    """Memory of a GPU, or of this machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, where it is glibc.

    That gives large blocks back to the system, and each update or batch asks for them again, page by page: a tenth of
    a training's time, a fifth of a scoring's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device


def thread_count() -> int:
    """Threads that torch computes with on the CPU."""
    return torch.get_num_threads()


def autocast(precision: Precision, device: torch.device) -> Any:
    """The context in which a forward pass of this precision runs; weights stay as they are."""
    return (
        torch.autocast(device.type, torch.bfloat16)
        if precision == "bf16-autocast"
        else nullcontext()
    )


def weights_dtype(precision: Precision) -> torch.dtype:
    """The dtype in which weights are held while they are trained."""
    return torch.bfloat16 if precision in ("bf16-stochastic", "bf16") else torch.float32
