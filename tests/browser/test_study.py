"""A study in a real browser: by mouse, by keyboard, on a phone, without scripts; every page through
axe.
"""

import json

import pytest

from hyperfitting.preference.records import BlindedComparison, ShownText
from tests.support import studies
from tests.support.browsing import (
    DESKTOP,
    PHONE,
    assert_accessible,
    at,
    begin,
    number,
    pass_test,
    press,
    sign_in,
    texts,
)


def test_from_the_invitation_to_the_export(serve, visit, tmp_path):
    place = serve(items=20, attention_rate=0.1, repeat_rate=0.1)
    page = visit()
    page.goto(*place.invite())
    assert page.url == f"{place.base}/consent"
    page.get_by_label("I agree to take part").check()
    page.get_by_role("button", name="Agree and go on").click()
    page.get_by_label("Which text is longer").check()  # a wrong answer first
    page.get_by_label("I read both and cannot choose").check()
    page.get_by_label("set it by the window").check()
    page.get_by_role("button", name="Check my answers").click()
    page.get_by_role("alert").get_by_text("1 more try").wait_for()
    pass_test(page)

    answers, by_mouse = (
        [],
        {"A is better": "first", "B is better": "second", "Equally good": "equal"},
    )
    for done, (name, answer) in enumerate(list(by_mouse.items()) * 3, start=1):
        page.get_by_role("button", name=name).click()
        answers.append(answer)
        at(page, done + 1)
    assert page.evaluate("document.cookie") == ""

    shown = texts(page)
    page.reload()
    assert (number(page), texts(page)) == (10, shown)

    by_key = {"a": "first", "1": "first", "B": "second", "2": "second", "e": "equal", "3": "equal"}
    for done, (key, answer) in enumerate((list(by_key.items()) * 2)[:10], start=10):
        press(page, key)
        answers.append(answer)
        at(page, done + 1)
    shown = texts(page)
    press(page, "a")
    page.wait_for_url("**/done")
    page.get_by_role("button", name="Undo the last answer").click()
    page.wait_for_url("**/judge")
    assert (number(page), texts(page)) == (20, shown)
    page.get_by_role("button", name="B is better").click()
    answers.append("second")
    page.wait_for_url("**/done")
    code = page.locator("output").inner_text()

    rows = place.judgements()
    assert [row.answer for row in rows] == answers
    assert {row.kind for row in rows} == {"scored", "attention", "repeat"}
    assert all(0 < row.seconds < 60 for row in rows)

    admin = visit()
    sign_in(admin, place.base, place.token)
    admin.get_by_text(code).wait_for()
    assert "20" in admin.get_by_role("row", name="a0001").inner_text()
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Export JSON lines").click()
    download.value.save_as(tmp_path / "got.jsonl")
    exported = [json.loads(line) for line in (tmp_path / "got.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in exported] == answers


def test_undo_by_mouse_and_by_key(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    shown = texts(page)
    press(page, "a")
    at(page, 2)
    press(page, "u")
    page.get_by_text("taken back").wait_for()
    assert texts(page) == shown
    press(page, "b")
    at(page, 2)
    assert page.get_by_role("button", name="Undo").count() == 0
    page.get_by_role("button", name="Equally good").click()
    at(page, 3)
    page.get_by_role("button", name="Undo the last answer").click()
    page.get_by_text("taken back").wait_for()
    page.get_by_role("button", name="A is better").click()
    at(page, 3)
    assert [row.answer for row in place.judgements()] == ["second", "first"]


def test_a_double_click_and_a_held_key_answer_once(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    page.get_by_role("button", name="A is better").dblclick(no_wait_after=True)
    at(page, 2)
    press(page, "b")
    page.keyboard.down("b")
    page.keyboard.down("b")  # repeats: the key is held
    at(page, 3)
    assert [row.answer for row in place.judgements()] == ["first", "second"]


def test_keys_can_be_switched_off_and_stay_off(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    page.get_by_label("Answer with the keys").uncheck()
    press(page, "a")
    page.reload()
    assert not page.get_by_label("Answer with the keys").is_checked()
    press(page, "a")
    assert number(page) == 1
    page.get_by_label("Answer with the keys").check()
    press(page, "Control+b")
    press(page, "a")
    at(page, 2)
    assert [row.answer for row in place.judgements()] == ["first"]


def test_everything_works_without_scripts(serve, visit):
    place = serve(items=3)
    place.take_at_once()
    page = visit(java_script_enabled=False)
    begin(page, *place.invite())
    assert page.get_by_label("Answer with the keys").is_hidden()
    page.get_by_role("button", name="A is better").click()
    page.get_by_role("button", name="Undo the last answer").click()
    for name in ("B is better", "Equally good", "A is better"):
        page.get_by_role("button", name=name).click()
    page.get_by_text("Your completion code").wait_for()
    assert [row.answer for row in place.judgements()] == ["second", "equal", "first"]
    page.get_by_role("link", name="Withdraw your answers").click()
    page.get_by_label("Yes, delete my answers").check()
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_role("heading", name="You have withdrawn").wait_for()
    assert place.judgements() == []


def test_the_keyboard_alone_reaches_everything(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent").strip())
    assert names[:2] == ["Instructions", "Withdraw"]
    assert [name[:4] for name in names[2:5]] == ["A is", "B is", "Equa"]


def test_a_post_from_another_site_changes_nothing(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    form = page.locator("#answers").evaluate("form => Object.fromEntries(new FormData(form))")
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in form.items())
    html = (
        f'<form method="post" action="{place.base}/judge">{fields}<button name="answer" '
        'value="first">Win</button>'
    )
    page.route(
        "http://evil.example/*", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    page.goto("http://evil.example/prize")
    page.get_by_role("button", name="Win").click()
    page.wait_for_url("**/judge")
    assert page.get_by_role("heading").inner_text() in (
        "Please open your link",
        "That form is not ours",
    )
    assert place.judgements() == []


def test_a_hostile_text_is_shown_and_does_nothing(serve, visit):
    hostile = (
        "<script>alert(1)</script><img src=x "
        "onerror=alert(2)></p></section>\u202e<style>*{display:none}</style>"
    )
    texts_ = [ShownText(arm, "run", hostile + arm, 9, 0.5) for arm in ("one", "other")]
    place = serve(rows=[BlindedComparison("c1", "scored", "d", "x", "x", hostile, *texts_)])
    page = visit()
    begin(page, *place.invite())
    assert sorted(texts(page)) == sorted([hostile, hostile + "one", hostile + "other"])
    page.get_by_role("button", name="A is better").click()
    page.wait_for_url("**/done")


LOOKS = [
    pytest.param(DESKTOP, "light", id="desktop-light"),
    pytest.param(PHONE, "dark", id="phone-dark"),
    pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.slow),
    pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_every_page_is_accessible(serve, visit, size, scheme):
    place = serve(items=2, open_link=True)
    (link,) = place.invite()
    page = visit(**size, color_scheme=scheme)
    seen = []

    def check(name):
        page.wait_for_load_state()
        assert_accessible(page, name)
        assert page.get_by_role("main").count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        seen.append(page.title())

    for path in ("/join", "/nothing", "/admin"):
        page.goto(place.base + path)
        check(path)
    page.goto(link)
    check("consent")
    page.get_by_label("I agree to take part").check()
    page.get_by_role("button", name="Agree and go on").click()
    check("test")
    for words in ("Which text is longer", "Whenever I am in a hurry", "lamp the the"):
        page.get_by_label(words).check()
    page.get_by_role("button", name="Check my answers").click()
    page.get_by_role("alert").wait_for()
    check("test again")
    pass_test(page)
    check("judge")
    _in_reach(page, size)
    page.get_by_role("button", name="Equally good").click()
    at(page, 2)
    page.get_by_role("button", name="Undo the last answer").click()
    page.get_by_text("taken back").wait_for()
    check("taken back")
    for link_name in ("Instructions", "Withdraw"):
        page.get_by_role("link", name=link_name).click()
        check(link_name)
        page.get_by_role("link", name="Back to the study").click()
    for _ in range(2):
        page.get_by_role("button", name="Equally good").click()
        page.wait_for_load_state()
    page.wait_for_url("**/done")
    check("done")
    sign_in(page, place.base, place.token)
    page.get_by_role("heading", name="By arm").wait_for()
    page.locator("summary").click()
    check("admin")
    page.get_by_role("button", name="Make links").click()
    page.get_by_label("Personal links, one a line").wait_for()
    check("links")
    page.goto(f"{place.base}/admin/annotators/a0001")
    check("annotator")
    page.get_by_label("Reason").fill("a test")
    page.get_by_role("button", name="Exclude").click()
    page.get_by_text("excluded").wait_for()
    check("excluded")
    assert len(set(seen)) >= 12


def _in_reach(page, size):
    """Without scrolling, large enough for a thumb, and on a phone in the lower half."""
    for button in page.locator("#answers button").all():
        box = button.bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= size["viewport"]["height"]
        assert box["y"] > size["viewport"]["height"] / 2


def test_the_default_texts_fit_the_paper_sized_comparison(serve, visit):
    """Texts of 256 tokens stand side by side, both readable from their first line without
    scrolling.
    """
    rows = studies.comparisons(2, 0)
    long = " ".join(f"word{number % 7}" for number in range(220))
    shown = [ShownText(row.arm, row.run, long, 256, 0.5) for row in (rows[0].one, rows[0].other)]
    place = serve(rows=[BlindedComparison("c1", "scored", "d", "x", "x", "It began so", *shown)])
    page = visit()
    begin(page, *place.invite())
    a, b = (card.bounding_box() for card in page.locator(".card").all())
    assert a["y"] == b["y"] < 260
    assert a["x"] + a["width"] < b["x"]
    assert (
        page.locator(".text").nth(1).evaluate("each => parseFloat(getComputedStyle(each).fontSize)")
        >= 16
    )
