"""Texts -> everything that is measured of them: one path for the texts of an experiment and for
anybody's texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hyperfitting.measuring.aggregate import Intervals, by_arm, pooled_rows, text_rows
from hyperfitting.measuring.images import ImageBaselines, image_inputs, true_image_rows
from hyperfitting.measuring.pooled_metrics import pooled_metrics
from hyperfitting.measuring.text_metrics import (
    TextInputs,
    bleu_inputs,
    measure_each_text,
    overlap_inputs,
)
from hyperfitting.metrics.bleu import bleu_signature
from hyperfitting.metrics.controls import random_texts, shuffled_texts
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.specs import DataKind
from hyperfitting.metrics.words import characters_said
from hyperfitting.records import (
    CONTROLS,
    Arm,
    Continuation,
    MetricRow,
    PooledMetric,
    TextMetrics,
)

if TYPE_CHECKING:
    from hyperfitting.measuring.model_metrics import MauveDetails
    from hyperfitting.measuring.reading import TextReader, ThirdModel
    from hyperfitting.recipe import Recipe


@dataclass(frozen=True)
class TextBaselines:
    """What texts are measured against. Metrics whose baseline is None, or empty, are skipped.

    `index` and `training_texts` are the training texts as token ids and as strings. `original`
    reads with the untouched model. `scorer` is the model that `measure.scorer` names, `features`
    the one that `measure.mauve` names. `images` is there where the texts are images.
    """

    index: TrainingIndex | None = None
    training_texts: Sequence[str] = ()
    original: TextReader | None = None
    scorer: ThirdModel | None = None
    features: ThirdModel | None = None
    images: ImageBaselines | None = None

    @property
    def data(self) -> DataKind:
        """Of which kind of data the texts are."""
        return "text" if self.images is None else "image"


@dataclass(frozen=True)
class MetricOptions:
    """Which metrics are taken, and how.

    `bleu`: Self-BLEU, and Dataset-BLEU where there are training texts. `force_mauve`: MAUVE of
    fewer texts than it needs. `may_end`: models were free to end their texts, so it is measured how
    many they ended.
    """

    intervals: Intervals
    bleu: bool = False
    force_mauve: bool = False
    may_end: bool = False

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> MetricOptions:
        """As a recipe says."""
        how = recipe.measure
        intervals = Intervals(how.bootstrap_draws, recipe.seed)
        may_end = recipe.generate.end_of_text == "stop"
        return cls(intervals, how.bleu, how.force_mauve, may_end)


@dataclass(frozen=True)
class MeasuredTexts:
    """What was measured of each text and of all texts of an arm, the rows of the table, and how it
    was measured.

    `signatures` is what `text_signatures` says of the texts.
    """

    each: list[TextMetrics]
    pooled: list[PooledMetric]
    rows: list[MetricRow]
    mauve: list[MauveDetails]
    signatures: dict[str, str]


def measure_texts(
    texts: Sequence[Continuation],
    baselines: TextBaselines,
    options: MetricOptions,
    *,
    true_texts: Sequence[Continuation] = (),
    kept: TextInputs | None = None,
) -> MeasuredTexts:
    """All metrics of texts.

    `true_texts` are those that MAUVE compares with, where they are not among the texts. `kept` is
    what metrics read that was kept when the texts were written.

    Raises:
        ModuleNotFoundError: BLEU is asked for, and sacrebleu is not installed.
        ValueError: MAUVE is asked for of too few texts.
    """
    data = baselines.data
    inputs = {**_inputs(texts, baselines, options), **(kept or {})}
    each = measure_each_text(texts, inputs, data=data)
    pooled = [
        found
        for arm in by_arm(texts)
        for found in pooled_metrics(arm, bleu=options.bleu, data=data)
    ]
    rows = [*text_rows(each, options.intervals), *pooled_rows(pooled)]
    similarity, details = _mauve([*texts, *true_texts], baselines, options)
    if baselines.images is not None:
        similarity += true_image_rows([*texts, *true_texts], baselines.images)
    strings = [text.text for text in texts if text.variant not in CONTROLS]
    strings += baselines.training_texts if options.bleu else ()
    signatures = text_signatures(strings, bleu=options.bleu)
    return MeasuredTexts(each, pooled, [*rows, *similarity], details, signatures)


def _inputs(
    texts: Sequence[Continuation], baselines: TextBaselines, options: MetricOptions
) -> TextInputs:
    """What the metrics read beside the texts, of the baselines that are there."""
    inputs = dict(overlap_inputs(texts, baselines.index) if baselines.index is not None else {})
    if baselines.images is not None:
        inputs |= image_inputs(texts, baselines.images)
    if options.may_end:
        inputs["ended"] = [text.ended if Arm(text.variant).is_model else None for text in texts]
    if options.bleu and baselines.training_texts:
        inputs |= bleu_inputs(texts, baselines.training_texts)
    if baselines.original is None and baselines.scorer is None:
        return inputs
    from hyperfitting.measuring.model_metrics import original_inputs, scorer_inputs

    if baselines.original is not None:
        inputs |= original_inputs(baselines.original, texts)
    if baselines.scorer is not None:
        inputs |= scorer_inputs(baselines.scorer, texts)
    return inputs


def _mauve(
    texts: Sequence[Continuation], baselines: TextBaselines, options: MetricOptions
) -> tuple[list[MetricRow], list[MauveDetails]]:
    if baselines.features is None:
        return [], []
    from hyperfitting.measuring.model_metrics import mauve_rows

    return mauve_rows(baselines.features, texts, force=options.force_mauve)


def text_signatures(texts: Sequence[str] = (), *, bleu: bool) -> dict[str, str]:
    """How texts are cut: `words`, where their units are not words between spaces; `bleu`, as
    sacrebleu writes it.

    Raises:
        ModuleNotFoundError: BLEU is asked for, and sacrebleu is not installed.
    """
    units = characters_said(texts, elsewhere="words")
    made = {"words": units} if units else {}
    return made | ({"bleu": bleu_signature(texts)} if bleu else {})


def control_texts(true_texts: Sequence[Continuation], seed: int) -> list[Continuation]:
    """The two controls of each domain, shaped like its true texts: the variants `shuffled` and
    `random`.
    """
    made = []
    for own in by_arm(true_texts):
        ids, strings = [text.ids for text in own], _strings(own)
        for variant, control in (("shuffled", shuffled_texts), ("random", random_texts)):
            for text, new in zip(own, control(ids, seed=seed), strict=True):
                pieces = tuple(strings[each] for each in new) if strings else ()
                made.append(replace(text, variant=variant, ids=tuple(new), pieces=pieces))
    return made


def _strings(texts: Sequence[Continuation]) -> dict[int, str]:
    """The string of each token; where it depends on the text around it, the last one met."""
    return {
        token: piece for text in texts for token, piece in zip(text.ids, text.pieces, strict=False)
    }
