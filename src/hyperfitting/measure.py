"""Continuations -> rows of the table: one number, its interval and its run each.

The names are fixed; docs/measures.md defines every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from hyperfitting.metrics.controls import random_texts, shuffled_texts
from hyperfitting.metrics.diversity import (
    distinct_ngram_share,
    distinct_ngram_share_without_each,
    moving_average_type_token_ratio,
    repeated_ngram_share,
    type_token_ratio,
    words,
)
from hyperfitting.metrics.overlap import LONG_OVERLAP_TOKENS, RECITED_ORDER, TrainingIndex
from hyperfitting.metrics.repetition import compression_ratio, final_loop
from hyperfitting.metrics.sharpness import TokenScores, agreement, split_loss
from hyperfitting.metrics.stats import Estimate, jackknife, ratio_of_sums
from hyperfitting.models import score_texts
from hyperfitting.recipe import Recipe
from hyperfitting.records import Continuation, MetricRow, Target, TokenBlocks

TTR_WINDOW_TOKENS = 96
"""A, section 4: diversity is taken on 96 tokens."""

MATTR_WINDOW_TOKENS = 50
"""Shorter than the window of `ttr_last96`, so that the two tell different things; the papers are silent."""

Texts = Sequence[Continuation]


class Intervals(NamedTuple):
    """How the intervals of per-text measures are drawn."""

    draws: int
    seed: int


def measure_texts(
    texts: Texts, how: Intervals, *, index: TrainingIndex | None = None, training_texts: Sequence[str] | None = None
) -> list[MetricRow]:
    """Every measure of continuations that needs no model, by model, set and arm.

    Overlap needs the `index` of the training ids; BLEU is taken where there are `training_texts`, be it none.
    """
    rows = []
    for cell in _cells(texts):
        rows += [*_diversity(cell, how), *_repetition(cell, how)]
        if index is not None:
            rows += _overlap(cell, how, index)
        if training_texts is not None and all(text.pieces for text in cell):
            rows += _bleu(cell, how, training_texts)
    return rows


def measure_under(original: nn.Module, texts: Texts, how: Intervals, *, batch_blocks: int) -> list[MetricRow]:
    """What the untouched model says of continuations, by model, set and arm."""
    return [row for cell in _cells(texts) for row in _under_original(original, cell, how, batch_blocks)]


def _cells(texts: Texts) -> Iterator[Texts]:
    for key in dict.fromkeys((text.model, text.set, text.arm) for text in texts):
        yield [text for text in texts if (text.model, text.set, text.arm) == key]


def signatures(recipe: Recipe) -> dict[str, str]:
    """What pins the measures that another library computes.

    Raises:
        ModuleNotFoundError: a measure is asked for whose extra is not installed.
    """
    if not recipe.measure.bleu:
        return {}
    from hyperfitting.metrics.bleu import bleu_signature

    return {"bleu": bleu_signature()}


def controls(references: Texts, seed: int) -> list[Continuation]:
    """The two controls of every set, shaped like the reference texts: models `shuffled` and `random`."""
    made = []
    for name in dict.fromkeys(text.set for text in references):
        texts = [text for text in references if text.set == name]
        ids = [text.ids for text in texts]
        for model, control in (("shuffled", shuffled_texts), ("random", random_texts)):
            changed = control(ids, seed=seed)
            made += [
                replace(text, model=model, ids=tuple(new), pieces=()) for text, new in zip(texts, changed, strict=True)
            ]
    return made


def score(model: nn.Module, blocks: TokenBlocks, recipe: Recipe) -> TokenScores:
    """What a model thinks of the texts of one set, every token but the first."""
    return score_texts(model, blocks.ids_NT, batch_blocks=recipe.measure.batch_blocks)


def measure_model(
    scores: TokenScores,
    blocks: TokenBlocks,
    recipe: Recipe,
    *,
    role: str,
    run: str,
    original: TokenScores | None = None,
) -> list[MetricRow]:
    """How sharp a model is on the texts of a set, and how far it agrees with the original; on training blocks the loss.

    Source: A, Table 3 (entropy in nats, cumulative top-1/3/5 probability, perplexity, on 300 original texts).
    """
    row = partial(_model_row, blocks, recipe, role, run)
    if blocks.name == "train":
        return [row("train_loss", scores.loss, "nats per token", "lower")]
    rows = [
        row("entropy", scores.entropy, "nats", "reference"),
        row("top1_probability", scores.top1, "", "reference"),
        row("top3_probability", scores.top3, "", "reference"),
        row("top5_probability", scores.top5, "", "reference"),
        row("true_token_rank_mean", scores.rank, "", "lower"),
        _median_rank(scores.rank, blocks, role, run),
    ]
    if original is not None:
        rows.append(row("top1_agreement", agreement(scores.top1_id, original.top1_id).unsqueeze(1), "", "reference"))
    if blocks.name == "validation":
        return [row("validation_loss", scores.loss, "nats per token", "lower"), *rows]
    return [*rows, *_perplexities(scores.loss, row, recipe.data.context_tokens)]


def _model_row(
    blocks: TokenBlocks,
    recipe: Recipe,
    role: str,
    run: str,
    name: str,
    each: torch.Tensor,
    unit: str,
    target: Target,
    transform: Callable[[Any], Any] = lambda value: value,
) -> MetricRow:
    """The mean over the tokens (N, S) of a set."""
    sums, tokens = each.double().sum(1).tolist(), [each.shape[1]] * len(blocks)
    draws = recipe.measure.bootstrap_draws
    estimate = ratio_of_sums(sums, tokens, blocks.groups, draws=draws, seed=recipe.seed, transform=transform)
    return _row(role, blocks.name, None, name, estimate, unit, target, run)


def _median_rank(rank_NS: torch.Tensor, blocks: TokenBlocks, role: str, run: str) -> MetricRow:
    """Without an interval: most ranks are small whole numbers, of which a bootstrap median is one or the other."""
    estimate = Estimate(float(rank_NS.double().median()), None, None, len(blocks), len(set(blocks.groups)))
    return _row(role, blocks.name, None, "true_token_rank_median", estimate, "", "lower", run)


def _perplexities(loss_NS: torch.Tensor, row: Callable[..., MetricRow], context_tokens: int) -> list[MetricRow]:
    """Of whole texts, of the contexts, and of the continuations given the contexts."""
    rows = [row("perplexity", loss_NS, "", "lower", np.exp)]
    if context_tokens > 1:
        split_loss(loss_NS, context_tokens=context_tokens)  # refuses what cannot be told apart
        rows.append(row("perplexity_contexts", loss_NS[:, : context_tokens - 1], "", "lower", np.exp))
        rows.append(row("perplexity_continuations", loss_NS[:, context_tokens - 1 :], "", "lower", np.exp))
    return rows


def _diversity(cell: Texts, how: Intervals) -> list[MetricRow]:
    def mean(name: str, least: int, function: Callable[[Sequence[int]], float]) -> list[MetricRow]:
        return _mean(cell, how, name, least, lambda text: function(text.ids))

    window = TTR_WINDOW_TOKENS
    rows = mean(f"ttr_last{window}", window, partial(type_token_ratio, window_tokens=window))
    rows += mean("ttr", 1, type_token_ratio)
    for order in (2, 3, 4):
        rows += mean(f"repeated_{order}gram_share", order, partial(repeated_ngram_share, order=order))
    for order in (1, 2, 3, 4):
        rows += _distinct(cell, order)
    return rows


def _repetition(cell: Texts, how: Intervals) -> list[MetricRow]:
    """Windows, loops, words and compression; the controls are shuffled ids, without text for the last two."""
    window = MATTR_WINDOW_TOKENS
    rows = _mean(
        cell, how, "mattr", window, lambda text: moving_average_type_token_ratio(text.ids, window_tokens=window)
    )
    loops = [final_loop(text.ids) for text in cell]
    rows += _mean_of(cell, how, "looping_share", [float(loop is not None) for loop in loops])
    starts = [None if loop is None else loop.start for loop in loops]
    rows += _mean_of(cell, how, "loop_start_tokens", starts, unit="tokens")
    if all(text.pieces for text in cell):
        rows += _words(cell, how)
        rows += _mean_of(cell, how, "compression_ratio", [compression_ratio(text.text) for text in cell])
    return rows


def _words(cell: Texts, how: Intervals) -> list[MetricRow]:
    window, held = TTR_WINDOW_TOKENS, [words(text.text) for text in cell]
    whole = [type_token_ratio(each) if each else None for each in held]
    last = [type_token_ratio(each, window_tokens=window) if len(each) >= window else None for each in held]
    return [
        *_mean_of(cell, how, f"ttr_words_last{window}", last),
        *_mean_of(cell, how, "ttr_words", whole),
    ]


def _bleu(cell: Texts, how: Intervals, training_texts: Sequence[str]) -> list[MetricRow]:
    """Self-BLEU with a jackknife, since a text drawn twice would be its own reference; Dataset-BLEU text by text."""
    from hyperfitting.metrics.bleu import dataset_bleu, self_bleu, self_bleu_without_each

    texts, groups = [text.text for text in cell], [text.group for text in cell]
    without = self_bleu_without_each(texts, groups) if len(set(groups)) > 1 else []
    own = jackknife(float(np.mean(self_bleu(texts))), without, n=len(cell))
    rows = [_row_of(cell, "self_bleu", replace(own, clusters=len(set(groups))), "BLEU")]
    if not training_texts:
        return rows
    together, best = dataset_bleu(texts, training_texts)
    return [
        *rows,
        *_mean_of(cell, how, "dataset_bleu", together, unit="BLEU"),
        *_mean_of(cell, how, "dataset_bleu_best_text", best, unit="BLEU"),
    ]


def _overlap(cell: Texts, how: Intervals, index: TrainingIndex) -> list[MetricRow]:
    order, bound = RECITED_ORDER, LONG_OVERLAP_TOKENS
    longest = [index.longest_shared_run(text.ids).length if text.ids else None for text in cell]
    above = [None if length is None else float(length > bound) for length in longest]
    return [
        *_mean_of(cell, how, "longest_overlap_tokens", longest, unit="tokens"),
        *_mean_of(cell, how, f"overlap_above{bound}_share", above),
        *_ratio(cell, how, f"recited_{order}gram_share", order, lambda text: index.recited_ngrams(text.ids)),
    ]


def _under_original(original: nn.Module, cell: Texts, how: Intervals, batch_blocks: int) -> list[MetricRow]:
    """Perplexity of the continuations given their contexts, and how deep their tokens rank there (B, rank map)."""
    kept = [text for text in cell if text.ids]
    if not kept:
        return []
    longest = max(len(text.ids) for text in kept)
    # Padded on the right, where a causal model does not look back from; the padding's own scores are not summed.
    rows = [[*text.context_ids, *text.ids, *[0] * (longest - len(text.ids))] for text in kept]
    scores = score_texts(original, np.array(rows), batch_blocks=batch_blocks)
    own = {id(text): slice(len(text.context_ids) - 1, len(text.context_ids) - 1 + len(text.ids)) for text in kept}
    loss = {id(t): float(each[own[id(t)]].double().sum()) for t, each in zip(kept, scores.loss, strict=True)}
    rank = {id(t): each[own[id(t)]] for t, each in zip(kept, scores.rank, strict=True)}

    def share(name: str, above: int) -> list[MetricRow]:
        return _ratio(
            cell, how, f"{name}_under_original", 1, lambda text: (int((rank[id(text)] > above).sum()), len(text.ids))
        )

    return [
        *_ratio(
            cell,
            how,
            "perplexity_under_original",
            1,
            lambda text: (loss[id(text)], len(text.ids)),
            transform=np.exp,
        ),
        *share("rank_above1_share", 1),
        *share("rank_above10_share", 10),
        *share("rank_above100_share", 100),
    ]


def _mean_of(cell: Texts, how: Intervals, name: str, values: Sequence[float | None], unit: str = "") -> list[MetricRow]:
    """The mean of what each text has; texts without a value are left out and counted."""
    held = {id(text): value for text, value in zip(cell, values, strict=True) if value is not None}
    kept = [text for text in cell if id(text) in held]
    rows = _mean(kept, how, name, 0, lambda text: held[id(text)], unit=unit)
    return [replace(row, left_out=len(cell) - row.n) for row in rows]


def _mean(
    cell: Texts, how: Intervals, name: str, least: int, function: Callable[[Continuation], float], unit: str = ""
) -> list[MetricRow]:
    """The mean over texts of at least `least` tokens."""
    return _ratio(cell, how, name, least, lambda text: (function(text), 1.0), unit=unit)


def _ratio(
    cell: Texts,
    how: Intervals,
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
    draws, groups = how.draws, [text.group for text in kept]
    estimate = ratio_of_sums(numerators, denominators, groups, draws=draws, seed=how.seed, transform=transform)
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
