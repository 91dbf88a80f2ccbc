"""Markup that a text loses before annotators read it, and the marks that are made alike.

Every mark is recognised by its name or its form as a whole: an element that HTML has, an entity
with its semicolon, a pair of asterisks. What only looks like the beginning of one stays, and so do
white space and indentation. Each character that is left knows its place in the text as it was
written, so that a text can be cut after it was cleaned, and what it lost can be counted.
"""

from __future__ import annotations

import html
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import regex

Clean = Literal["markup", "nothing"]
"""What a text loses: `nothing`, or markup and traces of typesetters."""


@dataclass(frozen=True)
class CleanText:
    """A text without its markup. `places`: of each character, its index in the text as written."""

    text: str
    places: list[int]

    def length_before(self, place: int) -> int:
        """How many characters are left of the first `place` characters as written."""
        return bisect_left(self.places, place)


_Replacement = str | Callable[["regex.Match[str]"], str]


@dataclass(frozen=True)
class _Rule:
    """What is replaced by what; where the pattern has a group `kept`, by this part of it."""

    pattern: regex.Pattern[str]
    instead: _Replacement

    def apply(self, found: CleanText) -> CleanText:
        parts, places, end = [], list[int](), 0
        for match in self.pattern.finditer(found.text):
            start, stop = match.span("kept") if "kept" in self.pattern.groupindex else (0, 0)
            instead = self.instead if isinstance(self.instead, str) else self.instead(match)
            parts += [found.text[end : match.start()], found.text[start:stop], instead]
            places += found.places[end : match.start()] + found.places[start:stop]
            places += [found.places[match.start()]] * len(instead)
            end = match.end()
        if not parts:
            return found
        return CleanText("".join([*parts, found.text[end:]]), places + found.places[end:])


def _rule(pattern: str, instead: _Replacement = "") -> _Rule:
    return _Rule(regex.compile(pattern, regex.V1 | regex.M), instead)


_LINES = r"br|p|div|li|tr|h[1-6]"
_TEXT = (
    rf"{_LINES}|html|head|body|title|script|style|section|article|header|footer|main|nav|aside|span"
    r"|a|b|i|u|s|q|em|strong|small|big|sub|sup|mark|del|ins|strike|font|center|tt|code|pre|kbd|samp"
    r"|var|cite|abbr|dfn|ul|ol|dl|dt|dd|table|thead|tbody|tfoot|td|th|caption|blockquote|hr|wbr"
    r"|figure|figcaption|noscript|nobr|ruby|rt|rp"
)
"""Elements of text. Others also are ordinary words, so they count only with attributes."""
_ALL = (
    rf"{_TEXT}|address|area|audio|base|button|canvas|col|colgroup|data|datalist|details|dialog"
    r"|embed|fieldset|form|iframe|img|input|label|legend|link|map|meta|meter|object|optgroup"
    r"|option|output|param|picture|progress|select|slot|source|summary|svg|template|textarea"
    r"|time|track|video"
)
_VALUE = r"""(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
_ATTRIBUTE = (
    rf"(?:\s+(?:[a-z_:][\w:.-]*\s*=\s*{_VALUE}"
    r"|async|checked|controls|defer|disabled|hidden|multiple|nowrap|open|readonly|required"
    r"|selected))"
)
_CUT_ATTRIBUTE = r"""(?:\s+[a-z_:][\w:.-]*\s*=\s*(?:"[^"<>]*|'[^'<>]*|[^\s"'<>=]*))"""
_WITH_PARTNER = r"(?:(?<!\w)|(?=<(?:br|hr|wbr)\b)|(?=<(\w+)\s*/?>(?s:.*)</\1\s*>))"
"""A tag right after a letter, as in `a<b>c` or `List<Title>`, needs its partner."""

_LINE_TAG = (
    rf"(?:{_WITH_PARTNER}<(?:{_LINES})\s*/?>|<(?:{_LINES}){_ATTRIBUTE}+\s*/?>|</(?:{_LINES})\s*>)"
)
_TEXT_TAG = rf"{_WITH_PARTNER}<(?:{_TEXT})\s*/?>|<(?:{_ALL}){_ATTRIBUTE}+\s*/?>|</(?:{_ALL})\s*>"
_MARKUP = (
    _rule(r"\r\n?", "\n"),
    _rule(
        rf"(?i)(?<!\s)\s*+(?:{_LINE_TAG}\s*)+",
        lambda match: "\n\n" if match[0].count("<") > 1 else "\n",
    ),
    _rule(rf"(?i){_TEXT_TAG}"),
    _rule(rf"(?i)(?<!\w)</?(?:{_ALL}){_ATTRIBUTE}*{_CUT_ATTRIBUTE}?\s*\Z"),
    _rule(r" ?<unk>"),
    _rule(
        r"&(?:#\d{1,7}|#[xX][\dA-Fa-f]{1,6}|[A-Za-z][A-Za-z\d]{1,31});",
        lambda match: html.unescape(match[0]),
    ),
    # Wiki and Markdown links, one that the end of the text cuts off, and addresses
    _rule(r"(?<!\w)\[\[(?=[\p{L}:#])(?:[^\[\]\n]*\|)?(?P<kept>[^\[\]|\n]*)\]\]"),
    _rule(r"(?<!\w)\[\[(?=[\p{L}:#])(?:[^\[\]\n]*\|)?(?P<kept>[^\[\]|\n]*)\Z"),
    _rule(r"(?<!\w)!?\[(?P<kept>[^\[\]\n]*)\]\((?=[^()\s]*[/.#])[^()\s]*\)"),
    _rule(r"[ \t]?\b(?:https?://|www\.)[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]"),
    # Headings, quotations and lists; emphasis in pairs, but not Python's __init__
    _rule(r"^ {0,3}(?:(?:#{1,6}|>|\*)[ \t]+(?=\S))+"),
    _rule(r"^[ \t]*={2,6}[ \t]*(?P<kept>[^=\s].*?)[ \t]*={2,6}[ \t]*$"),
    _rule(r"^[ \t]*(?:=[ \t]+)+(?P<kept>[^=\s].*?)(?:[ \t]+=)+[ \t]*$"),
    _rule(r"'''(?=\S)(?P<kept>[^\n]*?\S)'''"),
    _rule(r"(?<![\w*])(\*{1,3})(?=[^\s*])(?P<kept>[^\n]+?)(?<=[^\s*])\1(?![\w*])"),
    _rule(r"(?<!\w)(_{2,3})(?=[^\s_])(?!\w+__(?!\w))(?P<kept>[^\n]+?)(?<=[^\s_])\1(?!\w)"),
    _rule(r"(?<!\w)_(?=[^\s_])(?P<kept>[^_\n]+?)(?<=\S)_(?!\w)"),
    _rule(r" @(?P<kept>[-,.])@ "),  # WikiText's way of writing 1,000 and well-known
    _rule(r"(?<=``[^`\n]*)''", '"'),
    _rule(r'``(?=[^`\n]*")', '"'),
)
_ALIKE = dict.fromkeys("“”„«»", '"') | dict.fromkeys("‘’‚´", "'")
_ALIKE |= dict.fromkeys("—–‑", "-") | {"…": "...", "\u00a0": " "}
_TYPOGRAPHY = (
    _rule(f"[{''.join(_ALIKE)}]", lambda match: _ALIKE[match[0]]),
    # Control characters and what cannot be shown; but joiners and marks of direction belong to
    # the spelling of many languages
    _rule(
        r"[[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\uFFFD]--[\n\t\u061c\u200c-\u200f\u2066-\u2069"
        r"\U000E0020-\U000E007F]]"
    ),
)
_TOKENIZED = (
    _rule(r"(?<=\S)[ \t]+", " "),
    _rule(r" (?=[,.;:!?)\]])(?![.]\d)"),
    _rule(r"(?<=[(\[]) "),
    _rule(r" (?='(?:s|t|re|ve|ll|d|m)\b)"),
    _rule(r" *\n *", "\n"),
)
_COMMA = regex.compile(r"(\s?),(?=\s)")
_LEAST_COMMAS = 5


def clean_text(raw: str, clean: Clean, *, tokenized: bool = False) -> CleanText:
    """A text without markup and control characters, and with one kind of quotes and dashes.

    With `tokenized`, the spaces are removed that a tokenizer set around punctuation. With
    `nothing`, the text is as it was written.
    """
    found = CleanText(raw, list(range(len(raw))))
    if clean == "nothing":
        return found
    for rule in (*_MARKUP, *_TYPOGRAPHY, *(_TOKENIZED if tokenized else ())):
        found = rule.apply(found)
    return found


def is_word_tokenized(texts: list[str]) -> bool:
    """Whether a tokenizer set spaces around the punctuation of these texts, as in WikiText: nearly
    every comma stands between two.
    """
    before = [match[1] != "" for text in texts for match in _COMMA.finditer(text)]
    return len(before) >= _LEAST_COMMAS and sum(before) >= 0.9 * len(before)
