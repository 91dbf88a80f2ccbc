"""What a model is on true texts, and what it says of texts that others wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hyperfitting.measure.aggregate import metric_row
from hyperfitting.measure.pooled_metrics import by_cell
from hyperfitting.measure.text_metrics import Values
from hyperfitting.metrics.mauve import mauve, mauve_standard_error
from hyperfitting.metrics.stats import Estimate, ratio_of_sums
from hyperfitting.metrics.token_scores import TokenScores, agreement, split_loss
from hyperfitting.models import ScoringModel, last_hidden_states, rank_choices, score_texts
from hyperfitting.recipe import Recipe
from hyperfitting.records import Continuation, MetricRow, Target, TokenBlocks


def score(model: nn.Module, blocks: TokenBlocks, recipe: Recipe) -> TokenScores:
    """What a model thinks of the texts of one set, every token but the first."""
    return score_texts(model, blocks.ids_NT, batch_blocks=recipe.measure.batch_blocks)


def choice_ranks(
    original: nn.Module, scores: TokenScores, blocks: TokenBlocks, recipe: Recipe
) -> torch.Tensor:
    """How deep in the original's ranking another model's greedy choices stand, for the tokens that it scored (B)."""
    return rank_choices(
        original, blocks.ids_NT, scores.top1_id, batch_blocks=recipe.measure.batch_blocks
    )


def measure_model(
    scores: TokenScores,
    blocks: TokenBlocks,
    recipe: Recipe,
    *,
    role: str,
    run: str,
    original: TokenScores | None = None,
    ranks_NS: torch.Tensor | None = None,
) -> list[MetricRow]:
    """How sharp a model is on the texts of a set, and how far it agrees with the original; on training blocks the loss.

    `ranks_NS` are its `choice_ranks`.

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
        rows.append(
            row(
                "top1_agreement",
                agreement(scores.top1_id, original.top1_id).unsqueeze(1),
                "",
                "reference",
            )
        )
    if ranks_NS is not None:
        rows += _rank_map(ranks_NS, row, blocks, recipe, role, run)
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
    estimate = ratio_of_sums(
        sums, tokens, blocks.groups, draws=draws, seed=recipe.seed, transform=transform
    )
    return metric_row(role, blocks.name, None, name, estimate, unit, target, run)


def _median_rank(rank_NS: torch.Tensor, blocks: TokenBlocks, role: str, run: str) -> MetricRow:
    """Without an interval: most ranks are small whole numbers, of which a bootstrap median is one or the other."""
    estimate = Estimate(
        float(rank_NS.double().median()), None, None, len(blocks), len(set(blocks.groups))
    )
    return metric_row(role, blocks.name, None, "true_token_rank_median", estimate, "", "lower", run)


def _rank_map(
    ranks_NS: torch.Tensor,
    row: Callable[..., MetricRow],
    blocks: TokenBlocks,
    recipe: Recipe,
    role: str,
    run: str,
) -> list[MetricRow]:
    """Shares of greedy choices that stand deep in the original's ranking, and of the changed ones alone (B's 13 %)."""
    rows = [
        row(f"choice_rank_above{bound}_share", ranks_NS > bound, "", "reference")
        for bound in (1, 10, 100)
    ]
    deep, changed = ((ranks_NS > bound).sum(1).tolist() for bound in (10, 1))
    if any(changed):
        draws = recipe.measure.bootstrap_draws
        estimate = ratio_of_sums(deep, changed, blocks.groups, draws=draws, seed=recipe.seed)
        name = "changed_choice_rank_above10_share"
        rows.append(metric_row(role, blocks.name, None, name, estimate, "", "reference", run))
    return rows


def _perplexities(
    loss_NS: torch.Tensor, row: Callable[..., MetricRow], context_tokens: int
) -> list[MetricRow]:
    """Of whole texts, of the contexts, and of the continuations given the contexts."""
    rows = [row("perplexity", loss_NS, "", "lower", np.exp)]
    if context_tokens > 1:
        split_loss(loss_NS, context_tokens=context_tokens)  # refuses what cannot be told apart
        rows.append(
            row("perplexity_contexts", loss_NS[:, : context_tokens - 1], "", "lower", np.exp)
        )
        rows.append(
            row("perplexity_continuations", loss_NS[:, context_tokens - 1 :], "", "lower", np.exp)
        )
    return rows


def values_under_original(
    original: nn.Module, texts: Sequence[Continuation], *, batch_blocks: int
) -> list[Values]:
    """What the untouched model says of each text after its context: loss in nats, and how deep its tokens rank (B)."""
    rows = [[*text.context_ids, *text.ids] for text in texts]
    held = _scored(original, rows, [len(text.context_ids) for text in texts], batch_blocks)
    return [{} if own is None else _under_original(*own) for own in held]


def _under_original(loss_S: torch.Tensor, rank_S: torch.Tensor) -> Values:
    tokens = float(len(loss_S))
    above = {f"rank_above{bound}_share_under_original": bound for bound in (1, 10, 100)}
    ranks = {name: (float((rank_S > bound).sum()), tokens) for name, bound in above.items()}
    deep, changed = (ranks[f"rank_above{bound}_share_under_original"][0] for bound in (10, 1))
    if changed:
        ranks["changed_rank_above10_share_under_original"] = deep, changed
    return {"perplexity_under_original": (float(loss_S.double().sum()), tokens), **ranks}


def values_under_scorer(
    scorer: ScoringModel, texts: Sequence[Continuation], *, batch_blocks: int
) -> list[Values]:
    """What a third model says of each text after its context, in its own tokens, as many as it has positions for.

    A token that reaches over the border between context and text counts as the text's. Texts without strings are
    passed over.
    """
    read = [_read_by(scorer, text) if text.pieces else ([], 0) for text in texts]
    held = _scored(
        scorer.model, [ids for ids, _ in read], [start for _, start in read], batch_blocks
    )
    return [
        {} if own is None else {"perplexity_under_scorer": _sum_and_count(own[0])} for own in held
    ]


def _read_by(reader: ScoringModel, text: Continuation) -> tuple[list[int], int]:
    """Context and text in the tokens of a reader, and where the text begins."""
    context = "".join(text.context_pieces)
    before, ids = (
        reader.codec.encode(context),
        reader.codec.encode(context + text.text)[: reader.positions],
    )
    same = (i for i, (one, other) in enumerate(zip(before, ids, strict=False)) if one != other)
    return ids, next(same, len(before))


def _sum_and_count(loss_S: torch.Tensor) -> tuple[float, float]:
    return float(loss_S.double().sum()), float(len(loss_S))


def _scored(
    model: nn.Module, rows: Sequence[Sequence[int]], starts: Sequence[int], batch_blocks: int
) -> list[tuple[torch.Tensor, torch.Tensor] | None]:
    """Loss and rank of each row's tokens from its start on (from the second, since nothing predicts the first)."""
    longest = max(map(len, rows), default=0)
    if longest < 2:
        return [None] * len(rows)
    # Padded on the right, where a causal model does not look back from; the padding's own scores are not kept.
    padded = np.array([[*row, *[0] * (longest - len(row))] for row in rows])
    scores = score_texts(model, padded, batch_blocks=batch_blocks)
    own = [slice(max(start, 1) - 1, len(row) - 1) for row, start in zip(rows, starts, strict=True)]
    return [
        (scores.loss[i, each], scores.rank[i, each]) if each.stop > each.start else None
        for i, each in enumerate(own)
    ]


def mauve_rows(
    reader: ScoringModel, texts: Sequence[Continuation], *, batch_blocks: int, force: bool
) -> tuple[list[MetricRow], dict[str, Any]]:
    """MAUVE of each model and strategy of a set against the set's true texts, of contexts and continuations together.

    The interval is from random halves of the clusters: the spread over the seeds of the clustering says nothing of
    other texts. Beside the rows, how it was taken: clusters and the value of every seed.

    Raises:
        ValueError: a set has fewer than 1,000 texts, unless `force`.
    """
    cells = list(by_cell([text for text in texts if text.context_pieces or text.pieces]))
    features = [_features(reader, cell, batch_blocks) for cell in cells]
    true = {
        cell[0].domain: own
        for cell, own in zip(cells, features, strict=True)
        if cell[0].variant == "reference"
    }
    rows, taken = [], {}
    for cell, own in zip(cells, features, strict=True):
        first = cell[0]
        if first.variant != "reference" and first.domain in true:
            (points, groups), (true_points, true_groups) = own, true[first.domain]
            found = mauve(points, true_points, force=force)
            error = mauve_standard_error(points, true_points, groups, true_groups)
            low, high = (None, None) if error is None else _within_bounds(found.value, error)
            estimate = Estimate(found.value, low, high, found.n, len(set(groups)))
            rows.append(
                metric_row(
                    first.variant,
                    first.domain,
                    first.strategy,
                    "mauve",
                    estimate,
                    "",
                    "higher",
                    first.run,
                )
            )
            key = " · ".join(filter(None, (first.variant, first.domain, first.strategy)))
            taken[key] = {"n": found.n, "clusters": found.clusters, "by_seed": found.by_seed}
    return rows, taken


def _features(
    reader: ScoringModel, cell: Sequence[Continuation], batch_blocks: int
) -> tuple[NDArray[np.float32], list[str]]:
    """A row for each text that the reader has tokens for, and its cluster."""
    read = [(ids, text.group) for text in cell if (ids := _read_by(reader, text)[0])]
    return last_hidden_states(reader.model, [ids for ids, _ in read], batch_texts=batch_blocks), [
        g for _, g in read
    ]


def _within_bounds(value: float, error: float) -> tuple[float, float]:
    """The normal 95 % interval, cut off where MAUVE ends."""
    return max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)
