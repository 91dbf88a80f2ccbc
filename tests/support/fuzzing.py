"""Requests that schemathesis makes from the app's own schema, sent by somebody who is let in, or
who is not.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from hyperfitting.errors import Refused
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from hyperfitting.web.rate_limit import RateLimit
from hyperfitting.web.tokens import form_token
from tests.support import studies
from tests.support.visitors import BASE, Visitor

ENDLESS = RateLimit(burst=1e12, per_second=1e9)


class Target:
    """An app without limits on how often one may ask; the annotator is replaced when a request has
    ended their part.
    """

    def __init__(self, folder: Path, database: str | None = None):
        study, self.admin = Study.create(
            folder / "study", studies.protocol(open_link=True), studies.comparisons()
        )
        self.store = open_store(study, database)
        self.app = make_app(study, self.store, open_link=True)
        self.context = dataclasses.replace(
            self.app.state.context, requests=ENDLESS, wrong_tokens=ENDLESS
        )
        self.app.state.context = self.context
        self.schema = schemathesis.openapi.from_dict(self.app.openapi())
        self.annotator = ""
        self.statuses: set[int] = set()

    def renew(self) -> None:
        """See to it that there is an annotator at work, and that the study goes on."""
        if self.store.paused:
            self.store.resume()
        try:
            if self.annotator and self.store.annotators.of_token(self.annotator).state == "tested":
                return
        except Refused:
            pass
        (self.annotator,) = self.store.invitations.create(1)
        Visitor(self.app).begin(self.annotator)

    def send(self, case: Any, *, signed: bool, own: bool) -> None:
        """One request; `signed`: with cookies, form token and Origin; `own`: about an item that is
        theirs.
        """
        headers, cookies = {}, {}
        if signed:
            tokens: dict[Any, str] = {
                "annotator": self.annotator,
                "admin": self.admin,
                "visitor": "v" * 43,
            }
            headers["origin"] = BASE
            cookies = {self.context.cookies.name(role): token for role, token in tokens.items()}
            if isinstance(case.body, dict):
                path = case.path
                role = (
                    "visitor"
                    if path == "/admin/enter"
                    else "admin"
                    if path.startswith("/admin")
                    else "annotator"
                )
                case.body["form_token"] = form_token(tokens[role], role)
                if own and "assignment" in case.body:
                    item = self.store.items.next(self.store.annotators.of_token(self.annotator).id)
                    case.body["assignment"] = item.assignment if item else "none"
        response = case.call(app=self.app, base_url=BASE, headers=headers, cookies=cookies)
        assert response.status_code < 500, (case.method, case.path, response.status_code)
        self.statuses.add(response.status_code)


def fuzz(target: Target, examples: int) -> set[str]:
    """Send so many requests of each kind to each page; returns the pages. Raises on the first error
    of ours.
    """
    operations = [found.ok() for found in target.schema.get_all_operations()]
    for operation in operations:
        valid, invalid = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=st.one_of(valid, invalid),
            signed=st.sampled_from([True, True, False]),
            own=st.booleans(),
        )
        def one(case: Any, signed: bool, own: bool) -> None:
            target.renew()
            target.send(case, signed=signed, own=own)

        one()
    return {f"{operation.method.upper()} {operation.path}" for operation in operations}
