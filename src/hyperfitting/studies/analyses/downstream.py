"""Benchmarks before and after training, over seeds: what was lost, and in which form (Carlsson et
al. 2025, sec. 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

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
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    intervals_in_words,
    marked,
    over_seeds,
    verdict,
)
from hyperfitting.studies.folder import StudyResults

_Answered = dict[int, list[EvaluationRow]]
"""The rows of all variants by seed."""


@dataclass(frozen=True)
class DownstreamRow:
    """One variant minus the original on one benchmark in one form, over seeds.

    `value` is the mean over seeds with its interval over trainings. `excluded` is the largest of
    the losses that the samples of the seeds exclude, each as items vary; None: at least one
    excludes nothing. `lost` and `gained` are summed over seeds. `least_p_holm` is the smallest
    adjusted p-value of a seed.
    """

    variant: str
    task: str
    form: str
    label: str
    metric: str
    items: int
    original: float
    chance: float | None
    value: float
    low: float | None
    high: float | None
    seeds: int
    excluded: float | None
    lost: int
    gained: int
    least_p_holm: float
    unparsed: int | None

    @property
    def mean(self) -> SeedMean:
        """The mean over seeds, as it is written."""
        return SeedMean(self.value, self.low, self.high, self.seeds)


def find_downstream(results: StudyResults) -> Findings:
    """Differences to the original by benchmark and form."""
    answered = {cell.cell.seed: experiment_rows(cell.experiment) for cell in results.finished}
    rows = list(_rows(answered))
    return Findings(
        sentences=tuple(_sentences(rows, answered)),
        figures=(_figure(rows),) if rows else (),
        tables=(_table(rows),),
    )


def _rows(answered: _Answered) -> Iterator[DownstreamRow]:
    """A row for each variant, benchmark and form that any finished cell has."""
    held: dict[tuple[str, str], list[EvaluationRow]] = {}
    scores: dict[str, float] = {}
    for row in (row for rows in answered.values() for row in rows):
        if row.difference is None:
            scores[row.label] = row.score.value
        else:
            held.setdefault((row.variant, row.label), []).append(row)
    for (variant, label), rows in held.items():
        yield _mean_row(variant, rows, scores[label])


def _mean_row(variant: str, rows: Sequence[EvaluationRow], original: float) -> DownstreamRow:
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
        original=original,
        chance=first.chance,
        value=mean.value,
        low=mean.low,
        high=mean.high,
        seeds=mean.seeds,
        excluded=max(known) if len(known) == len(bounds) else None,
        lost=sum(each.discordance.lost for each in found),
        gained=sum(each.discordance.gained for each in found),
        least_p_holm=min(each.p_holm for each in found),
        unparsed=None if first.unparsed is None else sum(row.unparsed or 0 for row in rows),
    )


def _sentences(rows: Sequence[DownstreamRow], answered: _Answered) -> Iterator[str]:
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
            "items of a seed differ after Holm's correction."
        )
        if (mean := _over_benchmarks(form, answered)) is not None:
            lower, higher = "lower, as in the paper", "higher, unlike in the paper"
            found = verdict(mean, higher, lower, "about the same, where the paper's is lower")
            yield f"In the mean over these it is {found}."


def _over_benchmarks(form: str, answered: _Answered) -> SeedMean | None:
    """The hyperfitted model minus the original, mean over the benchmarks of a form, of the seeds
    that have them all.
    """
    held = {
        seed: {
            row.label: row.difference.interval.value
            for row in rows
            if (row.variant, row.form) == (HYPERFITTED, form) and row.difference is not None
        }
        for seed, rows in answered.items()
    }
    labels = {label for each in held.values() for label in each}
    whole = [fmean(each.values()) for each in held.values() if each.keys() == labels]
    return over_seeds(whole) if whole else None


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
            "" if row.chance is None else number(row.chance),
            marked(row.mean, means),
            f"{row.lost} / {row.gained}",
            number(row.least_p_holm),
            "nothing" if row.excluded is None else f"a loss above {number(row.excluded)}",
            "" if row.unparsed is None else str(row.unparsed),
        )
        for row in rows
    ]
    return StudyTable(
        name="downstream",
        title="Benchmarks, differences to the original",
        note=f"Difference: {intervals_in_words(means)} Excluded: the largest "
        "loss that the sample of a seed rules out with 95 % confidence, as items vary. Lost and "
        "gained items are summed over seeds; p is the smallest of a seed, after Holm.",
        head=(
            "",
            "variant",
            "metric",
            "items",
            "original",
            "chance",
            "difference",
            "lost / gained",
            "least p, Holm",
            "excluded at 95 %",
            "unparsed",
        ),
        body=tuple(body),
        rows=rows,
    )
