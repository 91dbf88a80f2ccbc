"""What a report is about: model, texts, training, date and version, and the words that its page
uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from hyperfitting.metrics.specs import MetricSpec
from hyperfitting.report.experiment.tables import Table, data_noun
from hyperfitting.runs import Experiment

PAPER = "Carlsson et al. 2025"
PAPER_ADDRESS = "https://arxiv.org/abs/2412.04318"

WORDS = {
    "variant": "Which model: the original, the hyperfitted one, or another of the recipe.",
    "strategy": "How the next token is chosen. Greedy takes the most probable one.",
    "arm": "A variant with a strategy.",
    "domain": "A set of contexts that are continued.",
    "reference": "The true continuations, by the authors of the contexts.",
    "interval": "95 %, by bootstrap over clusters: how far the value would move with other texts "
    "of the same kind. It says nothing of other trainings.",
    "cluster": "Texts that are not independent, such as those of one book.",
}


def subject(experiment: Experiment) -> str:
    """One line: model and size, texts, learning rate, updates, day, version."""
    recipe, facts = experiment.recipe, experiment.run("hyperfitted").train_facts
    source = recipe.data.train.path
    parts = [
        f"{recipe.model.source.removeprefix('asset:').rpartition('/')[2]}, "
        f"{facts.parameters_trained:,} parameters trained",
        f"{recipe.data.train_blocks} {data_noun(recipe)}s of {source.rpartition('/')[2]}",
        f"learning rate {recipe.train.learning_rate:g}",
        f"{facts.updates:,} updates",
        *([facts.date] if facts.date else []),
        f"hyperfitting {facts.environment.versions['hyperfitting']}",
    ]
    return " · ".join(parts)


def shown_metrics(tables: Iterable[Table]) -> list[MetricSpec]:
    """The metrics of the tables, each once, for the glossary."""
    return list(dict.fromkeys(spec for table in tables for spec, _ in table.rows))
