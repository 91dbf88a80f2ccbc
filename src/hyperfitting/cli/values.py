"""Values of options, from text."""

from __future__ import annotations

import argparse
import re


def memory_size(text: str) -> int:
    """Bytes, of `80GiB`, `24GB`, ...

    Raises:
        ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]i?B)", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory: write it as 80GiB")
    kilo = 1024 if "i" in found[2] else 1000
    return int(float(found[1]) * kilo ** (" MGT".index(found[2][0]) + 1))


def device_count(text: str) -> int:
    """A count of devices, from 1 to 1024.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1024")
    return value


def whole_number(text: str) -> int:
    """A whole number from 0 on.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value <= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 1000000000")
    return value
