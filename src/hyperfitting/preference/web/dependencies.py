"""Dependencies of the pages: the app's context, the bearer's token, form tokens, rate limits,
refusals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

from fastapi import Depends, Form
from starlette.requests import Request

from hyperfitting.errors import Reason, Refused
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.web.address import Address
from hyperfitting.web.cookies import CookieRules, Cookies
from hyperfitting.web.rate_limit import RateLimit
from hyperfitting.web.templates import PageTemplates
from hyperfitting.web.tokens import form_token, same_secret

BrowserRole = Literal["annotator", "admin", "visitor"]
"""The bearer of a cookie. A visitor may sign in as the admin."""

COOKIE_RULES: dict[BrowserRole, CookieRules] = {
    # A personal link is opened from a mail or another site: Strict would hide the cookie on that
    # first visit.
    "annotator": CookieRules(days=60, same_site="lax"),
    "admin": CookieRules(days=1, same_site="strict"),
    "visitor": CookieRules(days=1, same_site="strict"),
}


class PageError(Exception):
    """A request that is not served: the status, and title and text of the page shown instead."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


@dataclass(frozen=True)
class AppContext:
    """The study, its store, and the means to answer requests. One for the whole server."""

    study: Study
    store: Store
    address: Address
    cookies: Cookies[BrowserRole]
    pages: PageTemplates
    open_link: bool = False
    # A person needs seconds for a page. This allows reloads, and stops a program that answers.
    requests: RateLimit = field(default_factory=lambda: RateLimit(burst=40, per_second=5))
    # Counted over all: a wrong token has no owner. Right tokens are served all the same.
    wrong_tokens: RateLimit = field(default_factory=lambda: RateLimit(burst=60, per_second=1))


def app_of(request: Request) -> AppContext:
    """The context of the app that serves a request."""
    return cast("AppContext", request.app.state.context)


async def _context(
    request: Request,
) -> AppContext:  # a plain function would be called in a thread of its own
    return app_of(request)


App = Annotated[AppContext, Depends(_context)]

_NOBODY: dict[BrowserRole, tuple[int, str, str]] = {
    "annotator": (
        401,
        "Please open your link",
        "This page needs the personal link that you were given. Open it again in this browser, "
        "with cookies allowed.",
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


def refusal(error: Refused) -> PageError:
    """The page for a refusal of the store."""
    return PageError(*_REFUSALS[error.reason])


def wrong_token(app: AppContext, error: Refused) -> PageError:
    """The page for a refused token. After too many unknown ones, over all, it asks to wait."""
    if error.reason == "unknown" and not app.wrong_tokens.allows(""):
        return PageError(429, "Too many wrong links", "Wait a minute, then open your link again.")
    return refusal(error)


def bearer_token(role: BrowserRole) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the bearer's token, within the rate limit."""

    async def find(request: Request) -> str:
        app = app_of(request)
        token = app.cookies.read(request, role)
        if token is None:
            raise PageError(*_NOBODY[role])
        if not app.requests.allows(token):
            raise PageError(
                429,
                "That was very fast",
                "Wait a few seconds, then reload this page. Nothing is lost.",
            )
        return token

    return find


def form_bearer_token(role: BrowserRole) -> Callable[..., Awaitable[str]]:
    """A dependency: the bearer's token of a post that comes from a page of this study, with its
    form token.
    """

    bearing = Depends(
        bearer_token(role)
    )  # not in the annotation, which FastAPI evaluates where `role` is not known

    async def check(
        request: Request,
        token: str = bearing,
        given: Annotated[str, Form(alias="form_token", max_length=200)] = "",
    ) -> str:
        if not is_from_this_study(request) or not same_secret(given, form_token(token, role)):
            raise PageError(
                403,
                "That form is not ours",
                "It came from elsewhere or is too old. Go back and try again.",
            )
        return token

    return check


def is_from_this_study(request: Request) -> bool:
    """Whether a post comes from a page of this study, by the header `Origin` (or
    `Sec-Fetch-Site`).
    """
    address, origin = app_of(request).address, request.headers.get("origin", "null").lower()
    if origin == "null":
        return request.headers.get("sec-fetch-site") == "same-origin"
    here = f"{request.url.scheme}://{request.headers.get('host', '')}".lower()
    return origin == address.origin or (address.public_url is None and origin == here)
