"""The pages of an annotator: link, consent, test, one comparison a page, done, withdraw."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
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
    form_fields,
    wrong_token,
)
from hyperfitting.preference.web.messages import ENDINGS
from hyperfitting.web.tokens import is_well_formed, new_token

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


def _known_or_new(app: AppContext, token: str) -> tuple[str | None, AnnotatorState]:
    """As `_known`; whoever has only opened their link is invited and has no number yet."""
    try:
        return app.store.annotators.identify(token)
    except Refused as error:
        if error.reason == "unready":
            return None, "invited"
        raise wrong_token(app, error) from error


async def _form_values(request: Request) -> dict[str, object]:
    return dict(await request.form())


def _page_of(state: AnnotatorState) -> str:
    """The page on which an annotator in this state continues."""
    return _PAGES.get(state, "/done")


def _page(app: AppContext, name: str, token: str, who: str | None, /, **values: Any) -> Response:
    """A page of the annotator `who`, whose number stands in its head."""
    return app.pages.show(name, form=form_fields(token, "annotator"), who=who, **values)


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
    return app.pages.go(_page_of(_known_or_new(app, token)[1]))


@annotator_router.get("/i/{token}")
def enter_by_link(app: App, token: str) -> Response:
    """A personal link: its token moves from the address into a cookie. To open it makes no
    annotator, since scanners of mails do that too, and to open it again changes nothing.
    """
    try:
        if not is_well_formed(token):
            raise Refused("unknown")
        state = app.store.annotators.state_at_the_door(token)
    except Refused as error:
        raise wrong_token(app, error) from error
    response = app.pages.go(_page_of(state))
    app.cookies.give(response, "annotator", token)
    return response


@annotator_router.get("/join")
def ask_to_join(request: Request, app: App) -> Response:
    """The open link. The browser gets its cookie, but joins only when it posts the form, which no
    link preview does. Where somebody has begun in this browser, it asks whether it is them.
    """
    _need_open_link(app)
    token, who = app.cookies.read(request, "annotator"), None
    if token is not None:
        try:
            who, _ = app.store.annotators.identify(token)
        except Refused as error:
            token = token if error.reason in ("unknown", "unready") else None
    token = token or new_token()
    response = _page(app, "join", token, who)
    app.cookies.give(response, "annotator", token)
    return response


@annotator_router.post("/join")
def join(
    app: App, token: AnnotatorPost, somebody_else: Annotated[bool, Form()] = False
) -> Response:
    """Make this browser an annotator, unless it is one; or `somebody_else`, in the place of the one
    that it is.
    """
    _need_open_link(app)
    if somebody_else:
        token = new_token()
    response = app.pages.go(_page_of(app.store.annotators.join(token).state))
    if somebody_else:
        app.cookies.give(response, "annotator", token)
    return response


def _need_open_link(app: AppContext) -> None:
    if not app.open_link:
        raise PageError("no_open_link")


@annotator_router.get("/consent")
def ask_consent(app: App, token: AnnotatorToken) -> Response:
    """Instructions and consent."""
    who, state = _known_or_new(app, token)
    return (
        app.pages.go(_page_of(state)) if state != "invited" else _page(app, "consent", token, who)
    )


@annotator_router.post("/consent")
def consent(app: App, token: AnnotatorPost, agree: Annotated[Literal["yes"], Form()]) -> Response:
    """Record the consent, once. Whoever came by a personal link becomes an annotator here."""
    who, state = _known_or_new(app, token)
    if state == "invited":
        who = who or app.store.annotators.enter(token).id
        app.store.annotators.consent(who)
        if not asked_questions(app.study.protocol):
            app.store.annotators.pass_test(who)
    return app.pages.go("/here")


@annotator_router.get("/instructions")
def instructions(app: App, token: AnnotatorToken) -> Response:
    """The instructions, to read again."""
    who, _ = _known(app, token)
    return _page(app, "instructions", token, who)


@annotator_router.get("/test")
def ask_test(app: App, token: AnnotatorToken) -> Response:
    """The comprehension test; after a failed attempt, with the number of those that are left."""
    who, state = _known(app, token)
    if state != "consented":
        return app.pages.go(_page_of(state))
    left = app.store.annotators.of_token(token).attempts_left
    again = left < app.study.protocol.test_attempts
    questions = asked_questions(app.study.protocol)
    return _page(app, "test", token, who, questions=questions, left=left, again=again)


@annotator_router.post("/test")
def take_test(
    app: App,
    token: AnnotatorPost,
    given: Annotated[dict[str, object], Depends(_form_values)],
    left: Annotated[int | None, Form(ge=0, le=99)] = None,
) -> Response:
    """Mark the test as passed, or count a failed attempt. `left` is the number of attempts that the
    page named: a form sent twice counts once.
    """
    who, state = _known(app, token)
    if state != "consented":
        return app.pages.go(_page_of(state))
    if is_passed(asked_questions(app.study.protocol), given):
        app.store.annotators.pass_test(who)
        return app.pages.go("/judge")
    if left in (None, app.store.annotators.of_token(token).attempts_left):
        app.store.annotators.fail_test(who)
    return app.pages.go("/here")


@annotator_router.get("/judge")
def show_item(app: App, token: AnnotatorToken) -> Response:
    """The comparison that this annotator holds, or the next one; the last page where there is none,
    or where the protocol's rule has just ended their work.
    """
    who, state = _known(app, token)
    if state not in ("tested", "finished"):
        return app.pages.go(_page_of(state))
    try:
        item = app.store.items.next(who)
    except Refused as error:
        if error.reason != "excluded":
            raise
        item = None
    if item is None:
        return app.pages.go("/done")
    return _page(app, "judge", token, who, item=item, attempt=secrets.token_urlsafe(12))


@annotator_router.post("/judge")
def judge(
    app: App,
    token: AnnotatorPost,
    assignment: FormId,
    attempt: FormId,
    answer: Annotated[Answer, Form()],
    shown: Annotated[int, Form(ge=0, le=10**13)],
    seconds: Annotated[float | None, Form(ge=0, le=_A_DAY_SECONDS, allow_inf_nan=False)] = None,
) -> Response:
    """Keep one answer, then show the next item. `seconds` comes from the script; without it, the
    time since sending.
    """
    who, _ = _known(app, token)
    if seconds is None:
        seconds = min(max(time.time() - shown / 1000, 0.0), _A_DAY_SECONDS)
    app.store.items.submit(who, assignment, answer, attempt, seconds)
    return app.pages.go("/judge")


@annotator_router.post("/undo")
def undo(app: App, token: AnnotatorPost) -> Response:
    """Take back the last answer and show its comparison again, with the same sides. The form may be
    sent twice.
    """
    who, _ = _known(app, token)
    try:
        app.store.items.undo(who)
    except Refused as error:
        held = app.store.items.next(who) if error.reason == "no_undo" else None
        if held is None or not held.taken_back:
            raise
    return app.pages.go("/judge")


@annotator_router.get("/done")
def done(app: App, token: AnnotatorToken) -> Response:
    """The last page, with the completion code."""
    who, state = _known(app, token)
    if state in _PAGES:
        return app.pages.go(_page_of(state))
    message, finished = ENDINGS.get(state, ENDINGS["excluded"]), state == "finished"
    return _page(
        app,
        "done",
        token,
        who,
        title=app.pages.say(message.title),
        text=app.pages.say(message.text),
        code=app.store.annotators.of_token(token).completion_code if finished else None,
        can_undo=finished and app.store.items.can_undo(who),
        can_withdraw=state in ("finished", "excluded"),
    )


@annotator_router.get("/withdraw")
def ask_withdraw(app: App, token: AnnotatorToken) -> Response:
    """The meaning of a withdrawal, and a button."""
    who, _ = _known(app, token)
    return _page(app, "withdraw", token, who)


@annotator_router.post("/withdraw")
def withdraw(app: App, token: AnnotatorPost, sure: Annotated[Literal["yes"], Form()]) -> Response:
    """Delete the annotator's answers, and the cookie."""
    app.store.annotators.withdraw(_known(app, token)[0])
    response = app.pages.go("/goodbye")
    app.cookies.take(response, "annotator")
    return response


@annotator_router.get("/goodbye")
async def goodbye(request: Request, app: App) -> Response:
    """The page after a withdrawal, which took the cookie; whoever has one takes part."""
    if app.cookies.read(request, "annotator") is not None:
        return app.pages.go("/")
    raise PageError("goodbye")


@annotator_router.get("/static/{name}")
async def static(app: App, name: str) -> Response:
    """Style sheet, script and icon."""
    found = app.pages.asset(name)
    if found is None:
        raise PageError("no_page")
    return found
