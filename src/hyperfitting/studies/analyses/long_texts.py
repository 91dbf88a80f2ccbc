"""Does a hyperfitted model's text stay varied as it grows? TTR by position, to the length that was
trained on and beyond (Carlsson et al. 2025, Figure 9).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hyperfitting.recipe import HYPERFITTED, ORIGINAL
from hyperfitting.records import REFERENCE
from hyperfitting.report.study.content import Findings, Panel, Series, StudyFigure, StudyTable
from hyperfitting.studies.analyses.summary import (
    SeedMean,
    domains_of,
    intervals_in_words,
    marked,
    over_seeds,
    seed_difference,
    verdict,
)
from hyperfitting.studies.folder import FinishedCell, StudyResults

TRAINED = "trained"
"""The axis: tokens of a training block."""

_METRIC = "ttr_by_position"
_ARMS = {
    HYPERFITTED: ("greedy", "hyperfitted"),
    ORIGINAL: ("greedy", "original"),
    REFERENCE: (None, "reference"),
}
_LABELS = {
    HYPERFITTED: "hyperfitted, greedy",
    ORIGINAL: "original, greedy",
    REFERENCE: "true texts",
}


@dataclass(frozen=True)
class LongRow:
    """TTR of the 96 tokens that end at `position`, in new tokens: the mean over seeds.

    `beyond`: whether context and text are longer there than what the hyperfitted model was trained
    on, a training block. Never of the original, of which nothing is generated beyond its own
    positions, nor of true texts, which no model wrote.
    """

    trained: str
    block_tokens: int
    variant: str
    domain: str
    position: int
    beyond: bool
    mean: SeedMean


@dataclass(frozen=True)
class Fall:
    """How TTR of one arm changes from its first window to the last within the trained length.

    `first_by_seed` is the first, and `by_seed` the first minus the last.
    """

    first: SeedMean
    last: SeedMean
    first_by_seed: dict[int, float]
    by_seed: dict[int, float]


def find_long_texts(results: StudyResults) -> Findings:
    """TTR by position for each trained length, of both models and the true texts."""
    rows = [row for trained, cells in results.by_point(TRAINED) for row in _rows(trained, cells)]
    domain = (domains_of(results.finished) or [""])[0]
    return Findings(
        sentences=tuple(_sentences(results, domain)),
        figures=(_figure(results, rows, domain),),
        tables=(_table(rows, domain),),
    )


def _rows(trained: str, cells: Sequence[FinishedCell]) -> Iterator[LongRow]:
    for domain in domains_of(cells):
        block, context = _lengths(cells[0])
        for variant in _ARMS:
            for position, found in _by_position(cells, variant, domain).items():
                yield LongRow(
                    trained,
                    block,
                    variant,
                    domain,
                    position,
                    variant == HYPERFITTED and context + position > block,
                    over_seeds(list(found.values()), share=True),
                )


def _lengths(cell: FinishedCell) -> tuple[int, int]:
    """Tokens of a training block, and of a context."""
    data = cell.experiment.recipe.data
    return data.block_tokens, data.context_tokens


def _by_position(
    cells: Sequence[FinishedCell], variant: str, domain: str
) -> dict[int, dict[int, float]]:
    """TTR of one variant's greedy texts by position and seed."""
    strategy, _ = _ARMS[variant]
    held: dict[int, dict[int, float]] = {}
    for cell in cells:
        for row in cell.metric_rows(_METRIC, variant=variant, domain=domain):
            if row.strategy == strategy and row.position is not None:
                held.setdefault(row.position, {})[cell.cell.seed] = row.value
    return dict(sorted(held.items()))


def fall_within(cells: Sequence[FinishedCell], variant: str, domain: str) -> Fall | None:
    """How much TTR falls within the trained length; None if fewer than two windows end there."""
    block, context = _lengths(cells[0])
    held = _by_position(cells, variant, domain)
    within = [values for position, values in held.items() if context + position <= block]
    if len(within) < 2:
        return None
    first, last = within[0], within[-1]
    falls = {seed: first[seed] - last[seed] for seed in first.keys() & last.keys()}
    start, end = (over_seeds(list(each.values()), share=True) for each in (first, last))
    return Fall(start, end, first, falls)


def _figure(results: StudyResults, rows: Sequence[LongRow], domain: str) -> StudyFigure:
    panels = []
    for trained, cells in results.by_point(TRAINED):
        if not cells:
            continue
        block, context = _lengths(cells[0])
        series = [
            Series(
                _LABELS[variant],
                tuple(
                    row.mean.at(row.position)
                    for row in rows
                    if (row.trained, row.variant, row.domain) == (trained, variant, domain)
                ),
                colour,
                "dashed" if variant == REFERENCE else "line",
            )
            for variant, (_, colour) in _ARMS.items()
        ]
        panels.append(
            Panel(
                f"TTR of 96 tokens, blocks of {block} tokens",
                "end of the window (new tokens)",
                tuple(series),
                limits=(0.0, 1.0),
                shaded_from=float(block - context),
                shaded="hyperfitted: longer than trained on",
            )
        )
    caption = (
        f"Type-token ratio by position on {domain}. Shaded: context and text are longer than the "
        "blocks that the hyperfitted model was trained on; the original was trained on longer ones "
        "(Carlsson et al. 2025, Figure 9, whose values are not given)."
    )
    return StudyFigure("long", caption, tuple(panels))


def _table(rows: Sequence[LongRow], domain: str) -> StudyTable:
    held = [row for row in rows if row.domain == domain]
    means = [row.mean for row in held]
    positions = sorted({row.position for row in held})
    body = []
    for trained, variant in dict.fromkeys((row.trained, row.variant) for row in held):
        mine = [row for row in held if (row.trained, row.variant) == (trained, variant)]
        by_position = {row.position: row for row in mine}
        cells = [_cell(by_position.get(position), means) for position in positions]
        body.append((f"blocks of {mine[0].block_tokens}, {_LABELS[variant]}", *cells))
    return StudyTable(
        name="long",
        title="By position",
        note=f"TTR of the 96 tokens that end there, on {domain}; * beyond the length that the "
        f"hyperfitted model was trained on. Every domain stands in the CSV. "
        f"{intervals_in_words(means)}",
        head=("", *map(str, positions)),
        body=tuple(body),
        rows=rows,
    )


def _cell(row: LongRow | None, means: Sequence[SeedMean]) -> str:
    return "" if row is None else f"{marked(row.mean, means)}{'*' if row.beyond else ''}"


def _sentences(results: StudyResults, domain: str) -> Iterator[str]:
    for _, cells in results.by_point(TRAINED):
        if not cells:
            continue
        block, _ = _lengths(cells[0])
        ours = fall_within(cells, HYPERFITTED, domain)
        theirs = fall_within(cells, ORIGINAL, domain)
        if ours is None or theirs is None:
            yield (
                f"With blocks of {block} tokens fewer than two windows end within the trained "
                "length, so nothing is said of it."
            )
            continue
        yield (
            f"Trained on blocks of {block} tokens, greedy TTR on {domain} goes from {ours.first} "
            f"to {ours.last} within that length, that of the original from {theirs.first} to "
            f"{theirs.last}: it {_starts(ours, theirs)}, and {_falls(ours, theirs)}."
        )
        yield from _beyond(cells, domain)


def _starts(ours: Fall, theirs: Fall) -> str:
    apart = seed_difference(ours.first_by_seed, theirs.first_by_seed)
    if apart is None:
        return "no seed has both starts"
    higher, lower = "starts higher, as in the paper", "starts lower, unlike in the paper"
    return verdict(apart, higher, lower, "starts about as high, where the paper's starts higher")


def _falls(ours: Fall, theirs: Fall) -> str:
    less = seed_difference(theirs.by_seed, ours.by_seed)
    if less is None:
        return "no seed has both falls"
    slower, faster = "falls slower, as in the paper", "falls faster, unlike in the paper"
    return verdict(less, slower, faster, "falls about as fast, where the paper's falls slower")


def _beyond(cells: Sequence[FinishedCell], domain: str) -> Iterator[str]:
    """What lies beyond the trained length proves nothing of it, and is only told."""
    block, context = _lengths(cells[0])
    held = _by_position(cells, HYPERFITTED, domain)
    beyond = [position for position in held if context + position > block]
    if beyond:
        last = over_seeds(list(held[beyond[-1]].values()), share=True)
        yield (
            f"Beyond it, which the training never showed to the model, TTR is {last} at "
            f"{beyond[-1]} new tokens."
        )
