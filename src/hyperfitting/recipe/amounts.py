"""Numbers that functions take beside a recipe: refused in words where they cannot be meant."""

from __future__ import annotations

import re

from hyperfitting.errors import InputError

MOST = 10**9
"""The largest whole number that a setting or an argument takes."""


def checked_number(name: str, value: int, least: int = 0, most: int = MOST) -> int:
    """The value of an argument that takes a whole number from `least` to `most`.

    Raises:
        InputError: it is none; names the argument.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name}={value!r}: give a whole number from {least} to {most}")
    return value


def memory_size(text: str) -> int:
    """Bytes, of `80GiB`, `24GB`, ...

    Raises:
        InputError: it is no amount of memory.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]i?B)", text)
    if found is None or not float(found[1]):
        raise InputError(f"{text!r} is no amount of memory: write it as 80GiB")
    kilo = 1024 if "i" in found[2] else 1000
    return int(float(found[1]) * kilo ** (" MGT".index(found[2][0]) + 1))
