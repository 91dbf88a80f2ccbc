"""The pages of whoever runs the study, behind the admin's own token: progress, people, links, export."""

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
from hyperfitting.preference.exchange import write_judgements
from hyperfitting.preference.records import AnnotatorProgress
from hyperfitting.preference.web.cookies import form_token, new_token, plausible
from hyperfitting.preference.web.desk import Desk, TheDesk, Turned, bearer, desk_of, poster

router = APIRouter(prefix="/admin")

_LINE = r"^[^\x00-\x1f\x7f\u2028\u2029]*$"  # one line of text that any database takes
Line = Annotated[str, Form(pattern=_LINE, max_length=200)]
AnnotatorId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
InvitationId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def reader(request: Request, token: Annotated[str, Depends(bearer("admin"))]) -> str:
    """A dependency: the token of an admin who reads."""
    return _checked(desk_of(request), token)


def writer(request: Request, token: Annotated[str, Depends(poster("admin"))]) -> str:
    """A dependency: the token of an admin who posts one of our forms."""
    return _checked(desk_of(request), token)


Reader = Annotated[str, Depends(reader)]
Writer = Annotated[str, Depends(writer)]


def _checked(desk: Desk, token: str) -> str:
    if not (plausible(token) and desk.store.is_admin(token)):
        if not desk.wrong.allows(""):
            raise Turned(429, "Too many wrong tokens", "Wait a minute, then try again.")
        raise Turned(
            403,
            "That is not the admin's token",
            "Check that the whole token was copied, and try again.",
        )
    return token


@router.get("")
def overview(request: Request, desk: TheDesk) -> Response:
    """Where the study stands; to anybody else, a form for the token."""
    token = desk.cookies.read(request, "admin")
    if token is None or not desk.store.is_admin(token):
        return _ask_for_token(desk)
    if not desk.bearer.allows(token):
        raise Turned(429, "That was very fast", "Wait a few seconds, then reload this page.")
    values = {
        "name": desk.study.plan.name,
        "digest": desk.study.digest,
        "study": desk.store.overview(),
        "invitations": desk.store.invitations(),
        "open_link": desk.address.link("/join") if desk.open_link else None,
        "now": datetime.now(UTC).isoformat(),
    }
    return desk.pages.show("admin", form_token=form_token(token, "admin"), **values)


def _ask_for_token(desk: Desk) -> Response:
    # A fresh token that opens nothing, but binds the form to this browser. The admin's own cookie is left alone: a
    # browser that comes from another site has only not shown it.
    token = new_token()
    response = desk.pages.show("sign_in", form_token=form_token(token, "visitor"))
    desk.cookies.give(response, "visitor", token)
    return response


@router.post("/enter")
def sign_in(
    desk: TheDesk,
    _: Annotated[str, Depends(poster("visitor"))],
    token: Annotated[str, Form(max_length=200)],
) -> Response:
    """Exchange the admin's token for a cookie."""
    return _let_in(desk, token.strip())


@router.get("/enter/{token}")
def enter(desk: TheDesk, token: str) -> Response:
    """The same by a link: the token leaves the address at once."""
    return _let_in(desk, token)


def _let_in(desk: Desk, token: str) -> Response:
    _checked(desk, token)
    response = desk.pages.go("/admin")
    desk.cookies.give(response, "admin", token)
    return response


@router.post("/leave")
def sign_out(desk: TheDesk, token: Writer) -> Response:
    """Make this browser forget the token."""
    response = desk.pages.go("/admin")
    desk.cookies.take(response, "admin")
    return response


@router.post("/pause")
def pause(desk: TheDesk, token: Writer) -> Response:
    """Deal nothing more until further notice."""
    desk.store.pause()
    return desk.pages.go("/admin")


@router.post("/resume")
def resume(desk: TheDesk, token: Writer) -> Response:
    """Deal again."""
    desk.store.resume()
    return desk.pages.go("/admin")


@router.get("/annotators/{annotator}")
def show_annotator(desk: TheDesk, token: Reader, annotator: AnnotatorId) -> Response:
    """One annotator, and what can be done about them."""
    values = {"person": _person(desk, annotator)}
    return desk.pages.show("annotator", form_token=form_token(token, "admin"), **values)


def _person(desk: Desk, annotator: str) -> AnnotatorProgress:
    for person in desk.store.overview().annotators:
        if person.id == annotator:
            return person
    raise Turned(404, "No such annotator", "Nobody in this study has that number.")


@router.post("/annotators/{annotator}/exclude")
def exclude(desk: TheDesk, token: Writer, annotator: AnnotatorId, reason: Line) -> Response:
    """Leave somebody out; their answers are kept, and marked with the reason."""
    if not reason.strip():
        raise Turned(
            422, "A reason is needed", "It is kept with the answers and stands in the report."
        )
    _person(desk, annotator)
    return _done(desk, lambda: desk.store.exclude(annotator, reason.strip()))


@router.post("/annotators/{annotator}/include")
def include(desk: TheDesk, token: Writer, annotator: AnnotatorId) -> Response:
    """Take an exclusion back."""
    _person(desk, annotator)
    return _done(desk, lambda: desk.store.include(annotator))


@router.post("/annotators/{annotator}/withdraw")
def withdraw(
    desk: TheDesk, token: Writer, annotator: AnnotatorId, sure: Annotated[Literal["yes"], Form()]
) -> Response:
    """Purge somebody who asks for it."""
    _person(desk, annotator)
    return _done(desk, lambda: desk.store.withdraw(annotator))


@router.post("/invitations")
def invite(
    desk: TheDesk,
    token: Writer,
    count: Annotated[int, Form(ge=1, le=500)],
    label: Line = "",
    days: Annotated[int | None, Form(ge=1, le=3650)] = None,
) -> Response:
    """New personal links: this page is the only one that ever shows them."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    tokens = desk.store.invite(count, expires_at, label.strip() or None)
    links = [desk.address.link(f"/i/{each}") for each in tokens]
    return desk.pages.show("links", links=links)


@router.post("/invitations/{invitation}/revoke")
def revoke(desk: TheDesk, token: Writer, invitation: InvitationId) -> Response:
    """Make a personal link invalid."""
    if invitation not in {each.id for each in desk.store.invitations()}:
        raise Turned(404, "No such invitation", "There is no invitation of that number.")
    return _done(desk, lambda: desk.store.revoke(invitation))


@router.get("/export.{ending}")
def export(desk: TheDesk, token: Reader, ending: Literal["jsonl", "csv"]) -> Response:
    """Every judgement, as `hyperfit preference export` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = FilePath(folder) / f"judgements.{ending}"
        write_judgements(path, desk.store.judgements())
        kind = "application/x-ndjson" if ending == "jsonl" else "text/csv; charset=utf-8"
        name = f"{desk.study.plan.name}-judgements.{ending}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(path.read_bytes(), media_type=kind, headers=headers)


def _done(desk: Desk, act: Callable[[], None]) -> Response:
    try:
        act()
    except InputError as error:
        raise Turned(409, "That is not possible", str(error)) from error
    return desk.pages.go("/admin")
