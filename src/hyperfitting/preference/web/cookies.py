"""Who a browser is: a cookie for an annotator, an admin, a visitor who may become one, and each one's form token.

A cookie holds the bearer's token and nothing else, so the server needs no session store and a restart shuts nobody
out. The form token is an HMAC under the cookie's token: another site, which cannot read the cookie, cannot make it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.preference.web.address import Address

Role = Literal["annotator", "admin", "visitor"]

_DAYS = {"annotator": 60, "admin": 1, "visitor": 1}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


@dataclass(frozen=True)
class Cookies:
    """The cookies of one study; `study` (its digest) keeps studies on one host apart, as cookies ignore ports."""

    address: Address
    study: str

    def name(self, role: Role) -> str:
        """The cookie's name, which says nothing of what is studied. `__Host-`: no subdomain plants one."""
        guard = "__Host-" if self.address.encrypted and not self.address.prefix else ""
        return f"{guard}study-{self.study[:8]}-{role}"

    def read(self, request: Request, role: Role) -> str | None:
        """The token that a browser holds, or nothing if it holds none that could be one."""
        value = request.cookies.get(self.name(role), "")
        return value if _TOKEN.fullmatch(value) else None

    def give(self, response: Response, role: Role, token: str) -> None:
        """Hand a browser its token, out of reach of scripts and of other sites' posts."""
        response.set_cookie(
            self.name(role),
            token,
            max_age=_DAYS[role] * 24 * 3600,
            path=self.address.prefix or "/",
            secure=self.address.encrypted,
            httponly=True,
            # A personal link is opened from a mail or another site: Strict would hide the cookie on that first visit.
            samesite="lax" if role == "annotator" else "strict",
        )

    def take(self, response: Response, role: Role) -> None:
        """Make a browser forget its token."""
        response.delete_cookie(
            self.name(role),
            path=self.address.prefix or "/",
            secure=self.address.encrypted,
            httponly=True,
            samesite="lax" if role == "annotator" else "strict",
        )


def plausible(token: str) -> bool:
    """Whether a text from outside has the form of a token at all."""
    return _TOKEN.fullmatch(token) is not None


def new_token() -> str:
    """A token that nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)


def form_token(token: str, role: Role) -> str:
    """The token that every form of this bearer carries."""
    return hmac.new(token.encode(), f"form {role}".encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
