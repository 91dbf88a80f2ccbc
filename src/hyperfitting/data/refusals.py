"""Why a set cannot be drawn, in one line each that names the setting which helps."""

from __future__ import annotations

from statistics import median

from hyperfitting.data.lost import Losses
from hyperfitting.data.stretches import PassagePool
from hyperfitting.data.wanted import Wanted
from hyperfitting.errors import DataError
from hyperfitting.recipe import DataSettings
from hyperfitting.records import Codec

_MEASURED, _BEGINNING = 1_000, 20_000
"""Lengths are taken of so many documents, and of so many characters of each; longer ones are reckoned from these."""
_COUNTS = {"train": "data.train_blocks", "validation": "data.validation_blocks"}


def refuse_losses(wanted: Wanted, losses: Losses, data: DataSettings) -> None:
    """Refuse a set of which the tokenizer loses too many characters.

    Raises:
        DataError: names the set, the share, the characters and the setting.
    """
    if losses.share > data.lost_characters:
        raise DataError(
            f"{wanted.source}: the set {wanted.name!r}: the model's tokenizer loses {losses.in_words()}: choose "
            f"a model that knows them, mend the texts, or raise data.lost_characters = {data.lost_characters:g}"
        )


def too_few(wanted: Wanted, found: int, blocks: str, codec: Codec) -> str:
    """Why a set is not full: what it needs, what there is, how long its documents are, and what would help."""
    if isinstance(wanted.pool, PassagePool):
        return _too_few_passages(wanted, found, wanted.pool)
    lengths = [_tokens(each.text, codec) for each in wanted.seen[:_MEASURED]]
    length = f"; their median length is {median(lengths):,.0f} tokens" if lengths else ""
    left = f"{len(wanted.seen)} left for it{_passed_over(wanted)}{length}"
    if blocks == "packed" and wanted.name in _COUNTS:
        return (
            f"{wanted.source}: the set {wanted.name!r} needs {wanted.count} blocks of {wanted.tokens} tokens, and the "
            f"documents make {found}, end to end, of the {left}: {_remedy(wanted, lengths, cut=False)}"
        )
    return (
        f"{wanted.source}: the set {wanted.name!r} needs {wanted.count} documents of at least {wanted.tokens} tokens, "
        f"and there are {found} among the {left}: {_remedy(wanted, lengths, cut=True)}"
    )


def _tokens(text: str, codec: Codec) -> int:
    beginning = text[:_BEGINNING]
    return round(len(codec.encode(beginning)) * len(text) / max(1, len(beginning)))


def _remedy(wanted: Wanted, lengths: list[int], *, cut: bool) -> str:
    ways = []
    if cut and _would_be_enough(wanted, lengths):
        ways.append('cut long texts into blocks with data.blocks = "passages"')
    if cut and lengths and median(lengths) < wanted.tokens:
        shorter = "data.block_tokens" if wanted.name in _COUNTS else "data.context_tokens or generate.new_tokens"
        ways.append(f"lower {shorter}")
    ways.append(f"lower {_COUNTS.get(wanted.name, 'its count in data.contexts')}")
    if isinstance(wanted.pool, PassagePool) and not wanted.chosen:
        ways.append("change data.shares")
    return ", ".join(ways) + ", or give it more text"


def _would_be_enough(wanted: Wanted, lengths: list[int]) -> bool:
    """Whether all its text, cut into consecutive blocks, would do; the paragraphs of a .txt are cut as one."""
    paragraphs = {".txt", ".md"} & {f".{kind}" for kind in wanted.source.lower().split(".")[1:]}
    blocks = sum(lengths) // wanted.tokens if paragraphs else sum(each // wanted.tokens for each in lengths)
    return blocks * len(wanted.seen) >= wanted.count * len(lengths) > 0


def _too_few_passages(wanted: Wanted, found: int, pool: PassagePool) -> str:
    held = sum(each.characters for each in pool.stretches)
    return (
        f"{wanted.source}: the set {wanted.name!r} needs {wanted.count} passages of {wanted.tokens} tokens, and there "
        f"are {found} in the {held:,} characters kept for it{_passed_over(wanted)}: {_remedy(wanted, [], cut=False)}"
    )


def _passed_over(wanted: Wanted) -> str:
    counts = {"repeated": wanted.repeated, "leaked": len(wanted.leaks)}
    named = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f" ({named})" if named else ""
