"""Texts as annotators see them: truncated to the same number of tokens, and normalised.

Both texts of a comparison end after the same number of tokens, at the last place where neither ends
inside a word. If the context ends inside a word, the beginning of this word moves to both texts.
Traces of tokenizers, scrapers and typesetters (HTML, entities, wiki and Markdown marks, typographic
quotes, repeated white space) are removed or unified in all texts and in the context. Without that,
quotation marks could reveal a model that was trained on plain text.
"""

from __future__ import annotations

import html
import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from hyperfitting.records import Continuation


@dataclass(frozen=True)
class TruncatedText:
    """A text as it is shown, its number of tokens, and their type-token ratio."""

    text: str
    tokens: int
    ttr: float


def truncate_alike(
    texts: Sequence[Continuation], at_most: int | None, *, begun: str = ""
) -> list[TruncatedText] | None:
    """Truncate texts to the largest number of tokens at which none of them ends inside a word.

    Args:
        texts: the continuations of one context.
        at_most: most tokens of each text; None: the length of the shortest.
        begun: the beginning of a word in which the context ends, shown before every text and not
            counted.

    Returns:
        The texts, all with the same `tokens`; None if there is no such number.
    """
    ends = set.intersection(*(_ends(text) for text in texts))
    fitting = [end for end in ends if at_most is None or end <= at_most]
    return [_truncated(text, max(fitting), begun) for text in texts] if fitting else None


def _truncated(text: Continuation, tokens: int, begun: str) -> TruncatedText:
    ids = text.ids[:tokens]
    return TruncatedText(
        normalise(begun + "".join(text.pieces[:tokens])), tokens, len(set(ids)) / tokens
    )


def unfinished_word(context: str, texts: Sequence[Continuation]) -> str:
    """The beginning of a word in which a context ends, as the texts show that continue it; else an
    empty text.
    """
    if not any(_is_word_character(text.text[0]) for text in texts if text.text):
        return ""
    place = len(context)
    while place and _is_word_character(context[place - 1]):
        place -= 1
    return context[place:]


def _ends(text: Continuation) -> set[int]:
    """The numbers of tokens after which a text does not end inside a word."""
    whole, finished = text.text, text.ended == "end_of_text"
    places = itertools.accumulate(map(len, text.pieces))
    return {
        n
        for n, place in enumerate(places, start=1)
        if not _inside_a_word(whole, place, finished=finished)
    }


def _inside_a_word(text: str, place: int, *, finished: bool) -> bool:
    if place == 0 or not _is_word_character(text[place - 1]):
        return False
    return _is_word_character(text[place]) if place < len(text) else not finished


def _is_word_character(letter: str) -> bool:
    """Letters, digits, combining marks, the joiners ZWJ and ZWNJ, and punctuation that stands
    inside words.
    """
    kept = "'’_-\N{REPLACEMENT CHARACTER}\u200c\u200d"
    return letter.isalnum() or letter in kept or unicodedata.category(letter).startswith("M")


_ALIKE = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "‘": "'",
        "’": "'",
        "‚": "'",
        "`": "'",
        "´": "'",
    }
    | {
        "…": "...",
        "—": "-",
        "–": "-",
        "‑": "-",
        "\u00ad": "",
        "\u00a0": " ",
        "\N{REPLACEMENT CHARACTER}": "",
    }
)
_MARKUP = (
    (re.compile(r"</?(?:br|p|div|li|h[1-6])\b[^<>]*>", re.I), "\n"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), ""),  # HTML
    (re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),  # a wiki link
    (re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)"), r"\1"),  # a Markdown link
    (re.compile(r"(?:https?://|www\.)\S+"), ""),
    (
        re.compile(r"^[ \t]*(?:(?:#{1,6}|>|[*+]|={1,6})[ \t]+)+", re.M),
        "",
    ),  # headings, quotations, lists
    (re.compile(r"^[ \t]*={2,6}(.*?)={2,6}[ \t]*$", re.M), r"\1"),
    (re.compile(r"(?:[ \t]+={1,6})+[ \t]*$", re.M), ""),
    (re.compile(r"(?<!\w)(\*{1,3}|_{2,3})(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),  # emphasis
    (re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r" @([-,.])@ "), r"\1"),  # WikiText's way of writing 1,000 and well-known
    # Halves of pairs that truncation left, and marks without a pair
    (
        re.compile(
            r"<unk>|<[a-zA-Z/][^<>]{0,200}$|\[\[(?:[^\[\]|\n]*\|)?|\]\]|(?<!\*)\*{2,3}(?!\*)|'{3}"
        ),
        "",
    ),
    (re.compile(r"``|''"), '"'),
)
_SPACES = (
    (re.compile(r"[ \t\f\v]+"), " "),
    (re.compile(r" (?=[,.;:!?)\]])(?![.]\d)"), ""),  # tokenized text has a space before every stop
    (re.compile(r"(?<=[(\[]) "), ""),
    (re.compile(r" (?='(?:s|t|re|ve|ll|d|m)\b)"), ""),
    (re.compile(r" *\n *"), "\n"),
    (re.compile(r"\n{2,}"), "\n\n"),
)


def normalise(text: str) -> str:
    """A text without markup, control characters, traces of its tokenizer, and white space at its
    ends.

    Empty lines between paragraphs and single line breaks stay. Quotes, dashes and spaces of every
    kind become ASCII.
    """
    text = (
        html.unescape(unicodedata.normalize("NFC", text)).replace("\r\n", "\n").replace("\r", "\n")
    )
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    text = "".join(
        letter for letter in text.translate(_ALIKE) if letter in "\n\t" or _is_shown(letter)
    )
    for pattern, instead in _SPACES:
        text = pattern.sub(instead, text)
    return text.strip()


def _is_shown(letter: str) -> bool:
    """False for control characters and those that only set the direction or joining of others."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs", "Cn")
