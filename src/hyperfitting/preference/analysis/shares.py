"""Preferred, equal, not preferred, and the paper's "preferred or equal": by pair of arms, domain and length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.clusters import Interval, share
from hyperfitting.preference.analysis.coding import Coded

ALL = "all"
"""In place of a domain or a length: over all of them."""

LENGTHS = (32, 64, 96, 128, 256, 512, 1024)
"""The longest of each band of nominal lengths, in tokens: texts cut between words miss a length by a few."""


@dataclass(frozen=True)
class PairShares:
    """What judges said of arm `one` set against arm `other`: four shares of the same judgements.

    `preferred` + `equal` + `not_preferred` is 1; `preferred_or_equal` is the paper's score of `one`. `tokens` is the
    band of nominal lengths, such as 97–128. Source: A, Table 1, which gives the last only.
    """

    one: str
    other: str
    domain: str
    tokens: str
    comparisons: int
    preferred: Interval
    equal: Interval
    not_preferred: Interval
    preferred_or_equal: Interval


def pair_shares(coded: Coded, *, level: float = CONFIDENCE) -> list[PairShares]:
    """Every pair's shares over all, then by domain, by length, and by both where there is more than one of each."""
    return [
        _shares_of(coded.where(chosen_N), pair, domain, tokens, level)
        for index, pair in enumerate(coded.pairs)
        for domain, tokens, chosen_N in _cells(coded, coded.pair_N == index)
        if chosen_N.any()
    ]


def _cells(
    coded: Coded, chosen_N: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """(domain, length, judgements): all, then each slice that is not the same as a larger one."""
    in_domain = {
        name: chosen_N & (coded.domain_N == index) for index, name in enumerate(coded.domains)
    }
    band_N = np.searchsorted(LENGTHS, coded.tokens_N)
    of_length = {_band(each): chosen_N & (band_N == each) for each in np.unique(band_N).tolist()}
    yield ALL, ALL, chosen_N
    if len(in_domain) > 1:
        yield from ((domain, ALL, mask_N) for domain, mask_N in in_domain.items())
    if len(of_length) > 1:
        yield from ((ALL, tokens, mask_N) for tokens, mask_N in of_length.items())
    if len(in_domain) > 1 and len(of_length) > 1:
        for domain, first_N in in_domain.items():
            yield from (
                (domain, tokens, first_N & second_N) for tokens, second_N in of_length.items()
            )


def _band(index: int) -> str:
    """The tokens that a band of lengths holds."""
    if index == len(LENGTHS):
        return f"over {LENGTHS[-1]}"
    return f"{LENGTHS[index - 1] + 1 if index else 1}–{LENGTHS[index]}"


def _shares_of(
    coded: Coded, pair: tuple[str, str], domain: str, tokens: str, level: float
) -> PairShares:
    answer_N = coded.answer_N
    preferred, equal, worse, score = (
        share(hits_N, coded.context_N, coded.annotator_N, level=level)
        for hits_N in (answer_N == 1, answer_N == 0, answer_N == -1, answer_N >= 0)
    )
    comparisons = len(np.unique(coded.comparison_N))
    return PairShares(*pair, domain, tokens, comparisons, preferred, equal, worse, score)
