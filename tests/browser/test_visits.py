"""Impatient hands and shared computers, in a real browser."""

import itertools
import sqlite3

import pytest

from hyperfitting.cli import main
from hyperfitting.report.preference.study import report_preference
from tests.support.browsing import at, begin, number, press, settled, sign_in, texts
from tests.support.spreadsheets import csv_rows

GAPS = [60, 100, 180, 250, 400]


def point_of(page, button):
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def click_twice(page, button, gap):
    """By the mouse, where the button stands: the second click meets whatever is there then."""
    x, y = point_of(page, button)
    for pause in (gap, 0):
        page.mouse.click(x, y)
        page.wait_for_timeout(pause)


@pytest.mark.parametrize(
    "means",
    ["mouse", *(pytest.param(each, marks=pytest.mark.slow) for each in ("enter", "key"))],
)
def test_an_answer_given_twice_answers_once(serve, visit, means):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    for done, gap in enumerate(GAPS, start=1):
        settled(page)
        button = page.get_by_role("button", name="A is better")
        x, y = point_of(page, button)
        if means == "enter":
            button.focus()
        for pause in (gap, 0):
            if means == "mouse":
                page.mouse.click(x, y)
            else:
                page.keyboard.press("Enter" if means == "enter" else "a")
            page.wait_for_timeout(pause)
        at(page, done + 1)
        settled(page)
        assert number(page) == done + 1


@pytest.mark.slow
def test_no_step_is_skipped_by_pressing_twice(serve, visit):
    place = serve(items=1, open_link=True)
    for gap in (100, 250):
        page = visit()
        page.goto(f"{place.base}/join")
        settled(page)
        click_twice(page, page.get_by_role("button", name="Begin"), gap)
        page.wait_for_url("**/consent")
        settled(page)
        page.get_by_label("I agree to take part").check()
        click_twice(page, page.get_by_role("button", name="Agree and go on"), gap)
        page.wait_for_url("**/test")
        settled(page)
        assert page.locator("input:checked").count() == 0
        for words in ("Which continuation", "I read both and cannot choose", "set it by the"):
            page.get_by_label(words).check()
        click_twice(page, page.get_by_role("button", name="Check my answers"), gap)
        page.wait_for_url("**/judge")
        settled(page)
        click_twice(page, page.get_by_role("button", name="Equally good"), gap)
        page.wait_for_url("**/done")
        settled(page)
        click_twice(page, page.get_by_role("button", name="Undo the last answer"), gap)
        page.wait_for_url("**/judge")
        settled(page)
        assert page.get_by_role("status").count() == 1
    assert place.judgements() == []


@pytest.mark.slow
def test_the_admins_pause_is_not_taken_back_by_pressing_twice(serve, visit):
    place = serve()
    page = visit()
    sign_in(page, place.base, place.token)
    page.get_by_role("button", name="Pause").wait_for()
    settled(page)
    click_twice(page, page.get_by_role("button", name="Pause"), 180)
    page.get_by_role("button", name="Resume").wait_for()
    settled(page)
    assert page.get_by_role("heading", name="Collecting: paused").count() == 1


# In one script: nothing can be asked of a page from outside while it waits for a reply.
ANSWER_AND_STOP = """async () => {
  const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));
  const states = [];
  const note = () => states.push(document.querySelectorAll("[aria-busy] .sending").length);
  const answer = () => document.querySelector("#answers button").click();
  answer(); await pause(200); note();
  window.stop(); note();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); note();
  answer(); await pause(200); note();
  window.stop(); note();
  return states;
}"""


@pytest.mark.slow
def test_a_page_that_was_stopped_works_again(serve, visit):
    """The net is slow, somebody stops, and answers again: once by the key Escape, once by the
    browser's button, which a page cannot see.
    """
    place = serve()
    page = visit()
    begin(page, *place.invite())
    settled(page)
    slow = sqlite3.connect(place.study.database_file, isolation_level=None)
    slow.execute("BEGIN IMMEDIATE")  # nobody else can write, so the server does not reply
    states = page.evaluate(ANSWER_AND_STOP)
    slow.execute("ROLLBACK")
    slow.close()
    assert states == [1, 1, 0, 1, 1]
    page.locator("#answers:not([aria-busy])").wait_for()  # after four seconds
    page.get_by_role("button", name="A is better").click()
    at(page, 2)
    assert [row.answer for row in place.judgements()] == ["first"]


LAYOUTS = {
    "Russian": "фиуг",
    "Greek": "αβεθ",
    "Hebrew": "שנקו",
    "Arabic": "شلثع",
    "French digits": '&é"',
}
LETTERS, DIGITS = ("KeyA", "KeyB", "KeyE", "KeyU"), ("Digit1", "Digit2", "Digit3")


def test_keys_answer_on_every_layout(serve, visit):
    place = serve()
    page = visit()
    begin(page, *place.invite())
    done = 0
    for layout, keys in LAYOUTS.items():
        for key, code in zip(keys, DIGITS if "digits" in layout else LETTERS, strict=True):
            at(page, done + 1)
            settled(page)
            type_key(page, key, code)
            if code == "KeyU":
                page.get_by_text("taken back").wait_for()
                press(page, "e")
            else:
                done += 1
    at(page, done + 1)
    assert [row.answer for row in place.judgements()] == ["first", "second", "equal"] * 5


@pytest.mark.slow
def test_a_letter_counts_before_the_place_of_its_key(serve, visit):
    """On a French layout the key that says Q stands where others have A."""
    place = serve()
    page = visit()
    begin(page, *place.invite())
    settled(page)
    type_key(page, "q", "KeyA")
    type_key(page, "a", "KeyQ")
    at(page, 2)
    assert [row.answer for row in place.judgements()] == ["first"]


def type_key(page, key, code):
    page.evaluate(
        "([key, code]) => document.dispatchEvent(new KeyboardEvent('keydown', "
        "{key, code, bubbles: true, cancelable: true}))",
        [key, code],
    )


@pytest.mark.slow
def test_a_class_on_shared_computers(serve, visit):
    """Two computers, two lessons; the one who comes second does not go on as the first."""
    place = serve(items=2, open_link=True)
    computers, codes = [visit(), visit()], []
    for lesson, page in itertools.product((1, 2), computers):
        page.goto(place.base)
        if lesson == 2:
            page.goto(f"{place.base}/")
            assert page.url.endswith("/done")
            page.get_by_role("link", name="Not you?").click()
            page.get_by_role("button", name="Begin as somebody else").click()
        else:
            page.get_by_role("button", name="Begin").click()
        page.wait_for_url("**/consent")
        begin(page, None)
        for done in (1, 2):
            assert number(page) == done
            press(page, "a")
            page.wait_for_load_state()
            page.wait_for_url("**/done") if done == 2 else at(page, 2)
        codes.append(page.locator("output").inner_text())
    assert len(set(codes)) == 4
    by_person = sorted(row.annotator for row in place.judgements())
    assert by_person == ["a0001"] * 2 + ["a0002"] * 2 + ["a0003"] * 2 + ["a0004"] * 2


def test_two_tabs_of_two_people_never_answer_for_each_other(serve, visit):
    place = serve()
    first, second = place.invite(2)
    tab = visit()
    begin(tab, first)
    assert tab.locator(".who").inner_text() == "a0001"
    other = tab.context.new_page()
    begin(other, second)
    assert other.locator(".who").inner_text() == "a0002"
    press(tab, "a")
    tab.get_by_role("heading", name="Another link was opened in this browser").wait_for()
    assert tab.get_by_role("main").get_by_role("link").count() == 0
    assert place.judgements() == []
    tab.goto(first)
    assert tab.locator(".who").inner_text() == "a0001"
    press(tab, "a")
    at(tab, 2)
    assert [row.annotator for row in place.judgements()] == ["a0001"]


@pytest.mark.slow
def test_links_and_codes_are_copied(serve, visit):
    place = serve(items=1)
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=place.base)
    begin(page, *place.invite())
    press(page, "a")
    page.wait_for_url("**/done")
    page.get_by_role("button", name="Copy the code").click()
    page.get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("output").inner_text()
    sign_in(page, place.base, place.token)
    page.get_by_role("button", name="Make links").click()
    page.get_by_role("button", name="Copy the links").click()
    page.get_by_text("Copied", exact=True).wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.get_by_label("Personal links, one a line").input_value()
    assert copied.count(f"{place.base}/i/") == 5


FRIENDS = ["Anna", "Bert", "Carla", "Dušan", "Жанна"]


@pytest.mark.slow
def test_five_friends_with_labels_get_an_interval(serve, visit, tmp_path):
    """From a table of pairs and a list of names to the admin's page and a share with bounds."""
    rows = [f"Request {n},plain answer {n},wordy answer {n},plain,wordy" for n in range(6)]
    pairs, names, links = (tmp_path / each for each in ("pairs.csv", "names.txt", "links.csv"))
    pairs.write_text("\n".join(["context,a,b,arm_a,arm_b", *rows]) + "\n")
    names.write_text("\n".join(FRIENDS), encoding="utf-8")
    study = {"material": "continuations", "items": 6, "judgements": 5}
    quick = {"least_seconds": 0}  # a browser that is driven takes less than the two seconds
    place = serve(pairs=pairs, replace_careless=False, analysis=quick, **study)
    to = ["--names", str(names), "--url", place.base, "--out", str(links)]
    assert main(["preference", "invite", str(place.study.folder), *to]) == 0
    for row in csv_rows(links):
        page = visit()
        begin(page, row["link"])
        for done in range(1, 7):
            at(page, done)
            settled(page)
            first = "plain" if row["name"] != "Bert" or done % 2 else "wordy"
            side = "A" if first in texts(page)[1] else "B"
            page.get_by_role("button", name=f"{side} is better").click()
        page.wait_for_url("**/done")
    admin = visit()
    sign_in(admin, place.base, place.token)
    people = admin.locator("section[aria-labelledby=annotators] tbody tr")
    cells = [row.locator("td").all_inner_texts() for row in people.all()]
    assert [(cell[0], cell[2]) for cell in cells] == [(name, "6") for name in FRIENDS]
    (shares, *_) = report_preference(place.study.folder, draws=20).analysis.shares
    plain = shares.preferred if shares.one == "plain" else shares.not_preferred
    assert (plain.value, plain.n, plain.annotators) == (0.9, 30, 5)
    assert plain.low < 0.9 < plain.high <= 1
