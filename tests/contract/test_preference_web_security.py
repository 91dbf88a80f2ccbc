"""What must not happen: names of arms in a browser, tokens in logs, posts from elsewhere, markup
from texts, floods.
"""

import dataclasses
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest

from hyperfitting.errors import InputError
from hyperfitting.preference.records import BlindedComparison, ShownText
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from hyperfitting.preference.wording import ComprehensionQuestion, PageWords
from hyperfitting.web.address import Address
from hyperfitting.web.middleware import MOST_BODY_BYTES
from hyperfitting.web.rate_limit import RateLimit
from tests.support import studies
from tests.support.visitors import BASE, RIGHT, Visitor

FORGED = "f" * 43


class Place:
    """A study with its store, app and admin's token."""

    def __init__(self, folder, rows=None, address=None, **settings):
        plan = studies.protocol(**settings)
        study, self.token = Study.create(
            folder / "study", plan, studies.comparisons() if rows is None else rows
        )
        self.store = open_store(study)
        self.app = make_app(study, self.store, address=address, open_link=study.protocol.open_link)
        self.context = self.app.state.context

    def stop_the_clocks_of_limits(self):
        """No allowance refills, however slow the machine."""
        self.context.requests.clock = self.context.wrong_tokens.clock = lambda: 0.0

    def reader(self, **options):
        reader = Visitor(self.app, **options)
        reader.begin(*self.store.invitations.create(1))
        return reader

    def admin(self):
        admin = Visitor(self.app)
        admin.sign_in(self.token)
        return admin


@pytest.fixture
def make(tmp_path):
    opened = []

    def place(**settings):
        opened.append(Place(tmp_path, **settings))
        return opened[-1]

    yield place
    for each in opened:
        each.store.close()


@pytest.fixture
def place(make):
    return make()


def whole_of(response):
    """All that a browser could look at."""
    return f"{response.url} {response.status_code} {dict(response.headers)} {response.text}"


def test_nothing_that_an_annotator_gets_tells_what_is_compared(make):
    """Every response of a whole study with checks and repeats, errors among them, headers and
    cookies included.
    """
    place = make(attention_rate=0.2, repeat_rate=0.2, name="secret-study", items=20)
    place.app.state.context = dataclasses.replace(
        place.context, requests=RateLimit(burst=10_000, per_second=1)
    )
    reader = Visitor(place.app, raise_server_exceptions=False)
    (token,) = place.store.invitations.create(1)
    assert reader.get(f"/i/{token}").url.path == "/consent"
    reader.post("/consent", agree="yes")
    reader.post("/test")
    reader.post("/test", **RIGHT)
    for _ in range(20):
        reader.answer()
        reader.post("/undo")
        reader.answer("equal")
        for asset in ("style.css", "keys.js", "icon.svg"):
            reader.get(f"/static/{asset}")
        reader.get("/judge")
    kinds = {row.kind for row in place.store.judgements()}
    assert kinds == {"scored", "attention", "repeat"}
    for path in (
        "/",
        "/done",
        "/withdraw",
        "/instructions",
        "/nothing",
        "/admin",
        "/i/wrong",
        "/openapi.json",
        "/docs",
    ):
        reader.get(path)
    for path in ("/judge", "/undo", "/test"):
        reader.post(path, assignment="c001", attempt="x", answer="neither", shown="-1")
    assert len(reader.seen) > 150
    words = [r"hyperfit\w*", "greedy", "original", "shuffled", "attention", "secret", "run"]
    texts = [" ".join(reader.seen[0].headers.values())] + [whole_of(each) for each in reader.seen]
    known = (*studies.comparisons(), *place.store.judgements())
    ids = {row.id if isinstance(row, BlindedComparison) else row.comparison for row in known}
    for text in texts:
        assert not re.search(rf"\b({'|'.join([*words, *ids])})\b", text, re.I), text


def test_tokens_that_are_forged_expired_or_revoked_open_nothing(place):
    expired, revoked, good = place.store.invitations.create(
        1, datetime.now(UTC) - timedelta(days=1)
    ) + place.store.invitations.create(2)
    place.store.invitations.revoke(2)
    for path, status in {
        f"/i/{FORGED}": 403,
        "/i/short": 403,
        f"/i/{expired}": 410,
        f"/i/{revoked}": 403,
    }.items():
        stranger = Visitor(place.app)
        assert stranger.get(path).status_code == status
        assert "<h1>This link" in stranger.page.text
        assert not list(stranger.client.cookies)
        assert stranger.get("/judge").status_code == 401
    assert Visitor(place.app).get(f"/i/{good}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/here", "/consent", "/test", "/judge", "/done", "/withdraw", "/instructions"]
)
def test_a_forged_cookie_opens_nothing(place, path):
    stranger = Visitor(place.app)
    stranger.client.cookies.set(place.context.cookies.name("annotator"), FORGED)
    assert stranger.get(path).status_code == 403
    stranger.client.cookies.set(place.context.cookies.name("annotator"), "not a token; at all")
    assert stranger.get(path).status_code in (401, 403)


def test_a_link_that_is_revoked_under_way_ends_the_visit(place):
    reader = place.reader()
    place.store.invitations.revoke(1)
    assert reader.get("/judge").status_code == 403
    assert reader.answer().status_code == 403
    assert not list(place.store.judgements())


def test_nobody_answers_for_somebody_else(place):
    one, other = place.reader(), place.reader()
    theirs = other.fields()["assignment"]
    assert one.answer(assignment=theirs).status_code == 403
    assert one.answer(assignment="0" * 20).status_code == 403
    assert not list(place.store.judgements())
    other.get("/judge")
    assert other.post("/judge", **{**other.fields(), "answer": "first"}).status_code == 200


def test_an_annotators_token_is_not_the_admins_nor_the_other_way(place):
    (token,) = place.store.invitations.create(1)
    visitor = Visitor(place.app)
    visitor.get("/admin")
    assert visitor.post("/admin/enter", token=token).status_code == 403
    assert visitor.get(f"/admin/enter/{token}").status_code == 403
    assert visitor.get(f"/i/{place.token}").status_code == 403
    visitor.client.cookies.set(place.context.cookies.name("admin"), token)
    assert "Sign in" in visitor.get("/admin").text
    for path in ("/admin/export.jsonl", "/admin/export.csv", "/admin/annotators/a0001"):
        assert visitor.get(path).status_code == 403


ROUTES = [
    "/consent",
    "/test",
    "/judge",
    "/undo",
    "/withdraw",
    "/join",
    "/admin/enter",
    "/admin/leave",
    "/admin/pause",
    "/admin/resume",
    "/admin/annotators/a0001/exclude",
    "/admin/annotators/a0001/include",
    "/admin/annotators/a0001/withdraw",
    "/admin/invitations",
    "/admin/invitations/1/revoke",
]
FIELDS = {
    **{
        "agree": "yes",
        "sure": "yes",
        "reason": "none",
        "count": "1",
        "answer": "first",
        "attempt": "1",
    },
    **{"assignment": "x", "shown": "1"},
}


def test_the_list_of_posts_is_whole(place):
    schema = place.app.openapi()["paths"]
    posts = {re.sub(r"\{\w+\}", "", path) for path, methods in schema.items() if "post" in methods}
    assert posts == {path.replace("a0001", "").replace("/1/", "//") for path in ROUTES}
    assert {method for methods in schema.values() for method in methods} == {"get", "post"}


ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:8001"},
    {"origin": "null"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {},
]


class Both(Visitor):
    """One browser that is signed in as admin and annotator."""

    def __init__(self, place):
        place.app.state.context = dataclasses.replace(
            place.context, requests=RateLimit(burst=10_000, per_second=1)
        )
        super().__init__(place.app)
        self.get("/admin")
        self.visitors = self.fields()["form_token"]
        self.post("/admin/enter", token=place.token)
        self.admins = self.fields()["form_token"]
        self.begin(*place.store.invitations.create(1))
        self.own = self.fields()["form_token"]
        self.data = {**FIELDS, "token": place.token}

    def right(self, path):
        """The form token that a page with this form would carry."""
        if path == "/admin/enter":
            return self.visitors
        return self.admins if path.startswith("/admin") else self.own


def test_no_post_comes_from_another_site(make):
    """Though the browser is signed in, and the form token is right."""
    place = make(open_link=True)
    both = Both(place)
    before = (place.store.progress(), place.store.invitations.all(), place.store.paused)
    for path in ROUTES:
        for headers in ELSEWHERE:
            answer = both.post(path, headers, **both.data | {"form_token": both.right(path)})
            assert (answer.status_code, path, headers) == (403, path, headers)
            assert "form is not ours" in answer.text
    assert (place.store.progress(), place.store.invitations.all(), place.store.paused) == before


def test_no_post_without_its_own_form_token(make):
    place = make(open_link=True)
    both, other = Both(place), place.reader()
    tokens = {both.admins, both.own, both.visitors, other.fields()["form_token"], "", "0" * 64, "é"}
    assert len(tokens) == 7
    for path in ROUTES:
        for wrong in tokens - {both.right(path)}:
            answer = both.post(path, **both.data | {"form_token": wrong})
            assert (answer.status_code, path) == (403, path)
            assert "form is not ours" in answer.text


def test_the_same_posts_with_the_right_token_from_here_are_not_taken_for_foreign(make):
    """So that the two tests above can fail."""
    place = make(open_link=True)
    both = Both(place)
    for path in ("/admin/pause", "/admin/resume", "/admin/enter", "/admin/invitations", "/join"):
        assert both.post(path, **both.data | {"form_token": both.right(path)}).status_code == 200


def test_a_browser_that_hides_the_origin_may_say_same_origin(place):
    reader = place.reader()
    form = {**reader.fields(), "answer": "first"}
    assert (
        reader.post(
            "/judge", headers={"origin": "null", "sec-fetch-site": "same-origin"}, **form
        ).status_code
        == 200
    )
    assert len(list(place.store.judgements())) == 1


HOSTILE = """</p><script>alert(1)</script><img src=x onerror=alert(2)>"'{{ 7*7 }}{% raw %}<!-- &amp; \u202e\x00"""


OUR_SCRIPT = '<script src="/static/page.js"></script>'


def test_a_hostile_text_stays_a_text(make):
    texts = [ShownText(arm, "run", HOSTILE + arm, 9, 0.5) for arm in ("one", "other")]
    rows = [BlindedComparison("c1", "scored", HOSTILE, "x", "x", HOSTILE + "context", *texts)]
    place = make(
        rows=rows,
        question="<b>Which</b>?",
        test=(ComprehensionQuestion(text="<u>Say</u>", choices=("<s>1</s>", "2"), right=2),),
        words=PageWords(first="<i>A</i>", text="<i>T</i>"),
        instructions="- <i>a</i>\n- b\n\n<u>c</u>",
        consent="<s>d</s>",
    )
    reader = Visitor(place.app)
    reader.get(f"/i/{place.store.invitations.create(1)[0]}")
    for escaped in ("&lt;i&gt;a", "&lt;u&gt;c", "&lt;s&gt;d"):
        assert escaped in reader.page.text
    reader.post("/consent", agree="yes")
    for escaped in ("&lt;u&gt;Say", "&lt;s&gt;1"):
        assert escaped in reader.page.text
    reader.post("/test", **RIGHT)
    page = reader.page.text
    for escaped in ("&lt;b&gt;Which", "&lt;i&gt;A", "&lt;i&gt;T"):
        assert escaped in page
    assert re.sub(r"\?v=\w{12}", "", page).count(OUR_SCRIPT) == page.count("<script") == 1
    assert page.count("<img") == 0
    assert "{{ 7*7 }}{% raw %}" in page
    assert "49" not in re.sub(r'value="[^"]*"|\?v=\w{12}', "", page)
    assert sorted(reader.shown()) == sorted(HOSTILE + end for end in ("context", "one", "other"))
    page = place.admin().page.text
    assert re.sub(r"\?v=\w{12}", "", page).count(OUR_SCRIPT) == page.count("<script") == 1


def test_every_response_has_the_safe_headers(place, monkeypatch):
    reader = Visitor(place.app, raise_server_exceptions=False)
    reader.begin(*place.store.invitations.create(1))
    reader.post("/judge")
    reader.get("/nothing")
    reader.seen.append(reader.client.delete("/judge"))
    reader.post("/judge", padding="x" * 20_000)
    reader.get("/static/style.css")
    monkeypatch.setattr(place.store.items, "next", lambda _: 1 / 0)
    assert reader.get("/judge").status_code == 500
    assert "ZeroDivisionError" not in reader.page.text
    statuses = {each.status_code for each in reader.seen}
    assert statuses == {200, 303, 404, 405, 413, 422, 500}
    for each in reader.seen:
        policy = each.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["cache-control"] == "no-store" or each.url.path.startswith("/static/")
        assert "server" not in each.headers
        assert not re.search(r"<style|<script>|style=|onclick|javascript:", each.text)


def test_a_body_beyond_the_bound_is_refused(place):
    reader = place.reader()
    form = {**reader.fields(), "answer": "first"}
    assert reader.post("/judge", **form, padding="x" * MOST_BODY_BYTES).status_code == 413

    def pieces():
        for _ in range(100):
            yield b"x" * 1024

    kind = {"content-type": "application/x-www-form-urlencoded", "origin": BASE}
    assert reader.client.post("/judge", content=pieces(), headers=kind).status_code == 413
    assert not list(place.store.judgements())
    reader.get("/judge")
    assert reader.answer().status_code == 200


def test_one_who_asks_too_often_is_asked_to_wait_and_nobody_else(place):
    place.stop_the_clocks_of_limits()
    hasty, calm = place.reader(), place.reader()
    statuses = [hasty.get("/instructions").status_code for _ in range(60)]
    assert statuses[:30] == [200] * 30
    assert statuses[-1] == 429
    assert hasty.page.headers["retry-after"]
    assert calm.get("/judge").status_code == 200


def test_many_wrong_tokens_shut_out_no_right_one(place):
    place.stop_the_clocks_of_limits()
    (good,) = place.store.invitations.create(1)
    stranger = Visitor(place.app)
    statuses = [stranger.get(f"/i/{number:043d}").status_code for number in range(100)]
    assert statuses[:50] == [403] * 50
    assert statuses[-1] == 429
    assert stranger.get(f"/admin/enter/{FORGED}").status_code == 429
    assert Visitor(place.app).get(f"/i/{good}").status_code == 200
    assert "Sign out" in place.admin().page.text


def test_an_allowance_refills_and_forgets():
    now = [0.0]
    limit = RateLimit(burst=2, per_second=0.5, keys=2, clock=lambda: now[0])
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    now[0] = 1.9
    assert not limit.allows("a")
    now[0] = 3.0
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    assert limit.allows("b")
    assert limit.allows("c")  # the third key: the one that was used least recently begins anew
    assert limit.allows("a")
    assert len(limit._buckets) == 2
    assert "a" not in map(str, limit._buckets)


def test_no_token_is_logged(place, caplog):
    caplog.set_level(logging.DEBUG)
    (token,) = place.store.invitations.create(1)
    reader = Visitor(place.app)
    reader.begin(token)
    secrets = [token, place.token, FORGED, reader.fields()["form_token"]]
    reader.answer()
    reader.get(f"/i/{FORGED}")
    reader.get(f"/admin/enter/{place.token}")
    reader.get(f"/nothing/{token}?token={token}")
    reader.post(f"/i/{token}")
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith("hyperfitting")
    ]
    assert any(re.fullmatch(r"GET /i/\{token\} 303 \d+ ms", line) for line in ours)
    assert any(re.fullmatch(r"GET /admin/enter/\{token\} 303 \d+ ms", line) for line in ours)
    assert any(re.fullmatch(r"GET \(no such page\) 404 \d+ ms", line) for line in ours)
    for line in ours:
        assert not any(secret in line for secret in secrets), line


def test_cookies_are_out_of_reach(place, make):
    reader, admin = place.reader(), place.admin()
    for visitor, role, reach in ((reader, "annotator", "lax"), (admin, "admin", "strict")):
        given = [
            c
            for each in visitor.seen
            for c in each.headers.get_list("set-cookie")
            if f"-{role}=" in c
        ]
        assert len(given) == 1
        assert {"httponly", f"samesite={reach}", "path=/"} <= set(given[0].lower().split("; "))


@pytest.mark.parametrize(
    ("url", "prefix", "name"),
    [
        ("https://study.example.org", "", "__Host-study-"),
        ("https://example.org/class/4/", "/class/4", "study-"),
    ],
)
def test_behind_a_proxy_links_cookies_and_origin_are_the_public_ones(make, url, prefix, name):
    place = make(address=Address(public_url=url))
    base = url.rstrip("/").removesuffix(prefix)
    reader = Visitor(place.app, base=base, follow_redirects=False)
    (token,) = place.store.invitations.create(1)
    entered = reader.get(f"/i/{token}")  # the proxy has taken the prefix off
    assert entered.headers["location"] == f"{prefix}/consent"
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(name)
    assert {"secure", f"path={prefix or '/'}"} <= set(cookie.lower().split("; "))
    reader.client.cookies.set(place.context.cookies.name("annotator"), token)
    page = reader.get("/consent").text
    assert f'action="{prefix}/consent"' in page
    assert f'href="{prefix}/static/style.css?v=' in page
    assert (
        reader.post(
            "/consent", headers={"origin": "http://study.example.org"}, agree="yes"
        ).status_code
        == 403
    )
    reader.get("/consent")
    assert reader.post("/consent", agree="yes").status_code == 303
    assert place.context.address.link("/join") == f"{base}{prefix}/join"


@pytest.mark.parametrize(
    "url",
    [
        "study.example.org",
        "ftp://x.example",
        "https://",
        "https://x.example/?a=1",
        "https://me:pw@x.example",
    ],
)
def test_an_address_that_no_link_could_begin_with_is_refused(url):
    with pytest.raises(InputError, match="--public-url"):
        Address(public_url=url)
