"""Tokens per second of the real loop. The baselines run inside its probes, so that all share the
machine's load evenly.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers

from bench.baselines import TrainerLoop, public_loop
from hyperfitting import models, training
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import Recipe, parse_recipe
from hyperfitting.records import ProbeRow
from hyperfitting.training.checkpoint import Checkpoints, State

BLOCKS, TOKENS, TURN = 8, 256, 6
PRODUCT_SIZES = (1024, 2048, 4096)
PEAK_FLOPS = {"fp32": 67e12, "bf16-autocast": 989e12, "bf16-stochastic": 989e12}
"""Of an H100 or H200 SXM, dense; float32 without TF32, torch's default for products."""
BYTES_PER_SECOND = {"H100": 3.35e12, "H200": 4.8e12}
SHAPES: dict[str, dict[str, Any]] = {
    "17M Llama": {
        "vocab_size": 8192,
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "tie_word_embeddings": True,
        "max_position_embeddings": 512,
    },
}


def report_training(device: torch.device, rounds: int) -> None:
    """Print the two small shapes on a CPU, or the 1.1B shape in each precision on a GPU."""
    if device.type == "cuda":
        for precision in ("bf16-autocast", "bf16-stochastic", "fp32"):
            for blocks in (8, 32):
                large(device, precision, blocks, rounds)
        return
    for name in ("17M Llama", "reference model"):
        with tempfile.TemporaryDirectory() as folder:
            for compile_ in (False, True):
                compare_training(
                    name, architecture(name, Path(folder)), device, rounds, compile_=compile_
                )


def architecture(name: str, folder: Path) -> str:
    if name == "reference model":
        return "asset:reference-lm"
    transformers.LlamaConfig(**SHAPES[name]).save_pretrained(folder)
    return str(folder)


def compare_training(
    name: str,
    shape: str,
    device: torch.device,
    rounds: int,
    *,
    compile_: bool,
    with_trainer: bool = True,
) -> tuple[float, float]:
    """Run ours, the public loop and Trainer in turn, `TURN` updates each, after a turn to warm up.

    Returns our share of the best product's FLOP/s, and our tokens/s divided by the public loop's.
    """
    tree = recipe_tree(shape, updates=TURN * (rounds + 1), engine={"compile": compile_})
    recipe = parse_recipe(tree, source="bench")
    ids_NT = np.random.default_rng(0).integers(1, 4096, (64, TOKENS), dtype=np.int32)
    plain = public_loop(fresh(recipe, device), ids_NT, 1e-5)
    trainer = TrainerLoop(fresh(recipe, device), ids_NT, device) if with_trainer else None
    plain_seconds: list[float] = []
    best = best_product(device)

    def turn(state: State, epoch: float, variants: Sequence[str]) -> ProbeRow:
        nonlocal best
        best = max(best, best_product(device))
        if state.update > 0:
            for _ in range(TURN):
                started = time.perf_counter()
                next(plain)
                plain_seconds.append(time.perf_counter() - started)
            if trainer is not None:
                trainer.run(TURN)
        return ProbeRow(state.update, epoch, None, 1.0, 1.0, 0.1, 0.2, 0.3, 0.5, 0.5, "", "")

    outcome_rows = run_loop(recipe, ids_NT, device, turn)
    ours = turns([BLOCKS * (TOKENS - 1) / row.tokens_per_second for row in outcome_rows])
    theirs = {"the public loop": turns(plain_seconds)}
    if trainer is not None:
        theirs["Trainer"] = turns(trainer.seconds)
    rate, flops = (
        BLOCKS * TOKENS / statistics.median(ours),
        flops_per_token(fresh(recipe, device), TOKENS),
    )
    how = "compiled" if compile_ else "not compiled"
    print(
        f"training, {name}, {how}: {rate:,.0f} tokens/s, {rate * flops / best:.0%} of "
        f"{best / 1e9:.0f} GFLOP/s"
    )
    medians = []
    for label, seconds in theirs.items():
        ratios = sorted(b / a for a, b in zip(ours[1:], seconds[1:], strict=False))
        medians.append(statistics.median(ratios))
        other = BLOCKS * TOKENS / statistics.median(seconds[1:])
        spread = f"from {ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} turns"
        print(
            f"  against {label}: {other:,.0f} tokens/s; {statistics.median(ratios):.2f}x "
            f"({spread})",
            flush=True,
        )
    return rate * flops / best, medians[0]


def turns(seconds: list[float]) -> list[float]:
    """The median seconds of an update in each turn."""
    return [statistics.median(seconds[i : i + TURN]) for i in range(0, len(seconds), TURN)]


def recipe_tree(shape: str, *, updates: int, **sections: Any) -> dict[str, Any]:
    """A recipe for a shape with random weights; its texts are never read."""
    return {
        "name": "bench",
        "model": {"source": shape, "initialise": "random"},
        "data": {
            "train": {"path": "none.txt"},
            "train_blocks": 64,
            "validation_blocks": 1,
            "block_tokens": TOKENS,
        },
        "train": {"learning_rate": 1e-5, "updates": updates} | sections.pop("train", {}),
        "probe": {"every_updates": TURN},
        **sections,
    }


def fresh(recipe: Recipe, device: torch.device) -> Any:
    return models.load_model(recipe.model, device, seed=0)


def run_loop(recipe: Recipe, ids_NT: Any, device: torch.device, probe: Any) -> list[Any]:
    """Run the real loop; the rows of its updates."""
    ranks = training.join_processes(device)
    precision = models.resolve_precision(recipe.train.precision, device)
    setup = training.prepare(recipe, ranks, precision)
    rows: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        training.train(
            setup,
            ids_NT,
            {"hyperfitted": recipe.train},
            checkpoints=Checkpoints(Path(folder), recipe, ranks),
            watcher=SimpleNamespace(log=lambda row, variants: rows.append(row), probe=probe),
            progress=NoProgress(),
        )
    return rows


def best_product(device: torch.device) -> float:
    """FLOP/s of the best square bfloat16 product of the `PRODUCT_SIZES`."""
    best = 0.0
    for size in PRODUCT_SIZES:
        one, other = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
        for _ in range(3):
            started = time.perf_counter()
            one @ other
            if device.type == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def flops_per_token(model: Any, tokens: int) -> float:
    """6 x (non-embedding parameters + head) + attention (12 x layers x hidden x half the tokens:
    causal).
    """
    config = model.config
    embedding = config.vocab_size * config.hidden_size
    tied = config.tie_word_embeddings
    parameters = sum(each.numel() for each in model.parameters()) - embedding * (1 if tied else 2)
    return (
        6 * (parameters + embedding)
        + 12 * config.num_hidden_layers * config.hidden_size * tokens / 2
    )


def large(device: torch.device, precision: str, blocks: int, rounds: int) -> None:
    """Print tokens/s, utilisation, roofline and peak memory of the 1.1B shape on a GPU, and the
    public loop's tokens/s.
    """
    train = {"precision": precision, "batch_blocks": blocks, "learning_rate": 1e-6}
    tree = recipe_tree(
        "asset:architectures/tinyllama-1.1b",
        updates=5 * (rounds + 1),
        train=train,
        engine={"compile": True},
    )
    recipe = parse_recipe(tree, source="bench")
    ids_NT = np.random.default_rng(0).integers(1, 4096, (64, TOKENS), dtype=np.int32)
    gc.collect()  # a model with its loss is a cycle of references
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    rows = run_loop(
        recipe,
        ids_NT,
        device,
        lambda state, epoch, variants: ProbeRow(state.update, epoch, None, *[0.5] * 7, "", ""),
    )
    seconds = statistics.median(blocks * (TOKENS - 1) / row.tokens_per_second for row in rows[5:])
    peak = torch.cuda.max_memory_allocated(device)
    model = fresh(recipe, device)
    name = torch.cuda.get_device_name(device)
    bandwidth = next(
        (rate for part, rate in BYTES_PER_SECOND.items() if part in name), BYTES_PER_SECOND["H100"]
    )
    arithmetic = blocks * TOKENS * flops_per_token(model, TOKENS) / PEAK_FLOPS[precision]
    held = 2 if precision == "bf16-stochastic" else 4
    optimiser = 7 * held * sum(each.numel() for each in model.parameters()) / bandwidth
    gc.collect()
    torch.cuda.empty_cache()
    plain = public_loop(model, ids_NT, 1e-6)
    next(plain)
    started = time.perf_counter()
    list(islice(plain, 5))
    plain_rate = 5 * 8 * TOKENS / (time.perf_counter() - started)
    print(
        f"1.1B Llama, {precision}, {blocks * TOKENS} tokens an update: "
        f"{blocks * TOKENS / seconds:,.0f} tokens/s, {arithmetic / seconds:.0%} of peak, "
        f"{(arithmetic + optimiser) / seconds:.0%} of the roofline, {peak / 2**30:.1f} GiB; the "
        f"public loop, 2,048 tokens: {plain_rate:,.0f} tokens/s",
        flush=True,
    )
