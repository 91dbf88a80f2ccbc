"""The words of a study that its protocol may change, and those that it has unless it does.

The words that come with a language are about the default question. A question of one's own has
neutral buttons and instructions, and no comprehension test unless the protocol brings one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.preference.languages import gettext_noop, translations
from hyperfitting.recipe import Settings

ShortText = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
LongText = Annotated[str, Field(min_length=1, max_length=20_000)]
Material = Literal["continuations", "texts", "answers", "images"]
"""What is compared."""

QUESTION = gettext_noop("Which continuation is better?")
INSTRUCTIONS = gettext_noop(
    """\
You will see the beginning of a text and two ways in which it might go on. Read both to the end, \
and say which one you would rather go on reading: the one that fits the beginning, makes sense, \
and is well written. Say that they are equally good only if you cannot choose.

Both continuations may be odd, and both stop in the middle: that is no fault. Do not look the \
texts up, and do not guess who wrote them; there is no right answer that you should know."""
)
CONSENT = gettext_noop(
    """\
This study compares texts. You will read pairs of short texts and say which you prefer. It is \
voluntary: you may stop at any moment, and withdraw, which deletes your answers.

We keep your answers, and how long each took. We do not ask for your name. The answers are \
published under a number, without anything that says who you are. The texts are written by people \
and by computers; some may be unpleasant or wrong.

By going on you say that you are an adult, that you read English with ease, and that you agree to \
this."""
)
IMAGE_CONSENT = gettext_noop(
    """\
This study compares images. You will look at pairs of small images and say which you prefer. It is \
voluntary: you may stop at any moment, and withdraw, which deletes your answers.

We keep your answers, and how long each took. We do not ask for your name. The answers are \
published under a number, without anything that says who you are. The images are made by people \
and by computers; some may be unpleasant.

By going on you say that you are an adult, and that you agree to this."""
)

_QUESTIONS: dict[Material, str] = {
    "continuations": QUESTION,
    "texts": gettext_noop("Which text is better?"),
    "answers": gettext_noop("Which answer is better?"),
    "images": gettext_noop("Which image is better?"),
}
_INSTRUCTIONS: dict[Material, str] = {
    "continuations": INSTRUCTIONS,
    "texts": gettext_noop(
        "You will see two texts. Read both to the end, and say which one you would rather read: "
        "the one that makes sense and is well written. Say that they are equally good only if you "
        "cannot choose.\n\nEither text may be odd. Do not look the texts up, and do not guess who "
        "wrote them; there is no right answer that you should know."
    ),
    "answers": gettext_noop(
        "You will see a request and two answers to it. Read all three to the end, and say which "
        "answer you would rather get: the one that does what was asked, makes sense, and is well "
        "written. Say that they are equally good only if you cannot choose.\n\nEither answer may "
        "be odd or wrong. Do not guess who wrote them; there is no right choice that you should "
        "know."
    ),
    "images": gettext_noop(
        "You will see the upper part of a small image and two ways in which it might go on below. "
        "Look at both, and say which image you would rather have: the one whose lower part fits "
        "the upper part and shows something that makes sense. Say that they are equally good only "
        "if you cannot choose.\n\nBoth images are coarse, and both may be odd: that is no fault. "
        "Do not guess who made them; there is no right answer that you should know."
    ),
}
_OWN_INSTRUCTIONS: dict[Material, str] = {
    "continuations": gettext_noop(
        "You will see the beginning of a text and two ways in which it might go on. Read both to "
        "the end, and answer the question under them.\n\nBoth continuations may be odd, and both "
        "stop in the middle: that is no fault."
    ),
    "texts": gettext_noop(
        "You will see two texts. Read both to the end, and answer the question under them. Either "
        "text may be odd: that is no fault."
    ),
    "answers": gettext_noop(
        "You will see a request and two answers to it. Read all three to the end, and answer the "
        "question under them. Either answer may be odd: that is no fault."
    ),
    "images": gettext_noop(
        "You will see the upper part of a small image and two ways in which it might go on below. "
        "Look at both, and answer the question under them. Both images are coarse, and both may be "
        "odd: that is no fault."
    ),
}
_HEADINGS: dict[Material, tuple[str, str]] = {
    "continuations": (gettext_noop("The text begins"), gettext_noop("Continuation")),
    "texts": (gettext_noop("Context"), gettext_noop("Text")),
    "answers": (gettext_noop("The request"), gettext_noop("Answer")),
    "images": (gettext_noop("The upper part"), gettext_noop("Image")),
}
_CHOICES = {
    "texts": (
        gettext_noop("Which text was written by a computer"),
        gettext_noop("Which text is longer"),
        gettext_noop("If both texts are odd"),
        gettext_noop("Only if I read both and cannot choose"),
    ),
    "images": (
        gettext_noop("Which image was made by a computer"),
        gettext_noop("Which image has more colours"),
        gettext_noop("If both images are odd"),
        gettext_noop("Only if I looked at both and cannot choose"),
    ),
}
"""Answers to the questions of the test."""

_BUTTONS = (
    gettext_noop("A is better"),
    gettext_noop("B is better"),
    gettext_noop("Equally good"),
)
_OWN_BUTTONS = ("A", "B", gettext_noop("Both equally"))


class PageWords(Settings):
    """Buttons and headings of the page of a comparison."""

    first: ShortText = Field("A is better", description="Button of the first text.")
    second: ShortText = Field("B is better", description="Button of the second text.")
    equal: ShortText = Field("Equally good", description="Button of a tie.")
    context: ShortText = Field("The text begins", description="Heading of the context.")
    text: ShortText = Field("Continuation", description="Heading of each text, before its letter.")


class ComprehensionQuestion(Settings):
    """One question of the comprehension test."""

    text: LongText = Field(description="The question.")
    choices: Annotated[tuple[LongText, ...], Field(min_length=2, max_length=9)] = Field(
        description="Two to nine answers."
    )
    right: Annotated[int, Field(ge=1, le=9)] = Field(description="Number of the right one, from 1.")

    @model_validator(mode="after")
    def _right_is_a_choice(self) -> Self:
        if self.right > len(self.choices):
            raise ValueError(f"right = {self.right}, and there are {len(self.choices)} choices")
        return self


class PracticeItem(Settings):
    """One comparison of the comprehension test, answered with the study's own buttons."""

    context: str = Field("", max_length=20_000, description="The context; empty: none.")
    first: LongText = Field(description="The first text.")
    second: LongText = Field(description="The second text.")
    right: Literal["first", "second", "equal"] = Field(description="The right answer.")


@dataclass(frozen=True)
class DefaultWords:
    """The words of a study whose protocol does not say others."""

    question: str
    instructions: str
    consent: str
    words: PageWords
    test: tuple[ComprehensionQuestion, ...]


def default_words(language: str, material: Material, question: str | None = None) -> DefaultWords:
    """The words in a language for what is compared. `question` is that of the protocol, if it has
    one.
    """
    say = translations(language).gettext
    usual = say(_QUESTIONS[material])
    own = question not in (None, usual)
    buttons = map(say, _OWN_BUTTONS if own else _BUTTONS)
    context, text = map(say, _HEADINGS[material])
    first, second, equal = buttons
    return DefaultWords(
        question=question if question is not None else usual,
        instructions=say((_OWN_INSTRUCTIONS if own else _INSTRUCTIONS)[material]),
        consent=say(IMAGE_CONSENT if material == "images" else CONSENT),
        words=PageWords(first=first, second=second, equal=equal, context=context, text=text),
        test=() if own else _default_test(language, material),
    )


def _default_test(language: str, material: Material) -> tuple[ComprehensionQuestion, ...]:
    """The test about the default question."""
    say = translations(language).gettext
    computer, size, odd, only = map(say, _CHOICES["images" if material == "images" else "texts"])
    asked = ComprehensionQuestion(
        text=say(gettext_noop("What do you decide on every page?")),
        choices=(
            computer,
            say(gettext_noop("“%(question)s”")) % {"question": say(_QUESTIONS[material])},
            size,
        ),
        right=2,
    )
    equal = ComprehensionQuestion(
        text=say(gettext_noop("When do you answer “equally good”?")),
        choices=(say(gettext_noop("Whenever I am in a hurry")), odd, only),
        right=3,
    )
    practice = ComprehensionQuestion(
        text=say(
            gettext_noop(
                "Try one. The text begins: “She lit the lamp and”. Which way of going on makes "
                "more sense?"
            )
        ),
        choices=(
            say(gettext_noop("“set it by the window, where he would see it from the road.”")),
            say(gettext_noop("“lamp the the of lit and she lamp under under of the”")),
        ),
        right=1,
    )
    return (asked, equal, practice) if material == "continuations" else (asked, equal)
