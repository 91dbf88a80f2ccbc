"""Texts as annotators see them: equally long, no half words, nothing that tells who wrote them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.preference.design.cleaning import is_word_tokenized
from hyperfitting.preference.design.presentation import (
    Presentation,
    trim,
    truncate_alike,
    unfinished_word,
)
from hyperfitting.preference.design.units import shuffled_units
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


def seen(raw, **settings):
    return Presentation(**settings).present(raw).text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("  \n down the road \n", "down the road"),
        ("one\r\n\r\n\n\ntwo\nthree  four\t five", "one\n\n\n\ntwo\nthree  four\t five"),
        ("“Yes,” she said — it’s “late”…", '"Yes," she said - it\'s "late"...'),
        ("<p>One<br/>two <b>three</b></p>&amp; four&nbsp;five", "One\ntwo three\n& four five"),
        ("<script>alert(1)</script> and 2 < 3 > 1", "alert(1) and 2 < 3 > 1"),
        ("<p class='x'>One</p>\n<P>two</P> three", "One\n\ntwo\nthree"),
        ('go <a href="http://x.y">there</a><img src=x.png> now <a href="ht', "go there now"),
        ("&lt;b&gt; is &#98;old", "<b> is bold"),
        ("== History ==\nIt began", "History\nIt began"),
        (
            "# Title\n* one\n> two **bold** and *slanted* __under two__ _it_ snake_case 2*3*4",
            "Title\none\ntwo bold and slanted under two it snake_case 2*3*4",
        ),
        (
            "see [[Berlin|the city]] and [this](http://x.y/z) at https://example.org/a?b now",
            "see the city and this at now",
        ),
        ("(see www.example.org/a).", "(see)."),
        ("he went to [[Berlin|the", "he went to the"),
        ("in [[Rome]] and so <b", "in Rome and so"),
        ("'''Rome''' is ``old'' he said", 'Rome is "old" he said'),
        ("a\u200bb\u202ec\x00d\ufeff\ufffd", "abcd"),
        ("e\u0301", "é"),
        ("", ""),
    ],
)
def test_markup_that_would_tell_the_sides_apart_is_removed(raw, shown):
    assert seen(raw) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "The price fell when supply<demand and everyone in the town knew it by noon, and nobody.",
        "Q: is p<q or q>p here? If a<b and b>c, then a<b>c.",
        "sect&sections, a&notb, AT&T and R&D; copy",
        "He wrote 2 ** 3 and **kwargs and __init__ and f(*args, **kwargs)",
        "def f(x):\n    # note\n    return x  # two",
        "<think>\nfirst I add\n</think>\n<|im_end|> 4",
        "List<Object> and Map<Title> and vector<int>",
        "cp <source> <target>, then mount <device>",
        "x = a[b[0]] or [[1, 2], [3, 4]] or x[[i]]",
        "x = ''\ny = `ls`\nz =\n5",
        "cond ? a : b [ i ] ( x )",
        "of **great",
        "x\n    * y\n+ 3\n- 4",
        "x^2 < 4 ∧ y → ∞",
        "می\u200cخواهم \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} \u2067שלום\u2069",
        "\U0001fae8 is younger than this Python",
    ],
)
def test_what_only_looks_like_markup_stays(raw):
    assert seen(raw) == raw.strip()
    assert Presentation().present(raw).removed == 0


def test_nothing_is_removed_where_the_protocol_says_so():
    raw = "# note\n<b>“x”</b> &amp; e\u0301 **y**"
    assert seen(raw, clean="nothing") == raw


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (
            "= = Early life = = \n He was , it is said , 1 @,@ 000 well @-@ known .",
            "Early life\nHe was, it is said, 1,000 well-known.",
        ),
        ("it 's what they ( all ) do n't", "it's what they (all) do n't"),
        ("wait ... what", "wait... what"),
    ],
)
def test_spaces_that_a_tokenizer_set_are_removed_where_the_corpus_has_them(raw, shown):
    assert seen(raw, tokenized=True) == shown
    assert is_word_tokenized(["one , two , three , four", "a , b , c and 1,000"])
    assert not is_word_tokenized(["one, two, three, four", "a , b, c"])
    assert not is_word_tokenized(["too , few"])


def test_what_was_removed_and_replaced_is_counted():
    found = Presentation().present("<b>x</b> “y” & z …")
    assert (found.text, found.removed, found.replaced) == ('x "y" & z ...', 7, 3)


@given(st.text(alphabet=st.sampled_from("ab \n\t<>*_#=&;'\"“”—[]()|@.,-!"), max_size=60))
def test_a_shown_text_ends_without_white_space_and_loses_what_is_counted(raw):
    found = Presentation().present(raw)
    assert found.text == found.text.rstrip()
    assert not set(found.text) & set("“”—\r")
    kept = [letter for letter in found.text if letter.isalpha()]
    lost = [letter for letter in raw if letter.isalpha()]
    assert len(lost) - len(kept) <= found.removed


def test_indentation_of_the_first_line_stays():
    assert trim("    return x\n", True) == "    return x"
    assert trim("\n\n    return x", False) == "    return x"
    assert trim("   and so", False) == "and so"
    assert trim(" and so", True) == "and so"
    (cut,) = truncate_alike(
        [pieces("return", " x", "\n   ", " y", "\n", ended="end_of_text")],
        None,
        begun=unfinished_word("def f():\n    ", [pieces("return")]),
        indented=True,
    )
    assert cut.text == "    return x\n    y"


def test_texts_are_cut_after_they_are_cleaned():
    """What markup takes from one side is made up for by further tokens."""
    marked = pieces(" <b>", " one", " two", "</b>", " three", " four", ".", " five", ".")
    plain = pieces(" a", " b", " c", " d", ".", " e")
    assert shown(marked, plain, at_most=4) == [("one two three four", 4), ("a b c d", 4)]
    marked_cut, _ = truncate_alike([marked, plain], 4)
    assert marked_cut.ttr == 1.0
    assert marked_cut.presented.removed == 7


@pytest.mark.parametrize(
    ("one", "other", "at_most", "texts"),
    [
        (("从", "前", "有", "一个", "国王", "，"), ("他", "走", "了", "很", "远", "的"), 5, 5),
        (("昔", "々", "ある", "ところ"), ("デー", "ター", "と", "猫"), None, 4),
        ((" กำ", "ลัง", "ใจ", " ดี", " "), (" ข้าว", "สวย", "มาก", " x", "."), 3, 3),
    ],
)
def test_scripts_without_spaces_are_cut_between_characters(one, other, at_most, texts):
    first, second = shown(pieces(*one), pieces(*other), at_most=at_most)
    assert first == ("".join(one[:texts]).strip(), texts)
    assert second == ("".join(other[:texts]).strip(), texts)


def test_no_cut_parts_a_character_from_its_marks():
    parted = pieces("ก", "ำ", "ล", "ัง", " ")
    assert shown(parted, pieces(" a", " b", " c", " d", " ."), at_most=1) is None
    assert shown(parted, pieces(" a", " b", " c", " d", " ."), at_most=3) == [("กำ", 2), ("a b", 2)]
    unfinished = pieces("ก", "ข")  # a mark may follow
    assert shown(unfinished, pieces(" a", " b", " .")) == [("ก", 1), ("a", 1)]


def test_a_context_without_spaces_stays_where_it_is():
    assert unfinished_word("从前有一个国王住在山上的城堡里", [pieces("他", "很")]) == ""
    assert unfinished_word("กล", [pieces("ัง")]) == "ล"
    assert unfinished_word("说hel", [pieces("lo")]) == "hel"


@pytest.mark.parametrize(
    "text", ["从前有一个国王，住在山上。", "กำลังใจดีมาก", "The cat\n sat on it, all day."]
)
def test_a_check_shows_the_same_units_in_another_order(text):
    mixed = shuffled_units(text, random.Random(1), fewest=5)
    assert mixed != text
    assert sorted(mixed) == sorted(text)
    assert [x.isspace() for x in mixed].count(True) == [x.isspace() for x in text].count(True)
    assert shuffled_units("one two two", random.Random(1), fewest=3) is None


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
