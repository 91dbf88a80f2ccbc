"""Items of a benchmark that stand in the training blocks: runs of 13 words that both hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hyperfitting.data.contamination import LeakIndex, words_of
from hyperfitting.downstream.benchmarks import Question

RUN_WORDS = 13
"""Words in a row that make an item contaminated, as in Brown et al. 2020, appendix C."""


@dataclass(frozen=True)
class Contamination:
    """The items that share such a run with a training block, and the number of those too short for
    one.
    """

    items: tuple[int, ...]
    unchecked: int


def training_index(texts: Iterable[str]) -> LeakIndex:
    """All runs of words of the training blocks."""
    index = LeakIndex(RUN_WORDS)
    index.add(texts)
    return index


def find_contaminated(questions: Iterable[Question], index: LeakIndex) -> Contamination:
    """Compare questions, their choices included, with the training blocks.

    Case, punctuation and line breaks are ignored. The choices stand after the question in the order
    of the file, so a run may reach from one into the other.
    """
    found, unchecked = [], 0
    for each in questions:
        if len(words_of(each.text)) <= RUN_WORDS:
            unchecked += 1
        elif index.shared_run(each.text) is not None:
            found.append(each.item)
    return Contamination(tuple(found), unchecked)
