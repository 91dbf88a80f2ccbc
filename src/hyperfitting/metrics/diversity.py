"""How varied a text is. There is no better end, as random tokens beat people: every target is the reference's value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def type_token_ratio(ids: Sequence[int], *, window_tokens: int | None = None) -> float:
    """Distinct tokens / tokens, among the last `window_tokens` of one continuation (none: all of them).

    Range (0, 1], no unit. Target: the reference text's value. `ids` must end before end-of-text and padding: both
    would count as repetition, as they do in the public code. Falls with length, so compare equal lengths only.
    Source: A, section 4 and Table 1.

    Raises:
        ValueError: if there are no ids, or fewer than the window.
    """
    window = _last(ids, window_tokens)
    return len(set(window)) / len(window)


def repeated_ngram_share(ids: Sequence[int], *, order: int) -> float:
    """1 - distinct n-grams / n-grams of one continuation.

    Range [0, 1), no unit: 0 if no n-gram comes twice. Target: the reference text's value, which is near 0 for order 4.
    Source: B, Table on repetition (bigrams, trigrams); Welleck et al. 2020 call it seq-rep-n.

    Raises:
        ValueError: if there are fewer than `order` ids.
    """
    grams = ngrams(ids, order)
    if not grams:
        raise ValueError(f"{len(ids)} tokens hold no {order}-gram")
    return 1 - len(set(grams)) / len(grams)


def distinct_ngram_share(texts: Sequence[Sequence[int]], *, order: int) -> float:
    """Distinct n-grams / n-grams, pooled over a set of texts.

    Range (0, 1], no unit. Target: the value of the reference texts, at the same number and length of texts: it falls
    with both. Source: Li et al. 2016 (distinct-n); the papers are silent on it.

    Raises:
        ValueError: if no text holds an n-gram.
    """
    grams = [gram for ids in texts for gram in ngrams(ids, order)]
    if not grams:
        raise ValueError(f"no text holds a {order}-gram")
    return len(set(grams)) / len(grams)


def distinct_ngram_share_without_each(
    texts: Sequence[Sequence[int]], groups: Sequence[str], *, order: int
) -> list[float]:
    """`distinct_ngram_share` of the texts with each group left out in turn, in order of the groups' names.

    Equal to leaving them out one by one, but counts once: what goes with a group are the n-grams that it alone holds.

    Raises:
        ValueError: if there is but one group.
    """
    if len(set(groups)) < 2:
        raise ValueError("a single group cannot be left out")
    held: dict[str, set[tuple[int, ...]]] = {group: set() for group in sorted(set(groups))}
    totals: Counter[str] = Counter()
    for ids, group in zip(texts, groups, strict=True):
        grams = ngrams(ids, order)
        held[group].update(grams)
        totals[group] += len(grams)
    holders = Counter(gram for grams in held.values() for gram in grams)
    alone = {group: sum(holders[gram] == 1 for gram in grams) for group, grams in held.items()}
    return [(len(holders) - alone[group]) / (totals.total() - totals[group]) for group in held]


def ngrams(ids: Sequence[int], order: int) -> list[tuple[int, ...]]:
    """Every run of `order` ids, in order."""
    return list(zip(*(ids[start:] for start in range(order)), strict=False))


def _last(ids: Sequence[int], window_tokens: int | None) -> Sequence[int]:
    if not ids:
        raise ValueError("an empty continuation has no type-token ratio")
    if window_tokens is None:
        return ids
    if len(ids) < window_tokens:
        raise ValueError(f"{len(ids)} tokens are fewer than the window of {window_tokens}")
    return ids[-window_tokens:]
