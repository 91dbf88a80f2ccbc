"""Shared runs of words, in every script and spelling, and texts shorter than a run."""

import unicodedata

import pytest

from hyperfitting.data.contamination import LeakIndex, words_of

FRENCH = "L’élève étudie à l'école où il a été reçu hier soir, très tôt"
HINDI = "सभी मनुष्यों को गौरव और अधिकारों के विषय में जन्मजात स्वतन्त्रता और समानता प्राप्त है"
CHINESE = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。"
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"
ARABIC = "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق، وقد وهبوا عقلًا وضميرًا"
TEXTS = {
    "French": FRENCH,
    "Hindi": HINDI,
    "Chinese": CHINESE,
    "Japanese": JAPANESE,
    "Thai": THAI,
    "Arabic": ARABIC,
}


def index_of(*texts, order=5):
    index = LeakIndex(order)
    index.add(texts)
    return index


def test_case_and_punctuation_do_not_matter_and_order_does():
    index = index_of("The cat, sat down.", order=3)
    assert index.shared_run("and THE CAT SAT up") == "the cat sat"
    assert index.shared_run("the cat stood") is None
    assert index.shared_run("down the cat") is None
    index.add(["", "one two", "It sat down. Again!"])
    assert index.shared_run("he sat down again, and") == "sat down again"


def test_an_empty_index_and_an_empty_text_share_nothing():
    assert LeakIndex(3).shared_run("nothing was added here") is None
    assert index_of("the cat sat").shared_run("") is None
    assert index_of("", "  ").shared_run("the cat sat") is None


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_every_script_and_normal_form(language, form):
    text = TEXTS[language]
    index = index_of(f"xx {text} yy", order=5)
    changed = unicodedata.normalize(form, text).upper().replace("，", " ").replace("،", "")
    assert index.shared_run(f"before {changed} after") is not None
    words = words_of(text)
    assert index.shared_run("".join(reversed(text))) is None or len(set(words)) < len(words)


@pytest.mark.parametrize("language", TEXTS)
def test_other_texts_of_the_same_script_do_not_leak(language):
    half = len(TEXTS[language]) // 2
    index = index_of(TEXTS[language][:half], order=5)
    assert index.shared_run(TEXTS[language][half + 1 :]) is None


def test_what_a_word_is():
    assert words_of("The cat’s co\u00adop, don't!") == ["the", "cat", "s", "coop", "don", "t"]
    assert words_of(unicodedata.normalize("NFD", "Été à Noël")) == ["été", "à", "noël"]
    assert words_of("मैं हिन्दी में लिखता हूँ") == ["मैं", "हिन्दी", "में", "लिखता", "हूँ"]
    assert words_of("自由，平等 GPT４") == ["自", "由", "平", "等", "gpt4"]
    assert words_of("ทั้งนี้") == ["ทั้", "ง", "นี้"]  # a letter with its marks
    assert words_of("می\u200cروم") == ["میروم"]  # a joiner divides no word
    assert words_of("안녕하세요 세계") == ["안녕하세요", "세계"]
    assert words_of("STRASSE straße") == ["strasse", "strasse"]
    assert words_of("!? 🙂") == ["!", "?", "🙂"]  # no word at all: signs


def test_a_text_that_is_longer_than_a_short_training_text_leaks_where_it_holds_it():
    index = index_of("a grey cat sat on the ma", "the end", order=13)
    assert (
        index.shared_run("Once a grey cat sat on the mat and slept there until the end of it all")
        == "a grey cat sat on the"
    )
    assert (
        index.shared_run("Once a grey dog sat on the mat and slept there until the end of it all")
        is None
    )


def test_a_text_shorter_than_a_run_leaks_where_it_stands_whole():
    index = index_of("It was late, and the rain had not stopped.", "A dog barked.", order=13)
    assert index.shared_run("The rain had not") == "the rain had not"
    assert index.shared_run("the rain had stopped") is None
    assert index.shared_run("stopped a dog") is None  # not across two texts
    assert (
        index.shared_run("it was late, and the ra") == "it was late and the"
    )  # the end of a block cuts words
    index.add(["Another day came."])
    assert index.shared_run("another day") == "another day"
