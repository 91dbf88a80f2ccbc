"""Secret tokens. A server stores only their hashes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


def new_token() -> str:
    """A random token of 256 bits that may stand in a URL."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """SHA-256 of a token in hex. A token of 256 random bits needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_well_formed(token: str) -> bool:
    """Whether a text from outside has the form of a token."""
    return _TOKEN.fullmatch(token) is not None


def same_secret(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def form_token(token: str, role: str) -> str:
    """The token of every form of one bearer in one role: an HMAC under the bearer's own token.

    Another site cannot read the cookie with the bearer's token, so it cannot make this one.
    """
    return hmac.new(token.encode(), f"form {role}".encode(), hashlib.sha256).hexdigest()
