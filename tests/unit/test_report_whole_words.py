"""Texts that are shown begin and end with whole words."""

import pytest

from hyperfitting.report.experiment.whole_words import whole_words, word_in_two


@pytest.mark.parametrize(
    ("context", "texts", "begun"),
    [
        ("Evaristo Herr", ["era painted", ", then"], "Herr"),
        ("Evaristo Herrera", [" painted", ", then"], ""),
        ("he said", [], ""),
        ("1868-19", ["41)"], "19"),
        ("海" * 40, ["海"], ""),  # no spaces: it is no word
        ("", ["a"], ""),
    ],
)
def test_a_word_that_a_context_cut_in_two_is_found(context, texts, begun):
    assert word_in_two(context, texts) == begun


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ([" the", " bac", "illus"], 1),
        ([" the", " bacillus", "."], 3),
        ([" one"], 0),
        (["one"], 1),
        (["海"] * 40, 40),
        ([], 0),
        ([" the", "\nnext"], 1),
    ],
)
def test_a_last_word_that_may_be_cut_is_left_out(pieces, kept):
    assert whole_words(pieces) == kept
