"""Benchmarks in a report: what each model answers, the difference to the original with what the
sample excludes, and how well its confidence fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hyperfitting.downstream.calibration import Calibration
from hyperfitting.downstream.paired import PairedInterval
from hyperfitting.downstream.tables import DifferenceRow, EvaluationRow
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.tables import markdown_grid


@dataclass(frozen=True)
class Grid:
    """One table of texts under headings; `variants` are those of its rows, for their colours."""

    title: str
    note: str
    head: tuple[str, ...]
    variants: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_grid(self.head, self.rows)


def evaluation_grids(rows: Sequence[EvaluationRow]) -> list[Grid]:
    """The tables of benchmarks, of differences and of confidence; those that have rows."""
    different = [row for row in rows if row.difference is not None]
    known = [row for row in rows if row.calibration is not None]
    made = [
        _grid("Benchmarks", _SCORES_NOTE, _SCORES, rows, _scores),
        _grid("Differences to the original", _DIFFERENCES_NOTE, _DIFFERENCES, different, _changes),
        _grid("Confidence", _CONFIDENCE_NOTE, _CONFIDENCE, known, _confidence),
    ]
    return [grid for grid in made if grid.rows]


def _grid(
    title: str,
    note: str,
    head: tuple[str, ...],
    rows: Sequence[EvaluationRow],
    cells: Callable[[EvaluationRow], tuple[str, ...]],
) -> Grid:
    body = tuple((row.label, row.variant, *cells(row)) for row in rows)
    return Grid(title, note, ("benchmark", "variant", *head), tuple(r.variant for r in rows), body)


_SCORES = (
    "metric",
    "score",
    "accuracy",
    "items",
    "chance",
    "majority",
    "unparsed",
    "cut",
    "left out",
    "in training",
    "minutes",
)
_SCORES_NOTE = (
    "acc: share of right answers; f1: F1 of class 1; mcc: Matthews' correlation. Letters: the "
    "likeliest letter. Cloze: the likeliest text of a choice, per character where texts differ in "
    "length. Generated: greedy text, read by a parser; what it cannot read is unparsed and counts "
    "as wrong. Chance is a random choice, majority the most frequent right answer of the sample. "
    "Cut: prompts that did not fit the model. Left out: rows of the file of which a choice has no "
    "text. In training: items that share 13 words in a row with "
    "a training block. Minutes are of answering alone, and missing after a stop. Bounds are 95 % "
    "intervals over subjects, or over items of a benchmark with one subject."
)


def _scores(row: EvaluationRow) -> tuple[str, ...]:
    return (
        row.metric,
        _with_bounds(row.score),
        number(row.accuracy),
        str(row.items),
        _or_dash(row.chance),
        _or_dash(row.majority),
        "" if row.unparsed is None else str(row.unparsed),
        str(row.cut) if row.cut else "",
        str(row.left_out) if row.left_out else "",
        _in_training(row),
        "" if row.seconds is None else number(row.seconds / 60),
    )


def _in_training(row: EvaluationRow) -> str:
    if row.contaminated is None:
        return ""
    unchecked = f" ({row.unchecked} too short to tell)" if row.unchecked else ""
    return f"{row.contaminated}{unchecked}"


_DIFFERENCES = (
    "difference",
    "lost / gained",
    "p",
    "p, Holm",
    "excluded at 95 %",
    "not in training",
)
_DIFFERENCES_NOTE = (
    "The variant minus the original, on the same items. Lost and gained are items that only the "
    "original, or only the variant, answers right; p is McNemar's exact test of these, adjusted by "
    "Holm over the benchmarks of the same form. Excluded: a larger loss is not compatible with the "
    "sample. A difference that is not seen is not one that is not there: this column says how "
    "large it may be. Not in training: the difference without the items that stand in a training "
    "block."
)


def _changes(row: EvaluationRow) -> tuple[str, ...]:
    made = row.difference
    assert made is not None
    return (
        _with_bounds(made.interval, signed=True),
        f"{made.discordance.lost} / {made.discordance.gained}",
        number(made.discordance.p),
        number(made.p_holm),
        excluded_words(made),
        "" if made.without_contaminated is None else f"{made.without_contaminated:+.3f}",
    )


def excluded_words(made: DifferenceRow) -> str:
    """Which loss a sample excludes."""
    return "nothing" if made.excluded is None else f"a loss above {number(made.excluded)}"


_CONFIDENCE = (
    "calibration error",
    "loss",
    "entropy",
    "temperature",
    "held-out error, before / after",
    "held-out loss, before / after",
)
_CONFIDENCE_NOTE = (
    "Of the probabilities over the choices: the expected calibration error in 10 bins, the loss of "
    "the right choice and the entropy, both in nats per item. The temperature was fitted on one "
    "half of the items; error and loss of the other half stand before and after it. It changes no "
    "answer: what it repairs is confidence."
)


def _confidence(row: EvaluationRow) -> tuple[str, ...]:
    found = row.calibration
    assert found is not None
    return (number(found.error), number(found.loss), number(found.entropy), *_refitted(found))


def _refitted(found: Calibration) -> tuple[str, ...]:
    if found.temperature is None or found.held_out is None:
        return ("too few items", "", "")
    error, error_after, loss, loss_after = map(number, found.held_out)
    temperature = f"{number(found.temperature)}{' (bound)' if found.is_at_bound else ''}"
    return (temperature, f"{error} / {error_after}", f"{loss} / {loss_after}")


def _with_bounds(found: PairedInterval, *, signed: bool = False) -> str:
    value = f"{found.value:+.3f}" if signed else number(found.value)
    if found.low is None or found.high is None:
        return value
    bounds = [f"{each:+.3f}" if signed else number(each) for each in (found.low, found.high)]
    return f"{value} ({bounds[0]} to {bounds[1]})"


def _or_dash(value: float | None) -> str:
    return "" if value is None else number(value)


def evaluation_csv_rows(rows: Sequence[EvaluationRow]) -> list[dict[str, object]]:
    """One flat row for each model on each benchmark in each form, for `evaluation.csv`."""
    return [_flat(row) for row in rows]


def _flat(row: EvaluationRow) -> dict[str, object]:
    made, found = row.difference, row.calibration
    refitted = (None,) * 4 if found is None or found.held_out is None else found.held_out
    return {
        **{
            name: getattr(row, name)
            for name in (
                "variant",
                "task",
                "form",
                "how",
                "metric",
                "items",
                "subjects",
                "accuracy",
            )
        },
        "score": row.score.value,
        "score_low": row.score.low,
        "score_high": row.score.high,
        "chance": row.chance,
        "majority": row.majority,
        "unparsed": row.unparsed,
        "cut": row.cut,
        "left_out": row.left_out,
        "contaminated": row.contaminated,
        "unchecked": row.unchecked,
        "seconds": row.seconds,
        "difference": made and made.interval.value,
        "difference_low": made and made.interval.low,
        "difference_high": made and made.interval.high,
        "lost": made and made.discordance.lost,
        "gained": made and made.discordance.gained,
        "p": made and made.discordance.p,
        "p_holm": made and made.p_holm,
        "excluded_loss": made and made.excluded,
        "calibration_error": found and found.error,
        "choice_loss": found and found.loss,
        "choice_entropy": found and found.entropy,
        "temperature": found and found.temperature,
        "held_out_error": refitted[0],
        "held_out_error_after": refitted[1],
        "held_out_loss": refitted[2],
        "held_out_loss_after": refitted[3],
    }
