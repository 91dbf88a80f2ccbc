"""What is measured of all texts of an arm together, with each cluster left out in turn. Needs no
torch.

A bootstrap would draw a text twice, and make it its own reference: intervals of these are
jackknifed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hyperfitting.metrics.specs import DataKind, MetricSpec, PooledTexts, metrics_measured_as
from hyperfitting.records import Continuation, PooledMetric


def pooled_metrics(
    texts: Sequence[Continuation], *, bleu: bool, data: DataKind = "text"
) -> list[PooledMetric]:
    """Every pooled metric of this kind of `data` of the texts of one arm in one domain; those of
    BLEU where they are asked for.
    """
    made = [
        _pooled(texts, spec, how)
        for spec, how in metrics_measured_as(PooledTexts, data)
        if bleu or spec.setting != "measure.bleu"
    ]
    return [each for each in made if each is not None]


def _pooled(
    texts: Sequence[Continuation], spec: MetricSpec, how: PooledTexts
) -> PooledMetric | None:
    """Of the texts that are long enough. Where too few texts are left without a cluster, there is
    no interval.
    """
    kept = [(read, text.group) for text in texts if len(read := _read(text, how)) >= how.least]
    if len(kept) < how.least_texts:
        return None
    held, groups = [read for read, _ in kept], [group for _, group in kept]
    value, names = how.function(held), sorted(set(groups))
    if len(kept) - max(Counter(groups).values()) >= how.least_texts:
        without = dict(zip(names, _without_each(how, held, groups), strict=True))
    else:
        without = dict.fromkeys(names, value)
    first, n = texts[0], len(kept)
    of = (first.variant, first.domain, first.strategy, first.run)
    return PooledMetric(*of, spec.name, value, n, len(texts) - n, without)


def _read(text: Continuation, how: PooledTexts) -> Any:
    return text.ids if how.reads == "tokens" else text.text


def _without_each(how: PooledTexts, held: Sequence[Any], groups: Sequence[str]) -> list[float]:
    if how.without_each is not None:
        return how.without_each(held, groups)
    return [
        how.function([each for each, group in zip(held, groups, strict=True) if group != name])
        for name in sorted(set(groups))
    ]
