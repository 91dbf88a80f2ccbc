"""Count the characters that a tokenizer loses, and find how many characters the first tokens of a
text encode.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hyperfitting.errors import DataError, ModelError
from hyperfitting.facts import CharacterFacts
from hyperfitting.records import Codec, Document

_KINDS = {
    "L": "letters",
    "M": "marks",
    "N": "digits",
    "P": "punctuation",
    "S": "symbols",
    "Z": "white space",
}
_SHOWN, _MEASURED, _BEGINNING = 5, 100, 20_000


@dataclass
class Losses:
    """Counts of the characters that texts lose or gain when they are encoded and decoded.

    Both are compared in normal form NFC, so a tokenizer that composes accents loses nothing. White
    space counts like any other character; leading spaces, tabs and carriage returns are lost most
    often.
    """

    texts: int = 0
    changed: int = 0
    characters: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, decoded: str) -> None:
        """Count one text and its decoded ids."""
        if text != decoded:
            text, decoded = (
                unicodedata.normalize("NFC", each) for each in (text, whole_characters(decoded))
            )
        self.texts += 1
        self.changed += text != decoded
        self.characters += len(text)
        if text != decoded:
            before, after = Counter(text), Counter(decoded)
            self.lost += before - after
            self.added += after - before

    def __add__(self, other: Losses) -> Losses:
        """The losses of both."""
        return Losses(
            self.texts + other.texts,
            self.changed + other.changed,
            self.characters + other.characters,
            self.lost + other.lost,
            self.added + other.added,
        )

    @property
    def share(self) -> float:
        """Lost characters divided by all characters, in [0, 1]."""
        return self.lost.total() / max(1, self.characters)

    def in_words(self) -> str:
        """The share and the most frequent ones of the lost characters, for messages."""
        named = ", ".join(f"{each!r} {count:,}" for each, count in self.lost.most_common(_SHOWN))
        return (
            f"{self.share:.2%} of {self.characters:,} characters ({named})"
            if named
            else "no characters"
        )

    def facts(self) -> CharacterFacts:
        """Counts for the manifest: texts changed, characters lost and added, by kind and the most
        frequent ones.
        """
        return CharacterFacts(
            texts=self.texts,
            texts_changed=self.changed,
            characters=self.characters,
            lost=self.lost.total(),
            lost_share=self.share,
            lost_by_kind=_by_kind(self.lost),
            lost_most=dict(self.lost.most_common(20)),
            added=self.added.total(),
            added_by_kind=_by_kind(self.added),
        )


def _by_kind(counts: Counter[str]) -> dict[str, int]:
    return dict(Counter(map(_kind, counts.elements())).most_common())


def _kind(each: str) -> str:
    return "white space" if each.isspace() else _KINDS.get(unicodedata.category(each)[0], "other")


def losses_of(documents: Sequence[Document], codec: Codec) -> Losses:
    """The losses of a tokenizer on the beginnings of a source's first documents."""
    losses = Losses()
    for document in documents[:_MEASURED]:
        text = document.text[:_BEGINNING]
        with row_named(document):
            losses.add(text, codec.decode(codec.encode(text)))
    return losses


def refuse_losses(losses: Losses, source: str, name: str, allowed: float) -> None:
    """Refuse a set if the tokenizer loses more than the share `allowed` of its characters.

    Raises:
        DataError: names the set, the share, the characters and the setting.
    """
    if losses.share > allowed:
        raise DataError(
            f"{source}: the set {name!r}: the model's tokenizer loses {losses.in_words()}: choose "
            "a model that knows them, correct the texts, or raise data.lost_characters = "
            f"{allowed:g}"
        )


@contextmanager
def row_named(document: Document) -> Iterator[None]:
    """Context manager: an error of the codec names the document's row.

    Raises:
        DataError: instead of the codec's ModelError.
    """
    try:
        yield
    except ModelError as error:
        raise DataError(f"{document.source}, row {document.row}: {error}") from error


def whole_characters(decoded: str) -> str:
    """A decoded text without the incomplete character that its last token may hold."""
    return decoded.rstrip("\N{REPLACEMENT CHARACTER}")


def reach(codec: Codec, text: str, ids: Sequence[int], encoded: Sequence[int]) -> int:
    """The number of characters of `text` that its first tokens `ids` encode.

    `encoded` are all ids of `text`, or at least more than `ids`. If decoding `ids` does not give a
    prefix of the text, the result is the longest prefix that has no more tokens.
    """
    if len(ids) >= len(encoded):
        return len(text)
    shown = whole_characters(codec.decode(ids))
    if shown and text.startswith(shown):
        return len(shown)
    low, high = 0, max(1, len(shown))
    while high < len(text) and len(codec.encode(text[:high])) <= len(ids):
        low, high = high, 2 * high
    high = min(high, len(text) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if len(codec.encode(text[:middle])) <= len(ids):
            low = middle
        else:
            high = middle
    return low
