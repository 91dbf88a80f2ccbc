"""The protocol of a preference study as a frozen, strict tree: comparisons, assignment of items,
planned analysis.

The bytes of the protocol file and the comparisons are hashed into the study before the first
judgement. Every judgement names that digest.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.preference.languages import Language
from hyperfitting.preference.wording import (
    CONSENT,
    INSTRUCTIONS,
    QUESTION,
    ComprehensionQuestion,
    LongText,
    Material,
    PageWords,
    PracticeItem,
    ShortText,
    default_words,
)
from hyperfitting.recipe import Count, CountOrZero, Name, Positive, Settings

CheckRate = Annotated[float, Field(ge=0, le=0.25)]


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
    pairs: Literal["reference", "all", "given"] | tuple[tuple[str, str], ...] = Field(
        "reference",
        description="The pairs compared: `reference` (every arm with the true text, as in "
        "Carlsson et al. 2025), `all` (every two arms, the reference among them), pairs of arms by "
        "name, or `given` (those of a file of pairs, where it is the default).",
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
    clean: Literal["markup", "nothing"] = Field(
        "markup",
        description="What texts lose before they are shown: `markup` (HTML, entities, wiki and "
        "Markdown marks, web addresses and control characters; quotes, dashes and no-break spaces "
        "become ASCII), or `nothing`, for code, formulas and texts whose marks matter.",
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
        description="Most items for one annotator, checks and repeats included; none: no limit. "
        "`create` sets it from `power`, unless told otherwise.",
    )
    replace_careless: bool = Field(
        False,
        description="Exclude annotators who break the rules of `analysis` while the study "
        "collects, and ask others in their place. `create` sets it unless told otherwise.",
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
    language: Language = Field(
        "en",
        description="Language of the annotators' pages: `ar`, `de`, `en`, `es` or `zh-Hans`. It "
        "decides the words below too, as far as the protocol does not say others.",
    )
    material: Material = Field(
        "continuations",
        description="What is compared: `continuations` of a context, `texts` that stand alone, "
        "`answers` to a request, or `images`, whose upper part is the context. It decides the "
        "default question, instructions and headings.",
    )
    title: ShortText | None = Field(
        None,
        description="Name of the study on the annotators' pages; none: `Text comparison study`, or "
        "`Image comparison study`.",
    )
    institution: ShortText | None = Field(
        None, description="Who runs the study, on the annotators' pages."
    )
    contact: ShortText | None = Field(
        None, description="Whom annotators can ask: a mail address, or words."
    )
    question: LongText = Field(
        QUESTION,
        description="The question on every page. One of your own has neutral buttons and "
        "instructions, and no test, unless the protocol says them.",
    )
    instructions: LongText = Field(
        INSTRUCTIONS, description="Text that annotators read first, in Markdown without HTML."
    )
    consent: LongText = Field(
        CONSENT, description="Text that annotators agree to, in Markdown without HTML."
    )
    words: PageWords = PageWords()
    test: Annotated[tuple[ComprehensionQuestion, ...], Field(max_length=20)] = Field(
        (), description="Questions of the comprehension test; default: three about the question."
    )
    practice: Annotated[tuple[PracticeItem, ...], Field(max_length=20)] = Field(
        (), description="Comparisons to practise on, at the end of the test."
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

    @model_validator(mode="after")
    def _say_the_other_words(self) -> Self:
        """Write out the words that come with language, material and question."""
        own = self.question if "question" in self.model_fields_set else None
        usual = default_words(self.language, self.material, own)
        said = {name: getattr(self.words, name) for name in self.words.model_fields_set}
        filled = {**vars(usual), "words": usual.words.model_copy(update=said)}
        for name in filled.keys() - (self.model_fields_set - {"words"}):
            self.__dict__[name] = filled[name]  # the settings are frozen for everybody else
        return self
