"""The protocol of a preference study as a frozen, strict tree: comparisons, assignment of items,
planned analysis.

The bytes of the protocol file and the comparisons are hashed into the study before the first
judgement. Every judgement names that digest.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.recipe import Count, CountOrZero, Name, Positive, Settings

CheckRate = Annotated[float, Field(ge=0, le=0.25)]
LongText = Annotated[str, Field(min_length=1, max_length=20_000)]

QUESTION = "Which continuation is better?"
INSTRUCTIONS = """\
You will see the beginning of a text and two ways in which it might go on. Read both to the end, \
and say which one you would rather go on reading: the one that fits the beginning, makes sense, \
and is well written. Say that they are equally good only if you cannot choose.

Both continuations may be odd, and both stop in the middle: that is no fault. Do not look the \
texts up, and do not guess who wrote them; there is no right answer that you should know."""
CONSENT = """\
This study compares texts. You will read pairs of short texts and say which you prefer. It is \
voluntary: you may stop at any moment, and withdraw, which deletes your answers.

We keep your answers, and how long each took. We do not ask for your name. The answers are \
published under a number, without anything that says who you are. The texts are written by people \
and by computers; some may be unpleasant or wrong.

By going on you say that you are an adult, that you read English with ease, and that you agree to \
this."""


class PlannedAnalysis(Settings):
    """The planned analysis, fixed before the first judgement."""

    primary: Literal["preferred-or-equal", "preferred"] = Field(
        "preferred-or-equal",
        description="The primary outcome: the share of judgements in which an arm is preferred to "
        "the other text, or preferred or found equal (Carlsson et al. 2025, Table 1).",
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="Level of every interval."
    )
    attention_failures: CountOrZero = Field(
        1,
        description="An annotator with more failed attention checks than this is left out of the "
        "primary analysis.",
    )
    least_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        2.0,
        description="An annotator with a shorter median time on a page, in seconds, is left out "
        "too.",
    )
    stop: Literal["quota"] = Field(
        "quota",
        description="When collecting ends. `quota`: when every comparison has its judgements, not "
        "before.",
    )


class Protocol(Settings):
    """One preference study: which texts are compared, how often, by whom, and how the answers are
    analysed.
    """

    name: Name = Field(description="Title of the study in its report.")
    seed: CountOrZero = Field(
        0, description="Seed of the contexts drawn, of every order and every side."
    )
    pairs: Literal["reference", "all"] | tuple[tuple[str, str], ...] = Field(
        "reference",
        description="The pairs compared: `reference` (every arm with the true text, as in "
        "Carlsson et al. 2025), `all` (every two arms, the reference among them), or "
        "pairs of arms by name.",
    )
    arms: tuple[str, ...] | None = Field(
        None, description="Arms taken from the runs, by name; none: all."
    )
    domains: tuple[str, ...] | None = Field(None, description="Domains taken; none: all.")
    per_domain: Count | dict[str, Count] | None = Field(
        None,
        description="Contexts drawn from each domain: one number, or a table such as "
        "`{ fiction = 100, news = 50 }`, which leaves out the domains that it does "
        "not name; none: all contexts.",
    )
    tokens: Count | None = Field(
        None,
        description="Tokens that every text is truncated to; none: the length of the shorter text "
        "of its comparison.",
    )
    shortest_tokens: Count = Field(
        16,
        description="A comparison with fewer tokens than this after truncation is left out, and "
        "counted.",
    )
    judgements: Count = Field(
        3, description="Judgements that count for each comparison (3 in Carlsson et al. 2025)."
    )
    attention_rate: CheckRate = Field(
        0.05,
        description="Share of an annotator's items that show a text against its own shuffled "
        "words.",
    )
    repeat_rate: CheckRate = Field(
        0.05,
        description="Share of an annotator's items that repeat an earlier comparison with the "
        "sides swapped.",
    )
    items: Count | None = Field(
        None,
        description="Most items for one annotator, checks and repeats included; none: no limit.",
    )
    hold_minutes: Positive = Field(
        30.0, description="Minutes after which an unanswered item goes to another annotator."
    )
    test_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="Attempts at the comprehension test before the first item."
    )
    open_link: bool = Field(
        False, description="Let anybody with the address take part, one identity for each browser."
    )
    open_link_cap: Count = Field(100, description="Most annotators by the open link.")
    question: LongText = Field(QUESTION, description="The question on every page.")
    instructions: LongText = Field(
        INSTRUCTIONS,
        description="Text that annotators read first; an empty line starts a paragraph.",
    )
    consent: LongText = Field(
        CONSENT, description="Text that annotators agree to; an empty line starts a paragraph."
    )
    analysis: PlannedAnalysis = PlannedAnalysis()

    @model_validator(mode="after")
    def _pairs_are_pairs(self) -> Self:
        if isinstance(self.pairs, tuple):
            if not self.pairs:
                raise ValueError("pairs is empty: name two arms in each, or say `reference`")
            if any(one == other for one, other in self.pairs):
                raise ValueError("a pair compares an arm with itself")
            if len({frozenset(pair) for pair in self.pairs}) < len(self.pairs):
                raise ValueError("the same pair stands in pairs twice")
        return self
