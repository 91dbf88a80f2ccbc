"""One long text as many blocks: stretches, which belong to one set, cut into passages that do not
overlap.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from hyperfitting.data.lost_characters import reach, whole_characters
from hyperfitting.records import Codec, Document

_BLANK_LINES, _LINES, _SPACE = map(re.compile, (r"\n[^\S\n]*\n\s*", r"\n\s*", r"\s*"))


@dataclass(frozen=True)
class Stretch:
    """Consecutive characters of one document, from `start` to `end`, that belong to one set.

    `heading` is that of its chapter, if the recipe has a pattern for headings. `group` is the
    cluster of its passages.
    """

    document: Document
    start: int
    end: int
    group: str
    heading: str = ""

    @property
    def characters(self) -> int:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Passage:
    """One block of a stretch: its ids, beginning-of-text included, and the characters that they
    encode.
    """

    stretch: Stretch
    number: int
    start: int
    end: int
    ids: list[int]

    @property
    def characters(self) -> int:
        """The number of the document's characters that it encodes."""
        return self.end - self.start

    @property
    def document(self) -> Document:
        """The passage as a document, cited by title, chapter and number."""
        whole, name = self.stretch.document, f"passage {self.number}"
        title = ", ".join(each for each in (whole.title, self.stretch.heading, name) if each)
        return Document(
            whole.source, whole.row, whole.text[self.start : self.end], self.stretch.group, title
        )


def paragraph_starts(text: str) -> list[int]:
    """The indices at which paragraphs begin: after blank lines, or at every line in a text with few
    blank lines.
    """
    blank = [0, *(each.end() for each in _BLANK_LINES.finditer(text))]
    return (
        blank
        if 20 * len(blank) > text.count("\n")
        else [0, *(each.end() for each in _LINES.finditer(text))]
    )


def chapters(document: Document, heading: re.Pattern[str]) -> list[Stretch]:
    """The chapters of a document, the text before the first heading included; one chapter if no
    line is a heading.
    """
    starts, names, place = [0], [""], 0
    for line in document.text.splitlines(keepends=True):
        if heading.match(line.strip()):
            starts.append(place)
            names.append(" ".join(line.split()))
        place += len(line)
    ends = [*starts[1:], len(document.text)]
    parts = zip(starts, ends, names, strict=True)
    return [
        Stretch(document, start, end, f"{document.group}, chapter {number}", name)
        for number, (start, end, name) in enumerate(parts)
        if document.text[start:end].strip()
    ]


def split(document: Document, shares: list[float]) -> list[tuple[int, int]]:
    """Split a document into consecutive parts by share of its length; the indices of their starts
    and ends.

    A part begins at the next paragraph if there is one within a quarter of the smallest part, else
    at the next word.
    """
    text, starts, total = document.text, paragraph_starts(document.text), sum(shares)
    near = int(len(text) * min(share for share in shares if share) / total / 4)
    borders = [round(len(text) * done / total) for done in accumulate(shares)]
    moved = (
        each if each in (0, len(text)) else _next_start(text, starts, each, near)
        for each in borders
    )
    return list(pairwise([0, *moved]))


def cut(codec: Codec, stretch: Stretch, tokens: int, *, after: int = 0) -> Iterator[Passage]:
    """Cut a stretch into passages of `tokens` each, in order, numbered from `after` + 1 on.

    A passage begins at the next paragraph after the end of the last one if there is one within a
    quarter of a block, else at the next word. The text between passages, and a rest shorter than a
    block, belong to no passage.
    """
    text, starts = stretch.document.text[: stretch.end], paragraph_starts(stretch.document.text)
    place, number = _skip_space(text, stretch.start), after
    while place < stretch.end:
        part, encoded = _encode_enough(codec, text, place, tokens)
        if len(encoded) < tokens:
            return
        ids = encoded[:tokens]
        end = min(stretch.end, place + max(1, reach(codec, part, ids, encoded)))
        number += 1
        yield Passage(stretch, number, place, end, ids)
        decoded = codec.decode(ids)
        halved = decoded != whole_characters(decoded)  # the cut character belongs to no passage
        place = _next_start(text, starts, end + halved, (end - place) // 4)


def _encode_enough(codec: Codec, text: str, place: int, tokens: int) -> tuple[str, list[int]]:
    """A part of the text from index `place` on that is long enough for a block, and its ids."""
    for length in (8 * tokens, 64 * tokens):
        part = text[place : place + length]
        ids = codec.encode(part)
        if len(ids) >= tokens + tokens // 4 + 16:
            return part, ids
        if place + length >= len(text):
            break
    part = text[place:]
    return part, codec.encode(part)


def _next_start(text: str, starts: list[int], place: int, near: int) -> int:
    found = bisect_left(starts, place)
    if found < len(starts) and starts[found] <= place + near:
        return starts[found]
    if place and place < len(text) and not text[place - 1].isspace() and not text[place].isspace():
        rest = re.compile(r"\S{0,40}(?=\s)").match(
            text, place
        )  # scripts without spaces: start at this character
        place = rest.end() if rest else place
    return _skip_space(text, place)


def _skip_space(text: str, place: int) -> int:
    """The index of the next character that is not white space."""
    return _SPACE.match(text, place).end()  # type: ignore[union-attr]  # it matches no character too
