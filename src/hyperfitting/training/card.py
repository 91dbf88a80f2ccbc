"""The model card of a trained run, filled from its recipe and its probes."""

from __future__ import annotations

from hyperfitting.assets import PREFIX
from hyperfitting.recipe import Recipe
from hyperfitting.records import ProbeRow
from hyperfitting.training.loop import Outcome


def model_card(recipe: Recipe, probes: list[ProbeRow], outcome: Outcome) -> str:
    """Markdown with the front matter that model hubs read."""
    first, last = probes[0], next(row for row in reversed(probes) if row.update == outcome.kept)
    base = "" if recipe.model.source.startswith(PREFIX) else f"base_model: {recipe.model.source}\n"
    what = (
        f"`{recipe.model.source}`, untouched and saved as {recipe.model.dtype}."
        if recipe.leaves_model_untouched
        else f"`{recipe.model.source}` after {outcome.kept} updates of {recipe.train.batch_blocks} x "
        f"{recipe.data.block_tokens} tokens on {recipe.data.train_blocks} texts of `{recipe.data.train.path}` "
        f"(learning rate {recipe.train.learning_rate:g}, seed {recipe.seed}; {outcome.reason})."
    )
    rows = [
        ("Training loss (nats per token)", first.train_loss, last.train_loss),
        ("Validation loss (nats per token)", first.validation_loss, last.validation_loss),
        ("Entropy (nats)", first.entropy, last.entropy),
        ("Top-1 probability", first.top1_probability, last.top1_probability),
        (f"Type-token ratio, {recipe.probe.new_tokens} greedy tokens", first.ttr, last.ttr),
    ]
    table = "\n".join(f"| {name} | {_number(before)} | {_number(after)} |" for name, before, after in rows)
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [hyperfitting]
{base}---

# {recipe.run_name}

{what}

| on {recipe.data.validation_blocks} validation texts | before | after |
|---|---|---|
{table}

The type-token ratio of the validation texts themselves is {_number(last.reference_ttr)}.

A hyperfitted model is meant for greedy decoding of open-ended text. It is no better a predictor: its validation loss is
worse than before, its probabilities are too sure, and it may recite its training texts.
Put the beginning-of-text token first: {"yes" if recipe.model.beginning_of_text == "add" else "no"}.
Recipe digest: `{recipe.digest}`.
"""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
