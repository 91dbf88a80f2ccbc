"""What every page needs at hand, and who may see it: tokens, form tokens, origins, allowances, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Form
from starlette.requests import Request

from hyperfitting.errors import Reason, Refused
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.address import Address
from hyperfitting.preference.web.cookies import Cookies, Role, form_token, same
from hyperfitting.preference.web.limits import Limit
from hyperfitting.preference.web.pages import Pages


class Turned(Exception):
    """A request that is not served: what the page says instead, and its status."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


@dataclass(frozen=True)
class Desk:
    """The study, its store, and the means to answer. One for the whole server."""

    study: Study
    store: Store
    address: Address
    cookies: Cookies
    pages: Pages
    open_link: bool = False
    # A reader needs seconds for a page: this leaves room for reloads, and none for a program that answers.
    bearer: Limit = field(default_factory=lambda: Limit(burst=40, per_second=5))
    # Counted for all together: a wrong token has no owner. Right ones are let in whatever happens here.
    wrong: Limit = field(default_factory=lambda: Limit(burst=60, per_second=1))


def desk_of(request: Request) -> Desk:
    """The desk that serves a request."""
    return cast("Desk", request.app.state.desk)


async def _desk(
    request: Request,
) -> Desk:  # a plain function would be called in a thread of its own
    return desk_of(request)


TheDesk = Annotated[Desk, Depends(_desk)]

_NOBODY: dict[Role, tuple[int, str, str]] = {
    "annotator": (
        401,
        "Please open your link",
        "This page needs the personal link that you were given. Open it again in this browser, with cookies allowed.",
    ),
    "visitor": (
        401,
        "Please begin again",
        "This form needs a cookie of ours: allow cookies, and go back.",
    ),
    "admin": (
        401,
        "Please sign in",
        "This page is for whoever runs the study: it needs the admin's token.",
    ),
}
_REFUSALS: dict[Reason, tuple[int, str, str]] = {
    "unknown": (
        403,
        "This link is not valid",
        "Check that the whole link was copied, or ask for a new one.",
    ),
    "expired": (
        410,
        "This link has expired",
        "It was valid for a limited time. Ask whoever sent it for a new one.",
    ),
    "revoked": (
        403,
        "This link was withdrawn",
        "Whoever runs the study has taken it back. Ask them for a new one.",
    ),
    "paused": (
        503,
        "The study is paused",
        "Your answers are safe. Come back later with the same link.",
    ),
    "full": (
        409,
        "The study has enough people",
        "Thank you for your interest; nobody else is needed now.",
    ),
    "withdrawn": (410, "You have withdrawn", "Your answers were deleted. Thank you for your time."),
    "failed": (
        403,
        "The test was not passed",
        "There is nothing more to do. Thank you for trying.",
    ),
    "unready": (409, "One step is missing", "Consent and the short test come first."),
    "not_theirs": (
        403,
        "That is not your comparison",
        "It was given to somebody else. Go back to the study.",
    ),
    "answered": (
        409,
        "That was answered already",
        "Your first answer is kept. Go back to the study.",
    ),
    "no_undo": (
        409,
        "There is nothing to take back",
        "Only the last answer can be taken back, and only once.",
    ),
    "excluded": (
        403,
        "You cannot go on",
        "Whoever runs the study has ended your part in it. They can tell you why.",
    ),
}


def refusal(error: Refused) -> Turned:
    """The page that a refusal of the store becomes."""
    return Turned(*_REFUSALS[error.reason])


def wrong_token(desk: Desk, error: Refused) -> Turned:
    """The same for a token that nobody holds; too many of those, over all, and the answer is to wait."""
    if error.reason == "unknown" and not desk.wrong.allows(""):
        return Turned(429, "Too many wrong links", "Wait a minute, then open your link again.")
    return refusal(error)


def bearer(role: Role) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the token of whoever asks, within their allowance."""

    async def find(request: Request) -> str:
        desk = desk_of(request)
        token = desk.cookies.read(request, role)
        if token is None:
            raise Turned(*_NOBODY[role])
        if not desk.bearer.allows(token):
            raise Turned(
                429,
                "That was very fast",
                "Wait a few seconds, then reload this page. Nothing is lost.",
            )
        return token

    return find


def poster(role: Role) -> Callable[..., Awaitable[str]]:
    """A dependency: the token of whoever posts, from a page of this study and with that page's form token."""

    bearing = Depends(
        bearer(role)
    )  # not in the annotation, which FastAPI evaluates where `role` is not known

    async def check(
        request: Request,
        token: str = bearing,
        given: Annotated[str, Form(alias="form_token", max_length=200)] = "",
    ) -> str:
        if not from_our_page(request) or not same(given, form_token(token, role)):
            raise Turned(
                403,
                "That form is not ours",
                "It came from elsewhere or is too old. Go back and try again.",
            )
        return token

    return check


def from_our_page(request: Request) -> bool:
    """Whether a post comes from a page of this study, as the browser tells by `Origin` (or `Sec-Fetch-Site`)."""
    address, origin = desk_of(request).address, request.headers.get("origin", "null").lower()
    if origin == "null":
        return request.headers.get("sec-fetch-site") == "same-origin"
    here = f"{request.url.scheme}://{request.headers.get('host', '')}".lower()
    return origin == address.origin or (address.public_url is None and origin == here)
