"""The whole analysis of a study's judgements in one value, for the report and its
`summary.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hyperfitting.errors import StudyError
from hyperfitting.metrics.stats import CONFIDENCE
from hyperfitting.preference.analysis import data_quality
from hyperfitting.preference.analysis.agreement import Coefficient, agreement_coefficients
from hyperfitting.preference.analysis.davidson import Davidson, fit_davidson
from hyperfitting.preference.analysis.encode import (
    EncodedJudgements,
    counted_rows,
    encode,
    of_one_source,
)
from hyperfitting.preference.analysis.llm_agreement import LlmAgreement, llm_agreements
from hyperfitting.preference.analysis.protocol_adherence import hasty, inattentive
from hyperfitting.preference.analysis.shares import ALL_SLICES, PairShares, pair_shares
from hyperfitting.preference.analysis.ttr_regression import TtrOddsRatio, ttr_odds_ratios
from hyperfitting.preference.protocol import PlannedAnalysis
from hyperfitting.preference.records import BlindedComparison, Judgement, JudgementSource

ANNOTATOR_SETS = ("everyone", "not excluded by hand", "nor inattentive", "nor hasty")
"""The sets of annotators in the sensitivity analysis, each within the one before."""

BY_GROUP = "by book or article"
"""The primary set in `sensitivity`, clustered by group; its contexts are groups."""


@dataclass(frozen=True)
class JudgementCounts:
    """Counts of rows by their use. `seconds_median` is the median time of counted judgements."""

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
    """The results for the rows of one source.

    All but `sensitivity` and `attention` use the rows of `primary_set`, one of `ANNOTATOR_SETS`.
    The keys of `agreement` are "all" and, where there are several, the pairs of arms; those of
    `sensitivity` are the sets.
    """

    source: JudgementSource
    studies: tuple[str, ...]
    counts: JudgementCounts
    shares: tuple[PairShares, ...]
    davidson: Davidson
    agreement: dict[str, tuple[Coefficient, ...]]
    consistency: data_quality.SelfConsistency
    side_bias: data_quality.SideBias
    side_bias_by_annotator: tuple[data_quality.SideBias, ...]
    attention: tuple[data_quality.AttentionChecks, ...]
    inattentive: tuple[str, ...]
    hasty: tuple[str, ...]
    primary_set: str
    sensitivity: dict[str, tuple[PairShares, ...]]
    ttr_regression: tuple[TtrOddsRatio, ...]
    llm_agreement: tuple[LlmAgreement, ...]


def analyse_judgements(
    judgements: Iterable[Judgement],
    comparisons: Iterable[BlindedComparison] = (),
    *,
    source: JudgementSource | None = None,
    rules: PlannedAnalysis | None = None,
    level: float = CONFIDENCE,
    draws: int = 2000,
    seed: int = 0,
) -> Analysis:
    """Analyse the rows of one source. With rows of people and of models, their agreement is part of
    the result.

    Args:
        judgements: rows of a study, or from elsewhere.
        comparisons: the study's comparisons; they say which text of an attention check is better.
        source: whose rows; None: the only source that there is.
        rules: the exclusion rules of the protocol. Without them only annotators excluded by hand
            are left out, and `sensitivity` shows the effect of the default rules.
        level: level of the intervals.
        draws: bootstrap draws of the agreement coefficients.
        seed: seed of the bootstrap.

    Raises:
        StudyError: sources would mix, no row counts, a row cannot be used, or comparisons do not
            link all arms.
    """
    everything = list(judgements)
    rows = of_one_source(everything, source)
    checks = data_quality.attention_checks(rows, comparisons)
    planned = rules or PlannedAnalysis()
    unheeding, quick = inattentive(checks, planned), hasty(rows, planned)
    sets = _sets(rows, unheeding, quick)
    name = ANNOTATOR_SETS[-1] if rules else ANNOTATOR_SETS[1]
    scored = _scored(rows, sets[name])
    encoded = encode(scored)
    return Analysis(
        source=rows[0].source,
        studies=tuple(sorted({row.study for row in rows})),
        counts=_counts(rows, scored),
        shares=tuple(pair_shares(encoded, level=level)),
        davidson=fit_davidson(encoded, level=level),
        agreement=_agreements(encoded, draws, seed, level),
        consistency=data_quality.self_consistency(sets[name], level=level),
        side_bias=data_quality.side_bias(encoded, level=level),
        side_bias_by_annotator=tuple(data_quality.side_bias_by_annotator(encoded, level=level)),
        attention=tuple(checks),
        inattentive=tuple(sorted(unheeding)),
        hasty=tuple(sorted(quick)),
        primary_set=name,
        sensitivity={each: _overall(kept, level) for each, kept in sets.items()}
        | _by_group(scored, level),
        ttr_regression=tuple(ttr_odds_ratios(encoded, level=level)),
        llm_agreement=_llm_agreement(everything, rows[0].source, draws, seed, level),
    )


def _scored(rows: Sequence[Judgement], kept: Sequence[Judgement]) -> list[Judgement]:
    """The rows that enter a score."""
    scored = counted_rows(kept, excluded=True)
    if not scored:
        raise StudyError(
            f"none of {len(rows)} {rows[0].source} judgements counts: "
            "all are checks, surplus or left out"
        )
    return scored


def _sets(
    rows: Sequence[Judgement], unheeding: frozenset[str], quick: frozenset[str]
) -> dict[str, list[Judgement]]:
    by_hand = [row for row in rows if not row.excluded]
    attentive = [row for row in by_hand if row.annotator not in unheeding]
    careful = [row for row in attentive if row.annotator not in quick]
    return dict(zip(ANNOTATOR_SETS, (list(rows), by_hand, attentive, careful), strict=True))


def _llm_agreement(
    everything: Sequence[Judgement], source: JudgementSource, draws: int, seed: int, level: float
) -> tuple[LlmAgreement, ...]:
    """Agreement of language models with people; none for simulated judgements."""
    if source == "simulated":
        return ()
    return tuple(llm_agreements(everything, draws=draws, seed=seed, level=level))


def _counts(rows: Sequence[Judgement], scored: Sequence[Judgement]) -> JudgementCounts:
    each = np.unique([row.comparison for row in scored], return_counts=True)[1]
    return JudgementCounts(
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
    encoded: EncodedJudgements, draws: int, seed: int, level: float
) -> dict[str, tuple[Coefficient, ...]]:
    found = {"all": tuple(agreement_coefficients(encoded, draws=draws, seed=seed, level=level))}
    if len(encoded.pairs) > 1:
        for pair in encoded.pairs:
            found[" / ".join(pair)] = tuple(
                agreement_coefficients(encoded.of_pair(pair), draws=draws, seed=seed, level=level)
            )
    return found


def _by_group(scored: Sequence[Judgement], level: float) -> dict[str, tuple[PairShares, ...]]:
    """The primary rows clustered by book or article instead of context, where one holds several
    contexts.
    """
    contexts = {row.context for row in scored}
    if len({(row.domain, row.group) for row in scored}) == len(contexts):
        return {}
    found = pair_shares(encode(scored, by_group=True), level=level)
    return {
        BY_GROUP: tuple(
            each for each in found if (each.domain, each.tokens) == (ALL_SLICES, ALL_SLICES)
        )
    }


def _overall(rows: Sequence[Judgement], level: float) -> tuple[PairShares, ...]:
    """Each pair's shares over all domains and lengths."""
    scored = counted_rows(rows, excluded=True)
    found = pair_shares(encode(scored), level=level) if scored else []
    return tuple(each for each in found if (each.domain, each.tokens) == (ALL_SLICES, ALL_SLICES))
