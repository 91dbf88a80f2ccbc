"""Shares preferred, equal, not preferred, and "preferred or equal" (Carlsson et al. 2025): by pair,
domain, length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis.clustered_se import Interval, share
from hyperfitting.preference.analysis.encode import EncodedJudgements

ALL_SLICES = "all"
"""Stands for all domains, or all lengths."""

LENGTH_BANDS = (32, 64, 96, 128, 256, 512, 1024)
"""The upper end of each band of nominal lengths, in tokens. Texts truncated between words are a few
tokens shorter.
"""


@dataclass(frozen=True)
class PairShares:
    """Judgements of arm `one` against arm `other`: four shares of the same judgements.

    `preferred` + `equal` + `not_preferred` is 1; `preferred_or_equal` is the paper's score of
    `one`. `tokens` is the band of nominal lengths, such as 97–128. Source: Carlsson et al. 2025,
    Table 1, which gives only the last.
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


def pair_shares(encoded: EncodedJudgements, *, level: float = CONFIDENCE) -> list[PairShares]:
    """The shares of every pair: over all, by domain, by length, and by both where there is more
    than one of each.
    """
    return [
        _shares_of(encoded.where(chosen_N), pair, domain, tokens, level)
        for index, pair in enumerate(encoded.pairs)
        for domain, tokens, chosen_N in _cells(encoded, encoded.pair_N == index)
        if chosen_N.any()
    ]


def _cells(
    encoded: EncodedJudgements, chosen_N: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Domain, length and judgements: first all, then each slice that differs from a larger one."""
    in_domain = {
        name: chosen_N & (encoded.domain_N == index) for index, name in enumerate(encoded.domains)
    }
    band_N = np.searchsorted(LENGTH_BANDS, encoded.tokens_N)
    bands = np.unique(band_N).tolist() if (encoded.tokens_N >= 0).all() else []
    of_length = {_band(each): chosen_N & (band_N == each) for each in bands}
    yield ALL_SLICES, ALL_SLICES, chosen_N
    if len(in_domain) > 1:
        yield from ((domain, ALL_SLICES, mask_N) for domain, mask_N in in_domain.items())
    if len(of_length) > 1:
        yield from ((ALL_SLICES, tokens, mask_N) for tokens, mask_N in of_length.items())
    if len(in_domain) > 1 and len(of_length) > 1:
        for domain, first_N in in_domain.items():
            yield from (
                (domain, tokens, first_N & second_N) for tokens, second_N in of_length.items()
            )


def _band(index: int) -> str:
    """The name of a band of lengths."""
    if index == len(LENGTH_BANDS):
        return f"over {LENGTH_BANDS[-1]}"
    return f"{LENGTH_BANDS[index - 1] + 1 if index else 1}–{LENGTH_BANDS[index]}"


def _shares_of(
    encoded: EncodedJudgements, pair: tuple[str, str], domain: str, tokens: str, level: float
) -> PairShares:
    answer_N = encoded.answer_N
    preferred, equal, worse, score = (
        share(hits_N, encoded.context_N, encoded.annotator_N, level=level)
        for hits_N in (answer_N == 1, answer_N == 0, answer_N == -1, answer_N >= 0)
    )
    comparisons = len(np.unique(encoded.comparison_N))
    return PairShares(*pair, domain, tokens, comparisons, preferred, equal, worse, score)
