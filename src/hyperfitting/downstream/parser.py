"""The text of an answer -> which choice it names, by stated rules. What they do not read is
unparsed, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PARSER_VERSION = 1
"""Goes up with every change of the rules: answers read by other rules are not mixed."""

_OPENING = re.compile(
    r"(?:so,?\s+|therefore,?\s+)?(?:the\s+)?(?:(?:best|correct|right|final)\s+)?"
    r"(?:answer|option|choice)\b\s*(?:is|would be)?\s*:?\s*(?:option|choice)?\s*",
    re.I,
)
_AROUND = " \t\n\"'`*_([{<"


def parse_answer(text: str, labels: Sequence[str], choices: Sequence[str]) -> int | None:
    """The number of the choice that an answer names, or None.

    The rules, in this order:

    1. White space, quotation marks, brackets and asterisks at the beginning are left out, and then
       an opening such as "The correct answer is", with what follows it of the same marks.
    2. A label (`A`, `B`, ...), in capitals, is the answer if no letter or digit follows. `A` before
       a space and a small letter is an article, unless the text of choice A follows.
    3. Otherwise the text of a choice is the answer, in any case, if the answer begins with it and
       no letter or digit follows; of several the longest, and none if two choices are equal.
    4. Everything else is unparsed.
    """
    rest = _unwrapped(text)
    for number, label in enumerate(labels):
        if _begins(rest, label) and not _is_article(rest, label, choices[number]):
            return number
    return _named_choice(rest, choices)


def _unwrapped(text: str) -> str:
    rest = text.lstrip(_AROUND)
    found = _OPENING.match(rest)
    return rest[found.end() :].lstrip(_AROUND) if found else rest


def _begins(text: str, start: str) -> bool:
    return text.startswith(start) and not text[len(start) : len(start) + 1].isalnum()


def _is_article(text: str, label: str, choice: str) -> bool:
    after = text[len(label) :]
    is_word = label == "A" and re.match(r"\s+[a-z]", after) is not None
    return is_word and not _begins(after.lstrip().casefold(), choice.strip().casefold())


def _named_choice(text: str, choices: Sequence[str]) -> int | None:
    folded = [choice.strip().casefold() for choice in choices]
    found = [number for number, choice in enumerate(folded) if _begins(text.casefold(), choice)]
    longest = max((len(folded[number]) for number in found), default=0)
    named = [number for number in found if len(folded[number]) == longest]
    return named[0] if len(named) == 1 else None
