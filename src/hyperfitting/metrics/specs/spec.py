"""What a metric is: its name, label, unit, target and source, and how it is measured, in one
row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hyperfitting.metrics.images.features import FeatureSpace
from hyperfitting.records import Target

DataKind = Literal["text", "image"]
"""What an experiment trains on and writes."""

ANY_DATA: tuple[DataKind, ...] = ("text", "image")
TEXT_ONLY: tuple[DataKind, ...] = ("text",)
IMAGE_ONLY: tuple[DataKind, ...] = ("image",)

Family = Literal[
    "loss",
    "rank",
    "change",
    "sharpness",
    "variety",
    "repetition",
    "recitation",
    "fluency",
    "similarity",
    "ending",
]

Aggregation = Literal["ratio of sums", "exponential of a ratio of sums", "median", "pooled"]
"""How one number is made of many texts. Of the last two, the first has no interval."""

Setting = Literal[
    "", "measure.bleu", "measure.scorer", "measure.mauve", 'generate.end_of_text = "stop"'
]
"""The setting that asks for a metric; empty: it is always measured."""

TextInput = Literal[
    "tokens",
    "text",
    "words",
    "overlap",
    "dataset_bleu",
    "original_loss",
    "original_rank",
    "scorer_loss",
    "ended",
    "image",
    "nearest_training",
    "blocked",
]
"""What a metric of each text can read, in the order in which the metrics are measured.

`tokens`: the ids. `text`: the string. `words`: `metrics.words.words` of it. `overlap`:
`metrics.overlap.Shared`. `dataset_bleu`: the two scores of `metrics.bleu.dataset_bleu`.
`original_loss`, `original_rank` and `scorer_loss`: a tensor (S,) of the text's tokens under the
untouched model, or under the model that `measure.scorer` names. `ended`: why a text that a model
was free to end does so (`Continuation.ended`). `image`: `metrics.images.grids.ContinuedImage`.
`nearest_training`: an image's distances, in colours and in features, from the nearest training
image (`metrics.images.recitation`). `blocked`: of a text whose strategy has a citation blocker, at
how many tokens it forbade the most probable one, and how many tokens were written.
"""

ModelInput = Literal[
    "block_loss",
    "entropy",
    "top1",
    "top3",
    "top5",
    "rank",
    "agreement",
    "choice_rank",
    "text_loss",
    "context_loss",
    "continuation_loss",
]
"""What a metric of a model on true texts can read, in the order of measuring: tensors (N, S) of N
texts' tokens.

`block_loss`: of training or validation blocks. `text_loss`, `context_loss`, `continuation_loss`: of
a domain's texts, whole and in their two parts. `agreement` is (N, 1): the share of each text.
`choice_rank`: the rank of the model's greedy choice under the original.
"""

TextValue = float | tuple[float, float] | None
"""A number, or a sum and what it is divided by, or None where the text has no value."""


@dataclass(frozen=True)
class EachText:
    """A metric of each text by itself: `function` of what it `reads`, of a text that has `least`
    units of it or more.

    With `every`, `function` gives a list: the value at `least` units, and one for every further
    `every` units. The rows of a metric that is `measured_last` follow those of all that read the
    same.
    """

    reads: TextInput
    function: Callable[[Any], TextValue | Sequence[float]]
    least: int = 1
    every: int | None = None
    measured_last: bool = False


@dataclass(frozen=True)
class PooledTexts:
    """A metric of all texts of an arm in a domain together: `function` of the list of what it
    `reads`.

    Texts with fewer than `least` units are left out; below `least_texts` there is no value.
    `without_each` gives the values without each group in turn, in the order of their names; None:
    `function` is called once for each.
    """

    reads: Literal["tokens", "text"]
    function: Callable[[Sequence[Any]], float]
    without_each: Callable[[Sequence[Any], Sequence[str]], list[float]] | None = None
    least: int = 1
    least_texts: int = 1


@dataclass(frozen=True)
class AgainstTrueTexts:
    """A metric of how near the texts of an arm are to the true texts, from features of both
    (`measure.mauve`).
    """

    least_texts: int


@dataclass(frozen=True)
class AgainstTrueImages:
    """A metric of how near the written rows of an arm's images are to those of the true images:
    `function` of the features of both in a named `space`, those of the arm first.

    Below `least_images` a side, or the rows that the space needs (`LEAST_ROWS`), there is no value.
    `most`: where the metric, and its interval, end.
    """

    space: FeatureSpace
    function: Callable[[Any, Any], float]
    least_images: int
    most: float = math.inf


@dataclass(frozen=True)
class TrueTexts:
    """A metric of a model on true texts: `function` of a tensor gives a number for each token.

    It may give a pair: what is summed over the tokens, and what those sums are divided by, instead
    of the number of tokens. `on` says of which blocks and texts it is taken.
    """

    reads: ModelInput
    on: tuple[Literal["train", "validation", "domains"], ...] = ("validation", "domains")
    function: Callable[[Any], Any] = lambda values: values


@dataclass(frozen=True)
class MetricSpec:
    """One metric: all that tables, marks, comparisons, reports and documents say of it.

    `range`: the values that it can have. `target`: which end is better, or `reference`: the true
    texts' value. `comparison_column`: its place in `hyperfit compare`, None where it is not shown
    there. `in_tables`: whether the tables of a report show it. `failure`: where it misleads.
    `data`: of which kinds of data it is measured. `key_of`: of which of them it stands in the key
    picture of a report and among the terminal's last figures.
    """

    name: str
    label: str
    family: Family
    measured: EachText | PooledTexts | AgainstTrueTexts | AgainstTrueImages | TrueTexts
    definition: str
    range: str
    source: str
    failure: str
    unit: str = ""
    target: Target = "reference"
    target_note: str = ""
    aggregation: Aggregation = "ratio of sums"
    setting: Setting = ""
    comparison_column: int | None = None
    in_tables: bool = True
    data: tuple[DataKind, ...] = ANY_DATA
    key_of: tuple[DataKind, ...] = ()

    @property
    def log_distance(self) -> bool:
        """Whether distances and differences are taken of logarithms: a perplexity as its mean
        loss.
        """
        return self.aggregation == "exponential of a ratio of sums"

    @property
    def difference_unit(self) -> str:
        """The unit of a difference of two values."""
        return "nats per token" if self.log_distance else self.unit

    def position(self, index: int) -> int | None:
        """Where the value of this index was taken, in units of the text; None for a metric of whole
        texts.
        """
        how = self.measured
        if not isinstance(how, EachText) or how.every is None:
            return None
        return how.least + index * how.every

    def transform(self, ratio: Any) -> Any:
        """The metric, of a ratio of sums or an array of them."""
        return np.exp(ratio) if self.log_distance else ratio


def measuring_order(spec: MetricSpec) -> tuple[int, bool]:
    """A key that sorts metrics of texts, or of models, by what they read: the order of their
    rows.
    """
    if isinstance(spec.measured, EachText):
        return get_args(TextInput).index(spec.measured.reads), spec.measured.measured_last
    if isinstance(spec.measured, TrueTexts):
        return get_args(ModelInput).index(spec.measured.reads), False
    return 0, False
