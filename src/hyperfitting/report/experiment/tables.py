"""Tidy rows pivoted into tables: for the page, for Markdown, and the headline sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hyperfitting.metrics.specs import MetricSpec, metrics_of_tables
from hyperfitting.recipe import Recipe
from hyperfitting.records import CONTROLS, REFERENCE, Arm, MetricRow
from hyperfitting.report.kit.numbers import with_interval
from hyperfitting.report.kit.subject import counted, data_noun
from hyperfitting.report.kit.tables import markdown_grid
from hyperfitting.runs import Experiment


@dataclass(frozen=True)
class Table:
    """One table: an arm a column, a metric a row, in each cell a MetricRow or None; `note` says
    what its title does not.
    """

    name: str
    arms: list[Arm]
    rows: list[tuple[MetricSpec, list[MetricRow | None]]]
    note: str = ""


def domain_table(experiment: Experiment, domain: str, rows: Sequence[MetricRow]) -> Table:
    """The table of one domain: what the models are on its texts, and what they wrote, beside true
    texts and controls.
    """
    strategies = [strategy.name for strategy in experiment.recipe.generate.strategies]
    arms = [Arm(variant, strategy) for strategy in strategies for variant in experiment.runs()]
    arms += [Arm(variant) for variant in _without_model(rows)]
    cells = {(row.variant, row.strategy, row.name): row for row in rows if row.domain == domain}

    def cell(arm: Arm, name: str) -> MetricRow | None:
        # A model's own metrics have no strategy: they stand in its first column.
        own = cells.get((arm.variant, arm.strategy, name))
        first = arm.strategy == strategies[0]
        return own or (cells.get((arm.variant, None, name)) if first else None)

    of_models = "What a model is on the true texts has no strategy: it stands in its first column."
    return _table(domain, arms, cell, of_models if len(strategies) > 1 else "")


def _without_model(rows: Sequence[MetricRow]) -> list[str]:
    """The true texts, and the controls that were measured: those of texts or those of images."""
    measured = {row.variant for row in rows}
    return [REFERENCE, *(variant for variant in CONTROLS if variant in measured)]


def texts_table(rows: Sequence[MetricRow]) -> Table:
    """Anybody's texts beside true texts and the controls, where there are any."""
    arms = [Arm(variant) for variant in dict.fromkeys(row.variant for row in rows)]
    cells = {(row.variant, row.name): row for row in rows}
    return _table("texts", arms, lambda arm, name: cells.get((arm.variant, name)))


def loss_table(experiment: Experiment, rows: Sequence[MetricRow]) -> Table:
    """Training and validation texts under each model."""
    arms = [Arm(variant) for variant in experiment.runs()]
    cells = {(row.variant, row.name): row for row in rows if row.domain in ("train", "validation")}
    noun = data_noun(experiment.recipe)
    name, note = (
        f"training and validation {noun}s",
        f"All but the training loss is of validation {noun}s.",
    )
    return _table(name, arms, lambda arm, name: cells.get((arm.variant, name)), note)


def _table(
    name: str, arms: list[Arm], cell: Callable[[Arm, str], MetricRow | None], note: str = ""
) -> Table:
    """Every metric that any arm has, in the order of the table of metrics."""
    found = [(spec, [cell(arm, spec.name) for arm in arms]) for spec in metrics_of_tables()]
    return Table(name, arms, [(spec, cells) for spec, cells in found if any(cells)], note)


def tables(experiment: Experiment) -> list[Table]:
    """Every table of an experiment, the losses first."""
    rows, domains = experiment.metric_rows(), experiment.recipe.data.domains
    return [
        loss_table(experiment, rows),
        *(domain_table(experiment, each.name, rows) for each in domains),
    ]


def families(table: Table) -> list[tuple[str, list[tuple[MetricSpec, list[MetricRow | None]]]]]:
    """The rows of a table by the metrics' family, each once, in the table's order."""
    found: dict[str, list[tuple[MetricSpec, list[MetricRow | None]]]] = {}
    for row in table.rows:
        found.setdefault(row[0].family, []).append(row)
    return list(found.items())


def not_measured(recipe: Recipe) -> str:
    """The metrics of the tables that the recipe does not ask for, and what each needs; empty where
    there are none.
    """
    asked = {
        "measure.bleu": recipe.measure.bleu,
        "measure.scorer": recipe.measure.scorer,
        "measure.mauve": recipe.measure.mauve,
        'generate.end_of_text = "stop"': recipe.generate.end_of_text == "stop",
    }
    absent = [
        f"{spec.label} (needs {spec.setting})"
        for spec in metrics_of_tables()
        if spec.setting and not asked[spec.setting] and data_noun(recipe) in spec.data
    ]
    return f"Not measured: {'; '.join(absent)}." if absent else ""


def shown_metrics(tables: Iterable[Table]) -> list[MetricSpec]:
    """The metrics of the tables, each once, for the glossary."""
    return list(dict.fromkeys(spec for table in tables for spec, _ in table.rows))


def markdown_table(table: Table) -> str:
    """A table in Markdown, intervals in brackets."""
    return markdown_grid(
        ["", *(arm.title for arm in table.arms)],
        [
            [spec.label, *("" if cell is None else with_interval(cell) for cell in cells)]
            for spec, cells in table.rows
        ],
    )


def values_of(experiment: Experiment) -> dict[tuple[str, str, str | None, str], float]:
    """The values of an experiment's rows, by variant, domain, strategy and metric."""
    return {
        (row.variant, row.domain, row.strategy, row.name): row.value
        for row in experiment.metric_rows()
    }


def headline(experiment: Experiment) -> str:
    """What happened, in figures: one sentence on the loss, one on the first domain's first
    strategy.
    """
    values, updates = values_of(experiment), experiment.run("hyperfitted").train_facts.updates
    train, validation = (
        " to ".join(
            f"{values[variant, blocks, None, f'{blocks}_loss']:.2f}"
            for variant in ("original", "hyperfitted")
        )
        for blocks in ("train", "validation")
    )
    data = experiment.recipe.data
    text = (
        f"{counted(updates, 'update')} on "
        f"{counted(data.train_blocks, data_noun(experiment.recipe))} "
        f"take{'s' if updates == 1 else ''} the training loss "
        f"from {train} and the validation loss from {validation}."
    )
    return " ".join(filter(None, [text, _texts_headline(experiment)]))


def _texts_headline(experiment: Experiment) -> str:
    """The sentence on the written texts; empty where they were not measured, or are too short."""
    recipe, values = experiment.recipe, values_of(experiment)
    if not recipe.data.domains:
        return ""
    domain, strategy = recipe.data.domains[0].name, recipe.generate.strategies[0].name
    arms = ("original", strategy), ("hyperfitted", strategy), (REFERENCE, None)
    noun = data_noun(recipe)
    ttr, repeats = (
        [values.get((variant, domain, own, name)) for variant, own in arms]
        for name in _HEADLINE[noun]
    )
    if None in ttr or None in repeats:
        return ""
    first, second = _HEADLINE[noun].values()
    return (
        f"On {domain}, the {first} ({strategy}) goes from "
        f"{ttr[0]:.2f} to {ttr[1]:.2f}, where the true {noun}s have {ttr[2]:.2f}; the share of "
        f"{second} from {repeats[0]:.0%} to {repeats[1]:.0%}, where the true {noun}s have "
        f"{repeats[2]:.0%}."
    )


_HEADLINE = {
    "text": {
        "ttr_last96": "type-token ratio of the last 96 tokens",
        "repeated_4gram_share": "repeated 4-grams",
    },
    "image": {
        "image_ttr_quarter4": "type-token ratio of the last quarter of the rows",
        "tokens_equal_to_above_share": "tokens equal to the token above",
    },
}
"""The two metrics of the sentence on what was written, and how it calls them."""
