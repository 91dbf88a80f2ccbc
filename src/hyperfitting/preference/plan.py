"""The plan of a study as a frozen, strict, typed tree: what is compared, how it is dealt, and how it will be analysed.

The plan and the comparisons are hashed into the study before its first judgement; every judgement carries that digest.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.recipe import Count, CountOrZero, Name, Positive, Settings

Rate = Annotated[float, Field(ge=0, le=0.25)]
Words = Annotated[str, Field(min_length=1, max_length=20_000)]

QUESTION = "Which continuation is better?"
INSTRUCTIONS = """\
You will see the beginning of a text and two ways in which it might go on. Read both to the end, and say which one you \
would rather go on reading: the one that fits the beginning, makes sense, and is well written. Say that they are \
equally good only if you cannot choose.

Both continuations may be odd, and both stop in the middle: that is no fault. Do not look the texts up, and do not \
guess who wrote them; there is no right answer that you should know."""
CONSENT = """\
This study compares texts. You will read pairs of short texts and say which you prefer. It is voluntary: you may stop \
at any moment, and withdraw, which deletes your answers.

We keep your answers, and how long each took. We do not ask for your name. The answers are published under a number, \
without anything that says who you are. The texts are written by people and by computers; some may be unpleasant or \
wrong.

By going on you say that you are an adult, that you read English with ease, and that you agree to this."""


class AnalysisPlan(Settings):
    """What will be computed, fixed before the first judgement."""

    primary: Literal["preferred-or-equal", "preferred"] = Field(
        "preferred-or-equal",
        description="The number that the study is about: the share of judgements in which an arm is preferred to the "
        "other text, or preferred or found equal (A, Table 1).",
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="Level of every interval."
    )
    attention_failures: CountOrZero = Field(
        1,
        description="An annotator with more failed attention checks than this is left out of the primary analysis.",
    )
    least_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        2.0,
        description="An annotator whose median time on a page is shorter, in seconds, is left out too.",
    )
    stop: Literal["quota"] = Field(
        "quota",
        description="When collecting ends. `quota`: once every comparison has its judgements, and not before.",
    )


class StudyPlan(Settings):
    """One study: which texts are compared, how often, by whom, and what will be made of the answers."""

    name: Name = Field(description="Names the study in its report.")
    seed: CountOrZero = Field(
        0, description="Decides which contexts are drawn, every order and every side."
    )
    pairs: Literal["reference", "all"] | tuple[tuple[str, str], ...] = Field(
        "reference",
        description="What is compared: `reference` (every arm with the true text, as in A), `all` (every two arms, the "
        "reference among them), or pairs of arms by name.",
    )
    arms: tuple[str, ...] | None = Field(
        None, description="The arms taken from the runs, by name; none: all."
    )
    domains: tuple[str, ...] | None = Field(
        None, description="The sets of contexts taken; none: all."
    )
    per_domain: Count | dict[str, Count] | None = Field(
        None,
        description="Contexts drawn from each set: one number, or a table such as `{ fiction = 100, news = 50 }`, "
        "which leaves the sets out that it does not name; none: all contexts.",
    )
    tokens: Count | None = Field(
        None,
        description="Tokens that every text is cut to; none: as many as the shortest text of its comparison has.",
    )
    shortest_tokens: Count = Field(
        16,
        description="A comparison with fewer tokens than this after cutting is left out, and counted.",
    )
    judgements: Count = Field(3, description="Judgements that count for each comparison (A: 3).")
    attention_rate: Rate = Field(
        0.05,
        description="Share of an annotator's items that are a text against its own shuffled words.",
    )
    repeat_rate: Rate = Field(
        0.05,
        description="Share of an annotator's items that were judged before, now with the sides swapped.",
    )
    items: Count | None = Field(
        None,
        description="Items for one annotator at most, checks and repeats included; none: as many as there are.",
    )
    hold_minutes: Positive = Field(
        30.0, description="Minutes after which an item that was not answered goes to somebody else."
    )
    test_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="How often the test before the first item may be tried."
    )
    open_link: bool = Field(
        False, description="Let anybody with the address take part, one identity a browser."
    )
    open_link_cap: Count = Field(100, description="At most so many annotators by the open link.")
    question: Words = Field(QUESTION, description="What annotators are asked on every page.")
    instructions: Words = Field(
        INSTRUCTIONS, description="What they read first; paragraphs by empty lines."
    )
    consent: Words = Field(CONSENT, description="What they agree to; paragraphs by empty lines.")
    analysis: AnalysisPlan = AnalysisPlan()

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

    def canonical_json(self) -> str:
        """The plan with every default written out, keys sorted, without white space: what is hashed."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
