"""Whose visit it is, and whether a page could be read: double clicks, shared computers, links that
nobody has followed, state that only the store knows.
"""

import dataclasses
import re
import time

import pytest

from hyperfitting.errors import StudyError
from hyperfitting.preference.store.links import invite
from hyperfitting.web.address import Address
from tests.support.visitors import RIGHT, Visitor


def at_once(reader):
    """The time of a page that was sent just now."""
    return str(int(time.time() * 1000))


# A page that could not be read


def test_no_form_is_taken_before_its_page_could_be_read(place):
    """In whichever step: each form again in time, and nothing was lost in between."""
    store, app, _ = place(open_link=True, items=2)
    reader = Visitor(app)
    steps = [
        ("/join", {}, "/consent"),
        ("/consent", {"agree": "yes"}, "/test"),
        ("/test", RIGHT, "/judge"),
        ("/judge", {"answer": "first"}, "/judge"),
        ("/undo", {}, "/judge"),
        ("/judge", {"answer": "second"}, "/judge"),
        ("/judge", {"answer": "equal"}, "/done"),
        ("/undo", {}, "/judge"),
        ("/judge", {"answer": "equal"}, "/done"),
    ]
    reader.get("/join")
    for path, data, then in steps:
        before = (store.progress(), store.judgements())
        page = reader.page
        form = {**reader.fields(), **data}
        refused = reader.post(path, **form | {"shown": at_once(reader)})
        assert (refused.status_code, path) == (409, path)
        assert "That was very quick" in refused.text
        assert 'href="/"' in refused.text
        assert (store.progress(), store.judgements()) == before
        reader.page = page
        assert reader.post(path, **form).url.path == then
    reader.get("/withdraw")
    assert reader.post("/withdraw", sure="yes", shown=at_once(reader)).status_code == 409
    assert [row.answer for row in store.judgements()] == ["second", "equal"]


def test_a_click_after_the_time_to_read_is_taken(place):
    store, app, _ = place()
    app.state.context = dataclasses.replace(app.state.context, unread_seconds=0.01)
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    for after_milliseconds in (11, 400):
        shown = str(int(time.time() * 1000) - after_milliseconds)
        assert reader.answer(shown=shown).status_code == 200
    assert len(store.judgements()) == 2


def test_the_admins_forms_wait_too(place):
    store, app, token = place()
    admin = Visitor(app)
    admin.sign_in(token)
    assert admin.post("/admin/pause", shown=at_once(admin)).status_code == 409
    assert not store.paused


def test_a_form_that_is_sent_twice_counts_once(place):
    """As after a stop on a slow net."""
    store, app, _ = place(test_attempts=3)
    (token,) = store.invitations.create(1)
    reader = Visitor(app)
    reader.get(f"/i/{token}")
    reader.post("/consent", agree="yes")
    wrong = {**reader.fields(), **RIGHT, "q0": "0"}
    for _ in range(3):
        reader.post("/test", **wrong)
        assert store.annotators.of_token(token).attempts_left == 2
    reader.post("/test", **{**reader.fields(), **RIGHT})
    reader.answer()
    form = reader.fields()
    for _ in range(2):
        assert reader.post("/undo", **form).url.path == "/judge"
        assert "taken back" in reader.page.text
    assert store.judgements() == []


# State that only the store knows


def test_what_a_page_says_of_an_undo_is_what_the_store_holds(place):
    store, app, _ = place()
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer()
    reader.post("/undo")
    assert str(reader.page.url).endswith("/judge")
    assert "taken back" in reader.get("/judge").text  # a reload
    reader.answer()
    assert reader.get("/goodbye").url.path == "/judge"
    reader.get("/judge?back=true")  # as an address of the version before says it
    assert "taken back" not in reader.page.text
    reader.answer()
    assert 'id="undo"' in reader.get("/judge?kept=true").text


def test_nothing_is_taken_back_during_a_pause(place):
    store, app, _ = place(items=1)
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer()
    form = reader.fields()
    store.pause()
    assert 'action="/undo"' not in reader.get("/done").text
    assert reader.post("/undo", **form).status_code == 503
    assert len(store.judgements()) == 1
    store.resume()
    assert 'action="/undo"' in reader.get("/done").text


# Links


def test_a_scanner_that_follows_a_link_makes_no_annotator(place):
    store, app, _ = place()
    (token,) = store.invitations.create(1)
    for _ in range(3):
        scanner = Visitor(app)
        assert scanner.get(f"/i/{token}").url.path == "/consent"
        assert scanner.get("/").url.path == "/consent"
        for path in ("/test", "/judge", "/withdraw", "/instructions"):
            assert scanner.get(path).status_code == 409
    assert store.progress().annotators == ()
    assert store.invitations.all()[0].annotator is None
    reader = Visitor(app)
    reader.begin(token)
    assert [each.id for each in store.progress().annotators] == ["a0001"]


def test_whoever_has_withdrawn_is_told_so_by_their_link(place):
    store, app, _ = place()
    (token,) = store.invitations.create(1)
    reader = Visitor(app)
    reader.begin(token)
    store.annotators.withdraw("a0001")
    for page in (reader.get("/judge"), Visitor(app).get(f"/i/{token}")):
        assert page.status_code == 410
        assert "You have withdrawn" in page.text


# Two people at one computer


def test_the_next_at_a_shared_computer_begins_as_somebody_else(place):
    store, app, _ = place(open_link=True, items=1)
    browser = Visitor(app)
    browser.get("/join")
    browser.post("/join")
    browser.post("/consent", agree="yes")
    browser.post("/test", **RIGHT)
    assert browser.answer().url.path == "/done"
    (code,) = re.findall(r'class="completion">(\w+)<', browser.page.text)
    assert ">Not you?</a>" in browser.page.text
    browser.get("/join")
    assert "Somebody has begun in this browser, as a0001." in browser.page.text
    assert code not in browser.page.text
    browser.post("/join", somebody_else="true")
    assert browser.page.url.path == "/consent"
    assert ">a0002</span>" in browser.page.text
    browser.post("/consent", agree="yes")
    browser.post("/test", **RIGHT)
    assert browser.answer().url.path == "/done"
    assert code not in browser.page.text
    assert [row.annotator for row in store.judgements()] == ["a0001", "a0002"]
    browser.get("/withdraw")
    browser.post("/withdraw", sure="yes")
    assert [row.annotator for row in store.judgements()] == ["a0001"]
    assert browser.get("/").url.path == "/join"
    assert "Somebody has begun" not in browser.page.text


def test_a_computer_of_somebody_who_was_withdrawn_is_free_again(place):
    store, app, _ = place(open_link=True)
    browser = Visitor(app)
    browser.get("/join")
    browser.post("/join")
    store.annotators.withdraw("a0001")
    browser.get("/join")
    assert browser.post("/join").url.path == "/consent"
    assert ">a0002</span>" in browser.page.text


@pytest.mark.parametrize(
    ("path", "data"),
    [("/judge", {"answer": "first"}), ("/undo", {}), ("/withdraw", {"sure": "yes"})],
)
def test_a_form_of_another_person_leads_nowhere(place, path, data):
    store, app, _ = place()
    first, second = store.invitations.create(2)
    browser = Visitor(app)
    browser.begin(first)
    browser.answer()
    if path == "/withdraw":
        browser.get(path)
    theirs = browser.fields()
    browser.begin(second)  # in the same browser: the cookie is now another one
    page = browser.post(path, **theirs | data)
    assert page.status_code == 403
    assert "Another link was opened in this browser" in page.text
    assert "open your own link again" in page.text
    assert not re.findall(r"<a class=.button", page.text)
    assert [row.annotator for row in store.judgements()] == ["a0001"]


def test_before_consent_a_form_of_another_person_leads_nowhere_too(place):
    store, app, _ = place()
    first, second = store.invitations.create(2)
    browser = Visitor(app)
    browser.get(f"/i/{first}")
    theirs = browser.fields()
    browser.get(f"/i/{second}")
    page = browser.post("/consent", **theirs, agree="yes")
    assert "Another link was opened in this browser" in page.text
    assert store.progress().annotators == ()


def test_each_page_says_who_one_is(place):
    store, app, _ = place(items=1)
    reader = Visitor(app)
    (token,) = store.invitations.create(1)
    reader.get(f"/i/{token}")
    reader.post("/consent", agree="yes")
    pages = [reader.page, reader.post("/test", **RIGHT)]
    pages += [reader.get(path) for path in ("/instructions", "/withdraw")]
    reader.get("/judge")
    pages.append(reader.answer())
    assert reader.page.url.path == "/done"
    assert all(">a0001</span>" in page.text for page in pages)
    assert not any("Not you?" in page.text for page in pages)


# Addresses


@pytest.mark.parametrize(
    ("host", "seen", "expected"),
    [
        ("0.0.0.0", "192.0.2.7:8012", "http://192.0.2.7:8012"),
        ("::", "[2001:db8::7]:8012", "http://[2001:db8::7]:8012"),
        ("[::]", "study.local", "http://study.local"),
        ("0.0.0.0", "evil/../x", "http://127.0.0.1:8012"),
        ("192.0.2.9", "192.0.2.7:8012", "http://192.0.2.9:8012"),
    ],
)
def test_links_begin_with_an_address_that_browsers_can_open(host, seen, expected):
    assert Address(host, 8012).as_seen(seen).link("/join") == f"{expected}/join"


def test_a_public_address_stands_above_what_a_browser_says():
    address = Address("0.0.0.0", 8012, "https://study.example.org/class")
    assert not address.is_unnamed
    assert address.as_seen("192.0.2.7").link("/x") == "https://study.example.org/class/x"


def test_the_admins_links_have_the_address_by_which_the_admin_came(place):
    _, app, token = place(address=Address("0.0.0.0", 8012), open_link=True)
    for base, local in (("http://192.0.2.7:8012", False), ("http://127.0.0.1:8012", True)):
        admin = Visitor(app, base=base)
        admin.sign_in(token)
        assert f"{base}/join</code>" in admin.page.text
        admin.post("/admin/invitations", count="1")
        assert f"{base}/i/" in admin.page.text
        assert ("These links open on this machine only" in admin.page.text) == local


def test_invitations_know_where_the_study_is_served(place):
    store, _, _ = place()
    study = store.study

    def link(**options):
        return invite(study, **options)[0].partition("/i/")[0]

    assert link() == "http://127.0.0.1:8000"
    store.remember_base_url("https://study.example.org/class")
    assert link() == "https://study.example.org/class"
    assert link(base_url="http://192.0.2.7:80/") == "http://192.0.2.7:80"
    store.remember_base_url("")
    with pytest.raises(StudyError, match="say with --url under which one browsers reach it"):
        invite(study)
    assert len(store.invitations.all()) == 3
