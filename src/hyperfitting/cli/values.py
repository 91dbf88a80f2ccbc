"""Values of options, from text."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hyperfitting.errors import InputError


def memory_option(text: str) -> int:
    """Bytes, of `80GiB`, `24GB`, ...

    Raises:
        ArgumentTypeError: it is none.
    """
    from hyperfitting import recipe

    try:
        return recipe.memory_size(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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


def a_name(text: str) -> str:
    """A name that is not empty, as of a script's variable that is not set.

    Raises:
        ArgumentTypeError: it is.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: give a name")
    return text
