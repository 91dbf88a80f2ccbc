"""The whole analysis of a study's judgements in one value, for the report and its
`summary.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
    of_one_judge,
    of_one_source,
)
from hyperfitting.preference.analysis.guard import (
    NotComputed,
    StatisticsGuard,
    without_non_finite,
)
from hyperfitting.preference.analysis.llm_agreement import LlmAgreement, llm_agreements
from hyperfitting.preference.analysis.protocol_adherence import hasty, inattentive
from hyperfitting.preference.analysis.shares import ALL_SLICES, PairShares, pair_shares
from hyperfitting.preference.analysis.ttr_regression import TtrOddsRatio, ttr_odds_ratios
from hyperfitting.preference.protocol import PlannedAnalysis
from hyperfitting.preference.records import (
    SHUFFLED,
    BlindedComparison,
    Judgement,
    JudgementSource,
    linked_arms,
    unlinked_in_words,
)

ANNOTATOR_SETS = ("everyone", "not excluded by hand", "nor inattentive", "nor hasty")
"""The sets of annotators in the sensitivity analysis, each within the one before."""

BY_GROUP = "by book or article"
"""The primary set in `sensitivity`, clustered by group; its contexts are groups."""


@dataclass(frozen=True)
class JudgementCounts:
    """Counts of rows by their use. `seconds_median` is the median time of counted judgements. None
    where no row counts, or where rows from elsewhere do not say it.
    """

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
    seconds_median: float | None
    judgements_each_least: int | None
    judgements_each_most: int | None
    tokens_least: int | None
    tokens_most: int | None


@dataclass(frozen=True)
class Analysis:
    """The results for the rows of one source; of language models, for one of them (`judge`).

    All but `sensitivity` and `attention` use the rows of `primary_set`, one of `ANNOTATOR_SETS`.
    The keys of `agreement` are "all" and, where there are several, the pairs of arms; those of
    `sensitivity` are the sets. `davidson` is the scale of the arms that comparisons link to the
    baseline, `other_scales` those of arms that none links to it. `side_bias` is None for a language
    model, which reads every comparison in both orders. `not_computed` says what is missing, and
    why.
    """

    source: JudgementSource
    studies: tuple[str, ...]
    counts: JudgementCounts
    shares: tuple[PairShares, ...]
    davidson: Davidson | None
    agreement: dict[str, tuple[Coefficient, ...]]
    consistency: data_quality.SelfConsistency
    side_bias: data_quality.SideBias | None
    side_bias_by_annotator: tuple[data_quality.SideBias, ...]
    attention: tuple[data_quality.AttentionChecks, ...]
    inattentive: tuple[str, ...]
    hasty: tuple[str, ...]
    primary_set: str
    sensitivity: dict[str, tuple[PairShares, ...]]
    ttr_regression: tuple[TtrOddsRatio, ...]
    llm_agreement: tuple[LlmAgreement, ...]
    judge: str | None = None
    other_scales: tuple[Davidson, ...] = ()
    not_computed: tuple[NotComputed, ...] = ()

    @property
    def scales(self) -> tuple[Davidson, ...]:
        """Every scale of worths, the one with the reference first."""
        return (*filter(None, [self.davidson]), *self.other_scales)


def analyse_judgements(
    judgements: Iterable[Judgement],
    comparisons: Iterable[BlindedComparison] = (),
    *,
    source: JudgementSource | None = None,
    judge: str | None = None,
    rules: PlannedAnalysis | None = None,
    level: float = CONFIDENCE,
    draws: int = 2000,
    seed: int = 0,
) -> Analysis:
    """Analyse the rows of one source. With rows of people and of models, their agreement is part of
    the result.

    A statistic that the rows do not determine takes nothing else with it: `not_computed` names it.

    Args:
        judgements: rows of a study, or from elsewhere.
        comparisons: the study's comparisons; they say which text of an attention check is better.
        source: whose rows; None: the only source that there is.
        judge: which language model, by its annotator; None: the only one that there is.
        rules: the exclusion rules of the protocol. Without them only annotators excluded by hand
            are left out, and `sensitivity` shows the effect of the default rules. They leave out no
            language model.
        level: level of the intervals.
        draws: bootstrap draws of the agreement coefficients.
        seed: seed of the bootstrap.

    Raises:
        StudyError: sources or models would mix, no row counts, or a row cannot be used.
    """
    everything = list(judgements)
    rows = of_one_judge(of_one_source(everything, source), judge)
    if not counted_rows(rows, excluded=True):
        raise StudyError(
            f"none of {len(rows)} {rows[0].source} judgements counts: "
            "all are checks, surplus or left out"
        )
    guard = StatisticsGuard()
    options = _Options(level, draws, seed)
    found = _analysis(everything, rows, comparisons, rules, options, guard)
    found, lost = without_non_finite(found)
    for place in lost:
        guard.note(place, "the number is infinite or undefined")
    finite: Analysis = replace(found, not_computed=tuple(guard.not_computed))
    return finite


@dataclass(frozen=True)
class _Options:
    level: float
    draws: int
    seed: int


def _analysis(
    everything: Sequence[Judgement],
    rows: Sequence[Judgement],
    comparisons: Iterable[BlindedComparison],
    rules: PlannedAnalysis | None,
    options: _Options,
    guard: StatisticsGuard,
) -> Analysis:
    level, source = options.level, rows[0].source
    checks = data_quality.checks_by_annotator(rows, comparisons)
    planned = rules or PlannedAnalysis()
    is_model = source == "model"
    unheeding = frozenset() if is_model else inattentive(checks, planned)
    quick = hasty(rows, planned)
    sets = _sets(rows, unheeding, quick)
    name = ANNOTATOR_SETS[-1] if rules and not is_model else ANNOTATOR_SETS[1]
    scored = counted_rows(sets[name], excluded=True)
    _note_missing(guard, rows, scored, checks, name)
    encoded = encode(scored)
    scales = _scales(encoded, level, guard)
    return Analysis(
        source=source,
        studies=tuple(sorted({row.study for row in rows})),
        counts=_counts(rows, scored),
        shares=tuple(guard.attempt("shares", [], pair_shares, encoded, level=level)),
        davidson=scales[0] if scales else None,
        agreement=_agreements(encoded, options, guard),
        consistency=guard.attempt(
            "self-consistency",
            data_quality.SelfConsistency(0, 0, None, None, None),
            data_quality.self_consistency,
            sets[name],
            level=level,
        ),
        side_bias=None if is_model else data_quality.side_bias(encoded, level=level),
        side_bias_by_annotator=(
            () if is_model else tuple(data_quality.side_bias_by_annotator(encoded, level=level))
        ),
        attention=tuple(checks),
        inattentive=tuple(sorted(unheeding)),
        hasty=tuple(sorted(quick)),
        primary_set=name,
        sensitivity=_sensitivity(sets, name, scored, level, guard),
        ttr_regression=tuple(
            guard.attempt(
                "type-token ratio and preference", [], ttr_odds_ratios, encoded, level=level
            )
        ),
        llm_agreement=_llm_agreement(everything, rows, options, guard),
        judge=rows[0].annotator if is_model else None,
        other_scales=tuple(scales[1:]),
    )


def _note_missing(
    guard: StatisticsGuard,
    rows: Sequence[Judgement],
    scored: Sequence[Judgement],
    checks: Sequence[data_quality.AttentionChecks],
    name: str,
) -> None:
    """What these rows do not say, and what therefore is missing."""
    if not scored:
        guard.note(
            "shares, worths and agreement",
            f"no judgement is left in the primary set ({name}); the other sets stand below",
        )
    if unknown := sum(each.unknown for each in checks):
        why = f"they do not say which text is better: name the worse arm {SHUFFLED!r}"
        guard.note(f"{unknown} attention checks", why)
    for column, what in _NEEDED.items():
        if missing := sum(getattr(row, column) is None for row in rows):
            guard.note(what, f"{missing} of {len(rows)} rows have no {column!r}")


_NEEDED = {
    "tokens": "shares by length",
    "ttr_first": "type-token ratio and preference",
    "seconds": "time on a page, and who is hasty",
}
"""Columns that rows from elsewhere may lack, and the analysis that needs each."""


def _scales(encoded: EncodedJudgements, level: float, guard: StatisticsGuard) -> list[Davidson]:
    """A scale of worths for each group of arms that comparisons link."""
    groups = linked_arms(encoded.pairs)
    if len(groups) > 1:
        words = "each group has a scale of its own; compare an arm of each"
        guard.note("one scale for all arms", f"{unlinked_in_words(groups)}: {words}")
    fits = [
        guard.attempt(
            f"scale of {', '.join(sorted(group))}",
            None,
            fit_davidson,
            _of_arms(encoded, group),
            level=level,
        )
        for group in groups
    ]
    return [each for each in fits if each is not None]


def _of_arms(encoded: EncodedJudgements, arms: frozenset[str]) -> EncodedJudgements:
    """The judgements of pairs within a group of linked arms, with the positions of these pairs."""
    kept = [index for index, pair in enumerate(encoded.pairs) if arms.issuperset(pair)]
    chosen = encoded.where(np.isin(encoded.pair_N, kept))
    return replace(
        chosen,
        pairs=tuple(encoded.pairs[index] for index in kept),
        pair_N=np.searchsorted(kept, chosen.pair_N),
    )


def _sets(
    rows: Sequence[Judgement], unheeding: frozenset[str], quick: frozenset[str]
) -> dict[str, list[Judgement]]:
    by_hand = [row for row in rows if not row.excluded]
    attentive = [row for row in by_hand if row.annotator not in unheeding]
    careful = [row for row in attentive if row.annotator not in quick]
    return dict(zip(ANNOTATOR_SETS, (list(rows), by_hand, attentive, careful), strict=True))


def _llm_agreement(
    everything: Sequence[Judgement],
    rows: Sequence[Judgement],
    options: _Options,
    guard: StatisticsGuard,
) -> tuple[LlmAgreement, ...]:
    """Agreement of each language model with people; none for simulated judgements. In the analysis
    of one model, its own.
    """
    judges = rows if rows[0].source == "model" else everything
    models = sorted({row.annotator for row in judges if row.source == "model"})
    return tuple(
        found
        for model in (() if rows[0].source == "simulated" else models)
        for found in guard.attempt(
            f"agreement of {model} with people",
            [],
            llm_agreements,
            [row for row in everything if row.source == "human" or row.annotator == model],
            draws=options.draws,
            seed=options.seed,
            level=options.level,
        )
    )


def _counts(rows: Sequence[Judgement], scored: Sequence[Judgement]) -> JudgementCounts:
    each = Counter(row.comparison for row in scored).values()
    tokens = [row.tokens for row in scored if row.tokens is not None]
    seconds = [row.seconds for row in scored if row.seconds is not None]
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
        seconds_median=float(np.median(seconds)) if seconds else None,
        judgements_each_least=min(each, default=None),
        judgements_each_most=max(each, default=None),
        tokens_least=min(tokens, default=None),
        tokens_most=max(tokens, default=None),
    )


def _agreements(
    encoded: EncodedJudgements, options: _Options, guard: StatisticsGuard
) -> dict[str, tuple[Coefficient, ...]]:
    parts = {"all": encoded}
    if len(encoded.pairs) > 1:
        parts |= {" / ".join(pair): encoded.of_pair(pair) for pair in encoded.pairs}
    return {
        name: tuple(
            guard.attempt(
                f"agreement, {name}",
                [],
                agreement_coefficients,
                part,
                draws=options.draws,
                seed=options.seed,
                level=options.level,
            )
        )
        for name, part in parts.items()
    }


def _sensitivity(
    sets: dict[str, list[Judgement]],
    primary: str,
    scored: Sequence[Judgement],
    level: float,
    guard: StatisticsGuard,
) -> dict[str, tuple[PairShares, ...]]:
    """Each pair's shares by set of annotators. Of a language model only the primary set, since no
    rule leaves it out; with books or articles as clusters where one holds several contexts.
    """
    is_model = sets[ANNOTATOR_SETS[0]][0].source == "model"
    encoded = {
        name: encode(counted_rows(rows, excluded=True))
        for name, rows in sets.items()
        if name == primary or not is_model
    }
    groups = {(row.domain, row.group) for row in scored}
    if len(groups) != len({row.context for row in scored}):
        encoded[BY_GROUP] = encode(scored, by_group=True)
    return {
        name: tuple(guard.attempt(f"shares, {name}", [], _overall, part, level))
        for name, part in encoded.items()
    }


def _overall(encoded: EncodedJudgements, level: float) -> list[PairShares]:
    """Each pair's shares over all domains and lengths."""
    found = pair_shares(encoded, level=level)
    return [each for each in found if (each.domain, each.tokens) == (ALL_SLICES, ALL_SLICES)]
