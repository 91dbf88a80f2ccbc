"""Scoring of texts on the shape of SmolLM2-135M: its speed as a share of the model's own products,
in bfloat16 against float32, and what bfloat16 changes of an experiment's metrics.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor, nn

from bench.timing import clock
from hyperfitting.measuring.reading import TextReader
from hyperfitting.models import keep_freed_memory, prefer_attention
from hyperfitting.models.chunked_logits import chunk_tokens
from hyperfitting.records import MetricRow
from hyperfitting.runs import Experiment
from hyperfitting.stages.measure import measure_experiment

TEXTS, TOKENS = 8, 256
SHAPE: dict[str, Any] = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}


class Measured(NamedTuple):
    """`share` of the products' FLOP/s in float32, `times` that bfloat16 is as fast, and the peak of
    resident memory in `gib`.
    """

    share: float
    times: float
    gib: float


def report_measuring(device: torch.device, rounds: int) -> Measured:
    """Print tokens/s in both dtypes, and the peak of resident memory with an original and a trained
    model in memory; all in turn.

    The products are those of the model's linear modules and head, of as many tokens, one after
    another in the same process: what attention computes is not counted for scoring.
    """
    keep_freed_memory()
    original, trained = (make_model(device) for _ in range(2))
    readers = [TextReader("", model, batch_texts=TEXTS) for model in (original, trained)]
    float32, bfloat16 = (partial(read, reader, count()) for reader in readers)
    float32()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    trained.bfloat16()
    prefer_attention(trained, "auto", device, TOKENS)  # as the stage does in bfloat16
    ways = {"float32": float32, "bfloat16": bfloat16, "products": partial(multiply, original)}
    bfloat16(), ways["products"]()
    turns = [{name: clock(work)[0] for name, work in ways.items()} for _ in range(rounds)]
    share, times = (
        [turn[one] / turn[other] for turn in turns]
        for one, other in (("products", "float32"), ("float32", "bfloat16"))
    )
    seconds = {name: statistics.median(turn[name] for turn in turns) for name in ways}
    flops = 2 * TEXTS * TOKENS * sum(weight.numel() for weight in product_weights(original))
    print(
        f"measuring, 135M, float32: {TEXTS * TOKENS / seconds['float32']:,.0f} tokens/s, "
        f"{spread(share, '{:.0%}')} of the products' {flops / seconds['products'] / 1e9:.0f} "
        f"GFLOP/s; {peak:.1f} GiB resident with two models"
    )
    print(
        f"measuring, 135M, bfloat16: {TEXTS * TOKENS / seconds['bfloat16']:,.0f} tokens/s, "
        f"{spread(times, '{:.2f}x')} float32",
        flush=True,
    )
    return Measured(statistics.median(share), statistics.median(times), peak)


def spread(ratios: Iterable[float], form: str) -> str:
    held = sorted(ratios)
    middle, low, high = (form.format(each) for each in (statistics.median(held), held[0], held[-1]))
    return f"{middle} (from {low} to {high})"


def make_model(device: torch.device) -> Any:
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    return model.eval().to(device)


def read(reader: TextReader, seeds: Iterator[int]) -> None:
    """Score texts that the reader has not read."""
    random = torch.Generator().manual_seed(next(seeds))
    reader.score(list(torch.randint(1, SHAPE["vocab_size"], (TEXTS, TOKENS), generator=random)))


def product_weights(model: Any) -> list[Tensor]:
    """The weights of the linear modules, and of the head."""
    return [module.weight for module in model.modules() if isinstance(module, nn.Linear)]


@torch.no_grad()
def multiply(model: Any) -> None:
    """All products of the model with the tokens of all texts, and its head with chunks of them."""
    weights = product_weights(model)
    sizes = {weight.shape[1] for weight in weights}
    inputs: dict[int, Any] = {
        size: torch.randn(TEXTS * TOKENS, size).to(weights[0]) for size in sizes
    }
    for weight in weights[:-1]:
        nn.functional.linear(inputs[weight.shape[1]], weight)
    for part in inputs[weights[-1].shape[1]].split(chunk_tokens(SHAPE["vocab_size"])):
        nn.functional.linear(part, weights[-1])


def report_changes(folder: Path, device: str = "auto") -> dict[str, float]:
    """Print, for each metric, the largest change that `measure.dtype = "bfloat16"` makes to a value
    of a generated experiment, and return it.
    """
    with tempfile.TemporaryDirectory() as held:
        measured = {
            dtype: measured_in(dtype, folder, Path(held) / dtype, device)
            for dtype in ("float32", "bfloat16")
        }
    changes = largest_changes(*measured.values())
    print("| metric | largest change | of the value |\n|---|---|---|")
    for name, (change, value) in changes.items():
        relative = f"{change / abs(value):.2%}" if value else ""
        print(f"| `{name}` | {change:.2g} | {relative} |", flush=True)
    return {name: change for name, (change, _) in changes.items()}


def measured_in(dtype: str, folder: Path, copy: Path, device: str) -> list[MetricRow]:
    """The rows of a copy of an experiment, measured anew in a dtype."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*metrics.jsonl", "report"))
    experiment = Experiment(copy)
    recipe = experiment.recipe
    how = recipe.measure.model_copy(update={"dtype": dtype})
    experiment.recipe_file.write_text(recipe.model_copy(update={"measure": how}).canonical_json())
    measure_experiment(Experiment(copy), device=device)
    return [row for run in Experiment(copy).runs().values() for row in run.metrics()]


def largest_changes(
    one: Iterable[MetricRow], other: Iterable[MetricRow]
) -> dict[str, tuple[float, float]]:
    """For each metric the largest difference of two measurings, and the first's value there."""
    values = {row_key(row): row.value for row in other}
    found: dict[str, tuple[float, float]] = {}
    for row in one:
        change = abs(row.value - values.get(row_key(row), float("nan")))
        found[row.name] = max(found.get(row.name, (-1.0, 0.0)), (change, row.value))
    return found


def row_key(row: MetricRow) -> tuple[str, str, str | None, str, int | None]:
    return row.variant, row.domain, row.strategy, row.name, row.position
