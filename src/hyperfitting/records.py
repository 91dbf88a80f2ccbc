"""The nouns that cross a stage border: frozen, plain, and written one JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperfitting.traits import ChatFrame

Target = Literal["lower", "higher", "reference"]

REFERENCE = "reference"
"""The variant of the true texts, which stand beside what the models wrote."""

CONTROLS = ("shuffled", "random", "copied-row", "nearest-training")
"""The variants that no model wrote: two are made of true texts, all but `random` of true images."""


class Codec(Protocol):
    """Turns documents into token ids and back."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and its rules: ids are comparable only between equal
        fingerprints.
        """

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end a text."""

    def encode(self, text: str, *, at_most: int | None = None) -> list[int]:
        """Ids of `text`, beginning-of-text first where the policy says so; at least the first
        `at_most` are exact.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens left out."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One string a token; joined, they are the decoded text."""

    def chat_frame(self, instruction: str) -> ChatFrame:
        """What the model's own chat template puts around a context in the user's turn."""


@dataclass(frozen=True)
class WordBoundaries:
    """For every token whether its text begins, and ends, inside a word (no white space there);
    bool, shape (V,).
    """

    begins_V: NDArray[np.bool_]
    ends_V: NDArray[np.bool_]


@dataclass(frozen=True)
class Document:
    """One text of a source: `row` counts from 1 in its file, `group` is what is never split."""

    source: str
    row: int
    text: str
    group: str
    title: str


@dataclass(frozen=True)
class Origin:
    """Where a block came from."""

    source: str
    row: int
    group: str
    title: str


@dataclass(frozen=True, eq=False)
class TokenBlocks:
    """Equally long token blocks of one set: ids (N, T) int32, an origin each, and the codec that
    made them.

    Examples:
        >>> hyperfitting.Experiment("runs/mine").blocks("train").ids_NT.shape
        (16, 32)
    """

    name: str
    codec: str
    ids_NT: NDArray[np.int32]
    origins: tuple[Origin, ...]

    @property
    def groups(self) -> list[str]:
        """The split group of each block: the cluster of every interval."""
        return [origin.group for origin in self.origins]

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self.origins)


@dataclass(frozen=True)
class UpdateRow:
    """One optimiser step. `loss` in nats per token, the global `gradient_norm` and
    `token_accuracy` are taken before the step.

    `token_accuracy` is the share in [0, 1] of the predicted training tokens that were the most
    probable at their place (target: higher); None in rows of versions that did not count it.

    Every 100th update says what became of the steps since the last such row, on a fixed sample of
    weights: `step_share` is the displacement along the intended steps over the intended steps (1:
    nothing was lost to rounding), `moved_share` the share of weights that moved at all among those
    that should have.
    """

    update: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    step_share: float | None = None
    moved_share: float | None = None
    token_accuracy: float | None = None


@dataclass(frozen=True)
class ProbeRow:
    """What validation texts show at one moment of training.

    Losses and entropy in nats per token; probabilities in [0, 1]; `train_loss` and
    `token_accuracy`, which are of training texts, are means over the updates of the epoch so far
    (none before the first); TTR of `probe.new_tokens` greedy tokens
    (target: the reference's).
    """

    update: int
    epoch: float
    train_loss: float | None
    validation_loss: float
    entropy: float
    top1_probability: float
    top3_probability: float
    top5_probability: float
    ttr: float
    reference_ttr: float
    sample_context: str
    sample: str
    token_accuracy: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a training came near zero loss, as hyperfitting asks.

    `train_loss` is the mean over the last epoch of the weights that were kept, in nats per token
    (none: no update was made), `limit` what it had to fall below, `advice` which settings to raise
    where it did not.
    """

    train_loss: float | None
    limit: float
    near_zero: bool
    advice: str

    def __str__(self) -> str:
        """What was reached and what to raise, in two sentences; nothing where the training came
        near zero.
        """
        if self.near_zero:
            return ""
        reached = (
            "No update was made"
            if self.train_loss is None
            else f"The mean training loss of the last epoch is {self.train_loss:.3g} nats per "
            f"token, not below {self.limit:g}"
        )
        return f"{reached}: this model has not been hyperfitted. {self.advice}."


@dataclass(frozen=True)
class ContinuedContext:
    """Which context was continued: by which run, in which strategy, and where its text stands."""

    variant: str
    run: str
    domain: str
    strategy: str | None
    context: int
    source: str
    row: int
    group: str
    title: str


@dataclass(frozen=True)
class Continuation(ContinuedContext):
    """One context continued. `ids` end before end-of-text; `pieces` are their strings, so readers
    need no tokenizer. The ids of an image have no strings, and its `context_ids` begin with the
    start token.

    `text` is the pieces joined, whatever it is given as: written beside them for whoever reads the
    file without us.

    Examples:
        >>> texts = hyperfitting.Experiment("runs/mine").run("hyperfitted").continuations()
        >>> texts[0].strategy, len(texts[0].ids)
        ('greedy', 24)
    """

    context_ids: tuple[int, ...]
    context_pieces: tuple[str, ...]
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    ended: Literal["length", "end_of_text"]
    text: str = ""

    def __post_init__(self) -> None:
        """Join the pieces."""
        object.__setattr__(self, "text", "".join(self.pieces))

    @property
    def is_image(self) -> bool:
        """Whether it is the lower part of an image, whose tokens have no strings."""
        return bool(self.ids) and not self.pieces


@dataclass(frozen=True)
class ContinuationHash(ContinuedContext):
    """A continuation in an archive: SHA-256, in hex, of its text and of the JSON list of its ids.

    Its context is pinned by the hash of the domain's ids in the manifest.
    """

    tokens: int
    ended: Literal["length", "end_of_text"]
    ids_sha256: str
    text_sha256: str


@dataclass(frozen=True)
class TextStep:
    """One step of one text, counted from 0."""

    domain: str
    strategy: str
    context: int
    step: int


@dataclass(frozen=True)
class Blocked(TextStep):
    """One step at which the citation blocker forbade something.

    `citation` is the text of the last tokens, `forbidden` the strings of what would go on with it,
    `passages` where it stands in the training texts (at most five). `changed_greedy`: the most
    probable token was among the forbidden. `gave_way`: nothing else was left, and the rule was not
    applied.
    """

    citation: str
    forbidden_ids: tuple[int, ...]
    forbidden: tuple[str, ...]
    passages: tuple[str, ...]
    changed_greedy: bool
    gave_way: bool


@dataclass(frozen=True)
class GaveWay(TextStep):
    """One step of one text at which a rule of its strategy would have left no token to choose, and
    was not applied.

    `rule` is the setting's name, or `end_of_text` where the model had nothing else to say.
    """

    rule: str


@dataclass(frozen=True)
class Difference(TextStep):
    """Where a text first differs from the one that reference mode writes, and the margin that
    decided it there.

    Of a greedy strategy the margin is in logits; of a sampling strategy it is how far, in
    probability, the number drawn was from those that choose the other token.
    """

    margin: float


@dataclass(frozen=True)
class Arm:
    """Who wrote texts: a variant of the model with a decoding strategy, or the true texts, or a
    control.

    `label` tells the recipes of a comparison apart; it is empty for a single recipe.

    Examples:
        >>> hyperfitting.Arm("hyperfitted", "greedy").title
        'hyperfitted, greedy'
    """

    variant: str
    strategy: str | None = None
    label: str = ""

    @property
    def title(self) -> str:
        """How every table and message names the arm: `hyperfitted, greedy`."""
        who = f"{self.label}: {self.variant}" if self.label else self.variant
        return f"{who}, {self.strategy}" if self.strategy else who

    @property
    def is_model(self) -> bool:
        """Whether a model wrote the texts: false for the true texts and the controls."""
        return self.variant not in (REFERENCE, *CONTROLS)


@dataclass(frozen=True)
class TextMetrics:
    """What was measured of one text: by metric a sum, and what it is divided by (1: the text as a
    whole).

    A metric that is taken at several positions of a text has several such pairs, every other metric
    has one. Over many texts a metric is the sum of the sums over the sum of the counts: where texts
    are equally long and none is left out, that is the mean over texts. The sum of a perplexity is
    the loss in nats.
    """

    variant: str
    domain: str
    strategy: str | None
    context: int
    group: str
    run: str
    values: dict[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True)
class PooledMetric:
    """A metric of all texts of an arm in a domain together, and its value without each cluster in
    turn.
    """

    variant: str
    domain: str
    strategy: str | None
    run: str
    name: str
    value: float
    n: int
    left_out: int
    without: dict[str, float]


@dataclass(frozen=True)
class MetricRow:
    """One number of the table. `low` and `high` bound its 95 % interval; both are None below 10
    clusters.

    `position` is where in the texts the number was taken, in tokens or words; None for a metric of
    whole texts.

    Examples:
        >>> rows = hyperfitting.Experiment("runs/mine").run("hyperfitted").metrics()
        >>> row = next(row for row in rows if row.name == "ttr")
        >>> row.domain, row.strategy, 0 < row.value <= 1
        ('pieces', 'greedy', True)
    """

    variant: str
    domain: str
    strategy: str | None
    name: str
    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    unit: str
    target: Target
    run: str
    left_out: int = 0
    position: int | None = None
