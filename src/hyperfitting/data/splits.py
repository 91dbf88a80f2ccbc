"""Which documents, groups, chapters or stretches training, validation and contexts may take: dealt out by seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from hyperfitting.data.passages import Passage, Stretch, chapters, cut, split
from hyperfitting.errors import DataError
from hyperfitting.recipe import DataSettings
from hyperfitting.records import Codec, Document

Item = TypeVar("Item")
Parts = tuple[int, int, int]
"""For training, validation and contexts, in this order: a number each."""


def shuffled(items: Sequence[Item], seed: int) -> Iterator[Item]:
    """The items in an order drawn by the seed."""
    return (items[i] for i in np.random.default_rng([seed, 0]).permutation(len(items)))


def document_pools(documents: list[Document], data: DataSettings, counts: Parts, seed: int) -> list[Iterator[Document]]:
    """Where training, validation and contexts take their documents from.

    Without groups all three take from one shuffled stream, so none can take another's. With groups, whole groups are
    dealt out by share first.
    """
    if data.train.group is None:
        stream = shuffled(documents, seed)
        return [stream, stream, stream]
    return [shuffled(part, seed) for part in _by_group(documents, data, np.array(data.shares or counts), counts, seed)]


def _by_group(
    documents: list[Document], data: DataSettings, shares: Any, counts: Parts, seed: int
) -> list[list[Document]]:
    names = sorted({document.group for document in documents})
    what = f"group(s) in the field {data.train.group!r}"
    dealt = _dealt(names, shares, counts, seed, data, what, "name another data.train.group")
    part_of = {name: part for part, names in enumerate(dealt) for name in names}
    return [[each for each in documents if part_of[each.group] == part] for part in range(3)]


def _dealt(
    items: Sequence[Item], shares: Any, counts: Parts, seed: int, data: DataSettings, what: str, remedy: str
) -> list[list[Item]]:
    """The items of each of the three parts, whole items by share, in an order drawn by the seed."""
    shares = np.array(shares, dtype=float) * (np.array(counts) > 0)
    if len(items) < np.count_nonzero(shares):
        raise DataError(
            f"{data.train.path}: {len(items)} {what} cannot be split into {np.count_nonzero(shares)} parts: "
            f"{remedy}, or give the other sets their own source"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(items))
    part_of = dict(zip(order.tolist(), _deal(len(items), shares), strict=True))
    return [[item for i, item in enumerate(items) if part_of[i] == part] for part in range(3)]


def _deal(groups: int, shares: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """The part of each group: sizes by largest remainder, at least one for every part that has a share."""
    exact = groups * shares / shares.sum()
    sizes = np.floor(exact).astype(int)
    for part in np.argsort(-(exact - sizes), kind="stable")[: groups - sizes.sum()]:
        sizes[part] += 1
    for part in np.flatnonzero((sizes == 0) & (shares > 0)):
        sizes[sizes.argmax()] -= 1
        sizes[part] = 1
    return [part for part, size in enumerate(sizes) for _ in range(size)]


@dataclass(frozen=True)
class PassagePool:
    """The passages that a set may take, in the order in which it is `offered` them, and what they are cut from."""

    offered: Iterator[Passage]
    passages: list[Passage]
    stretches: list[Stretch]


def whole_pool(documents: list[Document], data: DataSettings, codec: Codec, tokens: int, seed: int) -> PassagePool:
    """All passages of a source that is a set's own."""
    parts = _chapters(documents, data) if data.chapter_pattern else [_whole(each) for each in documents]
    return _pools([parts], (tokens,), codec, seed)[0]


def passage_pools(
    documents: list[Document], data: DataSettings, codec: Codec, lengths: Parts, counts: Parts, seed: int
) -> list[PassagePool]:
    """Where the three take their passages from: stretches of the same documents that do not overlap.

    Whole groups or chapters are dealt out by share, where the recipe names them. Else a document that is long enough is
    split into three stretches, training first, and shorter ones are dealt out whole.
    """
    asked = [(count + 1) * length if count else 0 for count, length in zip(counts, lengths, strict=True)]
    shares = [share if count else 0 for share, count in zip(data.shares or asked, counts, strict=True)]
    if data.train.group is not None:
        parts = [[_whole(each) for each in part] for part in _by_group(documents, data, shares, counts, seed)]
    elif data.chapter_pattern is not None:
        found = _chapters(documents, data)
        remedy = "let data.chapter_pattern match more lines, leave it out"
        parts = _dealt(found, shares, counts, seed, data, "chapter(s)", remedy)
    else:
        parts = _stretches(documents, data, codec, shares, lengths, counts, seed)
    return _pools(parts, lengths, codec, seed)


def _whole(document: Document) -> Stretch:
    return Stretch(document, 0, len(document.text), document.group)


def _chapters(documents: list[Document], data: DataSettings) -> list[Stretch]:
    heading = re.compile(data.chapter_pattern or "")
    found = [each for document in documents for each in chapters(document, heading)]
    if not any(each.heading for each in found):
        raise DataError(f"{documents[0].source}: data.chapter_pattern = {data.chapter_pattern!r} matches no line of it")
    return found


def _stretches(
    documents: list[Document],
    data: DataSettings,
    codec: Codec,
    shares: list[float],
    lengths: Parts,
    counts: Parts,
    seed: int,
) -> list[list[Stretch]]:
    is_long = [_is_long(each, codec, shares, lengths) for each in documents]
    short = [each for each, long in zip(documents, is_long, strict=True) if not long]
    parts: list[list[Stretch]] = [[], [], []]
    for each in (each for each, long in zip(documents, is_long, strict=True) if long):
        for part, (start, end) in enumerate(split(each, shares)):
            if shares[part]:
                group = f"{each.group}, {('training', 'validation', 'contexts')[part]}"
                parts[part].append(Stretch(each, start, end, group))
    if any(is_long) and len(short) < 3:
        parts[0] += [_whole(each) for each in short]
        return parts
    remedy = "lower data.block_tokens, or give it longer documents"
    dealt = _dealt(short, shares, counts, seed, data, "document(s), none of them long enough to be cut,", remedy)
    return [part + [_whole(each) for each in more] for part, more in zip(parts, dealt, strict=True)]


def _is_long(document: Document, codec: Codec, shares: list[float], lengths: Parts) -> bool:
    """Whether each part of the document holds two blocks at least, as far as its beginning tells."""
    text = document.text[: 16 * max(lengths)]
    tokens = len(document.text) * len(codec.encode(text)) / max(1, len(text))
    needed = [(share / sum(shares), length) for share, length in zip(shares, lengths, strict=True) if share]
    return all(tokens * share >= 2 * length for share, length in needed)


def _pools(parts: list[list[Stretch]], lengths: Sequence[int], codec: Codec, seed: int) -> list[PassagePool]:
    passages: list[list[Passage]] = [[] for _ in parts]
    numbers = Counter[tuple[str, int]]()
    ordered = [(stretch, part) for part, stretches in enumerate(parts) for stretch in stretches]
    for stretch, part in sorted(ordered, key=lambda each: each[0].start):  # numbers rise through a document
        document = stretch.document.source, stretch.document.row
        found = list(cut(codec, stretch, lengths[part], after=numbers[document]))
        numbers[document] += len(found)
        passages[part] += found
    return [
        PassagePool(shuffled(found, seed), found, stretches) for found, stretches in zip(passages, parts, strict=True)
    ]
