"""What is measured of one text, without a model: by name a sum, and what it is divided by.

The names are fixed; docs/measures.md defines every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hyperfitting.metrics.diversity import (
    moving_average_type_token_ratio,
    repeated_ngram_share,
    type_token_ratio,
)
from hyperfitting.metrics.overlap import LONG_OVERLAP_TOKENS, RECITED_ORDER, Shared, TrainingIndex
from hyperfitting.metrics.repetition import compression_ratio, final_loop
from hyperfitting.metrics.words import words
from hyperfitting.records import Continuation

TTR_WINDOW_TOKENS = 96
"""A, section 4: diversity is taken on 96 tokens."""

MATTR_WINDOW_TOKENS = 50
"""Shorter than the window of `ttr_last96`, so that the two tell different things; the papers are silent."""

POSITION_STEP_TOKENS = 32
"""How far apart the windows of `ttr_window96_at...` end (A, Figure 9; its step is not said)."""

Values = dict[str, tuple[float, float]]


def text_values(text: Continuation) -> Values:
    """Diversity and repetition of one text. What it is too short for, or has no strings for, is left out."""
    held = {
        **_diversity(text.ids),
        **_by_position(text.ids),
        **(_loop(text.ids) if text.ids else {}),
        **(_in_words(text.text) if text.text else {}),
    }
    return {name: (value, 1.0) for name, value in held.items()}


def _diversity(ids: Sequence[int]) -> dict[str, float]:
    window, moving = TTR_WINDOW_TOKENS, MATTR_WINDOW_TOKENS
    measures: list[tuple[str, int, Callable[[Sequence[int]], float]]] = [
        (f"ttr_last{window}", window, partial(type_token_ratio, window_tokens=window)),
        ("ttr", 1, type_token_ratio),
        ("mattr", moving, partial(moving_average_type_token_ratio, window_tokens=moving)),
    ]
    measures += [
        (f"repeated_{n}gram_share", n, partial(repeated_ngram_share, order=n)) for n in (2, 3, 4)
    ]
    return {name: function(ids) for name, least, function in measures if len(ids) >= least}


def _by_position(units: Sequence[int] | Sequence[str], name: str = "ttr") -> dict[str, float]:
    """TTR of the window that ends at a position: does a text loop later rather than never? (A, Figure 9)."""
    window = TTR_WINDOW_TOKENS
    ends = range(window, len(units) + 1, POSITION_STEP_TOKENS)
    return {
        f"{name}_window{window}_at{end}": type_token_ratio(units[end - window : end])
        for end in ends
    }


def _loop(ids: Sequence[int]) -> dict[str, float]:
    loop = final_loop(ids)
    start = {} if loop is None else {"loop_start_tokens": float(loop.start)}
    return {"looping_share": float(loop is not None), **start}


def _in_words(text: str) -> dict[str, float]:
    window, held = TTR_WINDOW_TOKENS, words(text)
    values = {"compression_ratio": compression_ratio(text)}
    if held:
        values["ttr_words"] = type_token_ratio(held)
    if len(held) >= window:
        values[f"ttr_words_last{window}"] = type_token_ratio(held, window_tokens=window)
    return values | _by_position(held, "ttr_words")


def overlap_values(texts: Sequence[Continuation], index: TrainingIndex) -> list[Values]:
    """What each text shares with the training texts."""
    found = index.search([text.ids for text in texts if text.ids])
    return [_overlap(next(found)) if text.ids else {} for text in texts]


def _overlap(shared: Shared) -> Values:
    longest, bound, order = shared.longest.length, LONG_OVERLAP_TOKENS, RECITED_ORDER
    values = {
        "longest_overlap_tokens": (float(longest), 1.0),
        f"overlap_above{bound}_share": (longest > bound, 1.0),
    }
    if len(shared.lengths) >= order:
        values[f"recited_{order}gram_share"] = shared.recited_ngrams()
    return {name: (float(value), float(count)) for name, (value, count) in values.items()}


def bleu_values(texts: Sequence[Continuation], training_texts: Sequence[str]) -> list[Values]:
    """Dataset-BLEU of each text that is not empty, against all training texts together and the best single one."""
    from hyperfitting.metrics.bleu import dataset_bleu

    scores = zip(
        *dataset_bleu([text.text for text in texts if text.text], training_texts), strict=True
    )
    return [_bleu(*next(scores)) if text.text else {} for text in texts]


def _bleu(together: float, best: float) -> Values:
    return {"dataset_bleu": (together, 1.0), "dataset_bleu_best_text": (best, 1.0)}
