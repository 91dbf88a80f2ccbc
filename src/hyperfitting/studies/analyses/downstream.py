"""Benchmarks before and after training, over seeds: what was lost, and in which form (Carlsson et
al. 2025, sec. 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hyperfitting.downstream.tables import EvaluationRow, experiment_rows
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.variants import variant_classes
from hyperfitting.report.study.content import (
    Findings,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyTable,
)
from hyperfitting.studies.analyses.confidence import (
    Answered,
    answers_or_likelihoods,
    confidence_rows,
    confidence_table,
    right_answers,
)
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    intervals_in_words,
    marked,
    over_seeds,
    verdict,
)
from hyperfitting.studies.folder import StudyResults


@dataclass(frozen=True)
class DownstreamRow:
    """One variant minus the original on one benchmark in one form, over seeds.

    `value` is the mean over seeds with its interval over trainings. `excluded` is the largest of
    the losses that the samples of the seeds exclude, each as items vary; None: at least one
    excludes nothing. `lost` and `gained` are summed over seeds. `least_p_holm` is the smallest
    adjusted p-value of a seed times the number of seeds (Bonferroni), at most 1. Of the unparsed
    answers, `original_unparsed` are the original's and `unparsed` the variant's, summed over seeds.
    """

    variant: str
    task: str
    form: str
    label: str
    metric: str
    items: int
    original: float
    chance: float | None
    majority: float | None
    value: float
    low: float | None
    high: float | None
    seeds: int
    excluded: float | None
    lost: int
    gained: int
    least_p_holm: float
    original_unparsed: int | None
    unparsed: int | None

    @property
    def mean(self) -> SeedMean:
        """The mean over seeds, as it is written."""
        return SeedMean(self.value, self.low, self.high, self.seeds)


def find_downstream(results: StudyResults) -> Findings:
    """Differences to the original by benchmark and form."""
    answered = {cell.cell.seed: experiment_rows(cell.experiment) for cell in results.finished}
    rows, confidence = list(_rows(answered)), confidence_rows(answered)
    return Findings(
        sentences=(*answers_or_likelihoods(answered), *_sentences(rows, answered)),
        figures=(_figure(rows),) if rows else (),
        tables=(_table(rows), *([confidence_table(confidence)] if confidence else ())),
    )


def _rows(answered: Answered) -> Iterator[DownstreamRow]:
    """A row for each variant, benchmark and form that any finished cell has."""
    held: dict[tuple[str, str], list[EvaluationRow]] = {}
    originals: dict[str, EvaluationRow] = {}
    for row in (row for rows in answered.values() for row in rows):
        if row.difference is None:
            originals[row.label] = row
        else:
            held.setdefault((row.variant, row.label), []).append(row)
    for (variant, label), rows in held.items():
        yield _mean_row(variant, rows, originals[label])


def _mean_row(
    variant: str, rows: Sequence[EvaluationRow], original: EvaluationRow
) -> DownstreamRow:
    found = [row.difference for row in rows if row.difference is not None]
    mean = over_seeds([each.interval.value for each in found])
    bounds = [each.excluded for each in found]
    known = [each for each in bounds if each is not None]
    first = rows[0]
    return DownstreamRow(
        variant=variant,
        task=first.task,
        form=first.form,
        label=first.label,
        metric=first.metric,
        items=first.items,
        original=original.score.value,
        chance=first.chance,
        majority=first.majority,
        value=mean.value,
        low=mean.low,
        high=mean.high,
        seeds=mean.seeds,
        excluded=max(known) if len(known) == len(bounds) else None,
        lost=sum(each.discordance.lost for each in found),
        gained=sum(each.discordance.gained for each in found),
        least_p_holm=min(1.0, len(found) * min(each.p_holm for each in found)),
        original_unparsed=original.unparsed,
        unparsed=None if first.unparsed is None else sum(row.unparsed or 0 for row in rows),
    )


def _sentences(rows: Sequence[DownstreamRow], answered: Answered) -> Iterator[str]:
    """The mean difference of the hyperfitted model in each form: likelihoods beside answers."""
    for form in dict.fromkeys(row.form for row in rows):
        own = [row for row in rows if (row.variant, row.form) == (HYPERFITTED, form)]
        if not own:
            continue
        signs = [row.mean.sign for row in own]
        told = "of one seed and so not tested over seeds"
        if any(sign is not None for sign in signs):
            told = f"told apart over seeds on {signs.count(-1)}"
        clear = sum(row.least_p_holm < 0.05 for row in own)
        yield (
            f"{form}: the hyperfitted model is below the original on "
            f"{sum(row.value < 0 for row in own)} of {len(own)} benchmarks, {told}; on {clear} the "
            "items of a seed differ after Holm's correction and that for seeds."
        )
        if (mean := right_answers(answered, (form,))) is not None:
            lower, higher = "lower, as in the paper", "higher, unlike in the paper"
            found = verdict(mean, higher, lower, "about the same, where the paper's is lower")
            yield f"Its share of right answers, in the mean over these, is {found}."
        silent = [row.label for row in own if (row.original_unparsed or 0) > row.items / 2]
        if silent:
            yield (
                f"The original itself names no choice in most of its answers to {silent[0]}"
                f"{f' and {len(silent) - 1} more' if silent[1:] else ''}: what it lost there is "
                "not seen."
            )


def _figure(rows: Sequence[DownstreamRow]) -> StudyFigure:
    places = list(dict.fromkeys(row.label for row in rows))
    classes = variant_classes(row.variant for row in rows)
    series = tuple(
        Series(
            variant,
            tuple(
                Point(places.index(row.label), row.value, row.low, row.high)
                for row in rows
                if row.variant == variant
            ),
            classes[variant],
            "marks",
        )
        for variant in classes
    )
    lowest = min(min(row.value, row.low or 0) for row in rows)
    highest = max(max(row.value, row.high or 0) for row in rows)
    panel = Panel(
        title="score minus that of the original",
        x="benchmark and form",
        series=series,
        ticks=tuple(places),
        limits=(min(lowest, 0) - 0.02, max(highest, 0) + 0.02),
    )
    caption = "Differences to the original, means over seeds with 95 % intervals over trainings."
    return StudyFigure("downstream", caption, (panel,))


def _table(rows: Sequence[DownstreamRow]) -> StudyTable:
    means = [row.mean for row in rows]
    body = [
        (
            row.label,
            row.variant,
            row.metric,
            str(row.items),
            number(row.original),
            *("" if each is None else number(each) for each in (row.chance, row.majority)),
            marked(row.mean, means),
            f"{row.lost} / {row.gained}",
            number(row.least_p_holm),
            "nothing" if row.excluded is None else f"a loss above {number(row.excluded)}",
            *("" if each is None else str(each) for each in (row.original_unparsed, row.unparsed)),
        )
        for row in rows
    ]
    return StudyTable(
        name="downstream",
        title="Benchmarks, differences to the original",
        note=f"Difference: {intervals_in_words(means)} Excluded: the largest "
        "loss that the sample of a seed rules out with 95 % confidence, as items vary. Lost and "
        "gained items, and unparsed answers, are summed over seeds; p is the smallest of a seed, "
        "after Holm, times the number of seeds.",
        head=(
            "",
            "variant",
            "metric",
            "items",
            "original",
            "chance",
            "majority",
            "difference",
            "lost / gained",
            "least p, Holm",
            "excluded at 95 %",
            "original's unparsed",
            "unparsed",
        ),
        body=tuple(body),
        rows=rows,
    )
