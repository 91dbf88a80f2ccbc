"""`python -m bench`: ours against a named baseline, taken in turn in one process, median of several ratios.

- Training: one update of the shipped model, 8 x 256 tokens, against the loop of the paper's public code in its settings
  (model.train(), loss from `labels`, torch.optim.AdamW, float32 weights, no autocast).
- Decoding: greedy, 32-token contexts, 224 new tokens, against transformers' `generate` called as that code calls it
  (batch 8), and at our own batch size. Texts must agree.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig

from hyperfitting.decoding import Ending, chooser, continue_texts
from hyperfitting.models import CachedModel, autocast, load_model, resolve_device, resolve_precision
from hyperfitting.recipe import GREEDY, ModelSettings

REFERENCE = ModelSettings(source="asset:reference-lm")
PUBLIC_CODE_BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contexts", type=int, default=96)
    options = parser.parse_args()
    device = resolve_device(options.device)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    )
    print(f"{name}; torch {torch.__version__}")
    training(device, options.rounds)
    decoding(device, options.rounds, options.contexts)


def training(device: torch.device, rounds: int) -> None:
    """Seconds of an update, ours and the public code's, over the same random tokens."""
    ids = torch.randint(1, 4096, (8, 256), generator=torch.Generator().manual_seed(0)).to(device)
    precision = resolve_precision("auto", device)
    ours_model, plain_model = load_model(REFERENCE, device), load_model(REFERENCE, device)
    ours_adam = torch.optim.AdamW(ours_model.parameters(), 1e-6, weight_decay=0.0, fused=True)
    plain_adam = torch.optim.AdamW(plain_model.parameters(), 1e-6)

    def ours() -> None:
        with autocast(precision, device):
            logits = ours_model(ids, use_cache=False).logits
        cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten()).backward()
        ours_adam.step()
        ours_adam.zero_grad(set_to_none=True)

    def plain() -> None:
        plain_model.train()
        plain_model(ids, labels=ids).loss.backward()
        plain_adam.step()
        plain_adam.zero_grad()

    pair(
        f"training, tokens/s ({precision}, fused Adam) against the public code's loop",
        ours,
        plain,
        ids.numel(),
        rounds,
        5,
    )


def decoding(device: torch.device, rounds: int, count: int) -> None:
    """Seconds of a greedy continuation of all contexts, ours and `generate`."""
    model = load_model(REFERENCE, device)
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


if __name__ == "__main__":
    main()
