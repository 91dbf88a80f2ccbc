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
from hyperfitting.metrics.specs.spec import AgainstTrueTexts, EachText, MetricSpec, PooledTexts
from hyperfitting.metrics.specs.tokens import above, above_among_changed, of_one_text

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
    ),
    MetricSpec(
        name="ttr",
        label="type-token ratio, whole",
        family="variety",
        measured=EachText("tokens", type_token_ratio),
        definition="the same over the whole continuation",
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
    ),
    MetricSpec(
        name="loop_start_tokens",
        label="where such a loop starts (tokens)",
        family="repetition",
        measured=EachText("tokens", loop_start),
        definition="tokens before the first whole copy of that unit, copies counted from the end; "
        "mean over the texts that loop",
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
        definition="the same of 96 words, at the 96th word, the 128th, ...; mean over texts",
        range="(0, 1]",
        source="as `ttr_by_position`, in words",
        failure="as `ttr_words_last96`",
        in_tables=False,
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
    ),
    MetricSpec(
        name=f"overlap_above{LONG_OVERLAP_TOKENS}_share",
        label=f"texts that share more than {LONG_OVERLAP_TOKENS} tokens",
        family="recitation",
        measured=EachText("overlap", lambda shared: shared.longest.length > LONG_OVERLAP_TOKENS),
        definition="texts whose longest such run has more than 10 tokens / texts",
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
)

FLUENCY = (
    MetricSpec(
        name="perplexity_under_original",
        label="perplexity under the original",
        family="fluency",
        measured=EachText("original_loss", of_one_text()),
        definition="exp(summed loss / summed tokens) of the continuations given their contexts, "
        "under the untouched model",
        range=">= 1",
        aggregation="exponential of a ratio of sums",
        source="the papers are silent",
        failure="a loop has a very low one: low is not good",
        comparison_column=7,
    ),
    MetricSpec(
        name="perplexity_under_scorer",
        label="perplexity under a third model",
        family="fluency",
        measured=EachText("scorer_loss", of_one_text()),
        definition="the same under a third model, in its own tokens, beginning-of-text first "
        "where its tokenizer has one; a token that reaches over the border of context "
        "and continuation counts as the continuation's",
        range=">= 1",
        aggregation="exponential of a ratio of sums",
        setting="measure.scorer",
        source="the papers are silent",
        failure="low for loops, as above; of texts longer than that model's positions, only what "
        "fits is read; depends on its tokenizer",
        comparison_column=8,
    ),
    MetricSpec(
        name="mauve",
        label="MAUVE against the true texts",
        family="similarity",
        measured=AgainstTrueTexts(least_texts=1_000),
        definition="area under (exp(-5 KL(q|r)), exp(-5 KL(p|r))) over the mixtures r = w p + (1 "
        "- w) q, where p and q are the shares of k-means clusters among the two sets' "
        "features; mean over 5 seeds",
        range="[0, 1]",
        target="higher",
        aggregation="pooled",
        setting="measure.mauve",
        source="Pillutla et al. 2021; Li et al. 2026",
        failure="two samples of one source score about 0.96, not 1, as there are but ten texts a "
        "cluster. Depends on the features, the number of texts and the clusters. Refused "
        "below 1,000 texts a side",
        comparison_column=9,
    ),
    *(
        MetricSpec(
            name=f"rank_above{bound}_share_under_original",
            label="tokens not the original's first choice"
            if bound == 1
            else f"tokens of rank above {bound} there",
            family="fluency",
            measured=EachText("original_rank", of_one_text(above(bound))),
            definition="tokens of the continuations whose rank under the untouched model is above "
            f"{bound} / all their tokens",
            range="[0, 1]",
            source="Li et al. 2026, the rank map: of the greedy choices 39 % are not the "
            "original's first, and 13 % of those have a rank above 10; they do not say how "
            "ties are ranked",
            failure="the original's ranking follows a text that it would not have written; a "
            "large rank says nothing of probability",
        )
        for bound in (1, 10, 100)
    ),
    MetricSpec(
        name="changed_rank_above10_share_under_original",
        label="tokens of rank above 10 among those",
        family="fluency",
        measured=EachText("original_rank", of_one_text(above_among_changed(10))),
        definition="tokens of rank above 10 there / tokens of rank above 1",
        range="[0, 1]",
        source="Li et al. 2026, the rank map (13 %)",
        failure="as above; left out of a text whose every token is the original's first choice",
    ),
)

OF_TEXTS = (*VARIETY, *REPETITION, *POOLED, *RECITATION, *FLUENCY)
