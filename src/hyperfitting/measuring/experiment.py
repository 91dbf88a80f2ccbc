"""The runs of an experiment -> what was measured of their texts and of their models, every text
read once by each model. Needs torch.

Shapes: N texts, S predicted tokens of a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperfitting.measuring.aggregate import Intervals
from hyperfitting.measuring.model_metrics import model_inputs, model_rows
from hyperfitting.measuring.reading import TextReader
from hyperfitting.measuring.text_metrics import TextInputs
from hyperfitting.measuring.texts import MeasuredTexts, MetricOptions, TextBaselines, measure_texts
from hyperfitting.metrics.token_scores import TokenScores
from hyperfitting.models import stack_scores
from hyperfitting.records import REFERENCE, Continuation, MetricRow, TokenBlocks


@dataclass(frozen=True)
class RunToMeasure:
    """A run: which variant it is, the name of its rows, what it wrote, and how its model is loaded;
    None is the original itself.

    The texts of the original hold the true texts and the controls too. `kept` is what metrics read
    that was kept when the texts were written.
    """

    variant: str
    run: str
    texts: Sequence[Continuation]
    load: Callable[[], TextReader] | None
    kept: TextInputs


@dataclass(frozen=True)
class MeasuredRun:
    """What was measured of a run's texts, and all its rows: those of the texts first, then those of
    the model.

    `tokens` are those that each model read for this run, and not for one before it: by the
    variant's name, or `scorer` or `mauve`.
    """

    texts: MeasuredTexts
    rows: list[MetricRow]
    tokens: dict[str, int]


def measure_runs(
    runs: Sequence[RunToMeasure],
    original: TextReader,
    blocks: Sequence[TokenBlocks],
    baselines: TextBaselines,
    options: MetricOptions,
    *,
    true_texts: Sequence[Continuation],
    context_tokens: int,
) -> Iterator[MeasuredRun]:
    """Measure runs, and yield them one by one, so that each can be written at once.

    `blocks` are those of training and validation and the true texts of each domain. The trained
    models read them first, and one of these models is in memory at a time. Then the original reads
    them, once for all runs, and ranks what each of these models chose.
    """
    scores, tokens = {}, {}
    for run in runs:
        if run.load is not None:
            scores[run.variant], tokens[run.variant] = _scores_of(run.load(), blocks)
    read = [
        _read_blocks(original, each, {name: own[i] for name, own in scores.items()})
        for i, each in enumerate(blocks)
    ]
    third = (each.reader for each in (baselines.scorer, baselines.features) if each is not None)
    readers, counted = {original, *third}, Counter[str]()
    for run in runs:
        lacks_true_texts = all(text.variant != REFERENCE for text in run.texts)
        beside = true_texts if lacks_true_texts else ()
        measured = measure_texts(run.texts, baselines, options, true_texts=beside, kept=run.kept)
        rows = [row for each in read for row in each.rows(run, options.intervals, context_tokens)]
        so_far = Counter({reader.name: reader.tokens for reader in readers})
        own = {run.variant: tokens[run.variant]} if run.variant in tokens else {}
        yield MeasuredRun(measured, [*measured.rows, *rows], own | dict(so_far - counted))
        counted = so_far


@dataclass(frozen=True)
class _ReadBlocks:
    """Blocks of one name, what the original says of them, and what each trained model does, with
    the ranks of its choices under the original.
    """

    blocks: TokenBlocks
    original: TokenScores
    trained: dict[str, tuple[TokenScores, Tensor]]

    def rows(self, run: RunToMeasure, how: Intervals, context_tokens: int) -> list[MetricRow]:
        """What the run's model is on these texts, and how its greedy choices differ from the
        original's.
        """
        scores, ranks_NS = self.trained.get(run.variant, (self.original, None))
        inputs = model_inputs(
            scores,
            self.blocks.name,
            context_tokens=context_tokens,
            original=None if ranks_NS is None else self.original,
            choice_rank_NS=ranks_NS,
        )
        return model_rows(inputs, self.blocks, how, variant=run.variant, run=run.run)


def _scores_of(reader: TextReader, blocks: Sequence[TokenBlocks]) -> tuple[list[TokenScores], int]:
    """What a model says of all blocks, by their names, and how many tokens it read."""
    found = [reader.score(list(each.ids_NT)) for each in blocks]
    return [stack_scores([text.scores for text in each]) for each in found], reader.tokens


def _read_blocks(
    original: TextReader, blocks: TokenBlocks, trained: dict[str, TokenScores]
) -> _ReadBlocks:
    """Read blocks with the original, which ranks the choices of the trained models."""
    choices = [list(scores.top1_id) for scores in trained.values()]
    found = original.score(list(blocks.ids_NT), choices)
    ranks = [torch.stack(each) for each in zip(*(text.choice_ranks for text in found), strict=True)]
    pairs = zip(trained.values(), ranks, strict=True)
    return _ReadBlocks(
        blocks,
        stack_scores([text.scores for text in found]),
        dict(zip(trained, pairs, strict=True)),
    )
