"""The pages of an annotator: link, consent, test, one comparison a page, done, withdraw."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.errors import Refused
from hyperfitting.preference.records import AnnotatorState, Answer
from hyperfitting.preference.web.comprehension_test import asked_questions, is_passed
from hyperfitting.preference.web.dependencies import (
    App,
    AppContext,
    PageError,
    bearer_token,
    form_bearer_token,
    refusal,
    wrong_token,
)
from hyperfitting.web.tokens import form_token, is_well_formed, new_token

annotator_router = APIRouter()

AnnotatorToken = Annotated[str, Depends(bearer_token("annotator"))]
AnnotatorPost = Annotated[str, Depends(form_bearer_token("annotator"))]
FormId = Annotated[str, Form(pattern=r"^[A-Za-z0-9_-]{1,100}$")]

_A_DAY_SECONDS = 86_400.0
_PAGES = {"invited": "/consent", "consented": "/test", "tested": "/judge"}


def _known(app: AppContext, token: str) -> tuple[str, AnnotatorState]:
    try:
        return app.store.annotators.identify(token)
    except Refused as error:
        raise wrong_token(app, error) from error


async def _form_fields(request: Request) -> dict[str, object]:
    return dict(await request.form())


def _page_of(state: AnnotatorState) -> str:
    """The page on which an annotator in this state continues."""
    return _PAGES.get(state, "/done")


@annotator_router.get("/")
async def start(request: Request, app: App) -> Response:
    """Redirect to the page of this browser's annotator; without one, to the open link if there is
    one.
    """
    if app.open_link and app.cookies.read(request, "annotator") is None:
        return app.pages.go("/join")
    return app.pages.go("/here")


@annotator_router.get("/here")
def here(app: App, token: AnnotatorToken) -> Response:
    """Redirect to the page on which this annotator continues."""
    return app.pages.go(_page_of(_known(app, token)[1]))


@annotator_router.get("/i/{token}")
def enter_by_link(app: App, token: str) -> Response:
    """A personal link: its token moves from the address into a cookie. Opening it again changes
    nothing.
    """
    try:
        if not is_well_formed(token):
            raise Refused("unknown")
        state = app.store.annotators.enter(token).state
    except Refused as error:
        raise wrong_token(app, error) from error
    response = app.pages.go(_page_of(state))
    app.cookies.give(response, "annotator", token)
    return response


@annotator_router.get("/join")
def ask_to_join(request: Request, app: App) -> Response:
    """The open link. The browser gets its cookie, but joins only when it posts the form, which no
    link preview does.
    """
    _need_open_link(app)
    token = app.cookies.read(request, "annotator") or new_token()
    response = app.pages.show("join", form_token=form_token(token, "annotator"))
    app.cookies.give(response, "annotator", token)
    return response


@annotator_router.post("/join")
def join(app: App, token: AnnotatorPost) -> Response:
    """Make this browser an annotator, unless it is one."""
    _need_open_link(app)
    try:
        return app.pages.go(_page_of(app.store.annotators.join(token).state))
    except Refused as error:
        raise refusal(error) from error


def _need_open_link(app: AppContext) -> None:
    if not app.open_link:
        raise PageError(
            404,
            "There is no open link",
            "This study is by personal invitation. Open the link that you got.",
        )


@annotator_router.get("/consent")
def ask_consent(app: App, token: AnnotatorToken) -> Response:
    """Instructions and consent."""
    _, state = _known(app, token)
    if state != "invited":
        return app.pages.go(_page_of(state))
    protocol = app.study.protocol
    texts = {"instructions": protocol.instructions, "consent": protocol.consent}
    return app.pages.show("consent", form_token=form_token(token, "annotator"), **texts)


@annotator_router.post("/consent")
def consent(app: App, token: AnnotatorPost, agree: Annotated[Literal["yes"], Form()]) -> Response:
    """Record the consent, once."""
    who, state = _known(app, token)
    if state == "invited":
        app.store.annotators.consent(who)
        if not asked_questions(app.study.protocol):
            app.store.annotators.pass_test(who)
    return app.pages.go("/here")


@annotator_router.get("/instructions")
def instructions(app: App, token: AnnotatorToken) -> Response:
    """The instructions, to read again."""
    _known(app, token)
    return app.pages.show("instructions", instructions=app.study.protocol.instructions)


@annotator_router.get("/test")
def ask_test(
    app: App, token: AnnotatorToken, left: Annotated[int | None, Query(ge=1, le=99)] = None
) -> Response:
    """The comprehension test; after a failed attempt, `left` more are left."""
    _, state = _known(app, token)
    if state != "consented":
        return app.pages.go(_page_of(state))
    protocol = app.study.protocol
    values = {
        "questions": asked_questions(protocol),
        "instructions": protocol.instructions,
        "left": left,
    }
    return app.pages.show("test", form_token=form_token(token, "annotator"), **values)


@annotator_router.post("/test")
def take_test(
    app: App, token: AnnotatorPost, given: Annotated[dict[str, object], Depends(_form_fields)]
) -> Response:
    """Mark the test as passed, or count a failed attempt."""
    who, state = _known(app, token)
    if state != "consented":
        return app.pages.go(_page_of(state))
    if is_passed(asked_questions(app.study.protocol), given):
        app.store.annotators.pass_test(who)
        return app.pages.go("/judge")
    left = app.store.annotators.fail_test(who)
    return app.pages.go(f"/test?left={left}" if left else "/done")


@annotator_router.get("/judge")
def show_item(app: App, token: AnnotatorToken, back: bool = False, kept: bool = False) -> Response:
    """The comparison that this annotator holds, or the next one.

    `back`: its answer has just been taken back. `kept`: the last answer can no longer be taken
    back.
    """
    who, state = _known(app, token)
    if state not in ("tested", "finished"):
        return app.pages.go(_page_of(state))
    try:
        item = app.store.items.next(who)
    except Refused as error:
        raise refusal(error) from error
    if item is None:
        return app.pages.go("/done")
    values = {
        "item": item,
        "protocol": app.study.protocol,
        "attempt": secrets.token_urlsafe(12),
        "shown": int(time.time() * 1000),
        "notice": "Your last answer was taken back. Here is that comparison again." if back else "",
        "again": back,
        "can_undo": item.number > 1 and not back and not kept,
    }
    return app.pages.show("judge", form_token=form_token(token, "annotator"), **values)


@annotator_router.post("/judge")
def judge(
    app: App,
    token: AnnotatorPost,
    assignment: FormId,
    attempt: FormId,
    answer: Annotated[Answer, Form()],
    shown: Annotated[int, Form(ge=0, le=10**13)],
    seconds: Annotated[float | None, Form(ge=0, le=_A_DAY_SECONDS, allow_inf_nan=False)] = None,
    again: Annotated[bool, Form()] = False,
) -> Response:
    """Keep one answer, then show the next item. `seconds` comes from the script; without it, the
    time since sending.
    """
    who, _ = _known(app, token)
    if seconds is None:
        seconds = min(max(time.time() - shown / 1000, 0.0), _A_DAY_SECONDS)
    try:
        app.store.items.submit(who, assignment, answer, attempt, seconds)
    except Refused as error:
        raise refusal(error) from error
    return app.pages.go("/judge?kept=true" if again else "/judge")


@annotator_router.post("/undo")
def undo(app: App, token: AnnotatorPost) -> Response:
    """Take back the last answer and show its comparison again, with the same sides."""
    who, _ = _known(app, token)
    try:
        app.store.items.undo(who)
    except Refused as error:
        raise refusal(error) from error
    return app.pages.go("/judge?back=true")


@annotator_router.get("/done")
def done(app: App, token: AnnotatorToken) -> Response:
    """The last page, with the completion code."""
    _, state = _known(app, token)
    if state in _PAGES:
        return app.pages.go(_page_of(state))
    finished, who = state == "finished", app.store.annotators.of_token(token)
    title, text = _ENDINGS.get(state, _ENDINGS["excluded"])
    values = {
        "title": title,
        "text": text,
        "can_undo": finished and who.done > 0,
        "can_withdraw": finished,
    }
    code = who.completion_code if finished else None
    return app.pages.show("done", form_token=form_token(token, "annotator"), code=code, **values)


_ENDINGS = {
    "finished": (
        "Thank you",
        "That was the last comparison. All your answers are kept; you can close this page.",
    ),
    "failed": ("Thank you for trying", "The test was not passed, so there is nothing more to do."),
    "excluded": ("Thank you", "There is nothing more for you to do here. You can close this page."),
}


@annotator_router.get("/withdraw")
def ask_withdraw(app: App, token: AnnotatorToken) -> Response:
    """The meaning of a withdrawal, and a button."""
    _known(app, token)
    return app.pages.show("withdraw", form_token=form_token(token, "annotator"))


@annotator_router.post("/withdraw")
def withdraw(app: App, token: AnnotatorPost, sure: Annotated[Literal["yes"], Form()]) -> Response:
    """Delete the annotator's answers, and the cookie."""
    app.store.annotators.withdraw(_known(app, token)[0])
    response = app.pages.go("/goodbye")
    app.cookies.take(response, "annotator")
    return response


@annotator_router.get("/goodbye")
async def goodbye(app: App) -> Response:
    """The page after a withdrawal."""
    text = (
        "Whatever could tell who you are was deleted, and none of your answers is used. You can "
        "close this page."
    )
    return app.pages.show("message", title="You have withdrawn", text=text, back=None)


@annotator_router.get("/static/{name}")
async def static(app: App, name: str) -> Response:
    """Style sheet, script and icon."""
    found = app.pages.asset(name)
    if found is None:
        raise PageError(404, "No such page", "The study has no page at this address.")
    return found
