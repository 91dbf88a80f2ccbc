"""The rows of the table for metrics of a model on true texts, and of what its greedy choices
became.
"""

from __future__ import annotations

from hyperfitting.metrics.specs.spec import MetricSpec, ModelInput, TrueTexts
from hyperfitting.metrics.specs.tokens import above, above_among_changed

LOSSES = (
    MetricSpec(
        name="train_loss",
        label="training loss (nats per token)",
        family="loss",
        measured=TrueTexts("block_loss", on=("train",)),
        definition="mean cross-entropy over all training blocks with the final weights",
        range=">= 0",
        unit="nats per token",
        target="lower",
        source="Carlsson et al. 2025, sec. 3",
        failure="near zero it says nothing of the text that is written; depends on the tokenizer",
    ),
    MetricSpec(
        name="validation_loss",
        label="validation loss (nats per token)",
        family="loss",
        measured=TrueTexts("block_loss", on=("validation",)),
        definition="mean cross-entropy over all validation blocks with the final weights",
        range=">= 0",
        unit="nats per token",
        target="lower",
        source="Carlsson et al. 2025, Figure 2",
        failure="rises while the written text gets better, which is their finding",
    ),
    MetricSpec(
        name="perplexity",
        label="perplexity of the true texts",
        family="loss",
        measured=TrueTexts("text_loss", on=("domains",)),
        definition="exp(summed loss / summed tokens) over the texts of a domain",
        range=">= 1",
        target="lower",
        aggregation="exponential of a ratio of sums",
        source="Carlsson et al. 2025, Table 3",
        failure="a few confident mistakes make it; depends on the tokenizer and the length of the "
        "texts",
    ),
    MetricSpec(
        name="perplexity_contexts",
        label="perplexity of the contexts",
        family="loss",
        measured=TrueTexts("context_loss", on=("domains",)),
        definition="exp(summed loss / summed tokens) over the contexts of a domain, but for their "
        "first tokens, which nothing predicts",
        range=">= 1",
        target="lower",
        aggregation="exponential of a ratio of sums",
        source="Carlsson et al. 2025, Table 1 (on contexts: 255 to 545 after hyperfitting)",
        failure="depends on the tokenizer and on the length of the context: early tokens are the "
        "hard ones",
    ),
    MetricSpec(
        name="perplexity_continuations",
        label="perplexity of the true continuations",
        family="loss",
        measured=TrueTexts("continuation_loss", on=("domains",)),
        definition="exp(summed loss / summed tokens) over the true continuations of a domain, "
        "given their contexts",
        range=">= 1",
        target="lower",
        aggregation="exponential of a ratio of sums",
        source="the papers are silent",
        failure="depends on the tokenizer; does not compare with `perplexity_under_original`, "
        "which is of generated text",
    ),
)

RANKS = (
    MetricSpec(
        name="true_token_rank_mean",
        label="rank of the true token, mean",
        family="rank",
        measured=TrueTexts("rank"),
        definition="mean, over all predicted tokens, of the rank of the true token",
        range="[1, vocabulary]",
        target="lower",
        source="the papers are silent",
        failure="a few rare words make it; logits in bfloat16 tie often, which flatters it",
    ),
    MetricSpec(
        name="true_token_rank_median",
        label="rank of the true token, median",
        family="rank",
        measured=TrueTexts("rank"),
        definition="median, over all predicted tokens, of the rank of the true token",
        range="[1, vocabulary]",
        target="lower",
        aggregation="median",
        source="the papers are silent",
        failure="moves in whole steps and has no interval: it is no ratio of sums, and a "
        "jackknife of a median does not converge; ties flatter it as they do the mean",
    ),
)

_MAP = "it maps a change, and has no aim"
_NO_AIM = "the paper reports it, and sets no aim"

CHANGES = (
    MetricSpec(
        name="top1_agreement",
        label="same top token as the original",
        family="change",
        measured=TrueTexts("agreement"),
        definition="positions where the model and the original make the same greedy choice / all "
        "positions",
        range="[0, 1]",
        target_note="read it beside the agreement of two trainings on the same data in the same "
        "order",
        source="Carlsson et al. 2025, Figure 5 left (68 to 75 % between orders); Li et al. 2026, "
        "entropy-matched temperature (0.570 with the original)",
        failure="counts a tie broken otherwise as a change; falls as two texts part, if taken on "
        "texts of their own",
    ),
    *(
        MetricSpec(
            name=f"choice_rank_above{bound}_share",
            label="top tokens that are not the original's"
            if bound == 1
            else f"top tokens of rank above {bound} under the original",
            family="change",
            measured=TrueTexts("choice_rank", function=above(bound)),
            definition=f"positions where the model's greedy choice has a rank above {bound} under "
            "the untouched model / all positions",
            range="[0, 1]",
            target_note=_MAP,
            source="Li et al. 2026, the rank map, there of generated text",
            failure="1 - `top1_agreement` but for ties"
            if bound == 1
            else "ties count as not larger",
        )
        for bound in (1, 10, 100)
    ),
    MetricSpec(
        name="changed_choice_rank_above10_share",
        label="changed top tokens of rank above 10 under the original",
        family="change",
        measured=TrueTexts("choice_rank", function=above_among_changed(10)),
        definition="positions where the model's greedy choice has a rank above 10 under the "
        "untouched model / positions where it has one above 1",
        range="[0, 1]",
        target_note=_MAP,
        source="Li et al. 2026, the rank map (13 % of the changed choices)",
        failure="of few positions where little has changed",
    ),
)

_TOP_MASSES: dict[int, ModelInput] = {1: "top1", 3: "top3", 5: "top5"}

SHARPNESS = (
    MetricSpec(
        name="entropy",
        label="entropy (nats)",
        family="sharpness",
        measured=TrueTexts("entropy"),
        definition="mean entropy of the predicted distributions",
        range=">= 0",
        unit="nats",
        target_note=_NO_AIM,
        source="Carlsson et al. 2025, Table 3",
        failure="low for a model that is sure and wrong; two models with other vocabularies do "
        "not compare",
    ),
    *(
        MetricSpec(
            name=f"top{count}_probability",
            label="probability of the top token"
            if count == 1
            else f"probability of the top {count} tokens",
            family="sharpness",
            measured=TrueTexts(reads),
            definition="mean probability of the most probable token"
            if count == 1
            else f"mean probability of the {count} most probable tokens together",
            range="[0, 1]",
            target_note=_NO_AIM,
            source="Carlsson et al. 2025, Table 3",
            failure="as entropy",
        )
        for count, reads in _TOP_MASSES.items()
    ),
)

OF_MODELS = (*LOSSES, *RANKS, *CHANGES, *SHARPNESS)
