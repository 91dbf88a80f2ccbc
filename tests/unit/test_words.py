"""Words, units and BLEU's tokens in every script; the worked examples of docs/explain/measuring.md
are computed again.
"""

import re
import sys
import unicodedata

import pytest
import sacrebleu
from hypothesis import example, given
from hypothesis import strategies as st

from hyperfitting.measuring.external_texts import WordTokens
from hyperfitting.metrics.bleu import bleu_signature, self_bleu
from hyperfitting.metrics.diversity import type_token_ratio
from hyperfitting.metrics.repetition import compression_ratio
from hyperfitting.metrics.words import (
    characters_apart,
    characters_said,
    has_characters_apart,
    has_no_spaces,
    spaced_pieces,
    words,
)
from tests.support.source import ROOT

MEASURES = ROOT / "docs" / "explain" / "measuring.md"
EXAMPLES = re.findall(
    r"^\| (Hindi|Chinese|Arabic|Thai|French, decomposed): (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$",
    MEASURES.read_text(encoding="utf-8"),
    re.M,
)
MIXED = st.text(
    "aéA1 "
    "_'’.-\n\u00ad\u0301\u0323\u200b\u200c\u200d\u200fहिन्ีแม่น้ำ我東がか\u3099。ﾊﾞ한\u1112\u1161𠀀\U00011103"
)
TEXTS = st.text() | MIXED


def in_form(form, text):
    return unicodedata.normalize(form, text)


def ratio(items):
    return f"{len(set(items))}/{len(items)} = {type_token_ratio(items):.3f}"


def test_the_documents_examples_are_of_five_scripts():
    assert [name for name, *_ in EXAMPLES] == [
        "Hindi",
        "Chinese",
        "Arabic",
        "Thai",
        "French, decomposed",
    ]
    decomposed = EXAMPLES[-1][1]
    assert in_form("NFD", decomposed) == decomposed != in_form("NFC", decomposed)
    assert any(unicodedata.category(letter) == "Mn" for letter in EXAMPLES[2][1])  # vowel signs


@pytest.mark.parametrize("row", EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_the_documents_examples_are_what_is_computed(row):
    _, text, in_words, word_ratio, in_units, unit_ratio, in_bleu = row
    ids, pieces = WordTokens()(text)
    assert words(text) == in_words.split(" · ")
    assert ratio(words(text)) == word_ratio
    assert [piece.strip() for piece in pieces] == in_units.split(" · ")
    assert ratio(ids) == unit_ratio
    assert sacrebleu.BLEU().tokenizer(characters_apart(text)).split() == in_bleu.split(" · ")


def test_the_documents_bleu_of_two_chinese_texts():
    found = re.search(
        r"Of (\w+) and (\w+) each has.*?= ([\d.]+)\.", MEASURES.read_text(encoding="utf-8"), re.S
    )
    assert self_bleu([found[1], found[2]]) == pytest.approx([float(found[3])] * 2, abs=0.05)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("می‌خواهم بروم", ["می\u200cخواهم", "بروم"]),  # ZWNJ
        ("ශ්‍රී ලංකා", ["ශ්\u200dරී", "ලංකා"]),  # ZWJ
        ("co\u00adoperate \u200fcooperate\u200e", ["cooperate", "cooperate"]),
        ("한국어 낱말", ["한국어", "낱말"]),
        (in_form("NFD", "한국어 낱말"), ["한국어", "낱말"]),
        ("iPhone手机, 3.5个", ["iphone", "手", "机", "3", "5", "个"]),
        ("か\u3099ガﾊ", ["が", "ガ", "ﾊ"]),
        ("ລາວ ខ្មែរ", ["ລ", "າ", "ວ", "ខ្", "មែ", "រ"]),
        ("မြန်", ["မြ", "န်"]),
        ("བོད་སྐད", ["བོ", "ད", "སྐ", "ད"]),
        (
            "𠀀𠀁 \U00011103\U00011127",
            ["𠀀", "𠀁", "\U00011103\U00011127"],
        ),  # beyond U+FFFF: Han, Chakma
        ("ab\u200bcd", ["ab", "cd"]),  # a zero-width space is a space
        ("\u0301 \u200d '", []),
        ("手'a d'été", ["手", "a", "d'été"]),
    ],
)
def test_words_by_hand(text, expected):
    assert words(text) == expected


def test_which_texts_are_in_scripts_without_spaces():
    assert has_no_spaces("我们看海 with Tom")
    assert not has_no_spaces("Tom saw the sea at 東京 today")
    assert has_characters_apart("at 東京")
    assert not any(has_no_spaces(text) for text in ["नदी के पास", "한국어", "", "。，"])
    assert all(
        has_no_spaces(text)
        for text in ["ฝนตก", "ລາວ", "ខ្មែរ", "မြန်", "བོད", "ひらがな", "カタカナ", "𠀀𠀁"]
    )


def test_what_is_said_of_the_units():
    assert characters_said(["a b", "é"], elsewhere="words") == ""
    both = ["我们看海", "ฝนตก"]
    assert (
        characters_said(both, elsewhere="words")
        == "characters, since 2 of 2 texts are in scripts without spaces"
    )
    assert characters_said([*both, "a"], elsewhere="words") == (
        "characters there, words elsewhere, since 2 of 3 texts are in scripts without spaces"
    )


@given(TEXTS)
@example("a\u0301\u00ad\u0323")
@example("\ud800\u0301")
@example("\ufacf\ufad0")  # in NFC beyond U+FFFF
def test_decomposed_texts_are_what_composed_ones_are(text):
    nfc, nfd = in_form("NFC", text), in_form("NFD", text)
    assert words(nfd) == words(nfc) == words(text)
    assert has_no_spaces(nfd) == has_no_spaces(nfc)
    assert WordTokens()(nfd) == WordTokens()(nfc)
    assert characters_apart(nfd) == characters_apart(nfc)
    assert not nfc or compression_ratio(nfd) == compression_ratio(nfc)


@given(TEXTS, TEXTS)
def test_texts_with_a_space_between_have_the_words_of_both(one, other):
    assert words(f"{one} {other}") == words(one) + words(other)


@given(TEXTS)
def test_pieces_join_to_the_text(text):
    pieces = spaced_pieces(text)
    joined = "".join(piece for piece, _ in pieces)
    assert text.startswith(joined)
    assert all(letter.isspace() or letter == "\u200b" for letter in text[len(joined) :])
    assert all(piece.endswith(unit) and unit for piece, unit in pieces)


@given(TEXTS)
def test_bleus_tokens_lose_no_character(text):
    kept = "".join(characters_apart(text).split())
    assert kept == "".join(in_form("NFC", text).split())


def plain(text):
    """Whether a text is in NFC, without marks, format characters and scripts without spaces."""
    kinds = set(map(unicodedata.category, text))
    return (
        in_form("NFC", text) == text
        and not kinds & {"Mn", "Mc", "Me", "Cf"}
        and not has_characters_apart(text)
    )


@given(st.text(st.characters(max_codepoint=0x2FF)) | st.text("don't ’“”—été_2,\n\t"))
def test_plain_texts_have_the_words_and_units_that_they_had(text):
    if plain(text):
        assert words(text) == [
            word.lower() for word in re.findall(r"\w+(?:'\w+)*", text.replace("’", "'"))
        ]
        assert [piece for piece, _ in spaced_pieces(text)] == re.findall(r"\s*\S+", text)
        assert characters_apart(text) == text
        assert not text or compression_ratio(text) > 0


def test_every_letter_of_unicode_is_in_a_word_or_is_one():
    letters = [chr(n) for n in range(sys.maxunicode + 1) if chr(n).isalnum()]
    missed = [
        letter for letter in letters if "".join(words(letter)) != in_form("NFC", letter).lower()
    ]
    assert missed == []


def test_bleu_of_chinese_is_sacrebleus_zh_and_names_its_tokens():
    texts = [
        "我喜欢在海边散步，看着远处的船。",
        "他说：“我喜欢在山里散步。”然后看着iPhone手机。",
        "天气好，我们去了公园！",
    ]
    slow = [
        sacrebleu.sentence_bleu(text, [each for each in texts if each != text], tokenize="zh").score
        for text in texts
    ]
    assert self_bleu(texts) == pytest.approx(slow, rel=0, abs=1e-9)
    assert "|tok:13a+characters|" in bleu_signature(["a b", *texts])


def test_bleu_of_spaced_texts_is_the_same_beside_chinese_ones():
    spaced = ["the cat sat", "the cat ran", "a dog"]
    assert self_bleu([*spaced, "我们看海"])[:3] == self_bleu(spaced)
    assert "|tok:13a|" in bleu_signature(spaced)
    assert self_bleu([in_form("NFD", "été à côté"), "été à côté"]) == pytest.approx([100, 100])
