"""The address on which an app listens, and the one under which browsers reach it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from hyperfitting.errors import InputError

_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Address:
    """`public_url` is the address in browsers; without one it is the host and port that the server
    binds to, and that of this machine where it binds to all of them (`0.0.0.0`, `::`).
    """

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None

    def __post_init__(self) -> None:
        """Take the brackets from a host such as `[::]`, and refuse a public address that cannot
        begin a link.

        Raises:
            InputError: it is not http(s)://host, or carries a user, a query or a fragment.
        """
        object.__setattr__(self, "host", self.host.strip("[]"))
        parts = self._parts
        extra = parts.query or parts.fragment or parts.username is not None
        if parts.scheme not in ("http", "https") or not parts.hostname or extra:
            raise InputError(
                f"--public-url {self.public_url}: write it as https://study.example.org or with a "
                "path"
            )

    @property
    def _parts(self) -> SplitResult:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return urlsplit(self.public_url or f"http://{host}:{self.port}")

    @property
    def origin(self) -> str:
        """Scheme, host and port, as browsers write them in the header `Origin`."""
        return f"{self._parts.scheme}://{self._parts.netloc}".lower()

    @property
    def prefix(self) -> str:
        """The path under which a proxy serves the app, without a slash at its end; usually
        empty.
        """
        return self._parts.path.rstrip("/")

    @property
    def encrypted(self) -> bool:
        """Whether browsers come by https, so that cookies may ask for it."""
        return self._parts.scheme == "https"

    @property
    def is_unnamed(self) -> bool:
        """Whether the server binds to every address, and nothing says how others reach it."""
        return self.public_url is None and _ip_is(self.host, "is_unspecified")

    @property
    def is_local(self) -> bool:
        """Whether its links open on this machine only."""
        host = self._parts.hostname or ""
        return host == "localhost" or _ip_is(host, "is_loopback")

    def as_seen(self, host: str) -> Address:
        """The address as a browser wrote it into the header `Host`, where nothing else names it."""
        if not self.is_unnamed or _HOST.fullmatch(host) is None:
            return self
        return replace(self, public_url=f"http://{host}")

    def link(self, path: str) -> str:
        """The full address of a page."""
        return f"{self._parts.scheme}://{self._parts.netloc}{self.prefix}{path}"


def _ip_is(host: str, what: str) -> bool:
    try:
        return bool(getattr(ip_address(host), what))
    except ValueError:
        return False
