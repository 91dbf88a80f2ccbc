"""What is measured of a set of texts as a whole, and what it is without each cluster in turn.

A bootstrap would draw a text twice, and make it its own reference: intervals of these are jackknifed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from hyperfitting.metrics.diversity import distinct_ngram_share, distinct_ngram_share_without_each
from hyperfitting.records import Continuation, PooledMetric


def by_cell(texts: Sequence[Continuation]) -> Iterator[list[Continuation]]:
    """The texts of each model, set and strategy, in the order in which they first come."""
    cells: dict[tuple[str, str, str | None], list[Continuation]] = {}
    for text in texts:
        cells.setdefault((text.variant, text.domain, text.strategy), []).append(text)
    yield from cells.values()


def set_measures(texts: Sequence[Continuation], *, bleu: bool) -> list[PooledMetric]:
    """Distinct n-grams, pooled, and Self-BLEU of the texts of one model, set and strategy."""
    made = [_distinct(texts, order) for order in (1, 2, 3, 4)]
    if bleu:
        made.append(_self_bleu(texts))
    return [each for each in made if each is not None]


def _distinct(texts: Sequence[Continuation], order: int) -> PooledMetric | None:
    """Of the texts that hold an n-gram."""
    kept = [text for text in texts if len(text.ids) >= order]
    if not kept:
        return None
    ids, groups = [text.ids for text in kept], [text.group for text in kept]
    without = (
        distinct_ngram_share_without_each(ids, groups, order=order) if len(set(groups)) > 1 else []
    )
    name = f"distinct_{order}gram_share"
    return _measure(texts, name, distinct_ngram_share(ids, order=order), len(kept), groups, without)


def _self_bleu(texts: Sequence[Continuation]) -> PooledMetric | None:
    """Of the texts that are not empty: two at least, and as many without any one cluster for an interval."""
    from hyperfitting.metrics.bleu import self_bleu, self_bleu_without_each

    kept = [text for text in texts if text.text]
    if len(kept) < 2:
        return None
    strings, groups = [text.text for text in kept], [text.group for text in kept]
    enough = len(kept) - max(Counter(groups).values()) >= 2
    without = self_bleu_without_each(strings, groups) if enough else []
    return _measure(
        texts, "self_bleu", float(np.mean(self_bleu(strings))), len(kept), groups, without
    )


def _measure(
    texts: Sequence[Continuation],
    name: str,
    value: float,
    n: int,
    groups: Sequence[str],
    without: Sequence[float],
) -> PooledMetric:
    first, names = texts[0], sorted(set(groups))
    by_group = (
        dict(zip(names, without, strict=True)) if len(without) else dict.fromkeys(names, value)
    )
    return PooledMetric(
        first.variant,
        first.domain,
        first.strategy,
        first.run,
        name,
        value,
        n,
        len(texts) - n,
        by_group,
    )
