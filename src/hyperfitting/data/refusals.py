"""The message for a set that cannot be filled; it names the setting to change."""

from __future__ import annotations

from statistics import median

from hyperfitting.data.requests import SetRequest
from hyperfitting.data.stretches import PassagePool, estimated_tokens
from hyperfitting.records import Codec

_MEASURED, _BEGINNING = 1_000, 20_000
"""Lengths are measured on this many documents and this many characters of each, and extrapolated to
longer ones.
"""
_COUNTS = {"train": "data.train_blocks", "validation": "data.validation_blocks"}


def too_few(wanted: SetRequest, found: int, blocks: str, codec: Codec) -> str:
    """The message: what the set needs, what there is, how long the documents are, and a remedy.
    `found` blocks were.
    """
    if isinstance(wanted.pool, PassagePool):
        return _too_few_passages(wanted, found, wanted.pool)
    packed = blocks == "packed" and wanted.name in _COUNTS
    lengths = [
        round(estimated_tokens(each, codec, _BEGINNING))
        for each in wanted.texts.documents[:_MEASURED]
    ]
    left = (
        f"{len(wanted.seen)} left for it{_passed_over(wanted)}; the median length of the source's "
        f"documents is {median(lengths):,.0f} tokens: "
        f"{_remedy(wanted, found, lengths, packed=packed)}"
    )
    if packed:
        needs = (
            f"{wanted.count} blocks of {wanted.tokens} tokens, and the documents make {found}, end "
            "to end, of"
        )
    else:
        needs = (
            f"{wanted.count} documents of at least {wanted.tokens} tokens, and there are {found} "
            "among"
        )
    return f"{wanted.source}: the set {wanted.name!r} needs {needs} the {left}"


def _remedy(wanted: SetRequest, found: int, lengths: list[int], *, packed: bool) -> str:
    ways = []
    if _can_be_cut(wanted, found, lengths, packed=packed):
        ways.append('cut long texts into blocks with data.blocks = "passages"')
    if not packed and median(lengths) < wanted.tokens:
        shorter = (
            "data.block_tokens"
            if wanted.name in _COUNTS
            else "data.context_tokens or generate.new_tokens"
        )
        ways.append(f"lower {shorter}")
    ways.append(f"lower {_COUNTS.get(wanted.name, 'its count in data.domains')}")
    return ", ".join(ways) + ", or give it more text"


def _can_be_cut(wanted: SetRequest, found: int, lengths: list[int], *, packed: bool) -> bool:
    """Whether cutting long texts into blocks would fill the set; the paragraphs of a .txt file are
    cut as one text.
    """
    paragraphs = {"txt", "md"} & set(wanted.source.lower().split(".")[1:])
    blocks = (
        sum(lengths) // wanted.tokens
        if paragraphs
        else sum(each // wanted.tokens for each in lengths)
    )
    if packed:  # only if one document holds everything, and earlier sets have taken it
        return not wanted.seen and blocks >= 2 * wanted.count
    more = blocks - sum(each >= wanted.tokens for each in lengths)
    return more * len(wanted.texts.documents) >= (wanted.count - found) * len(lengths)


def _too_few_passages(wanted: SetRequest, found: int, pool: PassagePool) -> str:
    shares = "" if wanted.chosen else "change data.shares, "
    held = sum(each.characters for each in pool.stretches)
    return (
        f"{wanted.source}: the set {wanted.name!r} needs {wanted.count} passages of "
        f"{wanted.tokens} tokens, and there are {found} in the {held:,} characters kept for "
        f"it{_passed_over(wanted)}: lower {_COUNTS.get(wanted.name, 'its count in data.domains')}, "
        f"{shares}or give it more text"
    )


def _passed_over(wanted: SetRequest) -> str:
    counts = {"repeated": wanted.repeated, "leaked": len(wanted.leaks)}
    named = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f" ({named})" if named else ""
