"""Studies in other languages, in a real browser: from the link to the code, every page through axe,
nothing left in English, right to left where that is how one reads.
"""

import csv
import re

import pytest

from hyperfitting.preference.languages import LANGUAGES, direction, translations
from hyperfitting.preference.records import BlindedComparison, ShownText
from hyperfitting.preference.wording import PracticeItem
from tests.support.browsing import PHONE, assert_accessible, at, settled

TEXTS = {
    "ar": (
        "في صباح يوم بارد خرجت سلمى إلى السوق",
        "فاشترت خبزًا ساخنًا وعادت قبل أن يستيقظ إخوتها.",
        "ثم ثم السوق السوق خرجت خرجت ثم السوق ثم خرجت.",
    ),
    "zh-Hans": (
        "从前有一个国王，住在山上的城堡里。",
        "每天早晨，他都站在窗前，看村民们赶着羊群下山。",
        "他他他窗前窗前山山山，下下下他窗前山下。",
    ),
    "de": (
        "An einem kalten Morgen ging Jana zum Markt",
        "und kaufte warmes Brot, bevor die anderen wach waren.",
        "Markt der der Brot ging Markt Brot der wach wach.",
    ),
    "es": (
        "Una mañana fría Ana salió al mercado",
        "y compró pan caliente antes de que despertaran sus hermanos.",
        "mercado el el pan salió mercado pan el el salió.",
    ),
    "en": (
        "One cold morning Ann went to the market",
        "and bought warm bread before the others were awake.",
        "market the the bread went market bread the awake awake.",
    ),
}


def pairs_csv(folder, language, context=True):
    """The same texts as somebody's table of pairs."""
    beginning, good, bad = TEXTS[language]
    named = ["context", "a", "b"] if context else ["a", "b"]
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(named)
        for number in range(3):
            table.writerow([f"{beginning} {number}", good, bad][-len(named) :])
    return folder / "pairs.csv"


def rows(language, count=3):
    context, good, bad = TEXTS[language]
    made = []
    for number in range(count):
        shown = (ShownText(arm, "run", text, 12, 0.5) for arm, text in (("x", good), ("y", bad)))
        where = ("scored", "tales", f"t{number}", f"t{number}", context)
        made.append(BlindedComparison(f"c{number}", *where, *shown))
    return made


def no_violations(page, name):
    settled(page)
    assert_accessible(page, name)


def walk(page, place, language):
    """From the open link to the end, by words of the language; yields the name of each page."""
    say = translations(language).gettext
    protocol = place.study.protocol
    page.goto(place.base)
    yield "join"
    page.get_by_role("button", name=say("Begin"), exact=True).click()
    yield "consent"
    page.get_by_label(say("I have read this and I agree to take part.")).check()
    page.get_by_role("button", name=say("Agree and go on")).click()
    yield "test"
    page.get_by_role("button", name=say("Check my answers")).wait_for()
    for number, question in enumerate(protocol.test):
        page.locator(f"#q{number}-{question.right - 1}").check()
    for number, item in enumerate(protocol.practice, start=len(protocol.test)):
        right = ("first", "second", "equal").index(item.right)
        page.locator(f"#q{number}-{right}").check()
    page.get_by_role("button", name=say("Check my answers")).click()
    at(page, 1)
    yield "judge"
    page.get_by_role("button", name=protocol.words.first).click()
    at(page, 2)
    page.get_by_role("button", name=say("Undo the last answer")).click()
    page.get_by_role("status").wait_for()
    yield "taken back"
    for path in ("/instructions", "/withdraw", "/nothing", "/join"):
        page.goto(place.base + path)
        yield path
    page.goto(place.base)
    words = protocol.words
    for number, name in enumerate((words.second, words.equal, words.first), start=1):
        at(page, number)
        settled(page)
        page.get_by_role("button", name=name).click()
    page.wait_for_url("**/done")
    yield "done"


def practice(language):
    context, good, bad = TEXTS[language]
    return (PracticeItem(context=context, first=bad, second=good, right="second"),)


@pytest.mark.parametrize(
    "language",
    [pytest.param(each, marks=() if each == "ar" else pytest.mark.slow) for each in LANGUAGES],
)
def test_a_study_from_a_csv_in_another_language(serve, visit, tmp_path, language):
    """The words that are asked for by `walk` are those of the catalogue; here, that no others are
    there, that the page says its language, and that each page is accessible on a phone.
    """
    place = serve(
        pairs=pairs_csv(tmp_path, language),
        language=language,
        open_link=True,
        items=3,
        replace_careless=False,  # a browser that is driven takes less than two seconds
        practice=practice(language),
        institution="Institut 7",
        contact="post@example.org",
    )
    page = visit(**PHONE)
    english = set(re.findall(r"[a-z]{4,}", " ".join(ENGLISH_WORDS)))
    for name in walk(page, place, language):
        no_violations(page, name)
        root = page.locator("html")
        assert root.get_attribute("lang") == language
        assert root.get_attribute("dir") == direction(language)
        assert page.title()
        if language != "en":
            seen = page.evaluate("document.body.innerText").lower() + page.title().lower()
            assert sorted(english & set(re.findall(r"[a-z]+", seen))) == [], name
        if name == "judge":
            context, first, second = page.locator(".text").all_inner_texts()
            assert context.startswith(TEXTS[language][0])
            assert {first, second} == {*TEXTS[language][1:]}
    assert [row.answer for row in place.judgements()] == ["second", "equal", "first"]
    assert len(page.locator("output").inner_text()) == 10


ENGLISH_WORDS = [
    "better equally continuation begins answer withdraw instructions undo thank comparison",
    "welcome consent agree read take part back study questions that your this with page begin",
]


@pytest.mark.slow
def test_right_to_left_the_first_text_stands_on_the_right(serve, visit):
    place = serve(rows=rows("ar"), language="ar", open_link=True)
    page = visit()
    for name in walk(page, place, "ar"):
        if name == "judge":
            a, b = (card.bounding_box() for card in page.locator(".card").all())
            assert a["x"] > b["x"] + b["width"]
            assert a["y"] == b["y"]
            buttons = [each.bounding_box()["x"] for each in page.locator("#answers button").all()]
            assert buttons == sorted(buttons, reverse=True)
            break
    else:
        pytest.fail("the walk came by no page to judge")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ar"])
def test_context_and_cards_are_as_wide_as_each_other(serve, visit, language):
    place = serve(rows=rows(language), language=language, open_link=True)
    page = visit()
    for name in walk(page, place, language):
        if name == "judge":
            context = page.locator(".context").bounding_box()
            pair = page.locator(".pair").bounding_box()
            assert abs(context["x"] - pair["x"]) < 1
            assert abs(context["width"] - pair["width"]) < 1
            break
    else:
        pytest.fail("the walk came by no page to judge")


@pytest.mark.slow
def test_the_question_stands_at_the_buttons(serve, visit):
    place = serve(rows=rows("en"), open_link=True)
    page = visit()
    for name in walk(page, place, "en"):
        if name == "judge":
            asked = page.get_by_text("Which continuation is better?").bounding_box()
            first = page.get_by_role("button", name="A is better").bounding_box()
            assert 0 <= first["y"] - asked["y"] - asked["height"] < 24
            break
    else:
        pytest.fail("the walk came by no page to judge")


def test_texts_without_a_context_and_a_question_of_ones_own(serve, visit):
    """No word of the default question is left around another one."""
    made = [BlindedComparison(**{**vars(each), "context_text": ""}) for each in rows("en", count=2)]
    question = "Which text was written by a computer?"
    place = serve(rows=made, question=question, material="texts", open_link=True)
    page = visit()
    page.goto(place.base)
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Agree and go on").click()
    page.wait_for_url("**/judge")  # no test of another question
    assert page.locator("#answers button").all_inner_texts() == ["A\nA", "B\nB", "Both equally\nE"]
    assert page.locator(".card h2").all_inner_texts() == ["Text A", "Text B"]
    assert page.locator(".context").count() == 0
    words = page.evaluate("document.body.innerText")
    assert "better" not in words
    assert "Continuation" not in words
    page.get_by_role("link", name="Instructions").click()
    assert "answer the question under them" in page.get_by_role("main").inner_text()
