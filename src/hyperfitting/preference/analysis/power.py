"""Before anyone is paid: how many contexts and annotators buy which interval, by drawing whole studies.

The spread of contexts and annotators is a guess until a pilot is judged; doubling it tells what a wrong guess costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hyperfitting.errors import InputError
from hyperfitting.metrics.stats import LEAST_CLUSTERS
from hyperfitting.preference.analysis.clusters import share_intervals
from hyperfitting.preference.analysis.population import Design, Population, draw

_QUANTILE_DRAWS = 200_000


@dataclass(frozen=True)
class Power:
    """What a design buys. Half-widths are of the 95 % interval of one pair's "preferred or equal", in shares.

    `half_width` is the median over drawn studies, `half_width_90` what nine in ten stay under; none below 10 contexts
    or annotators. `decides_half`: how often the interval leaves 50 % out. Hours are of judging alone.
    """

    contexts: int
    annotators: int
    judgements: int
    half_width: float | None
    half_width_90: float | None
    decides_half: float | None
    judgements_total: int
    judgements_each: float
    hours_total: float
    hours_each: float


def calibrated(population: Population, *, preferred: float, equal: float, seed: int) -> Population:
    """The population whose long-run shares are these: its lean and tie width set, its spreads kept.

    From the quantiles of 200,000 latent preferences without lean, with ties as wide for all annotators.

    Raises:
        InputError: the shares are not between 0 and 1, or leave nothing for "not preferred".
    """
    worse = 1 - preferred - equal
    if not (0 < preferred < 1 and 0 <= equal < 1 and worse > 0):
        raise InputError(
            f"--preferred {preferred:g} and --equal {equal:g} leave no share for each answer: above 0, below 1 in sum"
        )
    rng = np.random.default_rng(seed)
    side = population.side_bias + population.side_sd * rng.standard_normal(_QUANTILE_DRAWS)
    spread = np.hypot(population.context_sd, population.annotator_sd)
    latent = rng.logistic(size=_QUANTILE_DRAWS) + spread * rng.standard_normal(_QUANTILE_DRAWS)
    latent += side * (2 * rng.integers(2, size=_QUANTILE_DRAWS) - 1)
    above, below = np.quantile(latent, [1 - preferred, worse])
    return replace(
        population,
        lean=float(-(above + below) / 2),
        tie_width=float((above - below) / 2),
        tie_sd=0.0,
    )


def power(
    population: Population,
    designs: Iterable[Design],
    *,
    studies: int,
    seconds_each: float,
    seed: int,
) -> list[Power]:
    """Draw `studies` studies of each design and look at their intervals."""
    return [
        _power(population, design, studies, seconds_each, np.random.default_rng(seed))
        for design in designs
    ]


def _power(
    population: Population,
    design: Design,
    studies: int,
    seconds_each: float,
    rng: np.random.Generator,
) -> Power:
    hours = design.size * seconds_each / 3600
    median, most, decided = _widths(population, design, studies, rng)
    return Power(
        design.contexts,
        design.annotators,
        design.judgements,
        median,
        most,
        decided,
        design.size,
        design.size / design.annotators,
        hours,
        hours / design.annotators,
    )


def _widths(
    population: Population, design: Design, studies: int, rng: np.random.Generator
) -> tuple[float, float, float] | tuple[None, None, None]:
    if min(design.contexts, design.annotators) < LEAST_CLUSTERS:
        return None, None, None
    answer_SN, context_N, annotator_N, _ = draw(population, design, studies, rng)
    hits_SN = (answer_SN >= 0).astype(np.float64)
    _, low_S, high_S, _ = share_intervals(hits_SN, context_N, annotator_N)
    median, most = np.quantile((high_S - low_S) / 2, [0.5, 0.9])
    return float(median), float(most), float(((low_S > 0.5) | (high_S < 0.5)).mean())


def power_table(rows: Iterable[Power]) -> str:
    """A line a design, in words for the terminal and for Markdown."""
    first = ("contexts", "annotators", "judgements", "in all", "each")
    head = (*first, "half-width", "9 in 10 under", "decides 50 %", "hours", "hours each")
    lines = [list(head), ["-" * len(name) for name in head]]
    for row in rows:
        lines.append(
            [
                str(row.contexts),
                str(row.annotators),
                str(row.judgements),
                str(row.judgements_total),
                f"{row.judgements_each:.0f}",
                *(
                    _percent(value)
                    for value in (row.half_width, row.half_width_90, row.decides_half)
                ),
                f"{row.hours_total:.1f}",
                f"{row.hours_each:.1f}",
            ]
        )
    padded = (
        [cell.rjust(len(name)) for cell, name in zip(line, head, strict=True)] for line in lines
    )
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"
