"""One long text as many blocks: stretches that are held out whole, cut into passages that do not overlap."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hyperfitting.data.lost_characters import reach, whole_characters
from hyperfitting.records import Codec, Document

_BLANK_LINES, _LINES = re.compile(r"\n[^\S\n]*\n\s*"), re.compile(r"\n\s*")


@dataclass(frozen=True)
class Stretch:
    """Consecutive characters of one document, `start` to `end`: what is held out, or trained on, as a whole.

    `heading` is that of its chapter, if the recipe says what headings look like, `group` the cluster of its passages.
    """

    document: Document
    start: int
    end: int
    group: str
    heading: str = ""

    @property
    def characters(self) -> int:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Passage:
    """One block of a stretch: its ids, beginning-of-text included, and the characters that they stand for."""

    stretch: Stretch
    number: int
    start: int
    end: int
    ids: list[int]

    @property
    def characters(self) -> int:
        """How many characters of the document it stands for."""
        return self.end - self.start

    @property
    def document(self) -> Document:
        """The passage as a document of its own, cited by title, chapter and number."""
        whole, place = self.stretch.document, f"passage {self.number}"
        title = ", ".join(each for each in (whole.title, self.stretch.heading, place) if each)
        return Document(
            whole.source, whole.row, whole.text[self.start : self.end], self.stretch.group, title
        )


def paragraph_starts(text: str) -> list[int]:
    """Where paragraphs begin: behind blank lines, or, in a text that has few of them, at every line."""
    blank = [0, *(each.end() for each in _BLANK_LINES.finditer(text))]
    return (
        blank
        if 20 * len(blank) > text.count("\n")
        else [0, *(each.end() for each in _LINES.finditer(text))]
    )


def chapters(document: Document, heading: re.Pattern[str]) -> list[Stretch]:
    """The chapters of a document, what stands before the first heading included; one if no line is a heading."""
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
    """Consecutive parts of a document in these shares of its length, each beginning with a paragraph where one is near.

    A border is the first paragraph's begin within a quarter of the smallest part, else the next word's.
    """
    text, starts, total = document.text, paragraph_starts(document.text), sum(shares)
    near = int(len(text) * min(share for share in shares if share) / total / 4)
    borders, done = [0], 0.0
    for share in shares:
        done += share
        border = round(len(text) * done / total)
        borders.append(
            border if border in (0, len(text)) else _next_start(text, starts, border, near)
        )
    return list(pairwise(borders))


def cut(codec: Codec, stretch: Stretch, tokens: int, *, after: int = 0) -> Iterator[Passage]:
    """The passages of a stretch in order, `tokens` each and numbered from `after` on; each begins after the last's end.

    It begins with the next paragraph, where that begins within a quarter of a block; else with the next word. What lies
    between, and the rest that is shorter than a block, is in no passage.
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
        halved = codec.decode(ids) != whole_characters(
            codec.decode(ids)
        )  # a character, which is in no passage
        place = _next_start(text, starts, end + halved, (end - place) // 4)


def _encode_enough(codec: Codec, text: str, place: int, tokens: int) -> tuple[str, list[int]]:
    """The text from a place on, as far as a block needs, and its ids; a token depends on the text around it only."""
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
        )  # a script without spaces goes on where it is
        place = rest.end() if rest else place
    return _skip_space(text, place)


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
