"""Every string that an annotator sees stands in every catalogue, translated, with its placeholders;
and each catalogue says who or what translated it.
"""

import re
from string import Formatter

import pytest

from hyperfitting.preference.languages import LANGUAGES, LOCALE, direction, translations
from hyperfitting.preference.protocol import Protocol
from tests.support.catalogue import ROOM, catalogue, source_messages

FILES = sorted(LOCALE.glob("*.po"))
SOURCE = {message.id: message for message in source_messages() if message.id}
SAME = {("de", "Text")}
"""Words that are the same in another language."""

by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def placeholders(text):
    return sorted(re.findall(r"%\(\w+\)\w|</?\w+>", text))


def letters(text):
    return re.sub(r"%\(\w+\)\w|<[^>]+>|\W", "", text)


def forms(message):
    return (message.string,) if isinstance(message.string, str) else message.string


def test_the_languages_are_those_of_the_catalogues():
    assert LANGUAGES == ("ar", "de", "en", "es", "zh-Hans")
    assert [direction(each) for each in LANGUAGES] == ["rtl", "ltr", "ltr", "ltr", "ltr"]


def test_the_source_is_read_whole():
    assert len(SOURCE) > 120
    for words in ("Welcome", "That form is not ours", "Which text is better?", "Not you?"):
        assert words in SOURCE


@by_file
def test_a_catalogue_holds_the_messages_of_the_source_and_no_others(path):
    assert {message.id for message in catalogue(path) if message.id} == SOURCE.keys()


@by_file
def test_nothing_is_left_in_the_source_language(path):
    left = []
    for message in catalogue(path):
        ids = (message.id,) if isinstance(message.id, str) else message.id
        if message.id and letters(ids[0]) and (path.stem, ids[0]) not in SAME:
            left += [text for text in forms(message) if not text.strip() or text in ids]
            left += [ids[0]] if message.fuzzy else []
    assert left == []


@by_file
def test_placeholders_and_marks_agree(path):
    for message in catalogue(path):
        ids = (message.id,) if isinstance(message.id, str) else message.id
        for text in forms(message) if message.id else ():
            assert placeholders(text) == placeholders(ids[-1]), text
            assert text.count("\n\n") == ids[-1].count("\n\n"), text
            assert not re.search(r"%(?!\()", text), text


@by_file
def test_a_catalogue_says_who_or_what_translated_it(path):
    read = catalogue(path)
    assert "not yet read by a native speaker" in read.last_translator
    assert "Machine translation by a language model" in read.header_comment


def test_no_page_holds_words_of_its_own():
    """Whatever stands between the tags of an annotator's page comes from a catalogue, the protocol
    or the store. The admin's pages are in English.
    """
    bare = {}
    for path in sorted((ROOM / "web" / "templates").glob("*.html")):
        text = path.read_text(encoding="utf-8")
        if "admin_base.html" in text or path.stem.startswith("admin_"):
            continue
        text = re.sub(r"\{% block kind %\}\w+", "", text)
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<kbd.*?</kbd>", "", text, flags=re.S)
        text = re.sub(r"<span class=\"side\">[AB]</span>", "", text)
        text = re.sub(r"<!doctype[^>]*>|<[^>]*>", "", text)
        if words := re.findall(r"[^\W\d_]+", text):
            bare[path.name] = words
    assert bare == {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("material", ["continuations", "texts", "answers", "images"])
def test_the_words_of_a_protocol_are_those_of_its_language(language, material):
    usual = Protocol(name="x", language=language, material=material)
    say = translations(language).gettext
    assert usual.words.first == say("A is better")
    assert usual.question in usual.test[0].choices[1]
    own = Protocol(name="x", language=language, material=material, question="?!")
    assert own.words.equal == say("Both equally")
    assert own.test == ()
    assert own.instructions != usual.instructions
    for made in (usual, own):
        assert Protocol.model_validate_json(made.model_dump_json()) == made
    if language != "en":
        english = Protocol(name="x", material=material)
        for name in ("question", "instructions", "consent", "test"):
            assert getattr(usual, name) != getattr(english, name)


def test_a_language_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="one of ar, de, en, es, zh-Hans"):
        Protocol(name="x", language="fr")


def test_the_messages_have_no_other_kind_of_placeholder():
    for message in SOURCE:
        text = message if isinstance(message, str) else message[0]
        assert [name for _, name, _, _ in Formatter().parse(text) if name] == []
