"""Assign stretches of long texts to training, validation and contexts, and cut them into
passages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hyperfitting.data.lost_characters import row_named
from hyperfitting.data.passages import Passage, Stretch, chapters, cut, split
from hyperfitting.data.splits import Parts, by_group, deal, shuffled
from hyperfitting.errors import DataError
from hyperfitting.recipe import DataSettings
from hyperfitting.records import Codec, Document

_USES = ("training", "validation", "contexts")


@dataclass(frozen=True)
class PassagePool:
    """The passages that a set may take: `offered` in drawing order, all of them, and the stretches
    they are cut from.
    """

    offered: Iterator[Passage]
    passages: list[Passage]
    stretches: list[Stretch]


def whole_pool(
    documents: list[Document], data: DataSettings, codec: Codec, tokens: int, seed: int
) -> PassagePool:
    """All passages of a source that belongs to one set."""
    heading = re.compile(data.chapter_pattern) if data.chapter_pattern else None
    parts = [
        part
        for each in documents
        for part in (chapters(each, heading) if heading else [_whole(each)])
    ]
    return _pools([parts], (tokens,), codec, seed)[0]


def passage_pools(
    documents: list[Document],
    data: DataSettings,
    codec: Codec,
    lengths: Parts,
    counts: Parts,
    seed: int,
) -> list[PassagePool]:
    """The pools of training, validation and contexts: stretches of the same documents that do not
    overlap.

    Whole groups or chapters are split by share if the recipe names them. Otherwise a long document
    is split into three stretches, training first, and shorter ones are assigned whole. If there is
    less text than requested, validation and contexts get what they need, and training gets the
    rest.

    Raises:
        DataError: there are fewer groups, chapters or documents than parts.
    """
    sizes = [estimated_tokens(each, codec, 16 * max(lengths)) for each in documents]
    shares = _shares(data, sum(sizes), lengths, counts)
    if data.train.group is not None:
        parts = [
            [_whole(each) for each in part]
            for part in by_group(documents, data, shares, counts, seed)
        ]
    elif data.chapter_pattern is not None:
        remedy = "let data.chapter_pattern match more lines, leave it out"
        parts = deal(_chapters(documents, data), shares, counts, seed, data, "chapter(s)", remedy)
    else:
        cuts = _cuts(sizes, shares, lengths)
        parts = _split_long(documents, cuts)
        rest = [
            _whole(each) for each, split_so in zip(documents, cuts, strict=True) if split_so is None
        ]
        if any(parts) and len(rest) < len(parts):
            parts[0] += rest
        else:
            what = f"document(s) of about {sum(sizes):,.0f} tokens in all"
            remedy = "lower data.block_tokens or the counts of the sets, give it longer documents"
            dealt = deal(rest, shares, counts, seed, data, what, remedy)
            parts = [part + more for part, more in zip(parts, dealt, strict=True)]
    return _pools(parts, lengths, codec, seed)


def estimated_tokens(document: Document, codec: Codec, beginning: int) -> float:
    """The number of tokens of a document, extrapolated from its `beginning`, a number of
    characters.
    """
    text = document.text[:beginning]
    with row_named(document):
        return len(document.text) * len(codec.encode(text)) / max(1, len(text))


def _shares(data: DataSettings, total: float, lengths: Parts, counts: Parts) -> list[float]:
    """The shares of the text for training, validation and contexts; they add up to 1."""
    asked: list[float] = [
        (count + 1) * length for count, length in zip(counts, lengths, strict=True)
    ]
    if data.shares is not None:
        asked = list(data.shares)
    asked = [each if count else 0 for each, count in zip(asked, counts, strict=True)]
    if data.shares is None and sum(asked) > total:
        asked[0] = max(2 * lengths[0], total - sum(asked[1:]))
    return [each / sum(asked) for each in asked]


def _cuts(sizes: list[float], shares: list[float], lengths: Parts) -> list[list[float] | None]:
    """The shares by which each document is split; None for one that stays whole.

    A document is split if each part holds two blocks. If there is no such document and too few to
    assign whole ones, only the longest is split, if it holds all that validation and contexts need.
    """
    asked = [(share, 2 * length) for share, length in zip(shares, lengths, strict=True) if share]
    cuts = [
        shares if all(size * share >= least for share, least in asked) else None for size in sizes
    ]
    if any(cuts) or len(sizes) >= len(asked):
        return list(cuts)
    held, longest = (
        [share * sum(sizes) for share in shares[1:]],
        max(range(len(sizes)), key=sizes.__getitem__),
    )
    rest = sizes[longest] - sum(held)
    fits = rest >= 2 * lengths[0] and all(
        not a or a >= 2 * b for a, b in zip(held, lengths[1:], strict=True)
    )
    return [[rest, *held] if fits and number == longest else None for number in range(len(sizes))]


def _split_long(documents: list[Document], cuts: list[list[float] | None]) -> list[list[Stretch]]:
    pairs = zip(documents, cuts, strict=True)
    ends_of = [(each, split(each, shares)) for each, shares in pairs if shares]
    return [
        [
            Stretch(document, *ends[part], f"{document.group}, {use}")
            for document, ends in ends_of
            if ends[part][1] > ends[part][0]
        ]
        for part, use in enumerate(_USES)
    ]


def _whole(document: Document) -> Stretch:
    return Stretch(document, 0, len(document.text), document.group)


def _chapters(documents: list[Document], data: DataSettings) -> list[Stretch]:
    """The chapters of all documents.

    Raises:
        DataError: `data.chapter_pattern` matches no line.
    """
    heading = re.compile(data.chapter_pattern or "")
    found = [each for document in documents for each in chapters(document, heading)]
    if not any(each.heading for each in found):
        raise DataError(
            f"{documents[0].source}: data.chapter_pattern = {data.chapter_pattern!r} matches no "
            "line of it"
        )
    return found


def _pools(
    parts: list[list[Stretch]], lengths: Sequence[int], codec: Codec, seed: int
) -> list[PassagePool]:
    passages: list[list[Passage]] = [[] for _ in parts]
    numbers = Counter[tuple[str, int]]()
    ordered = [(stretch, part) for part, stretches in enumerate(parts) for stretch in stretches]
    for stretch, part in sorted(
        ordered, key=lambda each: each[0].start
    ):  # numbers rise through a document
        document = stretch.document.source, stretch.document.row
        with row_named(stretch.document):
            found = list(cut(codec, stretch, lengths[part], after=numbers[document]))
        numbers[document] += len(found)
        passages[part] += found
    return [
        PassagePool(shuffled(found, seed), found, stretches)
        for found, stretches in zip(passages, parts, strict=True)
    ]
