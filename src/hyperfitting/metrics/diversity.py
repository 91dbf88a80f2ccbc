"""How varied a text is. Random tokens are more varied than human texts, so every target is the
reference's value.

All functions take any hashable items: token ids, or the `words` of a text, which depend on no
tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item", bound=Hashable)


def type_token_ratio(ids: Sequence[Hashable], *, window_tokens: int | None = None) -> float:
    """Distinct tokens / tokens, among the last `window_tokens` of one continuation (none: all of
    them).

    Range (0, 1], no unit. Target: the reference text's value. `ids` must end before end-of-text and
    padding: both would count as repetition, as they do in the public code. Falls with length, so
    compare equal lengths only. Source: Carlsson et al. 2025, sec. 4 and Table 1.

    Raises:
        ValueError: if there are no ids, or fewer than the window, or the window holds none.
    """
    _check_window(ids, window_tokens)
    window = ids if window_tokens is None else ids[-window_tokens:]
    return len(set(window)) / len(window)


def moving_average_type_token_ratio(ids: Sequence[Hashable], *, window_tokens: int) -> float:
    """Mean type-token ratio of all windows of `window_tokens` tokens in one continuation (MATTR).

    Range (0, 1], no unit. Target: the reference text's value. Does not fall with length, so texts
    of unequal length compare; the window must be the same. Source: Covington and McFall 2010; the
    papers are silent.

    Raises:
        ValueError: if there are no ids, or fewer than the window, or the window holds none.
    """
    counts = _distinct_by_window(ids, window_tokens)
    return sum(counts) / (len(counts) * window_tokens)


def type_token_ratio_by_position(
    ids: Sequence[Hashable], *, window_tokens: int, every_tokens: int
) -> list[tuple[int, float]]:
    """How varied one continuation is as it grows: (tokens so far, type-token ratio of the last
    `window_tokens`).

    From the first whole window on, one pair every `every_tokens` tokens. Range (0, 1], no unit.
    Target: the reference text's values. Source: Carlsson et al. 2025, Figure 9 (96 tokens); its
    step is not given.

    Raises:
        ValueError: if there are no ids, or fewer than the window, or the window or the step holds
            none.
    """
    if every_tokens < 1:
        raise ValueError(f"a step of {every_tokens} tokens leads nowhere")
    counts = _distinct_by_window(ids, window_tokens)[::every_tokens]
    return [
        (window_tokens + step * every_tokens, count / window_tokens)
        for step, count in enumerate(counts)
    ]


def repeated_ngram_share(ids: Sequence[Hashable], *, order: int) -> float:
    """1 - distinct n-grams / n-grams of one continuation.

    Range [0, 1), no unit: 0 if no n-gram comes twice. Target: the reference text's value, which is
    near 0 for order 4. Source: Li et al. 2026, table on repetition (bigrams, trigrams); Welleck et
    al. 2020 call it seq-rep-n.

    Raises:
        ValueError: if there are fewer than `order` ids.
    """
    grams = ngrams(ids, order)
    if not grams:
        raise ValueError(f"{len(ids)} tokens hold no {order}-gram")
    return 1 - len(set(grams)) / len(grams)


def distinct_ngram_share(texts: Sequence[Sequence[Hashable]], *, order: int) -> float:
    """Distinct n-grams / n-grams, pooled over a set of texts.

    Range (0, 1], no unit. Target: the value of the reference texts, at the same number and length
    of texts: it falls with both. Source: Li et al. 2016 (distinct-n); the papers are silent on it.

    Raises:
        ValueError: if no text holds an n-gram.
    """
    grams = [gram for ids in texts for gram in ngrams(ids, order)]
    if not grams:
        raise ValueError(f"no text holds a {order}-gram")
    return len(set(grams)) / len(grams)


def distinct_ngram_share_without_each(
    texts: Sequence[Sequence[Hashable]], groups: Sequence[str], *, order: int
) -> list[float]:
    """`distinct_ngram_share` of the texts with each group left out in turn, in order of the groups'
    names.

    Equal to leaving them out one by one, but counts once: what goes with a group are the n-grams
    that it alone holds.

    Raises:
        ValueError: if there is but one group.
    """
    if len(set(groups)) < 2:
        raise ValueError("a single group cannot be left out")
    held: dict[str, set[tuple[Hashable, ...]]] = {group: set() for group in sorted(set(groups))}
    totals: Counter[str] = Counter()
    for ids, group in zip(texts, groups, strict=True):
        grams = ngrams(ids, order)
        held[group].update(grams)
        totals[group] += len(grams)
    holders = Counter(gram for grams in held.values() for gram in grams)
    alone = {group: sum(holders[gram] == 1 for gram in grams) for group, grams in held.items()}
    return [(len(holders) - alone[group]) / (totals.total() - totals[group]) for group in held]


def ngrams(ids: Sequence[_Item], order: int) -> list[tuple[_Item, ...]]:
    """Every run of `order` ids, in order."""
    return list(zip(*(ids[start:] for start in range(order)), strict=False))


def _distinct_by_window(ids: Sequence[Hashable], window_tokens: int) -> list[int]:
    """Distinct ids of every window, in order: one id comes in and one goes out."""
    _check_window(ids, window_tokens)
    inside = Counter(ids[:window_tokens])
    distinct = [len(inside)]
    for leaving, entering in zip(ids, ids[window_tokens:], strict=False):
        inside[entering] += 1
        inside[leaving] -= 1
        if not inside[leaving]:
            del inside[leaving]
        distinct.append(len(inside))
    return distinct


def _check_window(ids: Sequence[Hashable], window_tokens: int | None) -> None:
    if not ids:
        raise ValueError("an empty continuation has no type-token ratio")
    if window_tokens is not None and window_tokens < 1:
        raise ValueError(f"a window of {window_tokens} tokens holds none")
    if window_tokens is not None and len(ids) < window_tokens:
        raise ValueError(f"{len(ids)} tokens are fewer than the window of {window_tokens}")
