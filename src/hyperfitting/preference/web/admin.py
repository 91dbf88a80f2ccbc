"""The admin's pages, behind the admin's token: progress, annotators, links, export."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.errors import InputError
from hyperfitting.preference.records import AnnotatorProgress
from hyperfitting.preference.store.judgement_files import write_judgements
from hyperfitting.preference.web.dependencies import (
    App,
    AppContext,
    PageError,
    app_of,
    bearer_token,
    form_bearer_token,
    form_fields,
)
from hyperfitting.web.address import Address
from hyperfitting.web.tokens import is_well_formed, new_token

admin_router = APIRouter(prefix="/admin")

_LINE = r"^[^\x00-\x1f\x7f\u2028\u2029]*$"  # one line of text that any database takes
Line = Annotated[str, Form(pattern=_LINE, max_length=200)]
AnnotatorId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
InvitationId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def admin_token(request: Request, token: Annotated[str, Depends(bearer_token("admin"))]) -> str:
    """A dependency: the token of an admin who reads."""
    return _checked(app_of(request), token)


def admin_form_token(
    request: Request, token: Annotated[str, Depends(form_bearer_token("admin"))]
) -> str:
    """A dependency: the token of an admin who posts a form of the study."""
    return _checked(app_of(request), token)


AdminToken = Annotated[str, Depends(admin_token)]
AdminPost = Annotated[str, Depends(admin_form_token)]


def _checked(app: AppContext, token: str) -> str:
    if not (is_well_formed(token) and app.study.is_admin(token)):
        if not app.wrong_tokens.allows(""):
            raise PageError("too_many_tokens")
        raise PageError("wrong_token")
    return token


@admin_router.get("")
def show_progress(request: Request, app: App) -> Response:
    """Progress of the study; without the admin's token, a form for it."""
    token = app.cookies.read(request, "admin")
    if token is None or not app.study.is_admin(token):
        return _ask_for_token(app)
    if not app.requests.allows(token):
        raise PageError("too_many_requests")
    values = {
        "name": app.study.protocol.name,
        "digest": app.study.digest,
        "study": app.store.progress(),
        "invitations": app.store.invitations.all(),
        "join_link": _address(request, app).link("/join") if app.open_link else None,
        "now": datetime.now(UTC).isoformat(),
    }
    return app.pages.show("admin", form=form_fields(token, "admin"), **values)


def _address(request: Request, app: AppContext) -> Address:
    """The address for links: the public one, or that by which the admin has come."""
    return app.address.as_seen(request.headers.get("host", ""))


def _ask_for_token(app: AppContext) -> Response:
    # A new token without rights that binds the form to this browser. The admin's own cookie stays:
    # a browser that comes from another site does not send it.
    token = new_token()
    response = app.pages.show("sign_in", form=form_fields(token, "visitor"))
    app.cookies.give(response, "visitor", token)
    return response


@admin_router.post("/enter")
def sign_in(
    app: App,
    _: Annotated[str, Depends(form_bearer_token("visitor"))],
    token: Annotated[str, Form(max_length=200)],
) -> Response:
    """Exchange the admin's token for a cookie."""
    return _let_in(app, token.strip())


@admin_router.get("/enter/{token}")
def enter_as_admin(app: App, token: str) -> Response:
    """The same by a link. The token disappears from the address at once."""
    return _let_in(app, token)


def _let_in(app: AppContext, token: str) -> Response:
    _checked(app, token)
    response = app.pages.go("/admin")
    app.cookies.give(response, "admin", token)
    return response


@admin_router.post("/leave")
def sign_out(app: App, token: AdminPost) -> Response:
    """Delete the admin's cookie."""
    response = app.pages.go("/admin")
    app.cookies.take(response, "admin")
    return response


@admin_router.post("/pause")
def pause(app: App, token: AdminPost) -> Response:
    """Assign no more items."""
    app.store.pause()
    return app.pages.go("/admin")


@admin_router.post("/resume")
def resume(app: App, token: AdminPost) -> Response:
    """Assign items again."""
    app.store.resume()
    return app.pages.go("/admin")


@admin_router.get("/annotators/{annotator}")
def show_annotator(app: App, token: AdminToken, annotator: AnnotatorId) -> Response:
    """One annotator, with the actions for them."""
    person, form = _person(app, annotator), form_fields(token, "admin")
    return app.pages.show("annotator", form=form, person=person)


def _person(app: AppContext, annotator: str) -> AnnotatorProgress:
    for person in app.store.progress().annotators:
        if person.id == annotator:
            return person
    raise PageError("no_annotator")


@admin_router.post("/annotators/{annotator}/exclude")
def exclude(app: App, token: AdminPost, annotator: AnnotatorId, reason: Line) -> Response:
    """Exclude an annotator. Their answers are kept and marked with the reason."""
    if not reason.strip():
        raise PageError("no_reason")
    _person(app, annotator)
    return _done(app, lambda: app.store.annotators.exclude(annotator, reason.strip()))


@admin_router.post("/annotators/{annotator}/include")
def include(app: App, token: AdminPost, annotator: AnnotatorId) -> Response:
    """Take an exclusion back."""
    _person(app, annotator)
    return _done(app, lambda: app.store.annotators.include(annotator))


@admin_router.post("/annotators/{annotator}/withdraw")
def withdraw_annotator(
    app: App, token: AdminPost, annotator: AnnotatorId, sure: Annotated[Literal["yes"], Form()]
) -> Response:
    """Delete an annotator's answers at their request."""
    _person(app, annotator)
    return _done(app, lambda: app.store.annotators.withdraw(annotator))


@admin_router.post("/invitations")
def make_invitations(
    request: Request,
    app: App,
    token: AdminPost,
    count: Annotated[int, Form(ge=1, le=500)],
    label: Line = "",
    days: Annotated[int | None, Form(ge=1, le=3650)] = None,
) -> Response:
    """New personal links. No other page shows them."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    tokens = app.store.invitations.create(count, expires_at, label.strip() or None)
    address = _address(request, app)
    links = [address.link(f"/i/{each}") for each in tokens]
    return app.pages.show("links", links=links, local=address.is_local)


@admin_router.post("/invitations/{invitation}/revoke")
def revoke(app: App, token: AdminPost, invitation: InvitationId) -> Response:
    """Make a personal link invalid."""
    if invitation not in {each.id for each in app.store.invitations.all()}:
        raise PageError("no_invitation")
    return _done(app, lambda: app.store.invitations.revoke(invitation))


@admin_router.get("/export.{ending}")
def export(app: App, token: AdminToken, ending: Literal["jsonl", "csv"]) -> Response:
    """Every judgement, as `hyperfit preference export` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = FilePath(folder) / f"judgements.{ending}"
        write_judgements(path, app.store.judgements())
        kind = "application/x-ndjson" if ending == "jsonl" else "text/csv; charset=utf-8"
        name = f"{app.study.protocol.name}-judgements.{ending}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(path.read_bytes(), media_type=kind, headers=headers)


def _done(app: AppContext, act: Callable[[], None]) -> Response:
    try:
        act()
    except InputError as error:
        raise PageError("not_now", str(error)) from error
    return app.pages.go("/admin")
