"""What a report is about: model, data, training, date and version, the paper, and the words that
its page uses.
"""

from __future__ import annotations

from hyperfitting.facts import TrainFacts
from hyperfitting.metrics.specs import DataKind
from hyperfitting.recipe import Recipe
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


def data_noun(recipe: Recipe) -> DataKind:
    """What a report calls one of the data: `text` or `image`."""
    return "text" if recipe.data.images is None else "image"


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 text`, `2,000 texts`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def subject(experiment: Experiment) -> str:
    """One line: model and size, texts, learning rate, updates, day, version."""
    recipe, facts = experiment.recipe, experiment.run("hyperfitted").train_facts
    source = recipe.data.train.path
    parts = [
        f"{model_name(recipe.model.source)}, {model_size(facts)}",
        f"{counted(recipe.data.train_blocks, data_noun(recipe))} of {source.rpartition('/')[2]}",
        f"learning rate {recipe.train.learning_rate:g}",
        counted(facts.updates, "update"),
        *([facts.date] if facts.date else []),
        f"hyperfitting {facts.environment.versions['hyperfitting']}",
    ]
    return " · ".join(parts)


def model_name(source: str) -> str:
    """The end of a model's source that tells it apart: of a folder `model`, which every run has,
    with the two folders above it.
    """
    parts = source.removeprefix("asset:").rstrip("/").split("/")
    return "/".join(parts[-3 if parts[-1] == "model" else -1 :])


def model_size(facts: TrainFacts) -> str:
    """The model's parameters, and how many are trained where these are not all; facts of before
    hold only the latter.
    """
    trained = f"{facts.parameters_trained:,}"
    if facts.parameters is None:
        return f"{trained} parameters trained"
    size = f"{facts.parameters:,} parameters"
    return size if facts.parameters == facts.parameters_trained else f"{size}, {trained} trained"
