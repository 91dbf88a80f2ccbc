"""The short comprehension test before the first comparison, as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import Answer
from hyperfitting.preference.wording import PracticeItem


@dataclass(frozen=True)
class AskedQuestion:
    """One question with its choices; `right` counts from 0. A practice question shows its item."""

    text: str
    choices: tuple[str, ...]
    right: int
    practice: PracticeItem | None = None


def asked_questions(protocol: Protocol) -> list[AskedQuestion]:
    """The questions of the test, and the comparisons to practise on."""
    words, sides = protocol.words, get_args(Answer)
    buttons = (words.first, words.second, words.equal)
    return [AskedQuestion(each.text, each.choices, each.right - 1) for each in protocol.test] + [
        AskedQuestion(protocol.question, buttons, sides.index(item.right), item)
        for item in protocol.practice
    ]


def is_passed(asked: list[AskedQuestion], given: Mapping[str, object]) -> bool:
    """Whether `given` (`q0`, `q1`, ... to the number of a choice) answers every question
    correctly.
    """
    return all(
        given.get(f"q{number}") == str(question.right) for number, question in enumerate(asked)
    )
