"""What cannot be divided in a text: a word, or a character where a script sets no spaces.

Texts end, and are shuffled, between these units (door to regex: scripts and graphemes as Unicode
defines them).
"""

from __future__ import annotations

from random import Random

import regex

_SPACELESS = "".join(
    rf"\p{{scx={script}}}"
    for script in ("Han", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt")
)
# Punctuation that stands inside words, what stands for half a character, and the joiners ZWNJ, ZWJ
_IN_WORDS = rf"[[\p{{L}}\p{{N}}\p{{M}}'’_\-\uFFFD\u200c\u200d]--[{_SPACELESS}]]"
_UNIT = regex.compile(rf"{_IN_WORDS}+|\X", regex.V1)
_OPEN_END = regex.compile(
    rf"(?:{_IN_WORDS}|[[\p{{L}}\p{{M}}]&&[{_SPACELESS}]--[\p{{Han}}\p{{Hira}}\p{{Kana}}]])\Z",
    regex.V1,
)
_WORD = regex.compile(rf"(?=[{_SPACELESS}])\X|(?:(?![\s{_SPACELESS}])\X)+", regex.V1)


def unit_ends(text: str) -> list[int]:
    """The places in a text where a unit ends, in order."""
    return [match.end() for match in _UNIT.finditer(text)]


def may_go_on(text: str) -> bool:
    """Whether the last unit of a text might be unfinished, were the text cut off there."""
    return _OPEN_END.search(text) is not None


def shuffled_units(text: str, random: Random, *, fewest: int) -> str | None:
    """A text with its words in random order; where a script sets no spaces, its characters.

    White space stays where it is. None for a text with less than `fewest` different words.
    """
    words = _WORD.findall(text)
    if len(set(words)) < fewest:
        return None
    mixed = list(words)
    while mixed == words:
        random.shuffle(mixed)
    instead = iter(mixed)
    return str(_WORD.sub(lambda _: next(instead), text))
