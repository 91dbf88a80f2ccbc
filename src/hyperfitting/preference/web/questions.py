"""The short test before the first comparison: does somebody know what is asked, and do they read?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hyperfitting.preference.plan import StudyPlan


@dataclass(frozen=True)
class Question:
    """One question with its choices; `right` counts from 0."""

    text: str
    choices: tuple[str, ...]
    right: int


_EQUAL = Question(
    "When do you answer “equally good”?",
    ("Whenever I am in a hurry", "If both texts are odd", "Only if I read both and cannot choose"),
    2,
)
_PRACTICE = Question(
    "Try one. The text begins: “She lit the lamp and”. Which way of going on makes more sense?",
    (
        "“set it by the window, where he would see it from the road.”",
        "“lamp the the of lit and she lamp under under of the”",
    ),
    0,
)


def questions(plan: StudyPlan) -> tuple[Question, ...]:
    """The questions of a study; the first is about its own question."""
    asked = Question(
        "What do you decide on every page?",
        ("Which text was written by a computer", f"“{plan.question}”", "Which text is longer"),
        1,
    )
    return (asked, _EQUAL, _PRACTICE)


def all_right(asked: tuple[Question, ...], given: Mapping[str, str]) -> bool:
    """Whether `given` (`q0`, `q1`, ... to the number of a choice) answers every question rightly."""
    return all(
        given.get(f"q{number}") == str(question.right) for number, question in enumerate(asked)
    )
