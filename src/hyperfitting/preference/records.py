"""The nouns of a preference study: a shown text, a comparison, a judgement, and the records that
the store returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from hyperfitting.records import REFERENCE

SHUFFLED = "shuffled"
"""The arm of the worse text in an attention check: the true text with its words in random order."""

ArmPair = tuple[str, str]
"""Two arms by name."""

PairColumn = Literal["context", "a", "b", "arm_a", "arm_b", "domain", "group", "id"]
"""What a column of a file of pairs holds."""


def linked_arms(pairs: Iterable[ArmPair]) -> list[frozenset[str]]:
    """The groups of arms that chains of pairs link: the one with the reference first, the others by
    name. Only arms of one group have a common scale.
    """
    groups: list[frozenset[str]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched]
        groups.append(frozenset(pair).union(*touched))
    return sorted(groups, key=lambda group: (REFERENCE not in group, sorted(group)))


def unlinked_in_words(groups: Iterable[frozenset[str]]) -> str:
    """Why arms in several groups have no common scale."""
    named = " and ".join("{" + ", ".join(sorted(group)) + "}" for group in groups)
    return f"no comparison links {named}, so their worths have no common scale"


ComparisonKind = Literal["scored", "attention", "repeat"]
"""The purpose of a comparison. Only `scored` ones enter a score."""

AGAIN = "-again"
"""The end of a repeat's id: `c17-again` shows the texts of `c17`."""

REPLACED = "replaced by the protocol's rule"
"""How the reason of an exclusion begins that the protocol's rule made while the study collected."""

Answer = Literal["first", "second", "equal"]
"""The better text, by its place on the page."""

FromZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]

JudgementSource = Literal["human", "model", "simulated"]
"""The kind of judge. One estimate never mixes sources."""


@dataclass(frozen=True)
class ShownText:
    """One of the two texts of a comparison, as annotators read it.

    `arm` is the model with its decoding strategy (`hyperfitted, greedy`), `reference` or
    `shuffled`. It never reaches an annotator. `tokens` is the length after truncation, `ttr` the
    type-token ratio of these tokens.
    """

    arm: str
    run: str
    text: str
    tokens: int
    ttr: float


@dataclass(frozen=True)
class BlindedComparison:
    """Two continuations of one context. The side on the page belongs to the assignment, not to the
    comparison.

    `context` is the cluster of every interval (domain and number, such as `wiki-7`); `group` is its
    book or article. In an attention check `one` is the better text. A repeat shows the texts of the
    comparison `repeats`.
    """

    id: str
    kind: ComparisonKind
    domain: str
    context: str
    group: str
    context_text: str
    one: ShownText
    other: ShownText
    repeats: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One answer, as it is exported. The row holds everything that the analysis needs.

    `study` is the digest of the study, `assignment` is annotator x comparison. `arm_first` stood on
    the left (or above). Times are UTC in ISO 8601. `surplus`: the comparison had its quota of
    answers before. `excluded`: the reason why an admin, or the protocol's rule, excluded the
    annotator, else None. A withdrawn annotator has no rows. Rows from elsewhere may lack what is
    None here.
    """

    study: str
    assignment: str
    comparison: str
    kind: ComparisonKind
    domain: str
    context: str
    group: str
    annotator: str
    source: JudgementSource
    arm_first: str
    arm_second: str
    tokens: Annotated[int, Field(ge=0)] | None = None
    ttr_first: FromZero | None = None
    ttr_second: FromZero | None = None
    answer: Answer
    dealt_at: str | None = None
    answered_at: str | None = None
    seconds: FromZero | None = None
    surplus: bool = False
    excluded: str | None = None
    repeats: str | None = None

    @property
    def preferred_arm(self) -> str | None:
        """The arm that the answer prefers; None for "equal"."""
        return {"first": self.arm_first, "second": self.arm_second, "equal": None}[self.answer]

    @property
    def replaced(self) -> bool:
        """Whether the protocol's rule excluded the annotator while the study collected."""
        return self.excluded is not None and self.excluded.startswith(REPLACED)


@dataclass(frozen=True)
class Reply:
    """A language model's reply to one order of a comparison: the answer by place, and its text."""

    one_first: bool
    answer: Answer
    text: str
    seconds: float


AnnotatorState = Literal[
    "invited", "consented", "tested", "finished", "withdrawn", "excluded", "failed"
]
"""Progress of an annotator: the first four follow each other, the last three each end the work."""


@dataclass(frozen=True)
class Annotator:
    """A judge. `done` items are answered; `total` is the most that there can be in all, as things
    stand. `attempts_left`: how often they may still take the test.
    """

    id: str
    state: AnnotatorState
    done: int
    total: int
    attempts_left: int
    completion_code: str | None


@dataclass(frozen=True)
class WorkItem:
    """One page of work: two continuations in the order of this assignment, without their arms.

    `taken_back`: its answer was taken back. `can_undo`: the annotator's last answer still can be.
    """

    assignment: str
    context: str
    first: str
    second: str
    number: int
    total: int
    taken_back: bool
    can_undo: bool


@dataclass(frozen=True)
class Invitation:
    """A personal link as the admin sees it. The token itself is not stored."""

    id: int
    label: str | None
    created_at: str
    expires_at: str | None
    revoked: bool
    annotator: str | None


@dataclass(frozen=True)
class GroupProgress:
    """Answers in one arm or domain: `answers` count, `needed` is comparisons times the quota."""

    name: str
    comparisons: int
    finished: int
    answers: int
    needed: int


@dataclass(frozen=True)
class AnnotatorProgress:
    """One annotator as the admin sees them. `seconds` is the median time on a page; None before the
    first answer.
    """

    id: str
    source: JudgementSource
    state: AnnotatorState
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
class StudyProgress:
    """Progress of the whole study.

    `agreement`: of all pairs of counted answers to one comparison, the share that agree, in [0, 1];
    None before the first pair. `arms` and `domains` count neither checks nor repeats, surplus
    answers or excluded annotators.
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
