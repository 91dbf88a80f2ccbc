"""Cookies that say who a browser is.

A cookie holds the bearer's token and nothing else. The server needs no session store, and a restart
signs nobody out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from hyperfitting.web.address import Address
from hyperfitting.web.tokens import is_well_formed

RoleName = TypeVar("RoleName", bound=str)


@dataclass(frozen=True)
class CookieRules:
    """How long a cookie of one role lives, and whether a link on another site may bring it along
    (`lax`).
    """

    days: int
    same_site: Literal["lax", "strict"]


@dataclass(frozen=True)
class Cookies(Generic[RoleName]):
    """The cookies of one app, one for each role. `prefix` separates apps on one host: cookies
    ignore ports.
    """

    address: Address
    prefix: str
    roles: Mapping[RoleName, CookieRules]

    def name(self, role: RoleName) -> str:
        """The cookie's name. `__Host-`: no subdomain can set it."""
        guard = "__Host-" if self.address.encrypted and not self.address.prefix else ""
        return f"{guard}{self.prefix}-{role}"

    def read(self, request: Request, role: RoleName) -> str | None:
        """The token in a browser's cookie; None where there is none of the right form."""
        value = request.cookies.get(self.name(role), "")
        return value if is_well_formed(value) else None

    def give(self, response: Response, role: RoleName, token: str) -> None:
        """Set the cookie: out of reach of scripts and of posts from other sites."""
        response.set_cookie(
            self.name(role),
            token,
            max_age=self.roles[role].days * 24 * 3600,
            path=self.address.prefix or "/",
            secure=self.address.encrypted,
            httponly=True,
            samesite=self.roles[role].same_site,
        )

    def take(self, response: Response, role: RoleName) -> None:
        """Delete the cookie."""
        response.delete_cookie(
            self.name(role),
            path=self.address.prefix or "/",
            secure=self.address.encrypted,
            httponly=True,
            samesite=self.roles[role].same_site,
        )
