"""The nouns of a preference study: a text shown, a comparison of two, and a judgement. Frozen; JSON lines on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["scored", "attention", "repeat"]
"""What a comparison is for. Only `scored` ever enters a score."""

Answer = Literal["first", "second", "equal"]
"""Which text is better, by the place where it stood on the page."""

Source = Literal["human", "model", "simulated"]
"""Who judged. Sources never mix in one estimate."""


@dataclass(frozen=True)
class Shown:
    """One of the two texts of a comparison, as annotators read it.

    `arm` names who wrote it (`hyperfitted · greedy`, `original · nucleus`, `reference`, `shuffled`) and never reaches
    an annotator; `tokens` is its length after cutting, `ttr` the type-token ratio of those tokens.
    """

    arm: str
    run: str
    text: str
    tokens: int
    ttr: float


@dataclass(frozen=True)
class Comparison:
    """Two continuations of one context. Neither stands first: the side belongs to the assignment.

    `context` is the cluster of every interval (set and number, such as `wiki-7`); `group` the book or article that it
    comes from. Of an attention check, `one` is the better text. A repeat shows the texts of the comparison `repeats`.
    """

    id: str
    kind: Kind
    domain: str
    context: str
    group: str
    context_text: str
    one: Shown
    other: Shown
    repeats: str | None = None


@dataclass(frozen=True)
class Judgement:
    """One answer, as it is exported: a row holds all that the analysis needs, wherever it was collected.

    `study` is the digest of the study's plan, `assignment` annotator x comparison. `arm_first` stood on the left (or
    above). Times are UTC in ISO 8601. `surplus`: the comparison had its quota of answers already. `excluded`: the
    reason why an admin left the annotator out, none otherwise. A withdrawn annotator has no rows.
    """

    study: str
    assignment: str
    comparison: str
    kind: Kind
    domain: str
    context: str
    group: str
    annotator: str
    source: Source
    arm_first: str
    arm_second: str
    tokens: int
    ttr_first: float
    ttr_second: float
    answer: Answer
    dealt_at: str
    answered_at: str
    seconds: float
    surplus: bool = False
    excluded: str | None = None
    repeats: str | None = None
