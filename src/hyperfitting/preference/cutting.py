"""Texts as annotators see them: cut to the same number of tokens, and stripped of what would tell the sides apart.

Both texts of a comparison end after the same number of tokens, at the last place where neither breaks off inside a
word. A word that the context breaks off in is shown whole: its beginning goes over to both texts. What tokenizers,
scrapers and typesetters leave behind (HTML, entities, wiki and Markdown marks, typographic quotes, runs of white space)
is taken off or made alike in all texts, the context among them: a model that has learnt plain text would otherwise be
known by its quotation marks.
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
class Cut:
    """A text as it is shown, the tokens that it was cut to, and their type-token ratio."""

    text: str
    tokens: int
    ttr: float


def cut_alike(
    texts: Sequence[Continuation], at_most: int | None, *, begun: str = ""
) -> list[Cut] | None:
    """Cut texts to the largest number of tokens that all of them have without a half word at the end.

    Args:
        texts: the continuations of one context.
        at_most: tokens that no text may be longer than; none: as long as the shortest.
        begun: the beginning of a word that the context breaks off in, shown in front of every text; no token counts.

    Returns:
        One cut a text, all of the same `tokens`; none if there is no such number.
    """
    ends = set.intersection(*(_ends(text) for text in texts))
    fitting = [end for end in ends if at_most is None or end <= at_most]
    return [_cut(text, max(fitting), begun) for text in texts] if fitting else None


def _cut(text: Continuation, tokens: int, begun: str) -> Cut:
    ids = text.ids[:tokens]
    return Cut(plain(begun + "".join(text.pieces[:tokens])), tokens, len(set(ids)) / tokens)


def begun_word(context: str, texts: Sequence[Continuation]) -> str:
    """The end of a context that is only the beginning of a word, judged by what follows in any of the texts."""
    if not any(_in_words(text.text[0]) for text in texts if text.text):
        return ""
    place = len(context)
    while place and _in_words(context[place - 1]):
        place -= 1
    return context[place:]


def _ends(text: Continuation) -> set[int]:
    """The numbers of tokens after which a text does not break off inside a word."""
    whole, finished = text.text, text.ended == "end_of_text"
    places = itertools.accumulate(map(len, text.pieces))
    return {
        n
        for n, place in enumerate(places, start=1)
        if not _inside_a_word(whole, place, finished=finished)
    }


def _inside_a_word(text: str, place: int, *, finished: bool) -> bool:
    if place == 0 or not _in_words(text[place - 1]):
        return False
    return _in_words(text[place]) if place < len(text) else not finished


def _in_words(letter: str) -> bool:
    """Letters, digits, all combining marks, the joiners ZWJ and ZWNJ, and what stands inside words."""
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
    # What a cut has left of a pair, and what has no pair
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


def plain(text: str) -> str:
    """A text without markup, control characters and the traces of its tokenizer, white space at its ends taken off.

    Paragraphs stay apart by an empty line, single line breaks as they are. Quotes, dashes and spaces of every
    kind become the plainest of theirs.
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
    """Neither a control character nor one that only steers the direction or joining of others."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs", "Cn")
