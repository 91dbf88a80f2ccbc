"""Where a text repeats itself: token by token, in a final loop, and in bytes."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Loop:
    """What a text ends in: `copies` of a unit of `unit_tokens` tokens, the first of them at
    `start`.
    """

    unit_tokens: int
    copies: int
    start: int


def final_loop(
    ids: Sequence[Hashable], *, most_tokens: int = 64, least_copies: int = 3
) -> Loop | None:
    """The loop that one continuation ends in, or None: at least `least_copies` copies of a unit of
    up to `most_tokens`.

    The smallest such unit counts, even where a longer one loops from earlier on (a b b b, three
    times, loops in b). Copies are whole and counted from the end: a text cut off within one loops
    all the same, in the unit shifted. `ids` must end before end-of-text and padding: both would
    loop.

    Source: the papers are silent; the bounds are ours.

    Raises:
        ValueError: if a unit may hold no token, or one copy is enough.
    """
    if most_tokens < 1 or least_copies < 2:
        raise ValueError(
            f"{least_copies} copies of a unit of up to {most_tokens} tokens are no loop"
        )
    for unit_tokens in range(1, min(most_tokens, len(ids) // least_copies) + 1):
        copies = _periodic_tail(ids, unit_tokens) // unit_tokens
        if copies >= least_copies:
            return Loop(unit_tokens, copies, len(ids) - copies * unit_tokens)
    return None


def ends_in_loop(ids: Sequence[Hashable]) -> bool:
    """Whether one continuation ends in a `final_loop`. Over texts: the share that loops, in [0, 1].

    Target: the reference texts' value, near 0. Source: ours; the papers are silent.
    """
    return final_loop(ids) is not None


def loop_start(ids: Sequence[Hashable]) -> int | None:
    """Where the `final_loop` of one continuation starts, in tokens >= 0; None for a text that does
    not loop.

    Target: the reference texts' value, where any of them loops. Source: ours; the papers are
    silent.
    """
    loop = final_loop(ids)
    return None if loop is None else loop.start


def compression_ratio(text: str) -> float:
    """Bytes of a text in NFC and UTF-8 / bytes of the same compressed by zlib at level 9.

    Range > 0, no unit; below 1 for a few words, up to about 1,000 for one letter without end;
    higher is more repetitive. Target: the reference text's value. Rises with length, so compare
    equal lengths only. Source: the papers are silent.

    Raises:
        ValueError: if the text is empty.
    """
    if not text:
        raise ValueError("an empty text has no compression ratio")
    raw = unicodedata.normalize("NFC", text).encode(
        errors="surrogatepass"
    )  # half a pair is text to whoever wrote it
    return len(raw) / len(zlib.compress(raw, 9))


def repeated_run_lengths(ids: Sequence[int], *, context: Sequence[int] = ()) -> list[int]:
    """For each token, the length of the longest run ending there that occurred earlier in the same
    text.

    0 for a token that is new, 1 for one that was there but not after this predecessor, and so on;
    the earlier occurrence may overlap the run and may lie in `context`. Unit: tokens. Source:
    Carlsson et al. 2025, Figure 1 colours tokens "by how repetitive they are" without a definition;
    this is ours.
    """
    text = [*context, *ids]
    # previous[j]: length of the common run ending at the last token and at j, for j before the last
    # token
    previous = [0] * len(text)
    lengths = []
    for end, token in enumerate(text):
        current = [0] * len(text)
        for earlier in range(end):
            if text[earlier] == token:
                current[earlier] = (previous[earlier - 1] if earlier else 0) + 1
        lengths.append(max(current[:end], default=0))
        previous = current
    return lengths[len(context) :]


def _periodic_tail(ids: Sequence[Hashable], period: int) -> int:
    """How many tokens at the end repeat with this period."""
    start = len(ids) - period
    while start and ids[start - 1] == ids[start - 1 + period]:
        start -= 1
    return len(ids) - start
