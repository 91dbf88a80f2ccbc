"""Seeds for random number generators, made from whatever they depend on."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2^63) that depends on all parts and their order, the same on every machine and
    Python.

    The first 63 bits of the SHA-256 of the parts, one a line.
    """
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
