"""The whole analysis of a study's rows, in one value: what the report draws and `summary.json` holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hyperfitting.errors import DataError
from hyperfitting.preference.analysis import conduct
from hyperfitting.preference.analysis.agreement import Coefficient, agreement
from hyperfitting.preference.analysis.coding import Coded, code, counted, of_one_source
from hyperfitting.preference.analysis.davidson import Davidson, fit
from hyperfitting.preference.analysis.judges import Beside, models_beside_people
from hyperfitting.preference.analysis.shares import PairShares, pair_shares
from hyperfitting.preference.analysis.variety import Slope, does_variety_predict
from hyperfitting.preference.records import Comparison, Judgement, Source

ATTENTION_FAILURES = 0.5
"""The share of failed checks above which an annotator counts as inattentive, unless the plan says otherwise."""


@dataclass(frozen=True)
class Counts:
    """What became of the rows, and how long answers took. `seconds_median` is over counted judgements."""

    rows: int
    counted: int
    excluded: int
    surplus: int
    attention: int
    repeats: int
    annotators: int
    annotators_excluded: int
    contexts: int
    comparisons: int
    seconds_median: float
    judgements_each_least: int
    judgements_each_most: int


@dataclass(frozen=True)
class Analysis:
    """Everything that the rows of one source say. `agreement` is by "all" and, where there are several, by pair."""

    source: Source
    studies: tuple[str, ...]
    counts: Counts
    shares: tuple[PairShares, ...]
    davidson: Davidson
    agreement: dict[str, tuple[Coefficient, ...]]
    consistency: conduct.Consistency
    side_bias: conduct.SideBias
    side_bias_by_annotator: tuple[conduct.SideBias, ...]
    attention: tuple[conduct.Attention, ...]
    failed_attention: tuple[str, ...]
    sensitivity: dict[str, tuple[PairShares, ...]]
    variety: tuple[Slope, ...]
    models: tuple[Beside, ...]


def analyse(
    judgements: Iterable[Judgement],
    comparisons: Iterable[Comparison] = (),
    *,
    source: Source | None = None,
    attention_failures: float = ATTENTION_FAILURES,
    draws: int = 2000,
    seed: int = 0,
) -> Analysis:
    """Analyse the rows of one source; a model's and people's rows together also say how far they agree.

    Raises:
        DataError: sources would mix, no row counts, a row is not usable, or arms were never linked by comparisons.
    """
    everything = list(judgements)
    rows = of_one_source(everything, source)
    scored = counted(rows)
    if not scored:
        raise DataError(f"none of {len(rows)} {rows[0].source} judgements counts: all are checks, surplus or excluded")
    coded = code(scored)
    checks = conduct.attention(rows, comparisons)
    failed = conduct.who_failed(checks, attention_failures)
    return Analysis(
        rows[0].source,
        tuple(sorted({row.study for row in rows})),
        _counts(rows, scored),
        tuple(pair_shares(coded)),
        fit(coded),
        _agreements(coded, draws, seed),
        conduct.self_consistency(rows),
        conduct.side_bias(coded),
        tuple(conduct.side_bias_by_annotator(coded)),
        tuple(checks),
        tuple(sorted(failed)),
        _sensitivity(rows, failed),
        tuple(does_variety_predict(coded)),
        tuple(models_beside_people(everything, draws=draws, seed=seed)) if rows[0].source != "simulated" else (),
    )


def _counts(rows: Sequence[Judgement], scored: Sequence[Judgement]) -> Counts:
    each = np.unique([row.comparison for row in scored], return_counts=True)[1]
    return Counts(
        rows=len(rows),
        counted=len(scored),
        excluded=sum(row.excluded is not None for row in rows),
        surplus=sum(row.surplus for row in rows),
        attention=sum(row.kind == "attention" for row in rows),
        repeats=sum(row.kind == "repeat" for row in rows),
        annotators=len({row.annotator for row in scored}),
        annotators_excluded=len({row.annotator for row in rows if row.excluded}),
        contexts=len({row.context for row in scored}),
        comparisons=len(each),
        seconds_median=float(np.median([row.seconds for row in scored])),
        judgements_each_least=int(each.min()),
        judgements_each_most=int(each.max()),
    )


def _agreements(coded: Coded, draws: int, seed: int) -> dict[str, tuple[Coefficient, ...]]:
    found = {"all": tuple(agreement(coded, draws=draws, seed=seed))}
    if len(coded.pairs) > 1:
        for pair in coded.pairs:
            found[" / ".join(pair)] = tuple(agreement(coded.of_pair(pair), draws=draws, seed=seed))
    return found


def _sensitivity(rows: Sequence[Judgement], failed: frozenset[str]) -> dict[str, tuple[PairShares, ...]]:
    """Each pair's shares over all domains and lengths, on each set of rows."""
    found = {}
    for name, kept in conduct.by_exclusion(rows, failed).items():
        scored = counted(kept, excluded=True)
        whole = pair_shares(code(scored)) if scored else []
        found[name] = tuple(each for each in whole if (each.domain, each.tokens) == ("all", "all"))
    return found
