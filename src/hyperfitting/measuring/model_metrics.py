"""What a model is on true texts, and what it says of texts that others wrote. Needs
torch.

Shapes: N texts, S = T - 1 predicted tokens of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hyperfitting.measuring.aggregate import Intervals, ModelOnDomain, by_arm, metric_row
from hyperfitting.measuring.reading import TextReader, ThirdModel
from hyperfitting.measuring.text_metrics import TextInputs
from hyperfitting.metrics.mauve import mauve, mauve_standard_error
from hyperfitting.metrics.specs import (
    AgainstTrueTexts,
    MetricSpec,
    ModelInput,
    TrueTexts,
    metrics_measured_as,
)
from hyperfitting.metrics.specs.tokens import sums_and_counts
from hyperfitting.metrics.stats import Estimate, ratio_of_sums
from hyperfitting.metrics.token_scores import TokenScores, choice_agreement, split_loss
from hyperfitting.records import REFERENCE, Arm, Continuation, MetricRow, TokenBlocks

ModelInputs = dict[ModelInput, torch.Tensor]


def model_inputs(
    scores: TokenScores,
    domain: str,
    *,
    context_tokens: int,
    original: TokenScores | None = None,
    choice_rank_NS: torch.Tensor | None = None,
) -> ModelInputs:
    """What the metrics of a model read on the blocks or texts of one name.

    `original` are the scores of the untouched model on the same texts, and `choice_rank_NS` the
    ranks of the greedy choices under it; without them nothing is compared with the original.

    Raises:
        ValueError: the texts have no continuation after `context_tokens` tokens.
    """
    inputs: ModelInputs = {
        "entropy": scores.entropy,
        "top1": scores.top1,
        "top3": scores.top3,
        "top5": scores.top5,
        "rank": scores.rank,
    }
    if original is not None:
        inputs["agreement"] = choice_agreement(scores.top1_id, original.top1_id).unsqueeze(1)
    if choice_rank_NS is not None:
        inputs["choice_rank"] = choice_rank_NS
    if domain in ("train", "validation"):
        return inputs | {"block_loss": scores.loss}
    inputs["text_loss"] = scores.loss
    if context_tokens > 1:
        parts = split_loss(scores.loss, context_tokens=context_tokens)
        inputs["context_loss"], inputs["continuation_loss"] = parts
    return inputs


def model_rows(
    inputs: ModelInputs, blocks: TokenBlocks, how: Intervals, *, variant: str, run: str
) -> list[MetricRow]:
    """The metrics of a model on the texts of one name, each token counted once."""
    of = ModelOnDomain(variant, blocks.name, run)
    measured = [
        (spec, _estimate(spec, each, inputs[each.reads], blocks.groups, how))
        for spec, each in metrics_measured_as(TrueTexts)
        if each.reads in inputs and _kind(blocks.name) in each.on
    ]
    return [metric_row(of, spec, estimate) for spec, estimate in measured if estimate is not None]


def _kind(name: str) -> Literal["train", "validation", "domains"]:
    if name == "train":
        return "train"
    return "validation" if name == "validation" else "domains"


def _estimate(
    spec: MetricSpec,
    measured: TrueTexts,
    values_NS: torch.Tensor,
    groups: Sequence[str],
    how: Intervals,
) -> Estimate | None:
    """The metric over the tokens of all texts; None where no token counts."""
    if spec.aggregation == "median":
        return _median(values_NS, groups)
    sums, counts = sums_and_counts(measured.function(values_NS))
    if not any(counts):
        return None
    return ratio_of_sums(
        sums, counts, groups, draws=how.draws, seed=how.seed, transform=spec.transform
    )


def _median(values_NS: torch.Tensor, groups: Sequence[str]) -> Estimate:
    """Without an interval: of small whole numbers, a bootstrap median is one or the other."""
    median = float(values_NS.double().median())
    return Estimate(median, None, None, len(groups), len(set(groups)))


def original_inputs(original: TextReader, texts: Sequence[Continuation]) -> TextInputs:
    """Loss in nats, and rank, of each token of each text after its context, under the untouched
    model.
    """
    rows = [[*text.context_ids, *text.ids] for text in texts]
    found = _scored(original, rows, [len(text.context_ids) for text in texts])
    return {
        "original_loss": [None if each is None else each.loss for each in found],
        "original_rank": [None if each is None else each.rank for each in found],
    }


def scorer_inputs(scorer: ThirdModel, texts: Sequence[Continuation]) -> TextInputs:
    """Loss in nats of each text after its context under a third model, in its tokens, as far as it
    has positions.

    Texts without strings have no loss.
    """
    encoded = [scorer.encode(text) if text.pieces else ([], 0) for text in texts]
    rows, starts = [ids for ids, _ in encoded], [start for _, start in encoded]
    found = _scored(scorer.reader, rows, starts)
    return {"scorer_loss": [None if each is None else each.loss for each in found]}


def _scored(
    reader: TextReader, rows: Sequence[Sequence[int]], starts: Sequence[int]
) -> list[TokenScores | None]:
    """Scores of each row's tokens from its start on (from the second, since nothing predicts the
    first); None where there are none.
    """
    places = [max(start, 1) - 1 for start in starts]
    return [
        TokenScores(*(each_S[place:] for each_S in vars(text.scores).values()))
        if len(text.scores.loss) > place
        else None
        for text, place in zip(reader.score(rows), places, strict=True)
    ]


@dataclass(frozen=True)
class MauveDetails:
    """How MAUVE of one arm in one domain was taken: texts, clusters, and the value of every
    clustering seed.
    """

    arm: Arm
    domain: str
    n: int
    clusters: int
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class _Features:
    """A row for each text of an arm that the model has tokens for, and the clusters of these
    texts.
    """

    points_NH: NDArray[np.float32]
    groups: list[str]


def mauve_rows(
    model: ThirdModel, texts: Sequence[Continuation], *, force: bool
) -> tuple[list[MetricRow], list[MauveDetails]]:
    """MAUVE of each arm of a domain against the domain's true texts, of contexts and continuations
    together.

    The interval is from random halves of the clusters: the spread over the seeds of the clustering
    says nothing of other texts.

    Raises:
        ValueError: a side has fewer texts than the metric needs, unless `force`.
    """
    arms = list(by_arm([text for text in texts if text.context_pieces or text.pieces]))
    features = [_features(model, own) for own in arms]
    true = {
        own[0].domain: found
        for own, found in zip(arms, features, strict=True)
        if own[0].variant == REFERENCE
    }
    taken = [
        _mauve_row(own[0], found, true[own[0].domain], force=force)
        for own, found in zip(arms, features, strict=True)
        if own[0].variant != REFERENCE and own[0].domain in true
    ]
    return [row for row, _ in taken], [details for _, details in taken]


def _features(model: ThirdModel, texts: Sequence[Continuation]) -> _Features:
    read = [(ids, text.group) for text in texts if (ids := model.encode(text)[0])]
    return _Features(
        model.reader.last_states([ids for ids, _ in read]), [group for _, group in read]
    )


def _mauve_row(
    first: Continuation, own: _Features, true: _Features, *, force: bool
) -> tuple[MetricRow, MauveDetails]:
    [(spec, how)] = metrics_measured_as(AgainstTrueTexts)
    least = 1 if force else how.least_texts
    found = mauve(own.points_NH, true.points_NH, least_texts=least)
    error = mauve_standard_error(own.points_NH, true.points_NH, own.groups, true.groups)
    estimate = Estimate(found.value, None, None, found.n, len(set(own.groups)))
    if error is not None:  # the normal 95 % interval, cut off where MAUVE ends
        low, high = max(0.0, found.value - 1.96 * error), min(1.0, found.value + 1.96 * error)
        estimate = replace(estimate, low=low, high=high)
    arm = Arm(first.variant, first.strategy)
    details = MauveDetails(arm, first.domain, found.n, found.clusters, found.by_seed)
    return metric_row(first, spec, estimate), details
