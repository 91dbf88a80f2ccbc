"""The whole analysis of a study's rows, in one value: what the report draws and `summary.json` holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hyperfitting.errors import StudyError
from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis import conduct
from hyperfitting.preference.analysis.agreement import Coefficient, agreement
from hyperfitting.preference.analysis.coding import Coded, code, counted, of_one_source
from hyperfitting.preference.analysis.davidson import Davidson, fit
from hyperfitting.preference.analysis.judges import Beside, models_beside_people
from hyperfitting.preference.analysis.keeping import Exclusions, hasty, inattentive
from hyperfitting.preference.analysis.shares import ALL, PairShares, pair_shares
from hyperfitting.preference.analysis.variety import Slope, does_variety_predict
from hyperfitting.preference.records import Comparison, Judgement, Source

SETS = ("everyone", "not excluded by hand", "nor inattentive", "nor hasty")
"""The sets of annotators that every estimate is tried on, each within the one before."""


BY_GROUP = "by book or article"
"""The name under which `sensitivity` holds the primary set clustered by group; its contexts are groups."""


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
    tokens_least: int
    tokens_most: int


@dataclass(frozen=True)
class Analysis:
    """Everything that the rows of one source say.

    All but `sensitivity` and `attention` rest on the rows of `primary_set`, one of `SETS`. `agreement` is by "all" and,
    where there are several, by pair; `sensitivity` by set.
    """

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
    inattentive: tuple[str, ...]
    hasty: tuple[str, ...]
    primary_set: str
    sensitivity: dict[str, tuple[PairShares, ...]]
    variety: tuple[Slope, ...]
    models: tuple[Beside, ...]


def analyse(
    judgements: Iterable[Judgement],
    comparisons: Iterable[Comparison] = (),
    *,
    source: Source | None = None,
    rules: Exclusions | None = None,
    level: float = CONFIDENCE,
    draws: int = 2000,
    seed: int = 0,
) -> Analysis:
    """Analyse the rows of one source; a model's and people's rows together also say how far they agree.

    `rules` are the plan's: whom they name is left out. Without a plan nobody is but those excluded by hand, and
    `sensitivity` alone says what the default rules would change.

    Raises:
        StudyError: sources would mix, no row counts, a row is not usable, or arms were never linked by comparisons.
    """
    everything = list(judgements)
    rows = of_one_source(everything, source)
    checks = conduct.attention(rows, comparisons)
    unheeding, quick = (
        inattentive(checks, rules or Exclusions()),
        hasty(rows, rules or Exclusions()),
    )
    sets = _sets(rows, unheeding, quick)
    name = SETS[-1] if rules else SETS[1]
    scored = counted(sets[name], excluded=True)
    if not scored:
        raise StudyError(
            f"none of {len(rows)} {rows[0].source} judgements counts: all are checks, surplus or left out"
        )
    coded = code(scored)
    return Analysis(
        source=rows[0].source,
        studies=tuple(sorted({row.study for row in rows})),
        counts=_counts(rows, scored),
        shares=tuple(pair_shares(coded, level=level)),
        davidson=fit(coded, level=level),
        agreement=_agreements(coded, draws, seed, level),
        consistency=conduct.self_consistency(sets[name], level=level),
        side_bias=conduct.side_bias(coded, level=level),
        side_bias_by_annotator=tuple(conduct.side_bias_by_annotator(coded, level=level)),
        attention=tuple(checks),
        inattentive=tuple(sorted(unheeding)),
        hasty=tuple(sorted(quick)),
        primary_set=name,
        sensitivity={each: _overall(kept, level) for each, kept in sets.items()}
        | _by_group(scored, level),
        variety=tuple(does_variety_predict(coded, level=level)),
        models=_models(everything, rows[0].source, draws, seed, level),
    )


def _sets(
    rows: Sequence[Judgement], unheeding: frozenset[str], quick: frozenset[str]
) -> dict[str, list[Judgement]]:
    by_hand = [row for row in rows if not row.excluded]
    attentive = [row for row in by_hand if row.annotator not in unheeding]
    careful = [row for row in attentive if row.annotator not in quick]
    return dict(zip(SETS, (list(rows), by_hand, attentive, careful), strict=True))


def _models(
    everything: Sequence[Judgement], source: Source, draws: int, seed: int, level: float
) -> tuple[Beside, ...]:
    """Simulated judgements are never set beside real ones."""
    if source == "simulated":
        return ()
    return tuple(models_beside_people(everything, draws=draws, seed=seed, level=level))


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
        tokens_least=min(row.tokens for row in scored),
        tokens_most=max(row.tokens for row in scored),
    )


def _agreements(
    coded: Coded, draws: int, seed: int, level: float
) -> dict[str, tuple[Coefficient, ...]]:
    found = {"all": tuple(agreement(coded, draws=draws, seed=seed, level=level))}
    if len(coded.pairs) > 1:
        for pair in coded.pairs:
            found[" / ".join(pair)] = tuple(
                agreement(coded.of_pair(pair), draws=draws, seed=seed, level=level)
            )
    return found


def _by_group(scored: Sequence[Judgement], level: float) -> dict[str, tuple[PairShares, ...]]:
    """The primary rows once more, clustered by book or article instead of context, where one holds several contexts."""
    contexts = {row.context for row in scored}
    if len({(row.domain, row.group) for row in scored}) == len(contexts):
        return {}
    found = pair_shares(code(scored, by_group=True), level=level)
    return {BY_GROUP: tuple(each for each in found if (each.domain, each.tokens) == (ALL, ALL))}


def _overall(rows: Sequence[Judgement], level: float) -> tuple[PairShares, ...]:
    """Each pair's shares over all domains and lengths."""
    scored = counted(rows, excluded=True)
    found = pair_shares(code(scored), level=level) if scored else []
    return tuple(each for each in found if (each.domain, each.tokens) == (ALL, ALL))
