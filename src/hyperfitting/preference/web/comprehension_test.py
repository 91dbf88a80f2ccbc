"""The short comprehension test before the first comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hyperfitting.preference.protocol import Protocol


@dataclass(frozen=True)
class TestQuestion:
    """One question with its choices; `right` counts from 0."""

    text: str
    choices: tuple[str, ...]
    right: int


_EQUAL = TestQuestion(
    "When do you answer “equally good”?",
    ("Whenever I am in a hurry", "If both texts are odd", "Only if I read both and cannot choose"),
    2,
)
_PRACTICE = TestQuestion(
    "Try one. The text begins: “She lit the lamp and”. Which way of going on makes more sense?",
    (
        "“set it by the window, where he would see it from the road.”",
        "“lamp the the of lit and she lamp under under of the”",
    ),
    0,
)


def test_questions(protocol: Protocol) -> tuple[TestQuestion, ...]:
    """The questions of the test. The first one is about the study's question."""
    asked = TestQuestion(
        "What do you decide on every page?",
        ("Which text was written by a computer", f"“{protocol.question}”", "Which text is longer"),
        1,
    )
    return (asked, _EQUAL, _PRACTICE)


def is_passed(asked: tuple[TestQuestion, ...], given: Mapping[str, str]) -> bool:
    """Whether `given` (`q0`, `q1`, ... to the number of a choice) answers every question
    correctly.
    """
    return all(
        given.get(f"q{number}") == str(question.right) for number, question in enumerate(asked)
    )
