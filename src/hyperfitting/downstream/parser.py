"""The text of an answer -> which choice it names, by stated rules. What they do not read is
unparsed, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PARSER_VERSION = 2
"""Goes up with every change of the rules: answers read by other rules are not mixed."""

_OPENING = re.compile(
    r"(?:so,?\s+|therefore,?\s+)?(?:the\s+)?(?:(?:best|correct|right|final)\s+)?"
    r"(?:answer|option|choice)\b\s*(?:is|would be)?\s*:?\s*(?:option|choice)?\s*",
    re.I,
)
_AROUND = " \t\n\"'`*_([{<"
_INSIDE = re.compile(r"\w|[+#%&@=^~\\]|['’-]\w|\.\w\b")
"""What goes on with the word or sign that a label stands in: `C++`, `D'accord`, `B-cell`, `D.C.`"""
_LONGER_NUMBER = re.compile(r"\s?(?:%|[.,/:^*+-]\s?\d)")
_GOES_ON = re.compile(
    r"[^\S\n]+(?!(?:because|since|as|is|are|was|were|it|this|that|these|those|they|he|she|the)\b)"
    r"\w",
    re.I,
)
"""A word after the text of a choice that does not begin a reason: `No idea`."""
_EITHER = re.compile(r"[\s)\]}>*\"'`_]*(?:,?\s*or\b|/)", re.I)
_AND = re.compile(r"[\s)\]}>*\"'`_]*(?:[,;&]|and\b)\s*(?:and\b)?", re.I)


def parse_answer(text: str, labels: Sequence[str], choices: Sequence[str]) -> int | None:
    """The number of the choice that an answer names, or None.

    The rules, in this order:

    1. White space, quotation marks, brackets and asterisks at the beginning are left out, and then,
       at most twice, an opening such as "The correct answer is", with what follows it of the same
       marks.
    2. A label (`A`, `B`, ...), in capitals, is the answer if it is a word of its own: `C++` and
       `D'accord` are others. `A` and `I` before a space and a letter are an article and a pronoun,
       unless the text of their choice follows.
    3. Otherwise the text of a choice is the answer, in any case, if the answer begins with it and
       its word or number ends there, as 1 does not in `1.5`; of several the longest, and none if
       two choices are equal. Another word may follow only as the beginning of a reason (`because`,
       `it`, `is`, ...), as in `No idea` it does not.
    4. A label or text before "or" or "/" is no answer, nor one that another label or text follows
       after a comma or "and", or at the beginning of a later line, as in a copy of the question.
    5. Everything else is unparsed.
    """
    rest = _unwrapped(text)
    found, after, is_label = _named(rest, labels, choices)
    if found is None or (not is_label and _GOES_ON.match(after)):
        return None
    return None if _has_others(after, found, labels, choices) else found


def _unwrapped(text: str) -> str:
    rest = text.lstrip(_AROUND)
    for _ in range(2):
        if opening := _OPENING.match(rest):
            rest = rest[opening.end() :].lstrip(_AROUND)
    return rest


def _named(
    text: str, labels: Sequence[str], choices: Sequence[str]
) -> tuple[int | None, str, bool]:
    """The choice that a text begins with, what follows it, and whether it is named by its label."""
    for number, label in enumerate(labels):
        if text.startswith(label) and _is_label(text[len(label) :], label, choices[number]):
            return number, text[len(label) :], True
    found, size = _named_choice(text, choices)
    folded = text.casefold()
    return found, (text if len(text) == len(folded) else folded)[size:], False


def _is_label(after: str, label: str, choice: str) -> bool:
    if _INSIDE.match(after):
        return False
    may_be_a_word = label in ("A", "I") and re.match(r"\s+[^\W\d]", after) is not None
    return not may_be_a_word or _begins(after.lstrip(), choice)


def _begins(text: str, choice: str) -> bool:
    start, folded = choice.strip().casefold(), text.casefold()
    after = folded[len(start) :]
    if not folded.startswith(start) or after[:1].isalnum():
        return False
    return not (start[-1:].isdigit() and _LONGER_NUMBER.match(after))


def _named_choice(text: str, choices: Sequence[str]) -> tuple[int | None, int]:
    sizes = [len(choice.strip().casefold()) for choice in choices]
    found = [number for number, choice in enumerate(choices) if _begins(text, choice)]
    longest = max((sizes[number] for number in found), default=0)
    named = [number for number in found if sizes[number] == longest]
    return (named[0], longest) if len(named) == 1 else (None, 0)


def _has_others(after: str, found: int, labels: Sequence[str], choices: Sequence[str]) -> bool:
    """Whether what follows an answer puts another beside it."""
    if _EITHER.match(after):
        return True
    begins = [each.end() for each in [_AND.match(after)] if each]
    begins += [each.end() for each in re.finditer(r"\n", after)]
    others = (_named(after[each:].lstrip(_AROUND), labels, choices)[0] for each in begins)
    return any(other not in (None, found) for other in others)
