"""Where a text repeats itself, token by token: the colours of the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Sequence


def repeated_run_lengths(ids: Sequence[int], *, context: Sequence[int] = ()) -> list[int]:
    """For each token, the length of the longest run ending there that occurred earlier in the same text.

    0 for a token that is new, 1 for one that was there but not after this predecessor, and so on; the earlier
    occurrence may overlap the run and may lie in `context`. Unit: tokens. Source: A, Figure 1 colours tokens "by
    how repetitive they are" without a definition; this is ours.
    """
    text = [*context, *ids]
    # previous[j]: length of the common run ending at the last token and at j, for j before the last token
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
