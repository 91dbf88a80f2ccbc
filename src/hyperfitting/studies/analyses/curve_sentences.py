"""What the study of curves says in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from hyperfitting.recipe import HYPERFITTED
from hyperfitting.report.kit.numbers import number
from hyperfitting.studies.analyses.curve_rows import (
    CURVES,
    EARLY,
    ENDS,
    PUBLISHED,
    TRAINING,
    TimingRow,
    mean_of,
)
from hyperfitting.studies.analyses.moments import (
    Moment,
    at_epoch,
    kept_moment,
    ttr_at_end,
)
from hyperfitting.studies.analyses.summary import SeedMean, published_values, seed_difference
from hyperfitting.studies.folder import StudyResults
from hyperfitting.studies.settings import PublishedValue

STAYS, RETURNS = 0.25, 0.75
"""Validation loss stays where the interval of the share that came back lies below the first, and
has come back where it lies above the second.
"""

_Moments = Mapping[str, Mapping[int, Sequence[Moment]]]
"""Of each training, by seed."""


def sentences(
    results: StudyResults,
    moments: _Moments,
    timings: Sequence[TimingRow],
    ends: Sequence[TimingRow],
) -> Iterator[str]:
    """What agrees with the paper and what does not."""
    of_end = {(row.training, row.variant, row.quantity): row.mean for row in ends}
    if PUBLISHED in moments:
        found = {row.quantity: row.mean for row in timings if row.training == PUBLISHED}
        yield from _of_published(found, of_end)
        yield from _stopped_early(results, of_end)
    for training in moments:
        if training != PUBLISHED and PUBLISHED in moments:
            yield _compared(training, moments)
    yield from _against_published(results, moments.get(PUBLISHED, {}))
    yield from _rise_at_lowest(results, moments.get(PUBLISHED, {}))


def _of_published(
    found: Mapping[str, SeedMean], of_end: Mapping[tuple[str, str, str], SeedMean]
) -> Iterator[str]:
    end = {name: of_end.get((PUBLISHED, HYPERFITTED, name)) for name in ENDS}
    yield f"As published, training ends at a loss of {end['train_loss']} and a TTR of {end['ttr']}."
    if "half_rise_epoch" not in found:
        yield "TTR does not rise, unlike in the paper."
        return
    yield (
        f"Half of TTR's rise is reached at epoch {found['half_rise_epoch']}, where the training "
        f"loss is {found.get('half_rise_train_loss')}; validation loss is lowest at epoch "
        f"{found['lowest_validation_epoch']}, when {found['rise_at_lowest_validation']} of the "
        "rise is done."
    )
    if "validation_return" not in found:
        yield "Validation loss does not rise again, unlike in the paper."
        return
    back = found["validation_return"]
    yield (
        f"Validation loss then rises by {found['validation_rise']} and comes back by {back} of "
        f"that: {_verdict(back)}."
    )


def _verdict(back: SeedMean) -> str:
    """What the share that came back says of grokking and double descent, by its interval."""
    if back.low is None or back.high is None:
        return "one seed, not tested"
    if back.high < STAYS:
        return (
            f"below {STAYS:g}, so it does not come back, as the paper argues: neither grokking nor "
            "double descent"
        )
    if back.low > RETURNS:
        return f"above {RETURNS:g}, so it comes back, unlike in the paper"
    if back.low > STAYS and back.high < RETURNS:
        return f"between {STAYS:g} and {RETURNS:g}, so it comes back in part, unlike in the paper"
    return f"whether it comes back cannot be told (below {STAYS:g} no, above {RETURNS:g} yes)"


def _stopped_early(
    results: StudyResults, of_end: Mapping[tuple[str, str, str], SeedMean]
) -> Iterator[str]:
    """Early stopping against training on, on contexts that did not choose the stop."""
    held_out = next(name for name in ENDS if name.startswith("ttr_last"))
    early, late = (of_end.get((PUBLISHED, each, held_out)) for each in (EARLY, HYPERFITTED))
    if early is None or late is None:
        return
    cells = dict(results.by_point(TRAINING))[PUBLISHED]
    epochs = {cell.cell.seed: kept_moment(cell, EARLY).epoch for cell in cells}
    listed = ", ".join(f"{epoch:g}" for _, epoch in sorted(epochs.items()))
    untrained = " (0: the original itself)" if 0 in epochs.values() else ""
    yield (
        f"Stopped early, at epoch {listed}{untrained}, TTR on held-out contexts is {early}; "
        f"trained on, {late}."
    )


def _compared(training: str, moments: _Moments) -> str:
    """TTR at the end against that of the published training, paired by seed."""
    ends = {
        name: {seed: ttr_at_end(held) for seed, held in moments[name].items() if held}
        for name in (training, PUBLISHED)
    }
    difference = seed_difference(ends[training], ends[PUBLISHED])
    if difference is None:
        return f"{training.capitalize()}: no seed in common with the published training."
    end = mean_of("ttr", list(ends[training].values()))
    return (
        f"{training.replace('-', ' ').capitalize()}: TTR ends at {end}, {difference} from as "
        f"published ({difference.direction})."
    )


def _against_published(
    results: StudyResults, held: Mapping[int, Sequence[Moment]]
) -> Iterator[str]:
    """Each published step of TTR and of validation loss beside ours."""
    for metric, words in {"ttr": "TTR", "validation_loss": "validation loss"}.items():
        for before, after in pairwise(_by_epoch(results, metric)):
            if step := _step(metric, held, before, after):
                yield f"From epoch {before.at['epoch']} to {after.at['epoch']}, {words}{step}"


def _by_epoch(results: StudyResults, metric: str) -> list[PublishedValue]:
    found = [each for each in published_values(results.study, metric) if "epoch" in each.at]
    return sorted(found, key=lambda each: float(each.at["epoch"]))


def _step(
    metric: str,
    held: Mapping[int, Sequence[Moment]],
    before: PublishedValue,
    after: PublishedValue,
) -> str:
    """How our curve goes between two published points, and whether in their direction."""
    first, last = (_values(metric, held, float(each.at["epoch"])) for each in (before, after))
    change = seed_difference(last, first)
    if change is None or after.value == before.value:
        return ""
    theirs = 1 if after.value > before.value else -1
    verdict = {theirs: "the same direction", -theirs: "the other direction"}.get(
        change.sign or 0, change.direction
    )
    ours = (mean_of(metric, list(each.values())) for each in (first, last))
    return (
        f" goes from {number(before.value)} to {number(after.value)} in the paper "
        f"({after.source}), ours from {' to '.join(map(str, ours))}: {verdict}."
    )


def _values(metric: str, held: Mapping[int, Sequence[Moment]], epoch: float) -> dict[int, float]:
    """A curve's value at an epoch, by seed."""
    moments = {seed: at_epoch(each, epoch) for seed, each in held.items()}
    values = {seed: CURVES[metric][1](each) for seed, each in moments.items() if each is not None}
    return {seed: value for seed, value in values.items() if value is not None}


def _rise_at_lowest(results: StudyResults, held: Mapping[int, Sequence[Moment]]) -> Iterator[str]:
    """How much of TTR's rise is done where the published validation loss is lowest: theirs."""
    losses, ttrs = (_by_epoch(results, name) for name in ("validation_loss", "ttr"))
    if not held or len(ttrs) < 2 or not losses:
        return
    lowest = min(losses, key=lambda each: each.value)
    there = [each for each in ttrs if each.at["epoch"] == lowest.at["epoch"]]
    rise = ttrs[-1].value - ttrs[0].value
    if there and rise:
        yield (
            f"In the paper {(there[0].value - ttrs[0].value) / rise:.0%} of TTR's rise is done "
            f"where its validation loss is lowest, at epoch {lowest.at['epoch']} "
            f"({lowest.source})."
        )
