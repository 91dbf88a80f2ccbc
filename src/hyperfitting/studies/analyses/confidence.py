"""Whether training cost a model answers or only likelihoods, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from hyperfitting.downstream.calibration import Calibration
from hyperfitting.downstream.tables import EvaluationRow
from hyperfitting.recipe import HYPERFITTED, ORIGINAL
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import StudyTable
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    intervals_in_words,
    marked,
    over_seeds,
    seed_difference,
    verdict,
)

Answered = Mapping[int, Sequence[EvaluationRow]]
"""The rows of all variants by seed."""


@dataclass(frozen=True)
class ConfidenceRow:
    """Probabilities over the choices of one variant beside the original's, means over seeds.

    Losses of the right choice and entropies are in nats per item, calibration errors in [0, 1].
    `loss_difference` is the variant minus the original; `after` is that of the held-out half when
    each of the two has its own temperature, and None where a half is too small.
    """

    variant: str
    label: str
    original_error: float
    error: float
    original_entropy: float
    entropy: float
    original_loss: float
    loss: float
    loss_difference: SeedMean
    after: SeedMean | None


def confidence_rows(answered: Answered) -> list[ConfidenceRow]:
    """A row for each variant, benchmark and form that has likelihoods."""
    pairs: dict[tuple[str, str], dict[int, tuple[Calibration, Calibration]]] = {}
    for seed, rows in answered.items():
        before = {row.label: row.calibration for row in rows if row.variant == ORIGINAL}
        for row in rows:
            one, other = before.get(row.label), row.calibration
            if row.variant != ORIGINAL and one is not None and other is not None:
                pairs.setdefault((row.variant, row.label), {})[seed] = one, other
    return [_row(*key, list(held.values())) for key, held in pairs.items()]


def _row(
    variant: str, label: str, pairs: Sequence[tuple[Calibration, Calibration]]
) -> ConfidenceRow:
    def means(of: Callable[[Calibration], float]) -> tuple[float, float]:
        return fmean(of(one) for one, _ in pairs), fmean(of(other) for _, other in pairs)

    errors, entropies = means(lambda each: each.error), means(lambda each: each.entropy)
    losses = means(lambda each: each.loss)
    after = [apart for each in pairs if (apart := _after(*each)) is not None]
    return ConfidenceRow(
        variant,
        label,
        *errors,
        *entropies,
        *losses,
        over_seeds([other.loss - one.loss for one, other in pairs]),
        over_seeds(after) if after else None,
    )


def _after(one: Calibration, other: Calibration) -> float | None:
    """The held-out loss of `other` minus that of `one`, each at its own temperature."""
    if one.held_out is None or other.held_out is None:
        return None
    return other.held_out[3] - one.held_out[3]


def confidence_table(rows: Sequence[ConfidenceRow]) -> StudyTable:
    """Losses, entropies and calibration errors, the original's first."""
    means = [row.loss_difference for row in rows]
    body = [
        (
            row.label,
            row.variant,
            f"{number(row.original_error)} / {number(row.error)}",
            f"{number(row.original_entropy)} / {number(row.entropy)}",
            f"{number(row.original_loss)} / {number(row.loss)}",
            marked(row.loss_difference, means),
            "too few items" if row.after is None else str(row.after),
        )
        for row in rows
    ]
    return StudyTable(
        name="confidence",
        title="Confidence in the choices, beside the original's",
        note="Of the probabilities over the choices, the original first: expected calibration "
        "error, entropy and loss of the right choice, in nats per item. A temperature is fitted "
        "to each of the two models on one half of the items; the last column is the difference of "
        f"their losses on the other half. {intervals_in_words(means)}",
        head=(
            "",
            "variant",
            "calibration error",
            "entropy",
            "loss",
            "difference of losses",
            "with a temperature each",
        ),
        body=tuple(body),
        rows=rows,
    )


def right_answers(answered: Answered, forms: Sequence[str]) -> SeedMean | None:
    """The hyperfitted model's share of right answers minus the original's: the mean over the
    benchmarks in these forms, of the seeds that have them all. A share of every benchmark, whatever
    its own metric is, since F1 and correlations have other units.
    """
    held = {
        seed: {
            row.label: (row.difference.discordance.gained - row.difference.discordance.lost)
            / row.items
            for row in rows
            if row.variant == HYPERFITTED and row.form in forms and row.difference is not None
        }
        for seed, rows in answered.items()
    }
    return _of_whole_seeds(held)


def _of_whole_seeds(held: Mapping[int, Mapping[str, float]]) -> SeedMean | None:
    """The mean of each seed that has the values of all benchmarks, over these seeds."""
    labels = {label for each in held.values() for label in each}
    if not labels:
        return None
    whole = {seed: fmean(each.values()) for seed, each in held.items() if each.keys() == labels}
    return seed_difference(whole, dict.fromkeys(whole, 0.0))


def _losses(answered: Answered, *, after: bool) -> SeedMean | None:
    """The loss of the hyperfitted model minus the original's, mean over the benchmarks."""
    held: dict[int, dict[str, float]] = {}
    for seed, rows in answered.items():
        before = {row.label: row.calibration for row in rows if row.variant == ORIGINAL}
        held[seed] = {}
        for row in rows:
            one, other = before.get(row.label), row.calibration
            if row.variant == HYPERFITTED and one is not None and other is not None:
                value = _after(one, other) if after else other.loss - one.loss
                held[seed] |= {} if value is None else {row.label: value}
    return _of_whole_seeds(held)


def answers_or_likelihoods(answered: Answered) -> Iterator[str]:
    """The sentences that answer the study's question; none without likelihoods."""
    loss, after = _losses(answered, after=False), _losses(answered, after=True)
    chosen = right_answers(answered, ("letters", "cloze"))
    written = right_answers(answered, ("generated",))
    if loss is None or chosen is None:
        return
    shares = [("chosen by likelihood", chosen)]
    shares += [] if written is None else [("that are generated", written)]
    yield (
        "Answers or only likelihoods? The loss of the right choice is "
        f"{verdict(loss, 'higher', 'lower', 'about the same')}, in nats."
    )
    for what, each in shares:
        words = verdict(each, "higher", "lower", "not told apart from the original's")
        yield f"The share of right answers {what} is {words}."
    if after is not None:
        words = verdict(after, "still higher", "lower", "about the same")
        yield f"With one temperature each, the loss on the other half of the items is {words}."
    yield _conclusion(loss, [each for _, each in shares])


def _conclusion(loss: SeedMean, shares: Sequence[SeedMean]) -> str:
    if loss.sign is None or any(each.sign is None for each in shares):
        return "One seed decides neither."
    if any(each.sign == -1 for each in shares):
        return "It costs answers" + (" and likelihoods." if loss.sign == 1 else ".")
    if loss.sign == 1:
        return (
            "It costs likelihoods; that it costs answers is not seen, and the table says which "
            "losses of these are excluded."
        )
    return "Neither is seen to be lost; the table says which losses of answers are excluded."
