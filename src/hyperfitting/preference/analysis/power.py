"""Width of the intervals by number of contexts and annotators, from simulated studies.

The spread of contexts and annotators is a guess until a pilot study is judged. Double it to see the
effect of a wrong guess.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hyperfitting.errors import InputError
from hyperfitting.metrics.stats import LEAST_CLUSTERS
from hyperfitting.preference.analysis.clustered_se import share_intervals
from hyperfitting.preference.analysis.population import Design, Population, draw_answers

_QUANTILE_DRAWS = 200_000


@dataclass(frozen=True)
class DesignPower:
    """Precision and cost of a design. Half-widths: of the 95 % interval of one pair's "preferred or
    equal", as shares.

    `half_width` is the median over simulated studies, `half_width_90` the 90th percentile; None
    with one context and one annotator. With one annotator the interval is over contexts alone.
    `decides_half`: the share of intervals without 50 %. Hours are
    of judging alone.
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


def calibrated_population(
    population: Population, *, preferred: float, equal: float, seed: int
) -> Population:
    """The population with these long-run shares: lean and tie width are set, the spreads are kept.

    From the quantiles of 200,000 latent preferences without lean, with ties as wide for all
    annotators.

    Raises:
        InputError: the shares are not between 0 and 1, or leave nothing for "not preferred".
    """
    worse = 1 - preferred - equal
    if not (0 < preferred < 1 and 0 <= equal < 1 and worse > 0):
        raise InputError(
            f"--preferred {preferred:g} and --equal {equal:g} leave no share for each answer: "
            "above 0, below 1 in sum"
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


def power_of_designs(
    population: Population,
    designs: Iterable[Design],
    *,
    studies: int,
    seconds_each: float,
    seed: int,
) -> list[DesignPower]:
    """Simulate `studies` studies of each design and measure their intervals.

    Args:
        population: the annotators and contexts.
        designs: the designs.
        studies: simulated studies for each design.
        seconds_each: time of one judgement.
        seed: seed of the simulation.
    """
    return [
        _power(population, design, studies, seconds_each, np.random.default_rng(seed))
        for design in designs
    ]


def power_of_grid(
    *,
    contexts: Iterable[int],
    annotators: Iterable[int],
    judgements: Iterable[int],
    preferred: float = 0.3,
    equal: float = 0.15,
    context_sd: float = 1.0,
    annotator_sd: float = 0.5,
    studies: int = 400,
    seconds_each: float = 40.0,
    seed: int = 0,
) -> list[DesignPower]:
    """The power of every combination of contexts, annotators and judgements of each comparison.

    Args:
        contexts: numbers of contexts, each judged for one pair of arms.
        annotators: numbers of annotators.
        judgements: judgements of each comparison.
        preferred: expected share preferred.
        equal: expected share equal.
        context_sd: standard deviation of contexts, in log-odds.
        annotator_sd: standard deviation of annotators, in log-odds.
        studies: simulated studies for each design.
        seconds_each: time of one judgement.
        seed: seed of the simulation.

    Raises:
        InputError: the shares leave nothing for one answer, or a design has too few annotators.
    """
    guess = Population(context_sd=context_sd, annotator_sd=annotator_sd)
    population = calibrated_population(guess, preferred=preferred, equal=equal, seed=seed)
    designs = [Design(*each) for each in itertools.product(contexts, annotators, judgements)]
    return power_of_designs(
        population, designs, studies=studies, seconds_each=seconds_each, seed=seed
    )


def _power(
    population: Population,
    design: Design,
    studies: int,
    seconds_each: float,
    rng: np.random.Generator,
) -> DesignPower:
    hours = design.size * seconds_each / 3600
    median, most, decided = _widths(population, design, studies, rng)
    return DesignPower(
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
    if design.contexts == design.annotators == 1:
        return None, None, None
    answer_SN, context_N, annotator_N, _ = draw_answers(population, design, studies, rng)
    hits_SN = (answer_SN >= 0).astype(np.float64)
    _, low_S, high_S, _ = share_intervals(hits_SN, context_N, annotator_N)
    median, most = np.quantile((high_S - low_S) / 2, [0.5, 0.9])
    return float(median), float(most), float(((low_S > 0.5) | (high_S < 0.5)).mean())


def power_in_words(rows: Iterable[DesignPower]) -> list[str]:
    """What a study can show, for each design of fewer than 10 contexts or annotators."""
    return [_in_words(row) for row in rows if min(row.contexts, row.annotators) < LEAST_CLUSTERS]


def _in_words(row: DesignPower) -> str:
    counts = {"context": row.contexts, "annotator": row.annotators}
    who = " and ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items())
    if row.half_width is None or row.half_width > 0.49:
        return f"{who} tell no share from 50 %"
    low, high = 0.5 - row.half_width, 0.5 + row.half_width
    words = f"{who} tell a share from 50 % if it is below {low:.0%} or above {high:.0%}, roughly"
    if row.annotators == 1:
        return f"{words}; that speaks of this one annotator"
    return f"{words}; more {min(counts, key=lambda name: counts[name])}s narrow it most"


def power_table(rows: Iterable[DesignPower]) -> str:
    """One line for each design, as a Markdown table."""
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
