"""Texts that are shown begin and end with whole words, wherever a context or a text was cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hyperfitting.records import Continuation

_WORD_CHARACTERS = 30
"""A longer run of letters is of a script without spaces."""


def word_in_two(context: str, texts: Sequence[str]) -> str:
    """The beginning of a word at the end of a context, which one of the texts goes on with; empty
    where no word is in two. Readers see it with the texts.
    """
    end = re.search(r"\w+$", context)
    goes_on = any(re.match(r"\w", text) for text in texts)
    return end[0] if end and goes_on and len(end[0]) <= _WORD_CHARACTERS else ""


def whole_words(pieces: Sequence[str]) -> int:
    """How many pieces of a text that was ended by its length are whole words. The last word may be
    cut; all are kept where no word begins shortly before the end.
    """
    kept, cut = len(pieces), ""
    while kept and len(cut) <= _WORD_CHARACTERS:
        cut = pieces[kept - 1] + cut
        if not cut[-1:].isalnum():
            return len(pieces)
        if cut[:1].isspace():
            return kept - 1
        kept -= 1
    return len(pieces)


def shown_pieces(text: Continuation, begun: str) -> list[str]:
    """What is shown of a text: the beginning of its first word, its pieces up to the last whole
    word, and a sign where it was cut.
    """
    kept = whole_words(text.pieces) if text.ended == "length" else len(text.pieces)
    return [begun, *text.pieces[:kept], " ..." if kept < len(text.pieces) else ""]
