"""Continuations -> rows of the table: one number, its interval and its run each.

The names are fixed; docs/measures.md defines every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from hyperfitting.metrics.controls import random_texts, shuffled_texts
from hyperfitting.metrics.diversity import distinct_ngram_share, repeated_ngram_share, type_token_ratio
from hyperfitting.metrics.overlap import RECITED_ORDER, TrainingIndex
from hyperfitting.metrics.stats import Estimate, delete_a_group, ratio_of_sums
from hyperfitting.models import score_texts
from hyperfitting.recipe import Recipe
from hyperfitting.records import Continuation, MetricRow, Target, TokenBlocks

TTR_WINDOW_TOKENS = 96
"""A, section 4: diversity is taken on 96 tokens."""

Texts = Sequence[Continuation]


def measure_texts(texts: Texts, recipe: Recipe, index: TrainingIndex, original: nn.Module) -> list[MetricRow]:
    """Every measure of continuations, by model, set and arm. `original` scores them for `perplexity_under_original`."""
    rows = []
    for key in dict.fromkeys((text.model, text.set, text.arm) for text in texts):
        cell = [text for text in texts if (text.model, text.set, text.arm) == key]
        rows += [*_diversity(cell, recipe), *_overlap(cell, recipe, index), *_perplexity_under(original, cell, recipe)]
    return rows


def controls(references: Texts, recipe: Recipe) -> list[Continuation]:
    """The two controls of every set, shaped like the reference texts: models `shuffled` and `random`."""
    made = []
    for name in dict.fromkeys(text.set for text in references):
        texts = [text for text in references if text.set == name]
        ids = [text.ids for text in texts]
        for model, control in (("shuffled", shuffled_texts), ("random", random_texts)):
            changed = control(ids, seed=recipe.seed)
            made += [replace(text, model=model, ids=tuple(new), pieces=()) for text, new in zip(texts, changed, strict=True)]
    return made


def measure_model(model: nn.Module, blocks: TokenBlocks, recipe: Recipe, *, role: str, run: str) -> list[MetricRow]:
    """How sharp a model is on the texts of one set, every token but the first; the loss alone on the training blocks.

    Source: A, Table 3 (entropy in nats, cumulative top-1/3/5 probability, perplexity, on 300 original texts).
    """
    scores = score_texts(model, blocks.ids_NT, batch_blocks=recipe.measure.batch_blocks)
    tokens = [scores.loss.shape[1]] * len(blocks)

    def row(name: str, sums: torch.Tensor, unit: str, target: Target, transform: Any = None) -> MetricRow:
        estimate = ratio_of_sums(
            sums.double().sum(1).tolist(), tokens, blocks.groups, draws=recipe.measure.bootstrap_draws, seed=recipe.seed,
            **({"transform": transform} if transform else {}),
        )  # fmt: skip
        return _row(role, blocks.name, None, name, estimate, unit, target, run)

    if blocks.name == "train":
        return [row("train_loss", scores.loss, "nats per token", "lower")]
    loss = (
        row("validation_loss", scores.loss, "nats per token", "lower")
        if blocks.name == "validation"
        else row("perplexity", scores.loss, "", "lower", np.exp)
    )
    masses = [("top1_probability", scores.top1), ("top3_probability", scores.top3), ("top5_probability", scores.top5)]
    return [
        loss,
        row("entropy", scores.entropy, "nats", "reference"),
        *(row(name, mass, "", "reference") for name, mass in masses),
    ]


def _diversity(cell: Texts, recipe: Recipe) -> list[MetricRow]:
    per_text: list[tuple[str, Callable[[Sequence[int]], float]]] = [
        (f"ttr_last{TTR_WINDOW_TOKENS}", partial(type_token_ratio, window_tokens=TTR_WINDOW_TOKENS)),
        ("ttr", type_token_ratio),
        *((f"repeated_{order}gram_share", partial(repeated_ngram_share, order=order)) for order in (2, 3, 4)),
    ]
    rows = [_mean_row(cell, recipe, name, lambda text, f=function: f(text.ids), "", "reference") for name, function in per_text]  # type: ignore[misc]
    for order in (1, 2, 3, 4):
        estimate = _attempt(
            lambda order=order: delete_a_group(  # type: ignore[misc]
                [text.ids for text in cell], [text.group for text in cell], partial(distinct_ngram_share, order=order)
            )
        )
        rows.append(_row_of(cell, f"distinct_{order}gram_share", estimate, "", "reference"))
    return [row for row in rows if row is not None]


def _overlap(cell: Texts, recipe: Recipe, index: TrainingIndex) -> list[MetricRow]:
    longest = {text.context: index.longest_shared_run(text.ids).length for text in cell if text.ids}
    recited = [index.recited_ngrams(text.ids) for text in cell]
    share = _attempt(
        lambda: ratio_of_sums(
            [hits for hits, _ in recited], [total for _, total in recited], [text.group for text in cell],
            draws=recipe.measure.bootstrap_draws, seed=recipe.seed,
        )
    )  # fmt: skip
    rows = [
        _mean_row(cell, recipe, "longest_overlap_tokens", lambda text: longest[text.context], "tokens", "reference"),
        _row_of(cell, f"recited_{RECITED_ORDER}gram_share", share, "", "reference"),
    ]
    return [row for row in rows if row is not None]


def _perplexity_under(original: nn.Module, cell: Texts, recipe: Recipe) -> list[MetricRow]:
    """exp(summed loss / summed tokens) of the continuations given their contexts, under the untouched model."""
    kept = [text for text in cell if text.ids]
    if not kept:
        return []
    longest = max(len(text.ids) for text in kept)
    # Padded on the right, where a causal model does not look back from; the padding's own losses are not summed.
    rows = [[*text.context_ids, *text.ids, *[0] * (longest - len(text.ids))] for text in kept]
    loss_BT = score_texts(original, np.array(rows), batch_blocks=recipe.measure.batch_blocks).loss
    sums = [
        float(loss[len(text.context_ids) - 1 :][: len(text.ids)].double().sum()) for text, loss in zip(kept, loss_BT, strict=True)
    ]
    estimate = ratio_of_sums(
        sums, [len(text.ids) for text in kept], [text.group for text in kept],
        draws=recipe.measure.bootstrap_draws, seed=recipe.seed, transform=np.exp,
    )  # fmt: skip
    row = _row_of(cell, "perplexity_under_original", estimate, "", "reference")
    return [row] if row else []


def _mean_row(
    cell: Texts, recipe: Recipe, name: str, function: Callable[[Continuation], float], unit: str, target: Target
) -> MetricRow | None:
    """The mean over texts; those too short for the measure are left out and counted."""
    values, groups = [], []
    for text in cell:
        value = _attempt(lambda text=text: function(text)) if text.ids else None  # type: ignore[misc]
        if value is not None:
            values.append(value)
            groups.append(text.group)
    estimate = _attempt(
        lambda: ratio_of_sums(values, [1.0] * len(values), groups, draws=recipe.measure.bootstrap_draws, seed=recipe.seed)
    )
    return _row_of(cell, name, estimate, unit, target)


def _attempt(function: Callable[[], Any]) -> Any:
    """The function's value, or None where the texts are too short for it."""
    try:
        return function()
    except ValueError:
        return None


def _row_of(cell: Texts, name: str, estimate: Estimate | None, unit: str, target: Target) -> MetricRow | None:
    if estimate is None:
        return None
    first = cell[0]
    row = _row(first.model, first.set, first.arm, name, estimate, unit, target, first.run)
    return replace(row, left_out=len(cell) - estimate.n)


def _row(
    model: str, name_of_set: str, arm: str | None, name: str, estimate: Estimate, unit: str, target: Target, run: str
) -> MetricRow:
    return MetricRow(
        model, name_of_set, arm, name, estimate.value, estimate.low, estimate.high, estimate.n, estimate.clusters, unit, target, run
    )

