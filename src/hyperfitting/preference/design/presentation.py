"""Texts as annotators see them: cleaned as the protocol says, and cut to the same number of tokens.

Both texts of a comparison end after the same number of tokens that still show something, at the
last place where neither ends inside a word. Where a script sets no spaces, a text may end between
any two characters. If the context ends inside a word, the beginning of this word moves to both
texts.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hyperfitting.preference.design.cleaning import Clean, CleanText, clean_text
from hyperfitting.preference.design.units import may_go_on, unit_ends
from hyperfitting.records import Continuation


@dataclass(frozen=True)
class PresentedText:
    """A text as it is shown, and how many characters of it cleaning removed and replaced."""

    text: str
    removed: int
    replaced: int


@dataclass(frozen=True)
class Presentation:
    """How texts are shown: what they lose, and whether a tokenizer set spaces around their
    punctuation.
    """

    clean: Clean = "markup"
    tokenized: bool = False

    def cleaned(self, raw: str) -> CleanText:
        """A text without what it loses."""
        return _cleaned(raw, self)

    def present(self, raw: str, end: int | None = None, *, indented: bool = True) -> PresentedText:
        """The first `end` characters of a text, as far as cleaning leaves them; None: all.

        `indented`: white space before its first line is indentation.
        """
        end, clean = len(raw) if end is None else end, self.cleaned(raw)
        left = clean.length_before(end)
        text, places = clean.text[:left], clean.places[:left]
        replaced = {
            place for letter, place in zip(text, places, strict=True) if raw[place] != letter
        }
        composed = text if self.clean == "nothing" else unicodedata.normalize("NFC", text)
        return PresentedText(trim(composed, indented), end - len(set(places)), len(replaced))


@lru_cache(maxsize=256)  # the texts of a context are shown in several pairs, one after the other
def _cleaned(raw: str, presentation: Presentation) -> CleanText:
    return clean_text(raw, presentation.clean, tokenized=presentation.tokenized)


@dataclass(frozen=True)
class TruncatedText:
    """A text as it is shown, its number of tokens, and their type-token ratio."""

    presented: PresentedText
    tokens: int
    ttr: float

    @property
    def text(self) -> str:
        """The text as it is shown."""
        return self.presented.text


def truncate_alike(
    texts: Sequence[Continuation],
    at_most: int | None,
    *,
    begun: str = "",
    presentation: Presentation | None = None,
    indented: bool = False,
) -> list[TruncatedText] | None:
    """Clean texts, and cut them to the largest number of tokens at which none ends inside a word.

    Tokens of which cleaning leaves nothing but white space do not count.

    Args:
        texts: the continuations of one context.
        at_most: most tokens of each text; None: the length of the shortest.
        begun: the beginning of a word in which the context ends, shown before every text and not
            counted.
        presentation: how they are shown; None: without markup.
        indented: the context ends with a line, so that white space at their beginning is
            indentation.

    Returns:
        The texts, all with the same `tokens`; None if there is no such number.
    """
    tokenized = [_ShownTokens(text, begun, presentation or Presentation()) for text in texts]
    common = set.intersection(*(set(text.ends()) for text in tokenized))
    fitting = [count for count in common if at_most is None or count <= at_most]
    if not fitting:
        return None
    return [text.cut(max(fitting), indented=indented) for text in tokenized]


class _ShownTokens:
    """The tokens of a text but for those that cleaning leaves nothing of, white space aside."""

    def __init__(self, text: Continuation, begun: str, presentation: Presentation):
        self._raw, self._presentation = begun + text.text, presentation
        self._clean = presentation.cleaned(self._raw)
        self._finished = text.ended == "end_of_text"
        ends = itertools.accumulate(map(len, text.pieces), initial=len(begun))
        self._shown = [
            (id_, end)
            for id_, piece, (start, end) in zip(
                text.ids, text.pieces, itertools.pairwise(ends), strict=True
            )
            if not piece.strip() or self._clean.text[self._left(start) : self._left(end)].strip()
        ]

    def _left(self, place: int) -> int:
        return self._clean.length_before(place)

    def ends(self) -> list[int]:
        """The numbers of tokens after which the text does not end inside a word."""
        whole = self._clean.text
        places = {0, *unit_ends(whole)} - ({len(whole)} if self._goes_on(whole) else set())
        return [
            count
            for count, (_, end) in enumerate(self._shown, start=1)
            if self._left(end) in places
        ]

    def _goes_on(self, whole: str) -> bool:
        return not self._finished and may_go_on(whole)

    def cut(self, tokens: int, *, indented: bool) -> TruncatedText:
        """The first tokens that show something."""
        ids, ends = zip(*self._shown[:tokens], strict=True)
        presented = self._presentation.present(self._raw, ends[-1], indented=indented)
        return TruncatedText(presented, tokens, len(set(ids)) / tokens)


def trim(text: str, indented: bool) -> str:
    """A text without blank lines and white space at its ends. Indentation of its first line stays:
    white space of some width after a line's end, or at the beginning of one that is `indented`.
    """
    text = text.rstrip()
    lead = text[: len(text) - len(text.lstrip())]
    line = lead[lead.rfind("\n") + 1 :]
    kept = line if len(line) > 1 and (indented or "\n" in lead) else ""
    return kept + text[len(lead) :]


_NEXT = 40  # characters that say whether a word goes on
_INDENTATION = re.compile(r"(?<=\n)[ \t]+\Z")


def unfinished_word(context: str, texts: Sequence[Continuation]) -> str:
    """The beginning of a word in which a context ends, as the texts show that continue it; or the
    indentation of a line that they begin; else an empty text.
    """
    if indentation := _INDENTATION.search(context):
        return indentation[0]
    begun = ""
    for text in texts:
        ends = [0, *unit_ends(context + text.text[:_NEXT])]
        if len(context) not in ends:
            begun = max(begun, context[ends[bisect_left(ends, len(context)) - 1] :], key=len)
    return begun
