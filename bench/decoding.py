"""Greedy decoding, 32-token contexts, 224 new tokens, against transformers' `generate`.

`generate` is called as in the public code of Carlsson et al. 2025 (float32, batch 8), and in our
dtype and batch size.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor
from transformers import GenerationConfig

from bench.timing import clock
from hyperfitting.decoding import Ending, continue_texts, make_sampler
from hyperfitting.models import Stepper, keep_freed_memory, keep_head_exact, load_model, stepper
from hyperfitting.recipe import GREEDY, Dtype, ModelSettings

SHIPPED = "asset:reference-lm"
PUBLIC_CODE_BATCH = 8
NEW_TOKENS = 224
TokenTexts = list[list[int]]


def report_decoding(device: torch.device, rounds: int, count: int) -> None:
    """Print tokens a second of greedy continuations, ours in both dtypes and `generate`'s, all in
    turn.
    """
    keep_freed_memory()
    contexts = torch.randint(1, 4096, (count, 32), generator=torch.Generator().manual_seed(0))
    public = load_model(ModelSettings(source=SHIPPED), device)
    ways: dict[str, Callable[[], TokenTexts]] = {
        "public": partial(generate, public, contexts, PUBLIC_CODE_BATCH)
    }
    generate(public, contexts[:PUBLIC_CODE_BATCH], PUBLIC_CODE_BATCH)
    written = {}
    for name in get_args(Dtype):
        model = load_model(ModelSettings(source=SHIPPED, dtype=name), device)
        ways[f"generate, {name}"] = partial(generate, deepcopy(model), contexts, count)
        keep_head_exact(model)
        ways[name] = partial(continued, stepper(model), contexts)
        written[name] = ways[name]()  # the warm-up too
        same = texts_equal(written[name], ways[f"generate, {name}"]())
        print(
            f"decoding, {name}: greedy texts equal to generate's at the same batch shape: {same}",
            flush=True,
        )
    print(
        f"decoding: greedy texts equal in both dtypes: {texts_equal(*written.values())}", flush=True
    )
    turns = [{name: clock(work)[0] for name, work in ways.items()} for _ in range(rounds)]
    for name in get_args(Dtype):
        print(
            f"decoding, {name}, all {count} contexts at once: "
            f"{compared(turns, name, 'public', count)}"
        )
        print(
            "  against generate at our own batch size: "
            f"{compared(turns, name, f'generate, {name}', count)}"
        )


def compared(turns: list[dict[str, float]], ours: str, theirs: str, count: int) -> str:
    """The median rates of two ways and the median of their ratios, for printing."""
    ratios = sorted(turn[theirs] / turn[ours] for turn in turns)
    rates = [
        NEW_TOKENS * count / statistics.median(turn[name] for turn in turns)
        for name in (ours, theirs)
    ]
    spread = f"from {ratios[0]:.2f} to {ratios[-1]:.2f}, {len(turns)} rounds"
    return (
        f"{rates[0]:,.0f} / {rates[1]:,.0f} tokens/s = {statistics.median(ratios):.2f}x ({spread})"
    )


def continued(steps: Stepper, contexts_BT: Tensor) -> TokenTexts:
    """Our greedy continuations."""
    ending = Ending((0,), stop=False)
    return continue_texts(
        steps, contexts_BT, make_sampler(GREEDY), new_tokens=NEW_TOKENS, ending=ending
    )


def generate(model: Any, contexts_BT: Tensor, size: int) -> TokenTexts:
    """Greedy continuations by transformers' `generate` in batches of `size`."""
    settings = GenerationConfig(
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        suppress_tokens=[0],
        pad_token_id=0,
        eos_token_id=None,
    )
    texts: TokenTexts = []
    for batch in contexts_BT.to(model.device).split(size):
        made = model.generate(
            batch, attention_mask=torch.ones_like(batch), generation_config=settings
        )
        texts += made[:, contexts_BT.shape[1] :].tolist()
    return texts


def texts_equal(texts: TokenTexts, others: TokenTexts) -> str:
    """How many texts are equal, for printing."""
    return f"{sum(one == other for one, other in zip(texts, others, strict=True))} of {len(texts)}"
