"""The runs of an experiment -> what was measured of their texts and of their models. Needs
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from hyperfitting.measure.model_metrics import model_inputs, model_rows
from hyperfitting.measure.texts import MeasuredTexts, MetricOptions, TextBaselines, measure_texts
from hyperfitting.metrics.token_scores import TokenScores
from hyperfitting.models import rank_choices, score_texts
from hyperfitting.records import REFERENCE, Continuation, MetricRow, TokenBlocks


@dataclass(frozen=True)
class RunToMeasure:
    """A run: which variant it is, the name of its rows, what it wrote, and its model; None is the
    original itself.

    The texts of the original hold the true texts and the controls too.
    """

    variant: str
    run: str
    texts: Sequence[Continuation]
    model: nn.Module | None


@dataclass(frozen=True)
class MeasuredRun:
    """What was measured of a run's texts, and all its rows: those of the texts first, then those of
    the model.
    """

    texts: MeasuredTexts
    rows: list[MetricRow]


def measure_runs(
    runs: Iterable[RunToMeasure],
    original: nn.Module,
    blocks: Sequence[TokenBlocks],
    baselines: TextBaselines,
    options: MetricOptions,
    *,
    true_texts: Sequence[Continuation],
    context_tokens: int,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[MeasuredRun]:
    """Measure runs one by one, so that each can be written before the model of the next is loaded.

    `blocks` are those of training and validation and the true texts of each domain. `advance` is
    called after each of them for the original, then for every run, and once more for the run's
    texts.
    """
    before = []
    for each in blocks:
        before.append(_score(original, each, options))
        advance()
    for run in runs:
        rows = []
        for each, scores in zip(blocks, before, strict=True):
            rows += _model_rows(run, original, each, scores, options, context_tokens)
            advance()
        lacks_true_texts = all(text.variant != REFERENCE for text in run.texts)
        beside = true_texts if lacks_true_texts else ()
        measured = measure_texts(run.texts, baselines, options, true_texts=beside)
        yield MeasuredRun(measured, [*measured.rows, *rows])
        advance()


def _model_rows(
    run: RunToMeasure,
    original: nn.Module,
    blocks: TokenBlocks,
    before: TokenScores,
    options: MetricOptions,
    context_tokens: int,
) -> list[MetricRow]:
    """What a model is on true texts, and how its greedy choices differ from the original's."""
    if run.model is None:
        inputs = model_inputs(before, blocks.name, context_tokens=context_tokens)
    else:
        scores = _score(run.model, blocks, options)
        ranks_NS = rank_choices(
            original, blocks.ids_NT, scores.top1_id, batch_blocks=options.batch_blocks
        )
        inputs = model_inputs(
            scores,
            blocks.name,
            context_tokens=context_tokens,
            original=before,
            choice_rank_NS=ranks_NS,
        )
    return model_rows(inputs, blocks, options.intervals, variant=run.variant, run=run.run)


def _score(model: nn.Module, blocks: TokenBlocks, options: MetricOptions) -> TokenScores:
    return score_texts(model, blocks.ids_NT, batch_blocks=options.batch_blocks)
