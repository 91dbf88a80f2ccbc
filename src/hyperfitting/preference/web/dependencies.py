"""Dependencies of the pages: the app's context, the bearer's token, form tokens, rate limits,
refusals.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

from fastapi import Depends, Form
from starlette.requests import Request

from hyperfitting.errors import Reason, Refused
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.messages import MESSAGES, MessageName
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
    """A request that is not served; the page shown instead has this message. `text` stands in the
    place of the message's own.
    """

    def __init__(self, name: MessageName | Reason, text: str | None = None) -> None:
        super().__init__(name)
        message = MESSAGES[name]
        self.message = message if text is None else message._replace(text=text)


@dataclass(frozen=True)
class AppContext:
    """The study, its store, and the means to answer requests. One for the whole server.

    A form that comes back within `unread_seconds` is not taken.
    """

    study: Study
    store: Store
    address: Address
    cookies: Cookies[BrowserRole]
    pages: PageTemplates
    open_link: bool = False
    # The pages themselves wait for half a second. This is for browsers without scripts, and less,
    # since it begins when the page is sent and not when it is seen.
    unread_seconds: float = 0.3
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

_NOBODY: dict[BrowserRole, MessageName] = {
    "annotator": "needs_link",
    "visitor": "no_cookie",
    "admin": "needs_sign_in",
}


def wrong_token(app: AppContext, error: Refused) -> PageError:
    """The page for a refused token. After too many unknown ones, over all, it asks to wait."""
    if error.reason == "unknown" and not app.wrong_tokens.allows(""):
        return PageError("too_many_links")
    return PageError(error.reason)


def bearer_token(role: BrowserRole) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the bearer's token, within the rate limit."""

    async def find(request: Request) -> str:
        app = app_of(request)
        token = app.cookies.read(request, role)
        if token is None:
            raise PageError(_NOBODY[role])
        if not app.requests.allows(token):
            raise PageError("too_many_requests")
        return token

    return find


def form_fields(token: str, role: BrowserRole) -> dict[str, str]:
    """The hidden fields of every form on a page: whose it is, and when the page was sent.

    `visit` names the bearer, so that a form of another one can be told from a forged one.
    """
    fields = {"form_token": form_token(token, role)}
    if role == "annotator":
        fields["visit"] = _visit(token)
    return fields | {"shown": str(int(time.time() * 1000))}


def _visit(token: str) -> str:
    return form_token(token, "visit")[:16]


def form_bearer_token(role: BrowserRole) -> Callable[..., Awaitable[str]]:
    """A dependency: the bearer's token of a post that comes from a page of this study, with its
    form token, and not before that page could be read.
    """

    bearing = Depends(
        bearer_token(role)
    )  # not in the annotation, which FastAPI evaluates where `role` is not known

    async def check(
        request: Request,
        token: str = bearing,
        given: Annotated[str, Form(alias="form_token", max_length=200)] = "",
        visit: Annotated[str, Form(max_length=200)] = "",
        shown: Annotated[int, Form(ge=0, le=10**13)] = 0,
    ) -> str:
        if not is_from_this_study(request):
            raise PageError("not_ours")
        if not same_secret(given, form_token(token, role)):
            theirs = role == "annotator" and visit and not same_secret(visit, _visit(token))
            raise PageError("another_visit" if theirs else "not_ours")
        if 0 <= time.time() - shown / 1000 < app_of(request).unread_seconds:
            raise PageError("unread")
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
