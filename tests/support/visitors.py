"""Somebody with a browser, without the browser: follows redirects, keeps cookies, sends the forms
that pages hold.
"""

from __future__ import annotations

import html
import re
from typing import Any

from starlette.testclient import TestClient

RIGHT = {"q0": "1", "q1": "2", "q2": "0"}
BASE = "http://127.0.0.1:8000"


class Visitor:
    """Posts come with the form token of the last page and a true Origin, unless a test says
    otherwise.
    """

    def __init__(self, app: Any, base: str = BASE, **options: Any):
        self.client = TestClient(app, base_url=base, **options)
        self.base = base
        self.page: Any = None
        self.seen: list[Any] = []

    def get(self, path: str, **options: Any) -> Any:
        return self._keep(self.client.get(path, **options))

    def post(self, path: str, headers: dict[str, str] | None = None, **data: Any) -> Any:
        sent = ("form_token", "visit", "shown")
        fields = {name: value for name, value in self.fields().items() if name in sent} | data
        origin = {"origin": self.base} if headers is None else headers
        return self._keep(self.client.post(path, data=fields, headers=origin))

    def _keep(self, response: Any) -> Any:
        self.seen += [*response.history, response]
        self.page = response
        return response

    def fields(self) -> dict[str, str]:
        """The hidden fields of the last page, as a reader sends them who took a second."""
        found = re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)"',
            self.page.text if self.page else "",
        )
        fields = {name: html.unescape(value) for name, value in found}
        if "shown" in fields:
            fields["shown"] = str(int(fields["shown"]) - 1000)
        return fields

    def begin(self, token: str) -> None:
        """From the link to the first comparison."""
        assert self.get(f"/i/{token}").url.path == "/consent"
        assert self.post("/consent", agree="yes").url.path == "/test"
        assert self.post("/test", **RIGHT).url.path == "/judge", self.page.text

    def answer(self, choice: str = "first", **changes: str) -> Any:
        """Answer the comparison of the last page."""
        return self.post("/judge", **{**self.fields(), "answer": choice, **changes})

    def shown(self) -> list[str]:
        """Context, first and second text of the last page."""
        return [
            html.unescape(text)
            for text in re.findall(r'<p class="text"[^>]*>(.*?)</p>', self.page.text, re.S)
        ]

    def sign_in(self, token: str) -> Any:
        """As the admin."""
        self.get("/admin")
        return self.post("/admin/enter", token=token)
