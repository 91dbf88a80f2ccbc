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
        ("Answer: The answer is B", 1),
        ("**Answer:** (B)", 1),
        ("A, a river", 0),
        ("B is correct, and A is not", 1),
        ("B, because it is", 1),
        ("A Frenchman", None),
        ("A, B, C or D", None),
        ("(B) or (C)", None),
        ("B or C", None),
        ("B/C", None),
        ("B and C", None),
        ("B, C", None),
        ("A. a river\nB. Paris\nC. Paris in spring", None),
        ("B. Paris\nIt is the capital.", 1),
        ("Paris, 42", None),
        ("Paris, A", None),
        ("Paris because it is", 1),
        ("Paris agreement", None),
        ("42.", 3),
        ("42.5", None),
        ("42/3", None),
        ("42,000", None),
        ("42 %", None),
        ("C++", None),
        ("C#", None),
        ("D'accord", None),
        ("B-cells", None),
        ("D.C.", None),
        ("B.Paris", 1),
        ("'B'", 1),
        ("", None),
        ("\n", None),
    ],
)
def test_what_an_answer_names(text, expected):
    assert parse_answer(text, "ABCD", CHOICES) == expected


def test_two_equal_choices_are_not_told_apart():
    assert parse_answer("yes", "AB", ("yes", "Yes")) is None
    assert parse_answer("B", "AB", ("yes", "Yes")) == 1


@pytest.mark.parametrize("text", ["No idea", "No one knows", "no or yes", "No, yes"])
def test_a_word_of_a_choice_inside_other_words_is_no_answer(text):
    assert parse_answer(text, "AB", ("no", "yes")) is None
    assert parse_answer("True, False or Neither", "ABC", ("True", "Neither", "False")) is None
    assert parse_answer("No, it does not", "AB", ("no", "yes")) == 0


def test_a_pronoun_is_no_label():
    choices = [f"text {number}" for number in range(10)]
    for text in ("I think it is B", "I'd say B", "I am not sure"):
        assert parse_answer(text, "ABCDEFGHIJ", choices) is None
    assert parse_answer("I. text 8", "ABCDEFGHIJ", choices) == 8
    assert parse_answer("I text 8", "ABCDEFGHIJ", choices) == 8


def test_a_longer_number_is_another():
    assert parse_answer("1.5", "AB", ("1", "2")) is None
    assert parse_answer("1.5", "AB", ("1", "1.5")) == 1
    assert parse_answer("2/3", "AB", ("1", "2")) is None
    assert parse_answer("1,000", "AB", ("1", "2")) is None
