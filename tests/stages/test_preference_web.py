"""The pages as annotators and admins use them: the way through, what is kept, what an admin can
do.
"""

import json
import re
from datetime import UTC, datetime, timedelta

from hyperfitting.preference.store.judgement_files import read_judgements
from tests.support import studies
from tests.support.visitors import RIGHT, Visitor


def test_the_way_from_the_link_to_the_completion_code(place):
    store, app, _ = place(items=5)
    (token,) = store.invitations.create(1)
    reader = Visitor(app)
    reader.get(f"/i/{token}")
    assert token not in str(reader.page.url)
    assert reader.post("/consent").status_code == 422  # the box was not ticked
    reader.get("/")
    assert reader.page.url.path == "/consent"
    reader.post("/consent", agree="yes")
    assert reader.get("/judge").url.path == "/test"  # no way round it
    reader.post("/test", **RIGHT)
    for number in range(1, 6):
        assert f"Comparison <b>{number}</b> of 5" in reader.page.text
        reader.answer(("first", "second", "equal")[number % 3])
    assert reader.page.url.path == "/done"
    (code,) = re.findall(r'class="completion">(\w+)<', reader.page.text)
    assert store.annotators.of_token(token).completion_code == code
    assert [row.answer for row in store.judgements()] == [
        "second",
        "equal",
        "first",
        "second",
        "equal",
    ]
    assert reader.get("/").url.path == "/done"


def test_the_test_may_be_failed_so_often_and_no_more(place):
    store, app, _ = place(test_attempts=2)
    (token,) = store.invitations.create(1)
    reader = Visitor(app)
    reader.get(f"/i/{token}")
    reader.post("/consent", agree="yes")
    reader.post("/test", q0="0", q1="2", q2="0")
    assert "You have 1 more try" in reader.page.text
    assert "You have 1 more try" in reader.get("/test").text  # looking costs nothing
    reader.post("/test")
    assert reader.page.url.path == "/done"
    assert "The test was not passed" in reader.page.text
    assert reader.get("/judge").url.path == "/done"
    assert store.annotators.of_token(token).state == "failed"


def test_a_reload_keeps_the_item_and_its_sides(place):
    store, app, _ = place()
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    shown = reader.shown()
    assert len(shown) == 3
    for _ in range(3):
        reader.get("/judge")
        assert reader.shown() == shown
    again = Visitor(app)  # another browser, the same link
    again.client.cookies = reader.client.cookies
    again.get("/judge")
    assert again.shown() == shown


def test_a_repeated_submit_is_one_judgement(place):
    store, app, _ = place()
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    form = {**reader.fields(), "answer": "first"}
    for _ in range(3):
        assert reader.post("/judge", **form).status_code == 200
    assert (
        reader.post("/judge", **form | {"answer": "second"}).status_code == 200
    )  # the page was sent already
    assert reader.post("/judge", **form | {"attempt": "another"}).status_code == 409
    assert [row.answer for row in store.judgements()] == ["first"]


def test_the_last_answer_can_be_taken_back_once(place):
    store, app, _ = place()
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    assert 'id="undo"' not in reader.page.text
    shown = reader.shown()
    reader.answer("first")
    assert 'id="undo"' in reader.page.text
    reader.post("/undo")
    assert reader.shown() == shown
    assert 'id="undo"' not in reader.page.text
    assert "taken back" in reader.page.text
    reader.answer("second")
    assert 'id="undo"' not in reader.page.text
    assert reader.post("/undo").status_code == 409
    reader.get("/judge")
    reader.answer("equal")
    assert 'id="undo"' in reader.page.text
    assert [row.answer for row in store.judgements()] == ["second", "equal"]


def test_the_last_answer_can_be_taken_back_from_the_last_page(place):
    store, app, _ = place(items=1)
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer("first")
    assert reader.page.url.path == "/done"
    reader.post("/undo")
    assert reader.page.url.path == "/judge"
    reader.answer("second")
    assert [row.answer for row in store.judgements()] == ["second"]


def test_the_time_on_the_page_is_the_scripts_or_else_ours(place):
    store, app, _ = place()
    reader = Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer(seconds="12.34")
    reader.answer(shown=str(int(reader.fields()["shown"]) - 60_000))
    reader.answer(shown=str(10**13))  # from the future: a clock that was put back
    assert reader.answer(seconds="nan").status_code == 422
    reader.get("/judge")
    assert reader.answer(seconds="-1").status_code == 422
    told, counted, future = [row.seconds for row in store.judgements()]
    assert told == 12.34
    assert 60 <= counted < 70
    assert future == 0


def test_whoever_withdraws_leaves_nothing(place):
    store, app, _ = place()
    (token,) = store.invitations.create(1)
    reader = Visitor(app)
    reader.begin(token)
    reader.answer()
    reader.get("/withdraw")
    assert reader.post("/withdraw").status_code == 422
    reader.get("/withdraw")
    reader.post("/withdraw", sure="yes")
    assert reader.page.url.path == "/goodbye"
    assert not store.judgements()
    assert not list(reader.client.cookies)
    assert reader.get("/judge").status_code == 401
    assert reader.get(f"/i/{token}").status_code == 410
    assert "You have withdrawn" in reader.page.text


def test_the_open_link_has_one_identity_a_browser_and_a_cap(place):
    store, app, _ = place(open_link=True, open_link_cap=2)
    readers = [Visitor(app) for _ in range(3)]
    for reader in readers:
        assert reader.get("/").url.path == "/join"
        reader.get("/join")
        assert not store.progress().annotators[2:]
        reader.post("/join")
    assert [reader.page.status_code for reader in readers] == [200, 200, 409]
    readers[0].get("/join")
    readers[0].post("/join")
    assert readers[0].page.url.path == "/consent"
    assert len(store.progress().annotators) == 2


def test_looking_at_the_open_link_makes_nobody(place):
    store, app, _ = place(open_link=True)
    Visitor(app).get("/join")
    assert not store.progress().annotators


def test_without_an_open_link_there_is_none(place):
    _, app, _ = place()
    assert Visitor(app).get("/join").status_code == 404
    assert Visitor(app).get("/").status_code == 401


def test_once_the_stop_rule_is_met_nobody_is_given_anything(place):
    store, app, admin_token = place(
        rows=studies.comparisons(1, 0), judgements=1
    )  # four comparisons, one answer each
    first, second, third, fourth = store.invitations.create(4)
    reader, late, later = Visitor(app), Visitor(app), Visitor(app)
    late.get(f"/i/{second}")
    late.post("/consent", agree="yes")
    later.get(f"/i/{third}")
    reader.begin(first)
    while reader.page.url.path == "/judge":
        reader.answer()
    assert len(store.judgements()) == 4
    assert Visitor(app).get(f"/i/{fourth}").status_code == 409
    assert later.post("/consent", agree="yes").status_code == 409
    assert late.post("/test", **RIGHT).url.path == "/done"
    admin = Visitor(app)
    admin.sign_in(admin_token)
    assert "4 <small>of 4" in admin.page.text


def test_the_admin_sees_where_the_study_stands(place):
    store, app, token = place(attention_rate=0.25, items=8)
    reader = Visitor(app)
    reader.begin(store.invitations.create(1, label="Müller & <Söhne>")[0])
    for _ in range(8):
        reader.answer("equal", seconds="7.5")
    admin = Visitor(app)
    admin.sign_in(token)
    page = admin.page.text
    for words in (*studies.ARMS, *studies.DOMAINS, "reference", "a0001", "7.5 s", "finished"):
        assert words in page
    assert '<span class="state bad">2</span> of 2' in page
    assert admin.get("/admin/annotators/a0001").status_code == 200
    assert admin.get("/admin/annotators/a0009").status_code == 404


def test_the_admin_pauses_and_resumes(place):
    store, app, token = place()
    reader, admin = Visitor(app), Visitor(app)
    reader.begin(*store.invitations.create(1))
    admin.sign_in(token)
    admin.post("/admin/pause")
    assert "paused" in admin.page.text
    reader.answer()  # the open page is still kept
    assert reader.page.status_code == 503
    assert reader.page.headers["retry-after"]
    assert len(store.judgements()) == 1
    admin.post("/admin/resume")
    assert reader.get("/judge").status_code == 200


def test_the_admin_excludes_and_includes_with_a_reason(place):
    store, app, token = place()
    reader, admin = Visitor(app), Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer()
    admin.sign_in(token)
    assert admin.post("/admin/annotators/a0001/exclude", reason="  ").status_code == 422
    admin.get("/admin")
    assert (
        admin.post("/admin/annotators/a0001/exclude", reason="a <b>friend</b> of mine").status_code
        == 200
    )
    assert [row.excluded for row in store.judgements()] == ["a <b>friend</b> of mine"]
    assert reader.get("/judge").url.path == "/done"
    assert "a &lt;b&gt;friend&lt;/b&gt; of mine" in admin.get("/admin/annotators/a0001").text
    admin.post("/admin/annotators/a0001/include")
    assert [row.excluded for row in store.judgements()] == [None]
    assert reader.get("/judge").url.path == "/judge"


def test_the_admin_withdraws_somebody_who_asks(place):
    store, app, token = place()
    reader, admin = Visitor(app), Visitor(app)
    reader.begin(*store.invitations.create(1))
    reader.answer()
    admin.sign_in(token)
    assert admin.post("/admin/annotators/a0001/withdraw").status_code == 422
    admin.get("/admin")
    admin.post("/admin/annotators/a0001/withdraw", sure="yes")
    assert not store.judgements()
    assert reader.get("/judge").status_code == 410
    assert "withdrawn" in admin.get("/admin").text
    assert admin.post("/admin/annotators/a0001/exclude", reason="late").status_code == 409


def test_the_admin_makes_links_that_work_and_revokes_them(place):
    store, app, token = place()
    admin = Visitor(app)
    admin.sign_in(token)
    admin.post("/admin/invitations", count="3", label="class 4", days="2")
    links = re.findall(r"http://127\.0\.0\.1:8000(/i/\S{43})", admin.page.text)
    assert len(links) == 3
    invited = store.invitations.all()
    assert [each.label for each in invited] == ["class 4"] * 3
    expires = datetime.fromisoformat(invited[0].expires_at)
    assert timedelta(hours=47) < expires - datetime.now(UTC) < timedelta(hours=49)
    reader = Visitor(app)
    assert reader.get(links[0]).url.path == "/consent"
    admin.get("/admin")
    assert links[0].removeprefix("/i/") not in admin.page.text
    assert "class 4" in admin.page.text
    admin.post("/admin/invitations/1/revoke")
    assert "revoked" in admin.page.text
    assert reader.get("/consent").status_code == 403
    assert admin.post("/admin/invitations/99/revoke").status_code == 404
    for wrong in (
        {"count": "0"},
        {"count": "501"},
        {"count": "9" * 30},
        {"count": "2", "days": "0"},
        {},
    ):
        admin.get("/admin")
        assert admin.post("/admin/invitations", **wrong).status_code == 422
    assert len(store.invitations.all()) == 3


def test_the_admin_exports_what_the_store_holds(place, tmp_path):
    store, app, token = place(items=6)
    reader, admin = Visitor(app), Visitor(app)
    reader.begin(*store.invitations.create(1))
    for _ in range(6):
        reader.answer("second", seconds="3.0")
    admin.sign_in(token)
    for ending in ("jsonl", "csv"):
        got = admin.get(f"/admin/export.{ending}")
        assert (
            got.headers["content-disposition"]
            == f'attachment; filename="small-judgements.{ending}"'
        )
        (tmp_path / f"got.{ending}").write_bytes(got.content)
        assert read_judgements(tmp_path / f"got.{ending}") == store.judgements()
    assert json.loads(admin.get("/admin/export.jsonl").text.splitlines()[0])["answer"] == "second"
    assert admin.get("/admin/export.exe").status_code == 422


def test_the_admin_signs_out(place):
    _, app, token = place()
    admin = Visitor(app)
    assert admin.sign_in(token).url.path == "/admin"
    admin.post("/admin/leave")
    assert "Sign in" in admin.get("/admin").text
    assert admin.get(f"/admin/enter/{token}").url.path == "/admin"
    assert "Sign out" in admin.page.text
