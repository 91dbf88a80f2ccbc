"""Finished sheets -> the rows of a table: each model's score, and its difference to the original.
It needs neither torch nor lm-evaluation-harness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hyperfitting.downstream.calibration import Calibration, calibrate
from hyperfitting.downstream.paired import (
    OF_CLASSES,
    SCORES,
    Discordance,
    PairedInterval,
    accuracy,
    bootstrap_difference,
    excluded_loss,
    item_counts,
    mcnemar,
    with_added_items,
)
from hyperfitting.errors import RunError
from hyperfitting.metrics.stats import holm
from hyperfitting.recipe import FORMS, ORIGINAL
from hyperfitting.runs import AnswerSheet, EvaluationFolder, Experiment
from hyperfitting.runs.answers import AnsweredItem, SheetFacts


@dataclass(frozen=True)
class DifferenceRow:
    """A model minus the original on the same items, in the unit of the metric.

    `discordance` counts items that only one of the two answered right; `p_holm` is its p-value
    adjusted over the benchmarks of the same form. `excluded` is the loss that the sample excludes
    with 95 % confidence; None: it excludes none. `without_contaminated` is the difference on the
    items that share nothing with the training blocks; None where there are no others.
    """

    interval: PairedInterval
    discordance: Discordance
    p_holm: float
    excluded: float | None
    without_contaminated: float | None


@dataclass(frozen=True)
class EvaluationRow:
    """One model on one benchmark in one form.

    `how` is the form with what else was asked for, and `sample` tells samples apart that a limit
    drew: both name the row.
    `chance` is the expected score of a random choice, and `majority` that of the most frequent
    right answer, which depends on the sample; None of both where items have no choices, and of the
    second where one has no single right answer. `unparsed` answers count as wrong; None where none
    is parsed. `cut` prompts did not fit the model. `left_out` rows of the file were not asked,
    because a choice has no text.
    `contaminated` items share 13 words with a training block, and `unchecked` are too short for
    that; None without training blocks.
    """

    variant: str
    task: str
    form: str
    how: str
    sample: str
    title: str
    metric: str
    items: int
    subjects: int
    score: PairedInterval
    accuracy: float
    chance: float | None
    majority: float | None
    unparsed: int | None
    cut: int
    left_out: int
    contaminated: int | None
    unchecked: int | None
    seconds: float | None
    calibration: Calibration | None
    difference: DifferenceRow | None = None

    @property
    def label(self) -> str:
        """How tables name the benchmark, how it was asked, and how much of it."""
        return f"{self.title}, {self.how}{self.sample}"


def experiment_rows(experiment: Experiment) -> list[EvaluationRow]:
    """The table of what an experiment's runs have answered so far; no rows where nothing is."""
    folders = {variant: run.evaluation for variant, run in experiment.runs().items()}
    draws, seed = experiment.recipe.measure.bootstrap_draws, experiment.recipe.seed
    return evaluation_rows(folders, draws=draws, seed=seed)


def evaluation_rows(
    folders: Mapping[str, EvaluationFolder], *, draws: int = 2000, seed: int = 0
) -> list[EvaluationRow]:
    """The rows of all finished sheets, by benchmark and form, the original first.

    Intervals draw clusters `draws` times: subjects where a benchmark has several, else items.

    Raises:
        RunError: a sheet is damaged, or was answered on other items than the original's.
    """
    sheets = {
        variant: {sheet.name: _Sheet(sheet) for sheet in folder.finished()}
        for variant, folder in folders.items()
    }
    found = {name: sheet for held in sheets.values() for name, sheet in held.items()}
    rows = []
    for name in sorted(found, key=lambda each: found[each].place):
        original = sheets.get(ORIGINAL, {}).get(name)
        for variant, held in sheets.items():
            if name in held:
                before = None if variant == ORIGINAL else original
                rows.append(_row(variant, held[name], before, draws=draws, seed=seed))
    return _adjusted(rows)


class _Sheet:
    """A finished sheet, read once."""

    def __init__(self, sheet: AnswerSheet):
        self.file = sheet.items_file
        self.facts: SheetFacts = sheet.facts()
        self.items: list[AnsweredItem] = sheet.items()
        if not self.items:
            raise RunError(f"{self.file} holds no items: remove it, and evaluate again")

    @property
    def place(self) -> tuple[str, int, str]:
        """Its benchmark by name, then the form in the order of the documents, its own one last."""
        identity = self.facts.identity
        forms = [*map(str, FORMS), identity.form]
        return identity.task, forms.index(identity.form), identity.name

    @property
    def clusters(self) -> list[str]:
        """The cluster of each item: its subject, or itself where there is one subject."""
        subjects = [each.subject for each in self.items]
        several = len(set(subjects)) > 1
        return subjects if several else [str(each.item) for each in self.items]

    @property
    def correct(self) -> list[bool]:
        return [each.score == 1 for each in self.items]


def _row(
    variant: str, sheet: _Sheet, original: _Sheet | None, *, draws: int, seed: int
) -> EvaluationRow:
    facts, items = sheet.facts, sheet.items
    counts_NM, score = item_counts(items, facts.metric), SCORES.get(facts.metric, accuracy)
    interval = bootstrap_difference(counts_NM, None, sheet.clusters, score, draws=draws, seed=seed)
    chance, majority = _baselines(facts, items)
    limit, several = facts.identity.limit, len({each.subject for each in items}) > 1
    is_text = facts.identity.parser is not None
    return EvaluationRow(
        variant=variant,
        task=facts.identity.task,
        form=facts.identity.form,
        how=facts.identity.how,
        sample="" if limit is None else f", {limit} a subject" if several else f", {limit} items",
        title=facts.title,
        metric=facts.metric,
        items=len(items),
        subjects=len({each.subject for each in items}),
        score=interval,
        accuracy=sum(each.score for each in items) / len(items),
        chance=chance,
        majority=majority,
        unparsed=sum(each.chosen is None for each in items) if is_text else None,
        cut=sum(each.cut_tokens > 0 for each in items),
        left_out=facts.left_out,
        contaminated=None if facts.contaminated is None else len(facts.contaminated),
        unchecked=facts.unchecked,
        seconds=facts.seconds,
        calibration=calibrate(items),
        difference=None
        if original is None
        else _difference(sheet, original, draws=draws, seed=seed),
    )


def _difference(sheet: _Sheet, original: _Sheet, *, draws: int, seed: int) -> DifferenceRow:
    _refuse_other_items(sheet, original)
    metric = sheet.facts.metric
    score = SCORES.get(metric, accuracy)
    after_NM, before_NM = (item_counts(each.items, metric) for each in (sheet, original))
    interval = bootstrap_difference(
        after_NM, before_NM, sheet.clusters, score, draws=draws, seed=seed
    )
    discordance = mcnemar(original.correct, sheet.correct)
    leaked = set(sheet.facts.contaminated or ())
    clean_N = [each.item not in leaked for each in sheet.items]
    clean = None
    if leaked and any(clean_N):
        sums = [counts_NM[clean_N].sum(0) for counts_NM in (after_NM, before_NM)]
        clean = float(score(sums[0]) - score(sums[1]))
    bounded = interval
    if metric in OF_CLASSES:
        bounded = with_added_items(
            after_NM, before_NM, sheet.clusters, score, draws=draws, seed=seed
        )
    excluded = excluded_loss(bounded, discordance, items=len(sheet.items), metric=metric)
    return DifferenceRow(interval, discordance, discordance.p, excluded, clean)


def _refuse_other_items(sheet: _Sheet, original: _Sheet) -> None:
    pairs = zip(sheet.items, original.items, strict=False)
    same = all((a.item, a.item_sha256) == (b.item, b.item_sha256) for a, b in pairs)
    if not same or len(sheet.items) != len(original.items):
        raise RunError(
            f"{sheet.file} and {original.file} are of other items: remove one, and evaluate again "
            "with the same files, limit and seed"
        )


def _baselines(
    facts: SheetFacts, items: Sequence[AnsweredItem]
) -> tuple[float | None, float | None]:
    """The scores of a random choice and of the most frequent right answer; for F1 the majority is
    always class 1, which is the larger of the two that one class can reach. None of the second
    where an item has no single right answer.
    """
    if facts.chance is None:
        return None, None
    if any(each.gold is None for each in items):
        return facts.chance, None
    gold = Counter(each.gold for each in items)
    share = gold[1] / len(items)
    if facts.metric == "mcc":
        return 0.0, 0.0
    if facts.metric == "f1":
        return share / (share + 0.5), 2 * share / (1 + share)
    return facts.chance, max(gold.values()) / len(items)


def _adjusted(rows: Sequence[EvaluationRow]) -> list[EvaluationRow]:
    """The rows with p-values adjusted over the benchmarks of one variant in one form.

    A benchmark that was asked in several samples counts once: with the sample of the row that is
    adjusted, and beside rows of other benchmarks with its largest.
    """
    families: dict[tuple[str, str], list[EvaluationRow]] = {}
    for row in sorted(rows, key=lambda each: each.items):
        families.setdefault((row.variant, row.how), []).append(row)
    return [_adjust(row, families[row.variant, row.how]) for row in rows]


def _adjust(row: EvaluationRow, family: Sequence[EvaluationRow]) -> EvaluationRow:
    if row.difference is None:
        return row
    largest = {each.task: each for each in family} | {row.task: row}
    found = {
        task: each.difference.discordance.p for task, each in largest.items() if each.difference
    }
    p = dict(zip(found, holm(list(found.values())), strict=True))[row.task]
    return replace(row, difference=replace(row.difference, p_holm=p))
