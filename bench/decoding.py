"""Greedy decoding, 32-token contexts, 224 new tokens, against transformers' `generate`.

Called as A's public code calls it (float32, batch 8), and in our dtype at our own batch size.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn
from transformers import GenerationConfig

from hyperfitting.decoding import Ending, chooser, continue_texts
from hyperfitting.models import CachedModel, keep_freed_memory, keep_head_exact, load_model
from hyperfitting.recipe import GREEDY, Dtype, ModelSettings

SHIPPED = "asset:reference-lm"
PUBLIC_CODE_BATCH = 8
NEW_TOKENS = 224


def decoding(device: torch.device, rounds: int, count: int) -> None:
    """Tokens a second of a greedy continuation of all contexts, ours in both dtypes and `generate`."""
    keep_freed_memory()
    contexts = torch.randint(1, 4096, (count, 32), generator=torch.Generator().manual_seed(0))
    models = {each: load_model(ModelSettings(source=SHIPPED, dtype=each), device) for each in get_args(Dtype)}
    generated = partial(generate, models["float32"], contexts, PUBLIC_CODE_BATCH)
    written = {}
    for name, model in models.items():
        beside = partial(generate, deepcopy(model), contexts, count)
        keep_head_exact(model)
        ours = partial(continued, model, contexts)
        written[name] = ours()
        print(f"{name}: greedy texts equal to generate's at the same batch shape: {equal(written[name], beside())}")
        tokens = NEW_TOKENS * count
        pair(
            f"{name}, tokens/s, all {count} contexts at once, against float32 generate in batches of 8",
            ours,
            generated,
            tokens,
            rounds,
            1,
        )
        pair(f"{name}, against {name} generate at our own batch size", ours, beside, tokens, rounds, 1)
    print(f"greedy texts equal in both dtypes: {equal(*written.values())}")


def continued(model: nn.Module, contexts_BT: Tensor) -> list[list[int]]:
    """Greedy texts of ours."""
    ending = Ending((0,), stop=False)
    return continue_texts(CachedModel(model), contexts_BT, chooser(GREEDY), new_tokens=NEW_TOKENS, ending=ending)


def generate(model: Any, contexts_BT: Tensor, size: int) -> list[list[int]]:
    """Greedy texts of transformers' `generate`, so many side by side."""
    settings = GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=False, suppress_tokens=[0], pad_token_id=0, eos_token_id=None
    )
    texts: list[list[int]] = []
    for batch in contexts_BT.to(model.device).split(size):
        made = model.generate(batch, attention_mask=torch.ones_like(batch), generation_config=settings)
        texts += made[:, contexts_BT.shape[1] :].tolist()
    return texts


def equal(texts: list[list[int]], others: list[list[int]]) -> str:
    """How many texts are the same."""
    return f"{sum(one == other for one, other in zip(texts, others, strict=True))} of {len(texts)}"


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
