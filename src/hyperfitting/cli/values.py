"""Values of options, from text."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable


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


def whole_number(
    least: int = 0, most: int = 10**9, what: str = "a whole number"
) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` to `most`; its errors call that
    `what`.
    """

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least} to {most}")
        return value

    return parse
