"""Split documents, or groups of them, between training, validation and contexts, by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from hyperfitting.errors import DataError
from hyperfitting.recipe import DataSettings


class Grouped(Protocol):
    """What belongs to a group: a document or an image."""

    @property
    def group(self) -> str:
        """The group, which is never split."""


_Item = TypeVar("_Item")
_Grouped = TypeVar("_Grouped", bound=Grouped)
Parts = tuple[int, int, int]
"""A number each for training, validation and contexts, in this order."""


def shuffled(items: Sequence[_Item], seed: int) -> Iterator[_Item]:
    """The items in a random order that depends only on their number and the seed."""
    return (items[i] for i in np.random.default_rng([seed, 0]).permutation(len(items)))


def document_pools(
    documents: list[_Grouped], data: DataSettings, counts: Parts, seed: int
) -> list[Iterator[_Grouped]]:
    """The streams from which training, validation and contexts take their documents.

    Without groups the three share one shuffled stream, so no document is taken twice. With groups
    each has its own stream, after whole groups were split by share.
    """
    if data.train.group is None:
        stream = shuffled(documents, seed)
        return [stream, stream, stream]
    return [
        shuffled(part, seed)
        for part in by_group(documents, data, np.array(data.shares or counts), counts, seed)
    ]


def by_group(
    documents: list[_Grouped], data: DataSettings, shares: Any, counts: Parts, seed: int
) -> list[list[_Grouped]]:
    """The documents of each of the three parts; whole groups are split by share.

    Raises:
        DataError: there are fewer groups than parts.
    """
    names = sorted({document.group for document in documents})
    what = f"group(s) in the field {data.train.group!r}"
    dealt = deal(names, shares, counts, seed, data, what, "name another data.train.group")
    part_of = {name: part for part, names in enumerate(dealt) for name in names}
    return [[each for each in documents if part_of[each.group] == part] for part in range(3)]


def deal(
    items: Sequence[_Item],
    shares: Any,
    counts: Parts,
    seed: int,
    data: DataSettings,
    what: str,
    remedy: str,
) -> list[list[_Item]]:
    """The items of each of the three parts, split at random by share.

    Raises:
        DataError: there are fewer items than parts; names `what` they are and the `remedy`.
    """
    shares = np.array(shares, dtype=float) * (np.array(counts) > 0)
    if len(items) < np.count_nonzero(shares):
        raise DataError(
            f"{data.train.path}: {len(items)} {what} cannot be split into "
            f"{np.count_nonzero(shares)} parts: {remedy}, or give the other sets their own source"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(items))
    part_of = dict(zip(order.tolist(), _parts_of(len(items), shares), strict=True))
    return [[item for i, item in enumerate(items) if part_of[i] == part] for part in range(3)]


def _parts_of(groups: int, shares: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """The part of each group. Sizes by largest remainder, at least one for every part with a share
    above 0.
    """
    exact = groups * shares / shares.sum()
    sizes = np.floor(exact).astype(int)
    for part in np.argsort(-(exact - sizes), kind="stable")[: groups - sizes.sum()]:
        sizes[part] += 1
    for part in np.flatnonzero((sizes == 0) & (shares > 0)):
        sizes[sizes.argmax()] -= 1
        sizes[part] = 1
    return [part for part, size in enumerate(sizes) for _ in range(size)]
