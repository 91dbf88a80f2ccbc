"""The nouns of a preference study: a text shown, a comparison of two, a judgement; and what the store hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["scored", "attention", "repeat"]
"""What a comparison is for. Only `scored` ever enters a score."""

AGAIN = "-again"
"""Ends the id of a repeat: `c17-again` shows the texts of `c17`."""

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


@dataclass(frozen=True)
class Reply:
    """What a model said to one order of a comparison: `answer` by place, and its own words."""

    one_first: bool
    answer: Answer
    text: str
    seconds: float


State = Literal["invited", "consented", "tested", "finished", "withdrawn", "excluded", "failed"]
"""How far an annotator has come: each step follows the one before, the last three are ends of another kind."""


@dataclass(frozen=True)
class Annotator:
    """Someone who judges. `done` items are answered, `total` is how many there will be at most as things stand."""

    id: str
    state: State
    done: int
    total: int
    completion_code: str | None


@dataclass(frozen=True)
class Item:
    """One page of work: two continuations in the order of this assignment, and nothing that says who wrote them."""

    assignment: str
    context: str
    first: str
    second: str
    number: int
    total: int


@dataclass(frozen=True)
class Invitation:
    """A personal link as the admin sees it; the token itself is kept nowhere."""

    id: int
    label: str | None
    created_at: str
    expires_at: str | None
    revoked: bool
    annotator: str | None


@dataclass(frozen=True)
class GroupProgress:
    """Answers so far in one arm or domain: `needed` is comparisons times the quota, `answers` those that count."""

    name: str
    comparisons: int
    finished: int
    answers: int
    needed: int


@dataclass(frozen=True)
class AnnotatorProgress:
    """One annotator as the admin sees them. `seconds` is the median time on a page, none before the first answer."""

    id: str
    source: Source
    state: State
    label: str | None
    answers: int
    attention_shown: int
    attention_failed: int
    repeats_shown: int
    repeats_kept: int
    seconds: float | None
    completion_code: str | None
    excluded: str | None


@dataclass(frozen=True)
class Overview:
    """Where the study stands.

    `agreement` is the share of pairs of counted answers to the same comparison that agree, in [0, 1], none before
    the first pair. Only answers that count are in `arms` and `domains`: no checks, repeats, surplus or exclusions.
    """

    comparisons: int
    finished: int
    answers: int
    needed: int
    surplus: int
    paused: bool
    agreement: float | None
    arms: tuple[GroupProgress, ...]
    domains: tuple[GroupProgress, ...]
    annotators: tuple[AnnotatorProgress, ...]
