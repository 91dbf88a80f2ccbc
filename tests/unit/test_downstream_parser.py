"""How the text of an answer is read."""

from __future__ import annotations

import pytest

from hyperfitting.downstream.parser import parse_answer

CHOICES = ("a river", "Paris", "Paris in spring", "42")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" B", 1),
        ("B.", 1),
        ("(C) Paris in spring", 2),
        ("**D**", 3),
        ("The correct answer is B: Paris", 1),
        ("the answer is option C", 2),
        ("Answer: D", 3),
        ("So, the best choice would be A.", 0),
        ("A) a river", 0),
        ("A river", 0),
        ("A a river", 0),
        ("A bird in the hand", None),
        ("paris", 1),
        ("Paris in spring, of course", 2),
        ("Parisian", None),
        ("42", 3),
        ("420", None),
        ("Because B is right", None),
        ("E", None),
        ("b", None),
        ("BB", None),
        ("", None),
        ("\n", None),
    ],
)
def test_what_an_answer_names(text, expected):
    assert parse_answer(text, "ABCD", CHOICES) == expected


def test_two_equal_choices_are_not_told_apart():
    assert parse_answer("yes", "AB", ("yes", "Yes")) is None
    assert parse_answer("B", "AB", ("yes", "Yes")) == 1
