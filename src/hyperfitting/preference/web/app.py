"""The web app of one study: its pages, and the pages for errors."""

from __future__ import annotations

import logging
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.errors import InputError, Refused
from hyperfitting.preference.languages import direction, translations
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.admin import admin_router
from hyperfitting.preference.web.annotators import annotator_router
from hyperfitting.preference.web.dependencies import (
    COOKIE_RULES,
    AppContext,
    PageError,
    app_of,
)
from hyperfitting.preference.web.messages import MESSAGES, PageMessage
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
    address, protocol = address or Address(), study.protocol
    app = FastAPI(
        title="hyperfitting preference study", docs_url=None, redoc_url=None, openapi_url=None
    )
    shared = {
        "protocol": protocol,
        "open_link": open_link,
        "lang": protocol.language,
        "dir": direction(protocol.language),
    }
    app.state.context = AppContext(
        study=study,
        store=store,
        address=address,
        cookies=Cookies(address, f"study-{study.digest[:8]}", COOKIE_RULES),
        pages=PageTemplates(
            Path(__file__).parent, address.prefix, translations(protocol.language), shared
        ),
        open_link=open_link,
    )
    app.include_router(annotator_router)
    app.include_router(admin_router)
    app.add_exception_handler(PageError, _page_error)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(InputError, _not_taken)
    app.add_exception_handler(RequestValidationError, _invalid_form)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog)
    return app


def _show(request: Request, message: PageMessage) -> Response:
    app, status = app_of(request), message.status
    if request.url.path.startswith("/admin"):
        back = "/admin" if message.back else None
        response = app.pages.show(
            "admin_message", status, title=message.title, text=message.text, back=back
        )
    else:
        title, text = app.pages.say(message.title), app.pages.say(message.text)
        known = app.cookies.read(request, "annotator") is not None
        back = "/" if known and message.back else None
        response = app.pages.show("message", status, title=title, text=text, back=back)
    if status in (429, 503):
        response.headers["Retry-After"] = "10"
    return response


def _page_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageError)
    return _show(request, error.message)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _show(request, MESSAGES[error.reason])


def _not_taken(request: Request, error: Exception) -> Response:
    # The log says what it was: the message may name what an annotator must not know.
    _LOG.warning("refused: %s", error)
    return _show(request, MESSAGES["not_taken"])


def _invalid_form(request: Request, error: Exception) -> Response:
    return _show(request, MESSAGES["invalid_form"])


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _show(request, MESSAGES["no_page"])
    response = _show(request, MESSAGES["impossible"]._replace(status=error.status_code))
    response.headers.update(error.headers or {})
    return response


def _failed(request: Request, error: Exception) -> Response:
    _LOG.error("%s failed", request.method, exc_info=error)
    response = _show(request, MESSAGES["our_failure"])
    response.headers.update(
        SECURITY_HEADERS | {"Cache-Control": "no-store"}
    )  # this page is made outside of the middleware
    return response
