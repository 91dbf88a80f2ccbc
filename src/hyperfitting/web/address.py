"""The address on which an app listens, and the one under which browsers reach it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from hyperfitting.errors import InputError


@dataclass(frozen=True)
class Address:
    """`public_url` is the address in browsers; without one it is the host and port that the server
    binds to.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse a public address that cannot begin a link.

        Raises:
            InputError: it is not http(s)://host, or carries a user, a query or a fragment.
        """
        parts = self._parts
        extra = parts.query or parts.fragment or parts.username is not None
        if parts.scheme not in ("http", "https") or not parts.hostname or extra:
            raise InputError(
                f"--public-url {self.public_url}: write it as https://study.example.org or with a "
                "path"
            )

    @property
    def _parts(self) -> SplitResult:
        host = f"[{self.host}]" if ":" in self.host else self.host
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

    def link(self, path: str) -> str:
        """The full address of a page."""
        return f"{self._parts.scheme}://{self._parts.netloc}{self.prefix}{path}"
