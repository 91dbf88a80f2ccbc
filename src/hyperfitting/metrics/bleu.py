"""BLEU of many texts against many, to the value that sacrebleu gives: the one door to sacrebleu.

sacrebleu tokenises, and makes each score from its counts. The counts are ours: its own would count
every reference anew for every text. Shapes: N texts, T tokens of all texts in a row, E entries (an
n-gram and a text that holds it), R references, O orders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.words import characters_apart, has_characters_apart

Integers = NDArray[np.int64]
_ORDER = 4
"""Tokens of the longest n-gram that counts, as in sacrebleu."""


def self_bleu(texts: Sequence[str], *, order: int = _ORDER) -> list[float]:
    """The sentence BLEU of each text, with all the other texts as its references.

    Range [0, 100], BLEU points; near 100 if another text holds it whole. Target: the reference
    texts' value, at the same number and length of texts: more texts match more. Tokens are
    sacrebleu's 13a of the text in NFC, and single characters in scripts without spaces. Scores have
    its sentence defaults (exponential smoothing, effective order): each is
    `sacrebleu.sentence_bleu(text, others)`. Source: Zhu et al. 2018; Carlsson et al. 2025, Table 2.

    Known failure: random words score lowest, which looks varied; an empty text scores 0 and looks
    varied too. A bootstrap draws texts twice, and each is a perfect reference of its copy: use
    `self_bleu_without_each`.

    Raises:
        ValueError: if there are fewer than two texts.
        ModuleNotFoundError: if sacrebleu is not installed.
    """
    if len(texts) < 2:
        raise ValueError(
            f"self-BLEU compares texts with each other: {len(texts)} is fewer than two"
        )
    return _scores_among(range(len(texts)), _count(texts, order))


def self_bleu_without_each(texts: Sequence[str], groups: Sequence[str]) -> list[float]:
    """The mean self-BLEU with each group left out in turn, in order of the groups' names: for
    `stats.jackknife`.

    The texts of a group go as texts and as references. Equal to `self_bleu` of what is left, but
    tokenises and counts n-grams once.

    Raises:
        ValueError: if texts and groups differ in number, if there is but one group, or if fewer
            than two texts are left without one.
        ModuleNotFoundError: if sacrebleu is not installed.
    """
    if len(texts) != len(groups):
        raise ValueError(f"{len(texts)} texts have {len(groups)} groups")
    if len(set(groups)) < 2:
        raise ValueError("a single group cannot be left out")
    left = {
        name: [text for text, group in enumerate(groups) if group != name]
        for name in sorted(set(groups))
    }
    for name, kept in left.items():
        if len(kept) < 2:
            raise ValueError(f"without the group {name!r} fewer than two texts are left")
    counts = _count(texts, _ORDER)
    return [float(np.mean(_scores_among(kept, counts))) for kept in left.values()]


def dataset_bleu(
    texts: Sequence[str], training_texts: Sequence[str]
) -> tuple[list[float], list[float]]:
    """The BLEU of each text with all training texts as its references, and its best BLEU with one
    of them alone.

    Range [0, 100], BLEU points. Target of both: the reference texts' value against the same
    training texts; more is recitation. Tokens and scores as in `self_bleu`. Source: Carlsson et al.
    2025, Table 2 (Dataset-BLEU); the best single text is ours.

    Known failure: among thousands of references every common n-gram occurs, so that the first is
    high for any fluent text; the second does not see a text that is pieced together from several.

    Raises:
        ValueError: if there is no training text.
        ModuleNotFoundError: if sacrebleu is not installed.
    """
    if not training_texts:
        raise ValueError("dataset-BLEU compares with training texts, and there are none")
    counts = _count([*texts, *training_texts], _ORDER)
    return _scores_with_all(len(texts), counts), _best_scores(len(texts), counts)


def bleu_signature(texts: Iterable[str] = ()) -> str:
    """How the scores of these texts were made, in sacrebleu's own notation: tokenizer, smoothing,
    version.

    The number of references reads `var`: every text has the others. The tokenizer reads
    `13a+characters` where any of the texts has characters of scripts without spaces, each of which
    is a token: one rule cuts all texts of a set.

    Raises:
        ModuleNotFoundError: if sacrebleu is not installed.
    """
    from sacrebleu import BLEU

    metric = BLEU(effective_order=True)
    metric.num_refs = -1
    signature = str(metric.get_signature())
    return (
        signature.replace("tok:13a", "tok:13a+characters")
        if any(map(has_characters_apart, texts))
        else signature
    )


@dataclass(frozen=True)
class _Counts:
    """How often each text holds each of its n-grams, sorted by n-gram, then by count; and the
    texts' lengths.
    """

    ngram_E: Integers
    order_E: Integers
    text_E: Integers
    count_E: Integers
    lengths: list[int]
    orders: int

    def of(self, chosen_E: NDArray[np.bool_] | Integers) -> _Counts:
        """The chosen entries alone."""
        return replace(
            self,
            ngram_E=self.ngram_E[chosen_E],
            order_E=self.order_E[chosen_E],
            text_E=self.text_E[chosen_E],
            count_E=self.count_E[chosen_E],
        )

    def matches(self, clipped_E: Integers) -> Integers:
        """The clipped counts summed by text and order, shape (N, O)."""
        cells = len(self.lengths) * self.orders
        sums = np.bincount(
            self.text_E * self.orders + self.order_E, weights=clipped_E, minlength=cells
        )
        return sums.astype(np.int64).reshape(-1, self.orders)


def _count(texts: Sequence[str], orders: int) -> _Counts:
    """Count all n-grams. Each is numbered by the shorter one that it begins with and its last
    token.
    """
    tokens_T, text_T, lengths = _tokens(texts)
    vocabulary = int(tokens_T.max(initial=0)) + 1
    ngram_T, numbered = np.zeros_like(tokens_T), 0
    entries = []
    for order in range(orders):
        last_T = tokens_T[order:]
        ngram_T = np.unique(ngram_T[: len(last_T)] * vocabulary + last_T, return_inverse=True)[1]
        inside_T = text_T[: len(last_T)] == text_T[order:]
        pairs, counts = np.unique(
            ngram_T[inside_T] * len(texts) + text_T[order:][inside_T], return_counts=True
        )
        rows = [
            pairs // len(texts) + numbered,
            np.full_like(pairs, order),
            pairs % len(texts),
            counts,
        ]
        entries.append(np.stack(rows))
        numbered += len(last_T)
    ngram_E, order_E, text_E, count_E = np.concatenate(entries, axis=1)
    return _Counts(ngram_E, order_E, text_E, count_E, lengths, orders).of(
        np.lexsort((count_E, ngram_E))
    )


def _tokens(texts: Sequence[str]) -> tuple[Integers, Integers, list[int]]:
    """All texts' tokens in a row, numbered; the text that each belongs to; the texts' lengths in
    tokens.
    """
    from sacrebleu import BLEU

    tokenizer = BLEU().tokenizer
    numbers: dict[str, int] = {}
    numbered = [
        [
            numbers.setdefault(token, len(numbers))
            for token in tokenizer(characters_apart(text).rstrip()).split()
        ]
        for text in texts
    ]
    lengths = [len(tokens) for tokens in numbered]
    tokens_T = np.array([number for tokens in numbered for number in tokens], dtype=np.int64)
    return tokens_T, np.repeat(np.arange(len(texts)), lengths), lengths


def _scores_among(kept: Sequence[int], counts: _Counts) -> list[float]:
    """The score of each of the kept texts, with the other kept texts as references.

    An n-gram's count is clipped to its largest count in any other text. In order of count that is
    its own count, but for the last holder: there it is the count of the holder before.
    """
    among = counts.of(np.isin(counts.text_E, kept))
    begins = among.ngram_E[1:] != among.ngram_E[:-1]
    first_E, last_E = np.append(True, begins), np.append(begins, True)
    before_E = np.where(first_E, 0, np.roll(among.count_E, 1))
    matches = among.matches(np.where(last_E, before_E, among.count_E)).tolist()
    lengths = sorted(counts.lengths[text] for text in kept)
    return [
        _score(matches[text], counts.lengths[text], _without(lengths, counts.lengths[text]))
        for text in kept
    ]


def _scores_with_all(texts: int, counts: _Counts) -> list[float]:
    """The score of each of the first `texts` texts, with all later ones as references."""
    training = counts.of(counts.text_E >= texts)
    largest = np.zeros(int(counts.ngram_E.max(initial=-1)) + 1, dtype=np.int64)
    largest[training.ngram_E] = (
        training.count_E
    )  # sorted by count, so that the largest is written last
    matches = counts.matches(np.minimum(counts.count_E, largest[counts.ngram_E])).tolist()
    lengths = sorted(counts.lengths[texts:])
    return [_score(matches[text], counts.lengths[text], lengths) for text in range(texts)]


def _best_scores(texts: int, counts: _Counts) -> list[float]:
    """The best score of each of the first `texts` texts with a single later one as reference."""
    candidates, training = counts.of(counts.text_E < texts), counts.of(counts.text_E >= texts)
    lengths = np.array(counts.lengths[texts:])
    scores = []
    for text, length in enumerate(counts.lengths[:texts]):
        matches = _matches_with_each(candidates.of(candidates.text_E == text), training)[texts:]
        best = _nearest_reference(matches, length, lengths)
        scores.append(_score(matches[best].tolist(), length, [int(lengths[best])]))
    return scores


def _matches_with_each(own: _Counts, training: _Counts) -> Integers:
    """The clipped counts of one text's n-grams in each training text, by order: its postings,
    gathered and summed.
    """
    first_E = np.searchsorted(training.ngram_E, own.ngram_E, side="left")
    holders_E = np.searchsorted(training.ngram_E, own.ngram_E, side="right") - first_E
    postings = np.repeat(first_E - np.cumsum(holders_E) + holders_E, holders_E) + np.arange(
        holders_E.sum()
    )
    held = training.of(postings)
    return held.matches(np.minimum(np.repeat(own.count_E, holders_E), held.count_E))


def _nearest_reference(matches_RO: Integers, length: int, lengths_R: Integers) -> int:
    """Which reference gives the best score: sacrebleu's formula without its constants, for all of
    them at once.
    """
    totals_O = np.arange(length, max(0, length - matches_RO.shape[1]), -1)
    if not len(totals_O):
        return 0
    matches_RO = matches_RO[:, : len(totals_O)]
    smoothed_RO = np.where(matches_RO > 0, matches_RO, 0.5 ** np.cumsum(matches_RO == 0, axis=1))
    logarithms_R = np.log(smoothed_RO / totals_O).mean(axis=1) + np.minimum(
        0, 1 - lengths_R / length
    )
    return int(np.where(matches_RO.any(axis=1), logarithms_R, -np.inf).argmax())


def _score(matches: list[int], length: int, lengths: list[int]) -> float:
    """The score of a text of this length, given its matches by order and its references' lengths,
    sorted.
    """
    from sacrebleu import BLEU

    orders = len(matches)
    totals = [max(0, length - order) for order in range(orders)]
    return float(
        BLEU.compute_bleu(
            matches,
            totals,
            length,
            _closest(length, lengths),
            "exp",
            effective_order=True,
            max_ngram_order=orders,
        ).score
    )


def _closest(length: int, lengths: list[int]) -> int:
    """The nearest of the sorted lengths, the shorter of two as near."""
    place = bisect_left(lengths, length)
    return min(
        lengths[max(0, place - 1) : place + 1], key=lambda other: (abs(other - length), other)
    )


def _without(lengths: list[int], length: int) -> list[int]:
    place = bisect_left(lengths, length)
    return lengths[:place] + lengths[place + 1 :]
