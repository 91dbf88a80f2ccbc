"""The pages of an annotator: link, consent, test, one comparison a page, done, withdraw."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.errors import Refused
from hyperfitting.preference.records import Answer, State
from hyperfitting.preference.web.cookies import form_token, new_token, plausible
from hyperfitting.preference.web.desk import (
    Desk,
    TheDesk,
    Turned,
    bearer,
    poster,
    refusal,
    wrong_token,
)
from hyperfitting.preference.web.questions import all_right, questions

router = APIRouter()

Reader = Annotated[str, Depends(bearer("annotator"))]
Writer = Annotated[str, Depends(poster("annotator"))]
Identity = Annotated[str, Form(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Choice = Annotated[str, Form(max_length=2)]

_A_DAY_SECONDS = 86_400.0
_PLACES = {"invited": "/consent", "consented": "/test", "tested": "/judge"}


def _known(desk: Desk, token: str) -> tuple[str, State]:
    try:
        return desk.store.identify(token)
    except Refused as error:
        raise wrong_token(desk, error) from error


def _place(state: State) -> str:
    """The page on which an annotator in this state is to go on."""
    return _PLACES.get(state, "/done")


@router.get("/")
async def start(request: Request, desk: TheDesk) -> Response:
    """On to where this browser's annotator stopped; to the open link where nobody is known and there is one."""
    if desk.open_link and desk.cookies.read(request, "annotator") is None:
        return desk.pages.go("/join")
    return desk.pages.go("/here")


@router.get("/here")
def here(desk: TheDesk, token: Reader) -> Response:
    """On to where this annotator stopped."""
    return desk.pages.go(_place(_known(desk, token)[1]))


@router.get("/i/{token}")
def enter(desk: TheDesk, token: str) -> Response:
    """A personal link: its token moves from the address into a cookie. Opening it again changes nothing."""
    try:
        if not plausible(token):
            raise Refused("unknown")
        state = desk.store.enter(token).state
    except Refused as error:
        raise wrong_token(desk, error) from error
    response = desk.pages.go(_place(state))
    desk.cookies.give(response, "annotator", token)
    return response


@router.get("/join")
def ask_to_join(request: Request, desk: TheDesk) -> Response:
    """The open link: a browser gets its cookie, but counts only once it posts the form, which no link preview does."""
    _need_open_link(desk)
    token = desk.cookies.read(request, "annotator") or new_token()
    response = desk.pages.show("join", form_token=form_token(token, "annotator"))
    desk.cookies.give(response, "annotator", token)
    return response


@router.post("/join")
def join(desk: TheDesk, token: Writer) -> Response:
    """Make this browser an annotator, or find that it is one."""
    _need_open_link(desk)
    try:
        return desk.pages.go(_place(desk.store.join(token).state))
    except Refused as error:
        raise refusal(error) from error


def _need_open_link(desk: Desk) -> None:
    if not desk.open_link:
        raise Turned(
            404,
            "There is no open link",
            "This study is by personal invitation. Open the link that you got.",
        )


@router.get("/consent")
def ask_consent(desk: TheDesk, token: Reader) -> Response:
    """Instructions and consent."""
    _, state = _known(desk, token)
    if state != "invited":
        return desk.pages.go(_place(state))
    plan = desk.study.plan
    texts = {"instructions": plan.instructions, "consent": plan.consent}
    return desk.pages.show("consent", form_token=form_token(token, "annotator"), **texts)


@router.post("/consent")
def consent(desk: TheDesk, token: Writer, agree: Annotated[Literal["yes"], Form()]) -> Response:
    """Keep the consent, once."""
    who, state = _known(desk, token)
    if state == "invited":
        desk.store.consent(who)
    return desk.pages.go("/here")


@router.get("/instructions")
def instructions(desk: TheDesk, token: Reader) -> Response:
    """The instructions, to be read again."""
    _known(desk, token)
    return desk.pages.show("instructions", instructions=desk.study.plan.instructions)


@router.get("/test")
def ask_test(
    desk: TheDesk, token: Reader, left: Annotated[int | None, Query(ge=1, le=99)] = None
) -> Response:
    """The comprehension test; `left` tries are left after one that failed."""
    _, state = _known(desk, token)
    if state != "consented":
        return desk.pages.go(_place(state))
    plan = desk.study.plan
    values = {"questions": questions(plan), "instructions": plan.instructions, "left": left}
    return desk.pages.show("test", form_token=form_token(token, "annotator"), **values)


@router.post("/test")
def take_test(
    desk: TheDesk, token: Writer, q0: Choice = "", q1: Choice = "", q2: Choice = ""
) -> Response:
    """Mark the test: passed, or one try fewer."""
    who, state = _known(desk, token)
    if state != "consented":
        return desk.pages.go(_place(state))
    if all_right(questions(desk.study.plan), {"q0": q0, "q1": q1, "q2": q2}):
        desk.store.pass_test(who)
        return desk.pages.go("/judge")
    left = desk.store.fail_test(who)
    return desk.pages.go(f"/test?left={left}" if left else "/done")


@router.get("/judge")
def show_item(desk: TheDesk, token: Reader, back: bool = False, kept: bool = False) -> Response:
    """The comparison that this annotator holds, or the next one.

    `back`: it was answered, and that answer has just been taken back; `kept`: the last answer can no longer be.
    """
    who, state = _known(desk, token)
    if state not in ("tested", "finished"):
        return desk.pages.go(_place(state))
    try:
        item = desk.store.next_item(who)
    except Refused as error:
        raise refusal(error) from error
    if item is None:
        return desk.pages.go("/done")
    values = {
        "item": item,
        "question": desk.study.plan.question,
        "attempt": secrets.token_urlsafe(12),
        "shown": int(time.time() * 1000),
        "notice": "Your last answer was taken back. Here is that comparison again." if back else "",
        "again": back,
        "can_undo": item.number > 1 and not back and not kept,
    }
    return desk.pages.show("judge", form_token=form_token(token, "annotator"), **values)


@router.post("/judge")
def judge(
    desk: TheDesk,
    token: Writer,
    assignment: Identity,
    attempt: Identity,
    answer: Annotated[Answer, Form()],
    shown: Annotated[int, Form(ge=0, le=10**13)],
    seconds: Annotated[float | None, Form(ge=0, le=_A_DAY_SECONDS, allow_inf_nan=False)] = None,
    again: Annotated[bool, Form()] = False,
) -> Response:
    """Keep one answer; only then on to the next. `seconds` is what the script saw; without it, time since sending."""
    who, _ = _known(desk, token)
    if seconds is None:
        seconds = min(max(time.time() - shown / 1000, 0.0), _A_DAY_SECONDS)
    try:
        desk.store.judge(who, assignment, answer, attempt, seconds)
    except Refused as error:
        raise refusal(error) from error
    return desk.pages.go("/judge?kept=true" if again else "/judge")


@router.post("/undo")
def undo(desk: TheDesk, token: Writer) -> Response:
    """Take back the last answer; its comparison comes again with the same sides."""
    who, _ = _known(desk, token)
    try:
        desk.store.undo(who)
    except Refused as error:
        raise refusal(error) from error
    return desk.pages.go("/judge?back=true")


@router.get("/done")
def done(desk: TheDesk, token: Reader) -> Response:
    """How it ended, and the completion code."""
    _, state = _known(desk, token)
    if state in _PLACES:
        return desk.pages.go(_place(state))
    finished, who = state == "finished", desk.store.annotator(token)
    title, text = _ENDINGS.get(state, _ENDINGS["excluded"])
    values = {
        "title": title,
        "text": text,
        "can_undo": finished and who.done > 0,
        "can_withdraw": finished,
    }
    code = who.completion_code if finished else None
    return desk.pages.show("done", form_token=form_token(token, "annotator"), code=code, **values)


_ENDINGS = {
    "finished": (
        "Thank you",
        "That was the last comparison. All your answers are kept; you can close this page.",
    ),
    "failed": ("Thank you for trying", "The test was not passed, so there is nothing more to do."),
    "excluded": ("Thank you", "There is nothing more for you to do here. You can close this page."),
}


@router.get("/withdraw")
def ask_withdraw(desk: TheDesk, token: Reader) -> Response:
    """What withdrawing means, and a button."""
    _known(desk, token)
    return desk.pages.show("withdraw", form_token=form_token(token, "annotator"))


@router.post("/withdraw")
def withdraw(desk: TheDesk, token: Writer, sure: Annotated[Literal["yes"], Form()]) -> Response:
    """Purge the annotator, and let the browser forget."""
    desk.store.withdraw(_known(desk, token)[0])
    response = desk.pages.go("/goodbye")
    desk.cookies.take(response, "annotator")
    return response


@router.get("/goodbye")
async def goodbye(desk: TheDesk) -> Response:
    """After a withdrawal."""
    text = "Whatever could tell who you are was deleted, and none of your answers is used. You can close this page."
    return desk.pages.show("message", title="You have withdrawn", text=text, back=None)


@router.get("/static/{name}")
async def static(desk: TheDesk, name: str) -> Response:
    """Style, script, icon."""
    found = desk.pages.asset(name)
    if found is None:
        raise Turned(404, "No such page", "The study has no page at this address.")
    return found
