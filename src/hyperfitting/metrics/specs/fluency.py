"""The rows of the table for what models say of written texts, and how near these are to true
ones.
"""

from __future__ import annotations

from hyperfitting.metrics.specs.spec import (
    ANY_DATA,
    TEXT_ONLY,
    AgainstTrueTexts,
    EachText,
    MetricSpec,
)
from hyperfitting.metrics.specs.tokens import above, above_among_changed, of_one_text

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
        key_of=ANY_DATA,
    ),
    MetricSpec(
        name="perplexity_under_scorer",
        label="perplexity under a third model",
        family="fluency",
        measured=EachText("scorer_loss", of_one_text()),
        definition="exp(summed loss / summed tokens) of the continuations given their contexts, "
        "under a third model, in its own tokens, beginning-of-text first where its "
        "tokenizer has one; a token that reaches over the border of context and "
        "continuation counts as the continuation's",
        range=">= 1",
        aggregation="exponential of a ratio of sums",
        setting="measure.scorer",
        source="the papers are silent",
        failure="a loop has a very low one: low is not good; of texts longer than that model's "
        "positions, only what fits is read; depends on its tokenizer",
        comparison_column=8,
        data=TEXT_ONLY,
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
        data=TEXT_ONLY,
    ),
    *(
        MetricSpec(
            name=f"rank_above{bound}_share_under_original",
            label="tokens not the original's first choice"
            if bound == 1
            else f"tokens of rank above {bound} under the original",
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
        label="changed tokens of rank above 10 under the original",
        family="fluency",
        measured=EachText("original_rank", of_one_text(above_among_changed(10))),
        definition="tokens of the continuations whose rank under the untouched model is above 10 / "
        "those whose rank is above 1",
        range="[0, 1]",
        source="Li et al. 2026, the rank map (13 %)",
        failure="the original's ranking follows a text that it would not have written; left out "
        "of a text whose every token is the original's first choice",
    ),
)
