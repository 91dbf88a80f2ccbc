"""Tidy rows pivoted into tables: for the page, for Markdown, for the terminal, and the headline sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hyperfitting.recipe import Recipe
from hyperfitting.records import MetricRow
from hyperfitting.runs import Experiment

LABELS = {
    "train_loss": "training loss (nats per token)",
    "validation_loss": "validation loss (nats per token)",
    "perplexity": "perplexity of the true texts",
    "perplexity_contexts": "perplexity of the contexts",
    "perplexity_continuations": "perplexity of the true continuations",
    "true_token_rank_mean": "rank of the true token, mean",
    "true_token_rank_median": "rank of the true token, median",
    "top1_agreement": "same top token as the original",
    "choice_rank_above1_share": "top tokens that are not the original's",
    "choice_rank_above10_share": "top tokens of rank above 10 there",
    "choice_rank_above100_share": "top tokens of rank above 100 there",
    "changed_choice_rank_above10_share": "changed top tokens of rank above 10 there",
    "entropy": "entropy (nats)",
    "top1_probability": "probability of the top token",
    "top3_probability": "probability of the top 3 tokens",
    "top5_probability": "probability of the top 5 tokens",
    "ttr_last96": "type-token ratio, last 96 tokens",
    "ttr": "type-token ratio, whole",
    "ttr_words_last96": "type-token ratio, last 96 words",
    "ttr_words": "type-token ratio, whole, words",
    "mattr": "type-token ratio, moving window of 50",
    "repeated_2gram_share": "repeated 2-grams",
    "repeated_3gram_share": "repeated 3-grams",
    "repeated_4gram_share": "repeated 4-grams",
    "looping_share": "texts that end in a loop",
    "loop_start_tokens": "where such a loop starts (tokens)",
    "compression_ratio": "compression ratio",
    "distinct_1gram_share": "distinct 1-grams, pooled",
    "distinct_2gram_share": "distinct 2-grams, pooled",
    "distinct_3gram_share": "distinct 3-grams, pooled",
    "distinct_4gram_share": "distinct 4-grams, pooled",
    "self_bleu": "Self-BLEU",
    "dataset_bleu": "Dataset-BLEU, all training texts",
    "dataset_bleu_best_text": "Dataset-BLEU, best training text",
    "longest_overlap_tokens": "longest run shared with training (tokens)",
    "overlap_above10_share": "texts that share more than 10 tokens",
    "recited_8gram_share": "8-grams that stand in training",
    "perplexity_under_original": "perplexity under the original",
    "perplexity_under_scorer": "perplexity under a third model",
    "mauve": "MAUVE against the true texts",
    "rank_above1_share_under_original": "tokens not the original's first choice",
    "rank_above10_share_under_original": "tokens of rank above 10 there",
    "rank_above100_share_under_original": "tokens of rank above 100 there",
    "changed_rank_above10_share_under_original": "tokens of rank above 10 among those",
}
"""Every measure that a table can hold, in the order of its rows."""

_CONTROLS = ("reference", "shuffled", "random")


@dataclass(frozen=True)
class Column:
    """One column of a table: a model, and a strategy where it decoded."""

    variant: str
    strategy: str | None

    @property
    def title(self) -> str:
        """Its heading."""
        return f"{self.variant}, {self.strategy}" if self.strategy else self.variant


@dataclass(frozen=True)
class Table:
    """One set's table: a row a measure, a cell a MetricRow or none."""

    name: str
    columns: list[Column]
    rows: list[tuple[str, list[MetricRow | None]]]


def all_rows(experiment: Experiment) -> list[MetricRow]:
    """The rows of all runs."""
    return [row for run in experiment.runs().values() for row in run.metrics()]


def set_table(rows: Sequence[MetricRow], name: str, recipe: Recipe) -> Table:
    """The table of one set: what the models are on its texts, and what they wrote, beside reference and controls."""
    strategies: list[str | None] = [strategy.name for strategy in recipe.generate.strategies]
    columns = [Column(model, strategy) for strategy in strategies for model in recipe.variant_names]
    columns += [Column(model, None) for model in _CONTROLS]
    cells = {(row.variant, row.strategy, row.name): row for row in rows if row.domain == name}

    def cell(column: Column, measure: str) -> MetricRow | None:
        # A model's own measures have no strategy: they stand in its first column.
        found = cells.get((column.variant, column.strategy, measure))
        return found or (
            cells.get((column.variant, None, measure)) if column.strategy == strategies[0] else None
        )

    table = [(measure, [cell(column, measure) for column in columns]) for measure in LABELS]
    return Table(name, columns, [(measure, found) for measure, found in table if any(found)])


def texts_table(rows: Sequence[MetricRow]) -> Table:
    """Anybody's texts beside reference texts and the controls, where there are any."""
    columns = [Column(model, None) for model in dict.fromkeys(row.variant for row in rows)]
    cells = {(row.variant, row.name): row for row in rows}
    found = [
        (measure, [cells.get((column.variant, measure)) for column in columns])
        for measure in LABELS
    ]
    return Table("texts", columns, [(measure, each) for measure, each in found if any(each)])


def loss_table(rows: Sequence[MetricRow], recipe: Recipe) -> Table:
    """Training and validation, before and after."""
    columns = [Column(role, None) for role in recipe.variant_names]
    cells = {(row.variant, row.name): row for row in rows if row.domain in ("train", "validation")}
    found = [
        (measure, [cells.get((column.variant, measure)) for column in columns])
        for measure in LABELS
    ]
    return Table(
        "training and validation texts",
        columns,
        [(measure, each) for measure, each in found if any(each)],
    )


def tables(experiment: Experiment) -> list[Table]:
    """Every table of an experiment, the losses first."""
    rows, recipe = all_rows(experiment), experiment.recipe
    return [
        loss_table(rows, recipe),
        *(set_table(rows, each.name, recipe) for each in recipe.data.domains),
    ]


def number(value: float) -> str:
    """A value as a table shows it: three digits that matter."""
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1g}"
    return (
        f"{value:.3f}"
        if abs(value) < 1
        else f"{value:.2f}"
        if abs(value) < 100
        else f"{value:,.0f}"
    )


def interval(row: MetricRow) -> str:
    """The 95 % interval as a table shows it, or why there is none."""
    return "" if row.low is None or row.high is None else f"{number(row.low)}–{number(row.high)}"


def headline(experiment: Experiment) -> str:
    """What happened, in figures, whatever it was: one sentence on the loss, one on the first set's first strategy."""
    recipe, rows = experiment.recipe, all_rows(experiment)
    value = {(row.variant, row.domain, row.strategy, row.name): row.value for row in rows}
    updates = experiment.run("hyperfitted").facts()["train"]["updates"]
    losses = [
        value[role, name, None, f"{name[:5] if name == 'train' else name}_loss"]
        for name in ("train", "validation")
        for role in ("original", "hyperfitted")
    ]
    text = (
        f"{updates} updates on {recipe.data.train_blocks} texts take the training loss from {losses[0]:.2f} to "
        f"{losses[1]:.2f} and the validation loss from {losses[2]:.2f} to {losses[3]:.2f}."
    )
    if not recipe.data.domains:
        return text
    name, strategy = recipe.data.domains[0].name, recipe.generate.strategies[0].name
    keys = [
        ("original", name, strategy),
        ("hyperfitted", name, strategy),
        ("reference", name, None),
    ]
    ttr = [value.get((*key, "ttr_last96")) for key in keys]
    repeats = [value.get((*key, "repeated_4gram_share")) for key in keys]
    if None in ttr or None in repeats:
        return text
    return (
        f"{text} On {name}, the type-token ratio of the last 96 tokens ({strategy}) goes from {ttr[0]:.2f} to {ttr[1]:.2f}, "
        f"where the true texts have {ttr[2]:.2f}; the share of repeated 4-grams from {repeats[0]:.0%} "
        f"to {repeats[1]:.0%}, where the true texts have {repeats[2]:.0%}."
    )


def markdown_table(table: Table) -> str:
    """A table in Markdown, intervals in brackets."""
    head = "| | " + " | ".join(column.title for column in table.columns) + " |"
    lines = [head, "|---|" + "---|" * len(table.columns)]
    for measure, cells in table.rows:
        lines.append(
            f"| {LABELS[measure]} | " + " | ".join(_markdown_cell(cell) for cell in cells) + " |"
        )
    return "\n".join(lines)


def _markdown_cell(row: MetricRow | None) -> str:
    if row is None:
        return ""
    bounds = interval(row)
    return f"{number(row.value)} ({bounds})" if bounds else number(row.value)


_TERMINAL = ("ttr_last96", "repeated_4gram_share", "longest_overlap_tokens", "recited_8gram_share")


def before_and_after(experiment: Experiment) -> str:
    """The short table for the terminal: losses and entropy, then each set and strategy beside reference and controls."""
    rows, recipe = all_rows(experiment), experiment.recipe
    value = {(row.variant, row.domain, row.strategy, row.name): row.value for row in rows}
    models = (*recipe.variant_names, *_CONTROLS)
    width = max(12, 1 + max(map(len, models)))
    lines = [f"{'':46}" + "".join(f"{model:>{width}}" for model in models)]

    def add(label: str, keys: list[tuple[str, str, str | None, str]]) -> None:
        cells = [f"{number(value[key]):>{width}}" if key in value else " " * width for key in keys]
        lines.append(f"{label:46}{''.join(cells)}".rstrip())

    add("training loss", [(model, "train", None, "train_loss") for model in models])
    add("validation loss", [(model, "validation", None, "validation_loss") for model in models])
    for name in (each.name for each in recipe.data.domains):
        lines.append(name)
        add("  entropy (nats)", [(model, name, None, "entropy") for model in models])
        for strategy in recipe.generate.strategies:
            for measure in _TERMINAL:
                strategies = [strategy.name if model in recipe.variant_names else None for model in models]
                keys = [
                    (model, name, each, measure)
                    for model, each in zip(models, strategies, strict=True)
                ]
                if any(key in value for key in keys):
                    add(f"  {strategy.name}: {LABELS[measure].replace(' (tokens)', '')}"[:46], keys)
    return "\n".join(lines)
