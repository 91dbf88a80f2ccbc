"""The most items that one annotator should get, from the power of a study.

So many annotators should share the work that twice as many would hardly narrow the interval: with
fewer, what one of them prefers weighs too much. But everybody gets enough attention checks for the
exclusion rule to apply, and nobody more than an hour.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from hyperfitting.preference.analysis.power import DesignPower, power_of_grid
from hyperfitting.preference.protocol import Protocol

_ANNOTATORS = (10, 15, 20, 30, 40, 60)
_HARDLY = 0.1  # of the interval's width
_MOST_CONTEXTS = 300  # simulated: with more, everybody works for an hour anyway
_STUDIES = 100
_SECONDS = 40.0  # for an item, as `power` assumes
_MOST_ITEMS = int(3600 / _SECONDS)
_FEWEST_ITEMS = 24  # without attention checks: a quarter of an hour


@dataclass(frozen=True)
class Workload:
    """Most items for one annotator, checks and repeats included; the annotators who fill the study
    with so many each; and the minutes that they take.
    """

    items: int
    annotators: int
    minutes: float


def workload(contexts: int, comparisons: int, protocol: Protocol) -> Workload:
    """The work of a study shared among annotators; `items` is the protocol's, where it says so.

    Args:
        contexts: contexts of one pair of arms.
        comparisons: scored comparisons of all pairs.
        protocol: its judgements, rates, exclusion rule and items.
    """
    shown = 1 - protocol.attention_rate - protocol.repeat_rate
    total = math.ceil(comparisons * protocol.judgements / shown)
    items = protocol.items
    if items is None:
        fair = math.ceil(total / _enough_annotators(contexts, protocol.judgements))
        items = min(max(fair, _fewest(protocol)), _MOST_ITEMS)
    annotators = max(math.ceil(total / items), protocol.judgements)
    return Workload(items, annotators, items * _SECONDS / 60)


def _fewest(protocol: Protocol) -> int:
    """Items among which there are enough checks for the exclusion rule to apply."""
    if not protocol.attention_rate:
        return _FEWEST_ITEMS
    return math.ceil((protocol.analysis.attention_failures + 1) / protocol.attention_rate)


def _enough_annotators(contexts: int, judgements: int) -> int:
    """The fewest annotators of whom twice as many would hardly narrow the interval."""
    fewest = max(judgements, 1)
    numbers = [number for number in _ANNOTATORS if number >= fewest] or [fewest]
    found = power_of_grid(
        contexts=[min(contexts, _MOST_CONTEXTS)],
        annotators=sorted({*numbers, *(2 * number for number in numbers)}),
        judgements=[judgements],
        studies=_STUDIES,
    )
    by_number = {each.annotators: each for each in found}
    enough = (n for n in numbers if _is_enough(by_number[n], by_number[2 * n]))
    return next(itertools.chain(enough, [numbers[-1]]))


def _is_enough(design: DesignPower, twice: DesignPower) -> bool:
    if design.half_width is None or twice.half_width is None:
        return True
    return twice.half_width > (1 - _HARDLY) * design.half_width
