"""The web app of one study: its pages, and the pages for errors."""

from __future__ import annotations

import logging
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.errors import InputError
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.admin import admin_router
from hyperfitting.preference.web.annotators import annotator_router
from hyperfitting.preference.web.dependencies import (
    COOKIE_RULES,
    AppContext,
    BrowserRole,
    PageError,
    app_of,
)
from hyperfitting.web.address import Address
from hyperfitting.web.cookies import Cookies
from hyperfitting.web.middleware import SECURITY_HEADERS, BodyLimit, RequestLog, SecurityHeaders
from hyperfitting.web.templates import PageTemplates

_LOG = logging.getLogger("hyperfitting.web")


def make_app(
    study: Study, store: Store, *, address: Address | None = None, open_link: bool = False
) -> FastAPI:
    """The app that serves `study` from an open `store` at `address`; `open_link` lets anybody join,
    up to the cap.
    """
    address = address or Address()
    app = FastAPI(
        title="hyperfitting preference study", docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.context = AppContext(
        study=study,
        store=store,
        address=address,
        cookies=Cookies(address, f"study-{study.digest[:8]}", COOKIE_RULES),
        pages=PageTemplates(Path(__file__).parent, address.prefix),
        open_link=open_link,
    )
    app.include_router(annotator_router)
    app.include_router(admin_router)
    app.add_exception_handler(PageError, _page_error)
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid_form)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog)
    return app


def _message(request: Request, status: int, title: str, text: str) -> Response:
    app = app_of(request)
    role: BrowserRole = "admin" if request.url.path.startswith("/admin") else "annotator"
    known = app.cookies.read(request, role) is not None or role == "admin"
    back = ("/admin" if role == "admin" else "/") if known else None
    return app.pages.show("message", status, title=title, text=text, back=back)


def _page_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageError)
    response = _message(request, error.status, error.title, error.text)
    if error.status in (429, 503):
        response.headers["Retry-After"] = "10"
    return response


def _refused(request: Request, error: Exception) -> Response:
    # The log says what it was: the message may name what an annotator must not know.
    _LOG.warning("refused: %s", error)
    return _message(
        request,
        409,
        "The study cannot take this",
        "Tell whoever runs it: the server's log says why.",
    )


def _invalid_form(request: Request, error: Exception) -> Response:
    return _message(
        request,
        422,
        "That was not understood",
        "Go back, fill in what is missing, and send it again.",
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _message(request, 404, "No such page", "The study has no page at this address.")
    response = _message(
        request, error.status_code, "That is not possible", "Go back to the study and try again."
    )
    response.headers.update(error.headers or {})
    return response


def _failed(request: Request, error: Exception) -> Response:
    _LOG.error("%s failed", request.method, exc_info=error)
    text = (
        "Nothing that was confirmed is lost. Go back to the study and try again; if it happens "
        "twice, tell us."
    )
    response = _message(request, 500, "Something went wrong on our side", text)
    response.headers.update(
        SECURITY_HEADERS | {"Cache-Control": "no-store"}
    )  # this page is made outside of the middleware
    return response
