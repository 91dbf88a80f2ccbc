"""Which experiments stand side by side: seeds of one recipe, or recipes that continued the same contexts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hyperfitting.errors import RunError
from hyperfitting.recipe import Recipe, differing_settings
from hyperfitting.records import MetricRow, SetMeasure, TextMeasures
from hyperfitting.runs import Experiment

CONTROLS = ("reference", "shuffled", "random")
"""Who stands in every table beside the models."""


@dataclass(frozen=True)
class Column:
    """Who wrote: a model of an experiment in a strategy, the true texts, or a control. `label` tells recipes apart."""

    label: str
    variant: str
    strategy: str | None

    @property
    def title(self) -> str:
        """As a person names it: `hyperfitted, greedy`."""
        who = f"{self.label}: {self.variant}" if self.label else self.variant
        return f"{who}, {self.strategy}" if self.strategy else who


_TOKENS = "perplexity_under_original"
"""A measure that is divided by the tokens of a text."""


@dataclass(frozen=True)
class Panel:
    """One set of contexts at one seed: whatever all columns wrote there, and what was measured of it.

    `unlike` names the measures by which the experiments give the same true texts different values, as with other
    training texts: nothing can be nearest to two targets.
    """

    domain: str
    seed: int
    columns: tuple[Column, ...]
    texts: dict[Column, list[TextMeasures]]
    sets: dict[tuple[Column, str], SetMeasure]
    rows: dict[tuple[Column, str], MetricRow]
    unlike: frozenset[str]

    def size(self, column: Column) -> tuple[int, float]:
        """Texts, and tokens of all of them: measures of whole sets compare at equal ones only."""
        texts = self.texts[column]
        return len(texts), sum(text.values[_TOKENS][1] for text in texts if _TOKENS in text.values)

    def reference(self) -> Column:
        """The column of the true texts."""
        return next(column for column in self.columns if column.variant == "reference")

    def written(self) -> list[Column]:
        """The columns that a model wrote."""
        return [column for column in self.columns if column.variant not in CONTROLS]


def load_experiments(folders: Sequence[Path]) -> dict[str, list[Experiment]]:
    """The measured experiments in the folders: by what tells their recipes apart, in order of their seeds.

    Raises:
        RunError: one is not measured, was measured before single texts were kept, or does not compare with the first.
    """
    experiments = [_measured(Experiment(folder)) for folder in folders]
    kinds: dict[str, list[Experiment]] = {}
    for each in sorted(experiments, key=lambda each: each.recipe.seed):
        kinds.setdefault(_without_seed(each.recipe).digest, []).append(each)
    for same in kinds.values():
        _refuse_equal_seeds(same)
    _refuse_other_contexts(list(kinds.values()))
    return dict(
        zip(_labels([same[0].recipe for same in kinds.values()]), kinds.values(), strict=True)
    )


def _measured(experiment: Experiment) -> Experiment:
    _ = experiment.recipe  # refuses a folder that holds none
    for role, run in experiment.runs().items():
        if not run.measured:
            raise RunError(
                f"{experiment.folder}: the {role} run is not measured yet: run `hyperfit measure {experiment.folder}`"
            )
        if not run.text_measures_file.is_file():
            raise RunError(
                f"{experiment.folder}: the {role} run was measured before single texts were kept: remove its "
                f"{run.metrics_file.name} and run `hyperfit measure {experiment.folder}`"
            )
    return experiment


def _without_seed(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"seed": 0})


def _refuse_equal_seeds(same: Sequence[Experiment]) -> None:
    for one, other in pairwise(same):
        if one.recipe.seed == other.recipe.seed:
            raise RunError(f"{one.folder} and {other.folder} are the same run twice: name it once")


def _refuse_other_contexts(kinds: Sequence[Sequence[Experiment]]) -> None:
    """Texts pair only over the same contexts, and measures of sets compare at equal length only."""
    first = kinds[0]
    for other in kinds[1:]:
        if [each.recipe.seed for each in first] != [each.recipe.seed for each in other]:
            raise RunError(
                f"{first[0].folder} and {other[0].folder} are different recipes "
                f"({differing_settings(first[0].recipe, other[0].recipe)}): give the same seeds of each"
            )
        for one, two in zip(first, other, strict=True):
            if one.recipe.generate.new_tokens != two.recipe.generate.new_tokens:
                lengths = f"{one.recipe.generate.new_tokens} -> {two.recipe.generate.new_tokens}"
                raise RunError(
                    f"{one.folder} and {two.folder}: texts of different length do not compare "
                    f"(generate.new_tokens {lengths})"
                )
            if not _same_contexts(one, two):
                found = differing_settings(
                    one.recipe, two.recipe, sections=("seed", "model", "data")
                )
                raise RunError(
                    f"{one.folder} and {two.folder} continued other contexts, so their texts do not pair "
                    f"({found or 'from sources that have changed'})"
                )


def _same_contexts(one: Experiment, two: Experiment) -> bool:
    names = [each.name for each in one.recipe.data.domains]
    if names != [each.name for each in two.recipe.data.domains]:
        return False
    return all(
        one.manifest.set_named(name).ids_sha256 == two.manifest.set_named(name).ids_sha256
        for name in names
    )


def _labels(recipes: Sequence[Recipe]) -> list[str]:
    """Nothing for one recipe; their names where these differ; else the names of their runs."""
    names = [recipe.name for recipe in recipes]
    if len(names) == 1:
        return [""]
    return names if len(set(names)) == len(names) else [recipe.run_name for recipe in recipes]


def panels(experiments: dict[str, list[Experiment]]) -> Iterator[Panel]:
    """Every set of contexts at every seed, set by set."""
    first = next(iter(experiments.values()))
    held = [
        _held({label: same[i] for label, same in experiments.items()}) for i in range(len(first))
    ]
    for each in first[0].recipe.data.domains:
        for experiment, (texts, sets, rows, unlike) in zip(first, held, strict=True):
            own = {column: found for (name, column), found in texts.items() if name == each.name}
            yield Panel(
                each.name,
                experiment.recipe.seed,
                tuple(own),
                own,
                {
                    (column, measure): found
                    for (name, column, measure), found in sets.items()
                    if name == each.name
                },
                {
                    (column, measure): found
                    for (name, column, measure), found in rows.items()
                    if name == each.name
                },
                frozenset(measure for name, measure in unlike if name == each.name),
            )


Held = tuple[
    dict[tuple[str, Column], list[TextMeasures]],
    dict[tuple[str, Column, str], SetMeasure],
    dict[tuple[str, Column, str], MetricRow],
    set[tuple[str, str]],
]


def _held(experiments: dict[str, Experiment]) -> Held:
    """What was measured in the experiments of one seed, by set and column. True texts and controls stand once."""
    texts: dict[tuple[str, Column], list[TextMeasures]] = {}
    sets: dict[tuple[str, Column, str], SetMeasure] = {}
    rows: dict[tuple[str, Column, str], MetricRow] = {}
    unlike = set()
    for number, (label, experiment) in enumerate(experiments.items()):
        for run in experiment.runs().values():
            for text in run.text_measures():
                if number == 0 or text.variant not in CONTROLS:
                    texts.setdefault((text.domain, _column(label, text)), []).append(text)
            for measured in run.set_measures():
                sets.setdefault(
                    (measured.domain, _column(label, measured), measured.name), measured
                )
            for row in run.metrics():
                first = rows.setdefault((row.domain, _column(label, row), row.name), row)
                if not math.isclose(first.value, row.value, rel_tol=1e-6):
                    unlike.add((row.domain, row.name))
    ordered = sorted(texts, key=lambda key: key[1].variant in CONTROLS)
    return {key: texts[key] for key in ordered}, sets, rows, unlike


def _column(label: str, row: TextMeasures | SetMeasure | MetricRow) -> Column:
    return Column("" if row.variant in CONTROLS else label, row.variant, row.strategy)
