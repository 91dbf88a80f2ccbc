"""Texts as annotators see them: equally long, no half words, nothing that tells who wrote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.preference.design.presentation import normalise, truncate_alike, unfinished_word
from tests.support.studies import continuation


def pieces(*parts, ended="length"):
    return continuation("", pieces=parts, ids=tuple(range(len(parts))), ended=ended)


def shown(*texts, at_most=None):
    cuts = truncate_alike(texts, at_most)
    return None if cuts is None else [(cut.text, cut.tokens) for cut in cuts]


def test_both_texts_end_after_the_same_number_of_tokens():
    long, short = pieces(" a", " b", " c", " d", ".", " e"), pieces(" x", " y", " z", ".")
    assert shown(long, short) == [("a b c d", 4), ("x y z.", 4)]
    assert shown(long, pieces(" x", " y", " z", " w")) == [
        ("a b c", 3),
        ("x y z", 3),
    ]  # who knows how w goes on
    assert shown(long, short, at_most=2) == [("a b", 2), ("x y", 2)]


def test_no_text_ends_in_half_a_word():
    one = pieces(" wal", "king", " home", " a", "gain", ".")
    other = pieces(" the", " ri", "ver", " don", "'t", ".")
    assert shown(one, other) == [("walking home again.", 6), ("the river don't.", 6)]
    assert shown(one, other, at_most=4) == [("walking home", 3), ("the river", 3)]
    assert shown(one, other, at_most=2) is None


def test_a_word_goes_on_over_vowel_signs_and_joiners():
    ends_in_a_sign = pieces(" नदी", " हिन्द", "ी", " है")
    assert shown(ends_in_a_sign, pieces(" a", " b", " c", " d"), at_most=2) == [
        ("नदी", 1),
        ("a", 1),
    ]
    assert unfinished_word("او می\u200c", [pieces("خواهم", " رفت")]) == "می\u200c"


def test_a_text_that_ended_by_itself_is_whole():
    assert shown(pieces(" the", " end", ended="end_of_text"), pieces(" so", " it", " went")) == [
        ("the end", 2),
        ("so it", 2),
    ]
    assert shown(pieces(" the", " end"), pieces(" so", " it", " went")) == [("the", 1), ("so", 1)]


def test_the_ratio_is_that_of_the_tokens_kept():
    text = continuation("", pieces=(" a", " b", " a", " c", " d"), ids=(1, 2, 1, 3, 4))
    (cut,) = truncate_alike([text], 3)
    assert (cut.tokens, cut.ttr) == (3, pytest.approx(2 / 3))


def test_characters_that_span_tokens_stay_whole():
    assert shown(pieces(" caf", "", "é", " et", " thé")) == [("café et", 4)]


def test_a_word_that_the_context_breaks_off_in_is_shown_whole_on_both_sides():
    going_on, not_going_on = pieces("uter", " room", " was"), pieces(" and", " so", " on")
    begun = unfinished_word("They bought a comp", [going_on, not_going_on])
    assert begun == "comp"
    assert [cut.text for cut in truncate_alike([going_on, not_going_on], None, begun=begun)] == [
        "computer room",
        "comp and so",
    ]
    assert unfinished_word("They bought a comp", [not_going_on]) == ""
    assert unfinished_word("They came. ", [going_on]) == ""
    assert unfinished_word("", [going_on]) == ""


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("  \n down the road \n", "down the road"),
        ("one\r\n\r\n\n\ntwo\nthree  four\t five", "one\n\ntwo\nthree four five"),
        ("“Yes,” she said — it’s “late”…", '"Yes," she said - it\'s "late"...'),
        ("<p>One<br/>two <b>three</b></p>&amp; four&nbsp;five", "One\ntwo three\n& four five"),
        ("<script>alert(1)</script> and 2 < 3 > 1", "alert(1) and 2 < 3 > 1"),
        (
            "= = Early life = = \n He was , it is said , 1 @,@ 000 well @-@ known .",
            "Early life\nHe was, it is said, 1,000 well-known.",
        ),
        ("== History ==\nIt began", "History\nIt began"),
        (
            "# Title\n* one\n> two **bold** and *slanted* __under__ _it_ snake_case 2*3*4",
            "Title\none\ntwo bold and slanted under it snake_case 2*3*4",
        ),
        (
            "see [[Berlin|the city]] and [this](http://x.y/z) at https://example.org/a?b now",
            "see the city and this at now",
        ),
        ("he went to [[Berlin|the", "he went to the"),
        ("in [[Rome]] and ]] of **great <b", "in Rome and of great"),
        ("'''Rome''' is ``old'' he said", 'Rome is "old" he said'),
        ("a\u200bb\u202ec\x00d\ufeff\ufffd", "abcd"),
        ("e\u0301", "é"),
        ("it 's what they ( all ) do n't", "it's what they (all) do n't"),
        ("wait ... what", "wait... what"),
        ("", ""),
    ],
)
def test_what_would_tell_the_sides_apart_is_made_alike(raw, seen):
    assert normalise(raw) == seen


@given(st.text(alphabet=st.sampled_from("ab \n\t<>*_#=&;'\"“”—[]()|@.,-!"), max_size=60))
def test_plain_text_has_no_white_space_at_its_ends_nor_in_runs(raw):
    text = normalise(raw)
    assert text == text.strip()
    assert "  " not in text
    assert "\n\n\n" not in text
    assert not set(text) & set("“”—\t\r")


@given(
    st.lists(st.sampled_from([" a", "b", " c", ".", "'s", " d", "\n"]), min_size=1, max_size=12),
    st.data(),
)
def test_a_cut_text_never_breaks_off_between_two_letters(parts, data):
    at_most = data.draw(st.integers(1, 14))
    cuts = truncate_alike([pieces(*parts)], at_most)
    if cuts is not None:
        before, after = "".join(parts[: cuts[0].tokens]), "".join(parts[cuts[0].tokens :])
        assert cuts[0].tokens <= min(at_most, len(parts))
        assert not (before[-1].isalnum() and (after == "" or after[0].isalnum()))
