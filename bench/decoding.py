"""Greedy decoding, 32-token contexts, 224 new tokens, against transformers' `generate`.

Called as A's public code calls it (batch 8), and at our own batch size. Texts must agree.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import GenerationConfig

from hyperfitting.decoding import Ending, chooser, continue_texts
from hyperfitting.models import CachedModel, load_model
from hyperfitting.recipe import GREEDY, ModelSettings

PUBLIC_CODE_BATCH = 8


def decoding(device: torch.device, rounds: int, count: int) -> None:
    """Seconds of a greedy continuation of all contexts, ours and `generate`."""
    model = load_model(ModelSettings(source="asset:reference-lm"), device)
    contexts = torch.randint(1, 4096, (count, 32), generator=torch.Generator().manual_seed(0))
    settings = GenerationConfig(
        max_new_tokens=224, do_sample=False, suppress_tokens=[0], pad_token_id=0, eos_token_id=None
    )

    def ours() -> list[list[int]]:
        return continue_texts(
            CachedModel(model), contexts, chooser(GREEDY), new_tokens=224, ending=Ending((0,), stop=False)
        )

    def generate(size: int) -> list[list[int]]:
        texts: list[list[int]] = []
        for batch in contexts.to(device).split(size):
            made = model.generate(batch, attention_mask=torch.ones_like(batch), generation_config=settings)  # type: ignore[operator]
            texts += made[:, 32:].tolist()
        return texts

    agree = np.mean([one == other for one, other in zip(ours(), generate(count), strict=True)])
    print(f"greedy texts equal to generate's at the same batch shape: {agree:.0%} of {count}")
    pair(
        f"decoding, tokens/s, all {count} contexts at once, against generate in batches of 8",
        ours,
        lambda: generate(PUBLIC_CODE_BATCH),
        224 * count,
        rounds,
        1,
    )
    pair("  against generate at our own batch size", ours, lambda: generate(count), 224 * count, rounds, 1)


def pair(
    label: str, ours: Callable[[], object], theirs: Callable[[], object], tokens: int, rounds: int, repeats: int
) -> None:
    """Print the median rates and the median of the ratios, taken in turn after one warm-up each."""
    ours(), theirs()
    times = [(clock(ours, repeats), clock(theirs, repeats)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in times)
    rates = [tokens / statistics.median(column) for column in zip(*times, strict=True)]
    spread = f"from {ratios[0]:.2f} to {ratios[-1]:.2f}, {rounds} rounds"
    print(f"{label}: {rates[0]:,.0f} / {rates[1]:,.0f} = {statistics.median(ratios):.2f}x ({spread})")


def clock(function: Callable[[], object], repeats: int) -> float:
    """Seconds of one call, over `repeats`."""
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats
