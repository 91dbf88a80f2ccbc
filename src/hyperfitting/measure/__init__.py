"""Continuations and models -> rows of the table.

values.py     what is measured of one text, without a model
on_models.py  what a model is on true texts, and what it says of texts that others wrote
sets.py       what is measured of a set of texts as a whole
rows.py       all of them -> rows, each with its interval
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from hyperfitting.measure.aggregate import Intervals, set_rows, text_rows
from hyperfitting.measure.model_metrics import (
    choice_ranks,
    mauve_rows,
    measure_model,
    score,
    values_under_original,
    values_under_scorer,
)
from hyperfitting.measure.pooled_metrics import by_cell, set_measures
from hyperfitting.measure.text_metrics import Values, bleu_values, overlap_values, text_values
from hyperfitting.metrics.controls import random_texts, shuffled_texts
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.words import characters_said
from hyperfitting.models import ScoringModel
from hyperfitting.records import Continuation, PooledMetric, TextMetrics

__all__ = [
    "Beside",
    "Intervals",
    "choice_ranks",
    "controls",
    "mauve_rows",
    "measure_model",
    "measure_sets",
    "measure_texts",
    "score",
    "set_rows",
    "signatures",
    "text_rows",
]


@dataclass(frozen=True)
class Beside:
    """What texts are measured against. What is none is not measured, but for `training_texts`: none of them is BLEU
    off, an empty list Self-BLEU alone.
    """

    index: TrainingIndex | None = None
    training_texts: Sequence[str] | None = None
    original: nn.Module | None = None
    scorer: ScoringModel | None = None
    batch_blocks: int = 8


def measure_texts(texts: Sequence[Continuation], beside: Beside) -> list[TextMetrics]:
    """Every measure of each text by itself, in the order of the texts."""
    columns: list[list[Values]] = [[text_values(text) for text in texts]]
    if beside.index is not None:
        columns.append(overlap_values(texts, beside.index))
    if beside.training_texts:
        columns.append(bleu_values(texts, beside.training_texts))
    if beside.original is not None:
        columns.append(
            values_under_original(beside.original, texts, batch_blocks=beside.batch_blocks)
        )
    if beside.scorer is not None:
        columns.append(values_under_scorer(beside.scorer, texts, batch_blocks=beside.batch_blocks))
    joined = [
        {name: pair for each in own for name, pair in each.items()}
        for own in zip(*columns, strict=True)
    ]
    return [_measured(text, values) for text, values in zip(texts, joined, strict=True)]


def _measured(text: Continuation, values: Values) -> TextMetrics:
    return TextMetrics(
        text.variant, text.domain, text.strategy, text.context, text.group, text.run, values
    )


def measure_sets(texts: Sequence[Continuation], beside: Beside) -> list[PooledMetric]:
    """Every measure of the texts of a model, set and strategy together."""
    bleu = beside.training_texts is not None
    return [measured for cell in by_cell(texts) for measured in set_measures(cell, bleu=bleu)]


def signatures(texts: Sequence[str] = (), *, bleu: bool) -> dict[str, str]:
    """What pins the measures of these texts: how their words are cut, where not at spaces, and BLEU as sacrebleu says.

    Raises:
        ModuleNotFoundError: a measure is asked for whose extra is not installed.
    """
    units = characters_said(texts, elsewhere="words")
    made = {"words": units} if units else {}
    if bleu:
        from hyperfitting.metrics.bleu import bleu_signature

        made["bleu"] = bleu_signature(texts)
    return made


def controls(references: Sequence[Continuation], seed: int) -> list[Continuation]:
    """The two controls of every set, shaped like the reference texts: models `shuffled` and `random`."""
    made = []
    for cell in by_cell(references):
        ids, strings = [text.ids for text in cell], _strings(cell)
        for model, control in (("shuffled", shuffled_texts), ("random", random_texts)):
            for text, new in zip(cell, control(ids, seed=seed), strict=True):
                pieces = tuple(strings[each] for each in new) if strings else ()
                made.append(replace(text, variant=model, ids=tuple(new), pieces=pieces))
    return made


def _strings(texts: Sequence[Continuation]) -> dict[int, str]:
    """The string of each token; where it depends on the text around it, the last one met."""
    return {
        token: piece for text in texts for token, piece in zip(text.ids, text.pieces, strict=False)
    }
