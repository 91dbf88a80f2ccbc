"""Which experiments stand side by side: seeds of one recipe, or recipes that continued the same
contexts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hyperfitting.comparing.seeds import Seeds, without_seeds
from hyperfitting.errors import RunError
from hyperfitting.recipe import Recipe, differing_settings
from hyperfitting.records import REFERENCE, Arm, MetricRow, PooledMetric, TextMetrics
from hyperfitting.runs import Experiment

_TOKENS = "perplexity_under_original"
"""A metric that is divided by the tokens of a text."""


@dataclass(frozen=True)
class DomainMetrics:
    """One domain at one choice of seeds: what was measured of the texts of every arm, models first.

    `unlike` names the metrics by which the experiments give the same true texts different values,
    as with other training texts: no arm can be nearest to two targets.
    """

    domain: str
    seeds: Seeds
    texts: dict[Arm, list[TextMetrics]] = field(default_factory=dict)
    pooled: dict[tuple[Arm, str], PooledMetric] = field(default_factory=dict)
    rows: dict[tuple[Arm, str], MetricRow] = field(default_factory=dict)
    unlike: set[str] = field(default_factory=set)

    def __repr__(self) -> str:
        """The domain, its seeds and its arms."""
        arms = "; ".join(arm.title for arm in self.arms)
        return f"<DomainMetrics {self.domain}, {self.seeds.title}: {arms}>"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms: what the models wrote, then the true texts and the controls."""
        return tuple(sorted(self.texts, key=lambda arm: not arm.is_model))

    @property
    def reference(self) -> Arm:
        """The arm of the true texts."""
        return next(arm for arm in self.texts if arm.variant == REFERENCE)

    def size(self, arm: Arm) -> tuple[int, float]:
        """Texts, and tokens of all of them: pooled metrics compare at equal ones only."""
        texts = self.texts[arm]
        return len(texts), sum(
            text.values[_TOKENS][0][1] for text in texts if _TOKENS in text.values
        )


def load_experiments(folders: Sequence[Path]) -> dict[str, list[Experiment]]:
    """The measured experiments in the folders: by what tells their recipes apart beside seeds, in
    order of their seeds.

    Raises:
        RunError: there is none; or one is not measured, was measured by an earlier version, or does
            not compare with the first.
    """
    experiments = [_measured(Experiment(folder)) for folder in folders]
    if not experiments:
        raise RunError("no experiment to compare: give the folder of one or more")
    kinds: dict[str, list[Experiment]] = {}
    for each in sorted(experiments, key=lambda each: Seeds.of(each.recipe)):
        kinds.setdefault(without_seeds(each.recipe).digest, []).append(each)
    for same in kinds.values():
        _refuse_equal_seeds(same)
    _refuse_other_contexts(list(kinds.values()))
    return dict(
        zip(_labels([same[0].recipe for same in kinds.values()]), kinds.values(), strict=True)
    )


def _measured(experiment: Experiment) -> Experiment:
    experiment.refuse_unmeasured()
    for variant, run in experiment.runs().items():
        if not run.text_metrics_file.is_file():
            raise RunError(
                f"{experiment.folder}: the {variant} run was measured by an earlier version, and "
                f"has no {run.text_metrics_file.name}: remove its {run.metrics_file.name} and run "
                f"`hyperfit measure {experiment.folder}`"
            )
    return experiment


def _refuse_equal_seeds(same: Sequence[Experiment]) -> None:
    for one, other in pairwise(same):
        if Seeds.of(one.recipe) == Seeds.of(other.recipe):
            raise RunError(f"{one.folder} and {other.folder} are the same run twice: name it once")


def _refuse_other_contexts(kinds: Sequence[Sequence[Experiment]]) -> None:
    """Texts pair only over the same contexts, and pooled metrics compare at equal length only."""
    first = kinds[0]
    for other in kinds[1:]:
        if [Seeds.of(each.recipe) for each in first] != [Seeds.of(each.recipe) for each in other]:
            raise RunError(
                f"{first[0].folder} and {other[0].folder} are different recipes "
                f"({differing_settings(first[0].recipe, other[0].recipe)}): give the same seeds of "
                "each"
            )
        for one, two in zip(first, other, strict=True):
            _refuse_unless_paired(one, two)


def _refuse_unless_paired(one: Experiment, two: Experiment) -> None:
    if one.recipe.generate.new_tokens != two.recipe.generate.new_tokens:
        lengths = f"{one.recipe.generate.new_tokens} -> {two.recipe.generate.new_tokens}"
        raise RunError(
            f"{one.folder} and {two.folder}: texts of different length do not compare "
            f"(generate.new_tokens {lengths})"
        )
    if not _same_contexts(one, two):
        found = differing_settings(one.recipe, two.recipe, sections=("seed", "model", "data"))
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


def domain_metrics(experiments: dict[str, list[Experiment]]) -> Iterator[DomainMetrics]:
    """Every domain at every choice of seeds, domain by domain."""
    first = next(iter(experiments.values()))
    held = [
        _at_one_seed({label: same[i] for label, same in experiments.items()})
        for i in range(len(first))
    ]
    for each in first[0].recipe.data.domains:
        yield from (domains[each.name] for domains in held)


def _at_one_seed(experiments: dict[str, Experiment]) -> dict[str, DomainMetrics]:
    """What was measured in the experiments of equal seeds, by domain. True texts and controls stand
    once.
    """
    recipe = next(iter(experiments.values())).recipe
    seeds = Seeds.of(recipe)
    found = {each.name: DomainMetrics(each.name, seeds) for each in recipe.data.domains}
    for number, (label, experiment) in enumerate(experiments.items()):
        for run in experiment.runs().values():
            for text in run.text_metrics():
                arm = _arm(label, text)
                if number == 0 or arm.is_model:
                    found[text.domain].texts.setdefault(arm, []).append(text)
            for pooled in run.pooled_metrics():
                key = _arm(label, pooled), pooled.name
                found[pooled.domain].pooled.setdefault(key, pooled)
            for row in run.metrics():
                if row.domain in found:
                    _take_row(found[row.domain], _arm(label, row), row)
    return found


def _take_row(metrics: DomainMetrics, arm: Arm, row: MetricRow) -> None:
    first = metrics.rows.setdefault((arm, row.name), row)
    if row.position == first.position and not math.isclose(first.value, row.value, rel_tol=1e-6):
        metrics.unlike.add(row.name)


def _arm(label: str, row: TextMetrics | PooledMetric | MetricRow) -> Arm:
    arm = Arm(row.variant, row.strategy)
    return Arm(row.variant, row.strategy, label) if arm.is_model else arm
