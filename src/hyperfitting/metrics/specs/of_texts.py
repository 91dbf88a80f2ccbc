"""The rows of the table for metrics of written texts: of each text, and of all texts of an arm
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from hyperfitting.metrics.bleu import self_bleu, self_bleu_without_each
from hyperfitting.metrics.diversity import (
    distinct_ngram_share,
    distinct_ngram_share_without_each,
    moving_average_type_token_ratio,
    repeated_ngram_share,
    type_token_ratio,
    type_token_ratio_by_position,
)
from hyperfitting.metrics.overlap import LONG_OVERLAP_TOKENS, RECITED_ORDER, Shared
from hyperfitting.metrics.repetition import compression_ratio, ends_in_loop, loop_start
from hyperfitting.metrics.specs.fluency import FLUENCY
from hyperfitting.metrics.specs.spec import TEXT_ONLY, EachText, MetricSpec, PooledTexts

TTR_WINDOW_TOKENS = 96
"""Diversity is taken on 96 tokens (Carlsson et al. 2025, sec. 4)."""

MATTR_WINDOW_TOKENS = 50
"""Shorter than the window of `ttr_last96`, so that the two tell different things; the papers are
silent.
"""

POSITION_STEP_TOKENS = 32
"""How far apart the windows of `ttr_by_position` end (Carlsson et al. 2025, Figure 9; its step is
not given).
"""

_window = partial(type_token_ratio, window_tokens=TTR_WINDOW_TOKENS)


def _by_position(units: Sequence[object]) -> list[float]:
    found = type_token_ratio_by_position(
        units, window_tokens=TTR_WINDOW_TOKENS, every_tokens=POSITION_STEP_TOKENS
    )
    return [ratio for _, ratio in found]


VARIETY = (
    MetricSpec(
        name="ttr_last96",
        label="type-token ratio, last 96 tokens",
        family="variety",
        measured=EachText("tokens", _window, least=TTR_WINDOW_TOKENS),
        definition="distinct tokens / tokens among the last 96 of a continuation; mean over texts",
        range="(0, 1]",
        source="Carlsson et al. 2025, sec. 4, Table 1 (TTR); the window of 96 is the public code's",
        failure="random tokens score highest; depends on the tokenizer",
        comparison_column=1,
        key_of=TEXT_ONLY,
    ),
    MetricSpec(
        name="ttr",
        label="type-token ratio, whole",
        family="variety",
        measured=EachText("tokens", type_token_ratio),
        definition="distinct tokens / tokens of a continuation; mean over texts",
        range="(0, 1]",
        source="Carlsson et al. 2025",
        failure="falls with length",
    ),
    MetricSpec(
        name="ttr_words_last96",
        label="type-token ratio, last 96 words",
        family="variety",
        measured=EachText("words", _window, least=TTR_WINDOW_TOKENS, measured_last=True),
        definition="distinct words / words among the last 96 words of a continuation; mean over "
        "texts",
        range="(0, 1]",
        source="as `ttr_last96`, in words",
        failure="as `ttr_words` but for length; 96 tokens hold fewer than 96 words, so "
        "continuations must be longer",
        data=TEXT_ONLY,
    ),
    MetricSpec(
        name="ttr_words",
        label="type-token ratio, whole, words",
        family="variety",
        measured=EachText("words", type_token_ratio),
        definition="distinct words / words of a continuation; mean over texts",
        range="(0, 1]",
        source="the papers are silent on words",
        failure="falls with length; a word is one character where no spaces are written, so "
        "scripts do not compare",
        data=TEXT_ONLY,
    ),
    MetricSpec(
        name="mattr",
        label="type-token ratio, moving window of 50",
        family="variety",
        measured=EachText(
            "tokens",
            partial(moving_average_type_token_ratio, window_tokens=MATTR_WINDOW_TOKENS),
            least=MATTR_WINDOW_TOKENS,
        ),
        definition="mean TTR of all windows of 50 tokens in a continuation; mean over texts",
        range="(0, 1]",
        source="Covington and McFall 2010; the window is ours; the papers are silent",
        failure="a loop at the end weighs as little as its share of the text; blind to repetition "
        "beyond the window",
    ),
)

_REPEATED = {
    2: "Li et al. 2026 (repeated bigrams)",
    3: "Li et al. 2026 (repeated trigrams)",
    4: "Welleck et al. 2020",
}

REPETITION = (
    *(
        MetricSpec(
            name=f"repeated_{order}gram_share",
            label=f"repeated {order}-grams",
            family="repetition",
            measured=EachText("tokens", partial(repeated_ngram_share, order=order), least=order),
            definition=f"1 - distinct {order}-grams / {order}-grams within a continuation; mean "
            "over texts",
            range="[0, 1)",
            source=source,
            failure="rises with length",
            comparison_column=2 if order == 4 else None,
            key_of=TEXT_ONLY if order == 4 else (),
        )
        for order, source in _REPEATED.items()
    ),
    MetricSpec(
        name="ttr_by_position",
        label="type-token ratio by position",
        family="variety",
        measured=EachText(
            "tokens", _by_position, least=TTR_WINDOW_TOKENS, every=POSITION_STEP_TOKENS
        ),
        definition="TTR of the 96 tokens that end at a position of a continuation: 96, 128, ...; "
        "mean over texts",
        range="(0, 1]",
        source="Carlsson et al. 2025, Figure 9",
        failure="as `ttr_last96`",
        in_tables=False,
    ),
    MetricSpec(
        name="looping_share",
        label="texts that end in a loop",
        family="repetition",
        measured=EachText("tokens", ends_in_loop),
        definition="texts that end in 3 or more copies of a unit of at most 64 tokens / texts",
        range="[0, 1]",
        source="ours; the papers are silent",
        failure='rises with length; three equal tokens at the end ("no no no") are one; blind to '
        "loops that vary a "
        "word each time, and to longer units",
        comparison_column=3,
        key_of=TEXT_ONLY,
    ),
    MetricSpec(
        name="loop_start_tokens",
        label="where the loop at the end starts (tokens)",
        family="repetition",
        measured=EachText("tokens", loop_start),
        definition="tokens of a continuation before the first whole copy of the unit that it "
        "repeats at its end (`looping_share`), copies counted from the end; mean over the texts "
        "that loop",
        range=">= 0",
        unit="tokens",
        target_note="a value only where true texts loop",
        source="ours; the papers are silent",
        failure="says nothing of how many loop, and is of other texts for each arm; late where "
        "the smallest unit repeats only at the end of a longer one (`a b b b` three "
        "times)",
    ),
    MetricSpec(
        name="compression_ratio",
        label="compression ratio",
        family="repetition",
        measured=EachText("text", compression_ratio),
        definition="bytes of a continuation's text in NFC and UTF-8 / bytes of it compressed by "
        "zlib at level 9; mean over texts",
        range="> 0",
        source="ours; the papers are silent",
        failure="rises with length, below 1 for a few words; other builds of zlib may differ by a "
        "few bytes",
        comparison_column=4,
        data=TEXT_ONLY,
    ),
    MetricSpec(
        name="ttr_words_by_position",
        label="type-token ratio of words by position",
        family="variety",
        measured=EachText(
            "words",
            _by_position,
            least=TTR_WINDOW_TOKENS,
            every=POSITION_STEP_TOKENS,
            measured_last=True,
        ),
        definition="TTR of the 96 words that end at a position of a continuation: the 96th word, "
        "the 128th, ...; mean over texts",
        range="(0, 1]",
        source="as `ttr_by_position`, in words",
        failure="as `ttr_words_last96`",
        in_tables=False,
        data=TEXT_ONLY,
    ),
)

POOLED = (
    *(
        MetricSpec(
            name=f"distinct_{order}gram_share",
            label=f"distinct {order}-grams, pooled",
            family="variety",
            measured=PooledTexts(
                "tokens",
                partial(distinct_ngram_share, order=order),
                partial(distinct_ngram_share_without_each, order=order),
                least=order,
            ),
            definition=f"distinct {order}-grams / {order}-grams, pooled over all texts of an arm",
            range="(0, 1]",
            aggregation="pooled",
            source="Li et al. 2016; the papers are silent",
            failure="falls with the number of texts: compare equal n only",
            comparison_column=5 if order == 2 else None,
        )
        for order in (1, 2, 3, 4)
    ),
    MetricSpec(
        name="self_bleu",
        label="Self-BLEU",
        family="variety",
        measured=PooledTexts(
            "text",
            lambda texts: float(np.mean(self_bleu(texts))),
            self_bleu_without_each,
            least_texts=2,
        ),
        definition="BLEU of each text with all other texts of the arm as references; mean over "
        "texts",
        range="[0, 100]",
        unit="BLEU",
        aggregation="pooled",
        setting="measure.bleu",
        source="Zhu et al. 2018; Carlsson et al. 2025, Table 2",
        failure="rises with the number of texts and falls with their length: compare equal sets "
        "only. Random words score lowest",
        comparison_column=6,
        data=TEXT_ONLY,
    ),
)


RECITATION = (
    MetricSpec(
        name="dataset_bleu",
        label="Dataset-BLEU, all training texts",
        family="recitation",
        measured=EachText("dataset_bleu", lambda scores: scores[0]),
        definition="BLEU of each text with all training texts as references; mean over texts",
        range="[0, 100]",
        unit="BLEU",
        setting="measure.bleu",
        source="Carlsson et al. 2025, Table 2",
        failure="rises with the size of the training set, until any fluent text is high",
        comparison_column=13,
        data=TEXT_ONLY,
    ),
    MetricSpec(
        name="dataset_bleu_best_text",
        label="Dataset-BLEU, best training text",
        family="recitation",
        measured=EachText("dataset_bleu", lambda scores: scores[1]),
        definition="the highest BLEU of each text with a single training text as reference; mean "
        "over texts",
        range="[0, 100]",
        unit="BLEU",
        setting="measure.bleu",
        source="ours",
        failure="blind to a text pieced together from several",
        data=TEXT_ONLY,
    ),
    MetricSpec(
        name="longest_overlap_tokens",
        label="longest run shared with training (tokens)",
        family="recitation",
        measured=EachText("overlap", lambda shared: shared.longest.length),
        definition="longest token run of a continuation that stands in a training block; mean "
        "over texts. The context does not count, and no run crosses a block's border",
        range=">= 0",
        unit="tokens",
        source="Carlsson et al. 2025, Table 2 (dataset overlap)",
        failure="rises with the size of the training set",
        comparison_column=10,
        key_of=TEXT_ONLY,
    ),
    MetricSpec(
        name=f"overlap_above{LONG_OVERLAP_TOKENS}_share",
        label=f"texts that share more than {LONG_OVERLAP_TOKENS} tokens",
        family="recitation",
        measured=EachText("overlap", lambda shared: shared.longest.length > LONG_OVERLAP_TOKENS),
        definition="texts whose longest token run that stands in a training block has more than "
        "10 tokens / texts",
        range="[0, 1]",
        source="Carlsson et al. 2025, Table 2 (under 2 % above 10)",
        failure="as `longest_overlap_tokens`; a step: 10 counts for nothing, 11 in full",
        comparison_column=11,
    ),
    MetricSpec(
        name=f"recited_{RECITED_ORDER}gram_share",
        label=f"{RECITED_ORDER}-grams that stand in training",
        family="recitation",
        measured=EachText("overlap", Shared.recited_ngrams, least=RECITED_ORDER),
        definition="8-grams of the continuations that stand in a training block / all their "
        "8-grams",
        range="[0, 1]",
        source="ours; the papers are silent",
        failure="blind to paraphrase",
        comparison_column=12,
    ),
    MetricSpec(
        name="blocked_greedy_share",
        label="tokens at which the blocker forbade the most probable one",
        family="recitation",
        measured=EachText("blocked", lambda counts: counts),
        definition="written tokens at which the citation blocker forbade the most probable token / "
        "written tokens, of strategies with a blocker",
        range="[0, 1]",
        target_note="it describes what a model would have recited, and has no aim: true texts are "
        "not written under a blocker",
        source="ours; the blocker is that of Carlsson et al. 2025, sec. 5, who count nothing",
        failure="depends on the blocker's number of words, and on the texts that it has led away "
        "from training; counts a token though a sample might have passed it over",
    ),
)

ENDING = (
    MetricSpec(
        name="termination_rate",
        label="texts that end by themselves",
        family="ending",
        measured=EachText("ended", lambda ended: ended == "end_of_text"),
        definition="texts that a model ended by an end token before `generate.new_tokens` / texts",
        range="[0, 1]",
        target_note="it describes an arm, and has no aim: true texts are cut at that length",
        setting='generate.end_of_text = "stop"',
        source="ours; the papers suppress end-of-text or are silent",
        failure="rises with `generate.new_tokens`; says nothing of whether the end is a fitting "
        "one; the arm's other metrics are then of texts of unequal length",
        comparison_column=14,
        data=TEXT_ONLY,
    ),
)

OF_TEXTS = (*VARIETY, *REPETITION, *POOLED, *RECITATION, *FLUENCY, *ENDING)
