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
from hyperfitting.metrics.diversity import (
    distinct_ngram_share,
    distinct_ngram_share_without_each,
    repeated_ngram_share,
    type_token_ratio,
)
from hyperfitting.metrics.overlap import RECITED_ORDER, TrainingIndex
from hyperfitting.metrics.stats import Estimate, jackknife, ratio_of_sums
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
            made += [
                replace(text, model=model, ids=tuple(new), pieces=()) for text, new in zip(texts, changed, strict=True)
            ]
    return made


def measure_model(model: nn.Module, blocks: TokenBlocks, recipe: Recipe, *, role: str, run: str) -> list[MetricRow]:
    """How sharp a model is on the texts of one set, every token but the first; the loss alone on the training blocks.

    Source: A, Table 3 (entropy in nats, cumulative top-1/3/5 probability, perplexity, on 300 original texts).
    """
    scores = score_texts(model, blocks.ids_NT, batch_blocks=recipe.measure.batch_blocks)
    tokens = [scores.loss.shape[1]] * len(blocks)

    def row(
        name: str, each: torch.Tensor, unit: str, target: Target, transform: Callable[[Any], Any] = lambda value: value
    ) -> MetricRow:
        sums, draws = each.double().sum(1).tolist(), recipe.measure.bootstrap_draws
        estimate = ratio_of_sums(sums, tokens, blocks.groups, draws=draws, seed=recipe.seed, transform=transform)
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
    def mean(name: str, least: int, function: Callable[[Sequence[int]], float]) -> list[MetricRow]:
        return _mean(cell, recipe, name, least, lambda text: function(text.ids))

    window = TTR_WINDOW_TOKENS
    rows = mean(f"ttr_last{window}", window, partial(type_token_ratio, window_tokens=window))
    rows += mean("ttr", 1, type_token_ratio)
    for order in (2, 3, 4):
        rows += mean(f"repeated_{order}gram_share", order, partial(repeated_ngram_share, order=order))
    for order in (1, 2, 3, 4):
        rows += _distinct(cell, order)
    return rows


def _overlap(cell: Texts, recipe: Recipe, index: TrainingIndex) -> list[MetricRow]:
    order = RECITED_ORDER

    def longest(text: Continuation) -> float:
        return index.longest_shared_run(text.ids).length

    return [
        *_mean(cell, recipe, "longest_overlap_tokens", 1, longest, unit="tokens"),
        *_ratio(cell, recipe, f"recited_{order}gram_share", order, lambda text: index.recited_ngrams(text.ids)),
    ]


def _perplexity_under(original: nn.Module, cell: Texts, recipe: Recipe) -> list[MetricRow]:
    """exp(summed loss / summed tokens) of the continuations given their contexts, under the untouched model."""
    kept = [text for text in cell if text.ids]
    longest = max((len(text.ids) for text in kept), default=0)
    # Padded on the right, where a causal model does not look back from; the padding's own losses are not summed.
    rows = [[*text.context_ids, *text.ids, *[0] * (longest - len(text.ids))] for text in kept]
    sums = {}
    if kept:
        losses = score_texts(original, np.array(rows), batch_blocks=recipe.measure.batch_blocks).loss.double()
        for text, loss in zip(kept, losses, strict=True):
            sums[text.context] = float(loss[len(text.context_ids) - 1 :][: len(text.ids)].sum())
    name = "perplexity_under_original"
    return _ratio(cell, recipe, name, 1, lambda text: (sums[text.context], len(text.ids)), transform=np.exp)


def _mean(
    cell: Texts, recipe: Recipe, name: str, least: int, function: Callable[[Continuation], float], unit: str = ""
) -> list[MetricRow]:
    """The mean over texts of at least `least` tokens."""
    return _ratio(cell, recipe, name, least, lambda text: (function(text), 1.0), unit=unit)


def _ratio(
    cell: Texts,
    recipe: Recipe,
    name: str,
    least: int,
    function: Callable[[Continuation], tuple[float, float]],
    *,
    unit: str = "",
    transform: Callable[[Any], Any] = lambda value: value,
) -> list[MetricRow]:
    """Sum of numerators over sum of denominators; texts below `least` tokens are left out and counted."""
    kept = [text for text in cell if len(text.ids) >= least]
    if not kept:
        return []
    numerators, denominators = zip(*map(function, kept), strict=True)
    draws, groups = recipe.measure.bootstrap_draws, [text.group for text in kept]
    estimate = ratio_of_sums(numerators, denominators, groups, draws=draws, seed=recipe.seed, transform=transform)
    return [_row_of(cell, name, estimate, unit)]


def _distinct(cell: Texts, order: int) -> list[MetricRow]:
    """Distinct n-grams of the whole set, of its texts that hold one."""
    kept = [text for text in cell if len(text.ids) >= order]
    ids, groups = [text.ids for text in kept], [text.group for text in kept]
    if not kept:
        return []
    without = distinct_ngram_share_without_each(ids, groups, order=order) if len(set(groups)) > 1 else []
    estimate = jackknife(distinct_ngram_share(ids, order=order), without, n=len(kept))
    return [_row_of(cell, f"distinct_{order}gram_share", replace(estimate, clusters=len(set(groups))), "")]


def _row_of(cell: Texts, name: str, estimate: Estimate, unit: str) -> MetricRow:
    first = cell[0]
    row = _row(first.model, first.set, first.arm, name, estimate, unit, "reference", first.run)
    return replace(row, left_out=len(cell) - estimate.n)


def _row(
    model: str, name_of_set: str, arm: str | None, name: str, estimate: Estimate, unit: str, target: Target, run: str
) -> MetricRow:
    return MetricRow(
        model,
        name_of_set,
        arm,
        name,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        estimate.clusters,
        unit,
        target,
        run,
    )
