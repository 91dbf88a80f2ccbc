"""What a word is, in every script; the metrics of words, BLEU and the units of texts without a
tokenizer ask here.

Unicode texts are brought to NFC. A word goes on over combining marks (Mn, Mc, Me) and over the
joiners ZWJ and ZWNJ; other format characters (Cf: soft hyphens, marks of direction) are passed
over. Where a script sets no spaces, a unit is a character with its marks. Texts without any of
these have the words that `\\w+(?:'\\w+)*` finds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

_WITHOUT_SPACES = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x312F),  # ideographic iteration and numerals, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),  # Bopomofo and Katakana, extended
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA980, 0xA9FF),  # Javanese, Myanmar extended B
    (0xAA60, 0xAADF),  # Myanmar extended A, Tai Viet
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x11700, 0x1174F),  # Ahom
    (0x16FE0, 0x18DFF),  # ideographic symbols, Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana supplements, Nushu
    (0x20000, 0x3FFFF),  # Han, extensions B and on
)
"""Code points of scripts that write phrases without spaces; their letters and digits are units by
themselves.
"""

_WIDE_PUNCTUATION = (
    "\u3001-\u3004\u3008-\u3020\u3030\u303d-\u303f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
"""Of the texts in those scripts: units by themselves too, where all that is written counts."""

_ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = "\u200c\u200d"


def words(text: str) -> list[str]:
    """The words of a text in NFC, lower-cased: runs of letters, digits and underscores with the
    marks that they carry.

    Apostrophes inside them belong to them, and both (' and ’) count as the same; hyphens and all
    else part words. In scripts without spaces each character, with its marks, stands for a word.
    Unit: words. Source: the papers are silent on words; this is ours, near to Unicode's default
    word boundaries (UAX 29) but for these scripts.
    """
    text = text.replace("’", "'")
    if text.isascii():
        return [word.lower() for word in _ASCII_WORD.findall(text)]
    patterns = _patterns_for(text := _nfc(text))
    return [word.lower() for word in patterns.word.findall(_nfc(patterns.unseen.sub("", text)))]


def has_characters_apart(text: str) -> bool:
    """Whether any character of a text is of a script without spaces."""
    return not text.isascii() and bool(_patterns_for(text := _nfc(text)).character.search(text))


def has_no_spaces(text: str) -> bool:
    """Whether more than half of a text's words are characters of scripts without spaces."""
    if not has_characters_apart(text):
        return False
    held, character = words(text), _patterns(astral=True).character
    return 2 * sum(character.match(word) is not None for word in held) > len(held)


def spaced_pieces(text: str) -> list[tuple[str, str]]:
    """A text cut at white space, and around every character of scripts without spaces: (piece, what
    it shows).

    The pieces, each with the white space before it, join to the text but for white space at its
    end.
    """
    return (_ASCII_PIECE if text.isascii() else _patterns_for(text).piece).findall(text)


def characters_apart(text: str) -> str:
    """A text in NFC with a space on either side of every character of scripts without spaces, its
    marks included.

    So sacrebleu's 13a takes each for a token, as its `zh` does for Han. Other texts in NFC come
    back as they are.
    """
    text = _nfc(text)
    return " ".join(_patterns_for(text).apart.findall(text)) if has_characters_apart(text) else text


def characters_said(texts: Sequence[str], *, elsewhere: str) -> str:
    """That the units of texts are characters, and why; empty where none of them is in a script
    without spaces.

    `elsewhere` names the unit in scripts with spaces.
    """
    count = sum(map(has_no_spaces, texts))
    if not count:
        return ""
    rest = "" if count == len(texts) else f" there, {elsewhere} elsewhere"
    return f"characters{rest}, since {count} of {len(texts)} texts are in scripts without spaces"


_ASCII_WORD = re.compile(r"\w+(?:'\w+)*")
_ASCII_PIECE = re.compile(r"(\s*(\S+))")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class _Patterns(NamedTuple):
    word: re.Pattern[
        str
    ]  # a character of a script without spaces, or a run of letters and digits of others
    character: re.Pattern[str]  # one of a script without spaces
    piece: re.Pattern[str]  # white space, and such a character or what stands up to the next
    apart: re.Pattern[str]  # such a character, or what stands up to the next
    unseen: re.Pattern[str]  # format characters that leave a word what it is


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _patterns_for(text: str) -> _Patterns:
    return _patterns(bool(_ASTRAL.search(text)))


@cache
def _patterns(astral: bool) -> _Patterns:
    """With or without code points from U+10000 on: classes without them are several times as fast.

    Made when a text first needs them, as going through Unicode takes a tenth of a second.
    """
    points = [*range(0x20000), *range(0xE0000, 0xE0200)] if astral else range(0x10000)
    kinds = {point: unicodedata.category(chr(point)) for point in points}
    mark = _class(point for point, kind in kinds.items() if kind in ("Mn", "Mc", "Me")) + _JOINERS
    kept = _JOINERS + _ZERO_WIDTH_SPACE
    unseen = _class(
        point for point, kind in kinds.items() if kind == "Cf" and chr(point) not in kept
    )
    last = 0x3FFFF if astral else 0xFFFF
    ranges = (range(low, high + 1) for low, high in _WITHOUT_SPACES if high <= last)
    alone = _class(point for each in ranges for point in each if chr(point).isalnum())
    wide, space = alone + _WIDE_PUNCTUATION, rf"\s{_ZERO_WIDTH_SPACE}"
    run = rf"(?:[^\W{alone}]+[{mark}]*)+"
    return _Patterns(
        re.compile(f"[{alone}][{mark}]*|{run}(?:'{run})*"),
        re.compile(f"[{alone}]"),
        re.compile(f"([{space}]*([{wide}][{mark}]*|[^{wide}{space}]+))"),
        re.compile(f"[{wide}][{mark}]*|[^{wide}]+"),
        re.compile(f"[{unseen}]"),
    )


def _class(points: Iterable[int]) -> str:
    """The inside of a character class: ranges of the code points, which come in order."""
    runs = [
        [point for _, point in run]
        for _, run in groupby(enumerate(points), lambda pair: pair[1] - pair[0])
    ]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
