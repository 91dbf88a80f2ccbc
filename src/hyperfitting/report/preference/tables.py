"""The tables of a preference report, from an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyperfitting.preference.analysis import Analysis, published_preference
from hyperfitting.preference.analysis.agreement import Coefficient
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.preference.analysis.data_quality import SideBias
from hyperfitting.preference.analysis.protocol_adherence import ProtocolCheck
from hyperfitting.preference.analysis.shares import PairShares
from hyperfitting.preference.judges.simulated import TrueShares
from hyperfitting.records import REFERENCE
from hyperfitting.report.preference.sheets import Sheet, SheetColumn

COEFFICIENT_TITLES = {
    "raw_agreement": "raw agreement",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "ac1": "Gwet's AC1",
    "fleiss_kappa": "Fleiss' kappa",
}


PRIMARY_SHARES = {"preferred-or-equal": "preferred or equal", "preferred": "preferred"}
"""The shares that a protocol can make primary."""

_COUNTS = (
    SheetColumn("judgements", "judgements", "count"),
    SheetColumn("contexts", "contexts", "count"),
    SheetColumn("annotators", "annotators", "count"),
)
_SHARES = (
    SheetColumn("preferred", "preferred", "share"),
    SheetColumn("equal", "equal", "share"),
    SheetColumn("not_preferred", "not preferred", "share"),
    SheetColumn("preferred_or_equal", "preferred or equal", "share"),
)


def preference_sheets(
    analysis: Analysis, checks: Sequence[ProtocolCheck], truth: Sequence[TrueShares]
) -> list[Sheet]:
    """Every table, in the order of the page."""
    made = [
        _protocol(checks),
        _shares(analysis),
        _slices(analysis),
        _truth(analysis, truth),
        _worths(analysis),
        _expected(analysis),
        _agreement(analysis),
        _agreement_by_pair(analysis),
        _data_quality(analysis),
        _sensitivity(analysis),
        _ttr_regression(analysis),
        _llm_agreement(analysis),
        _annotators(analysis),
        _published(analysis),
    ]
    return [sheet for sheet in made if sheet.rows]


def _protocol(checks: Sequence[ProtocolCheck]) -> Sheet:
    columns = (
        SheetColumn("what", "item"),
        SheetColumn("kept", "kept?"),
        SheetColumn("planned", "planned"),
        SheetColumn("found", "found"),
    )
    rows = [
        (each.what, "kept" if each.kept else "not kept", each.planned, each.found)
        for each in checks
    ]
    return Sheet("protocol", "Was the protocol kept?", columns, rows)


def pair_name(one: str, other: str) -> str:
    """A pair of arms as text."""
    return f"{one} vs {other}"


def primary_share(row: PairShares, primary: str) -> Interval:
    """The share that the protocol makes primary."""
    return row.preferred if primary == "preferred" else row.preferred_or_equal


def slice_name(row: PairShares) -> str:
    """A slice as text."""
    length = "" if row.tokens == "all" else f"{row.tokens} tokens"
    return (
        ", ".join(part for part in ("" if row.domain == "all" else row.domain, length) if part)
        or "all"
    )


def _share_row(row: PairShares) -> tuple[Any, ...]:
    score = row.preferred_or_equal
    shares = (row.preferred, row.equal, row.not_preferred, score)
    return (*shares, score.n, score.contexts, score.annotators)


def _shares(analysis: Analysis) -> Sheet:
    rows = [
        (pair_name(row.one, row.other), *_share_row(row))
        for row in analysis.shares
        if slice_name(row) == "all"
    ]
    return Sheet(
        "shares", "What was preferred", (SheetColumn("pair", "arms"), *_SHARES, *_COUNTS), rows
    )


def _slices(analysis: Analysis) -> Sheet:
    columns = (SheetColumn("pair", "arms"), SheetColumn("slice", "texts"), *_SHARES, *_COUNTS)
    found = [row for row in analysis.shares if slice_name(row) != "all"]
    rows = [(pair_name(row.one, row.other), slice_name(row), *_share_row(row)) for row in found]
    return Sheet("slices", "By domain and length", columns, rows)


def _truth(analysis: Analysis, truth: Sequence[TrueShares]) -> Sheet:
    """The true shares of a simulation beside the estimates."""
    columns = (
        SheetColumn("pair", "arms"),
        SheetColumn("true_preferred", "preferred: truth", "share"),
        SheetColumn("preferred", "found", "share"),
        SheetColumn("true_equal", "equal: truth", "share"),
        SheetColumn("equal", "found", "share"),
        SheetColumn("true_preferred_or_equal", "preferred or equal: truth", "share"),
        SheetColumn("preferred_or_equal", "found", "share"),
    )
    told = {(each.one, each.other): each.shares for each in truth}
    rows = []
    for row in analysis.shares:
        turned = told.get((row.other, row.one))
        true = told.get((row.one, row.other)) or (turned and turned[::-1])
        if true and (row.domain, row.tokens) == ("all", "all"):
            found = (
                true[0],
                row.preferred,
                true[1],
                row.equal,
                true[0] + true[1],
                row.preferred_or_equal,
            )
            rows.append((pair_name(row.one, row.other), *found))
    return Sheet("truth", "True shares of the simulation", columns, rows)


def _worths(analysis: Analysis) -> Sheet:
    columns = (SheetColumn("arm", "arm"), SheetColumn("log_worth", "log-worth", "number"), *_COUNTS)
    baseline = analysis.davidson.baseline
    rows = [
        (
            each.arm,
            "0 (baseline)" if each.arm == baseline else each.log_worth,
            *_counts(each.log_worth),
        )
        for each in analysis.davidson.worths
    ]
    tie = "none" if analysis.davidson.tie is None else f"{analysis.davidson.tie:.3f}"
    note = (
        f"Davidson's Bradley-Terry model with ties: log-worths relative to {baseline}. An arm that "
        "is 0.69 above another is preferred twice as often as not, ties aside. Tie parameter "
        f"{tie}."
    )
    return Sheet("worths", "One scale for all arms", columns, rows, note)


def _counts(found: Interval) -> tuple[int, int, int]:
    return found.n, found.contexts, found.annotators


def _expected(analysis: Analysis) -> Sheet:
    columns = (
        SheetColumn("pair", "arms"),
        SheetColumn("preferred", "preferred: observed", "share"),
        SheetColumn("preferred_expected", "expected", "share"),
        SheetColumn("equal", "equal: observed", "share"),
        SheetColumn("equal_expected", "expected", "share"),
        SheetColumn("judgements", "judgements", "count"),
    )
    rows = [
        (
            pair_name(e.one, e.other),
            e.preferred,
            e.preferred_expected,
            e.equal,
            e.equal_expected,
            e.n,
        )
        for e in analysis.davidson.expected
    ]
    note = "Large gaps between observed and expected mean that one scale does not fit these arms."
    return Sheet("fit", "Fit of one scale", columns, rows if len(rows) > 1 else [], note)


_AGREEMENT = (
    SheetColumn("coefficient", "coefficient"),
    SheetColumn("value", "value", "number"),
    SheetColumn("comparisons", "comparisons", "count"),
    SheetColumn("judgements", "judgements", "count"),
    SheetColumn("contexts", "contexts", "count"),
    SheetColumn("note", "note"),
)


def _agreement(analysis: Analysis) -> Sheet:
    return Sheet(
        "agreement", "Do annotators agree?", _AGREEMENT, _agreement_rows(analysis.agreement["all"])
    )


def _agreement_by_pair(analysis: Analysis) -> Sheet:
    rows = [
        (pair.replace(" / ", " vs "), *row)
        for pair, found in analysis.agreement.items()
        if pair != "all"
        for row in _agreement_rows(found)
    ]
    return Sheet(
        "agreement-pairs",
        "Agreement, pair by pair",
        (SheetColumn("pair", "arms"), *_AGREEMENT),
        rows,
    )


def _agreement_rows(found: Sequence[Coefficient]) -> list[tuple[Any, ...]]:
    return [
        (COEFFICIENT_TITLES[e.name], e, e.items, e.judgements, e.contexts, e.note) for e in found
    ]


def _data_quality(analysis: Analysis) -> Sheet:
    consistency, side = analysis.consistency, analysis.side_bias
    columns = (
        SheetColumn("what", "what"),
        SheetColumn("share", "share", "share"),
        SheetColumn("detail", "rests on"),
    )
    rows: list[tuple[Any, ...]] = []
    for title, found in (
        ("same answer to a repeat", consistency.same),
        ("the other arm in a repeat", consistency.reversed),
        ("to or from equal in a repeat", consistency.moved),
    ):
        if found is not None:
            rows.append(
                (title, found, f"{consistency.repeats} repeats, {found.annotators} annotators")
            )
    if side.share_first is not None:
        words = (
            f"{side.first} first, {side.second} second; exact binomial p "
            f"{p_value_text(side.p_value)}"
        )
        rows.append(("the first text, of decided answers", _side_interval(side), words))
    checks, failures = (
        sum(getattr(each, name) for each in analysis.attention) for name in ("checks", "failures")
    )
    if checks:
        rows.append(("failed attention checks", failures / checks, f"{failures} of {checks}"))
    return Sheet("data-quality", "Quality of the judgements", columns, rows)


def _side_interval(side: SideBias) -> Interval:
    return Interval(side.share_first, None, side.low, side.high, side.first + side.second, 0, 0)


def p_value_text(p: float | None) -> str:
    """A p-value as text."""
    return "–" if p is None else "below 0.001" if p < 0.001 else f"{p:.3f}"


def _sensitivity(analysis: Analysis) -> Sheet:
    columns = (SheetColumn("pair", "arms"), SheetColumn("set", "annotators"), *_SHARES, *_COUNTS)
    rows = [
        (
            pair_name(*pair),
            name + (" (primary)" if name == analysis.primary_set else ""),
            *_share_row(row),
        )
        for pair in dict.fromkeys((row.one, row.other) for row in analysis.shares)
        for name, kept in analysis.sensitivity.items()
        for row in kept
        if (row.one, row.other) == pair
    ]
    return Sheet("sensitivity", "Does the choice of annotators change the result?", columns, rows)


def _ttr_regression(analysis: Analysis) -> Sheet:
    columns = (
        SheetColumn("pair", "arms"),
        SheetColumn("odds_ratio", "odds ratio per 0.1 TTR", "number"),
        *_COUNTS,
        SheetColumn("note", "note"),
    )
    rows = [
        (
            each.pairs.replace(" / ", " vs "),
            each.odds_ratio,
            *_counts_or_none(each.odds_ratio),
            each.note,
        )
        for each in analysis.ttr_regression
    ]
    return Sheet("ttr-regression", "Does the type-token ratio predict preference?", columns, rows)


def _counts_or_none(found: Interval | None) -> tuple[int | None, ...]:
    return _counts(found) if found is not None else (None, None, None)


def _llm_agreement(analysis: Analysis) -> Sheet:
    columns = (
        SheetColumn("model", "model"),
        SheetColumn("agreement", "same answer as a person", "share"),
        SheetColumn("people", "two people, same comparisons", "share"),
        SheetColumn("ac1", "AC1, model and person", "number"),
        SheetColumn("comparisons", "comparisons", "count"),
        SheetColumn("contexts", "contexts", "count"),
    )
    rows = [
        (
            each.model,
            each.agreement,
            each.people,
            each.ac1,
            each.agreement.items,
            each.agreement.contexts,
        )
        for each in analysis.llm_agreement
    ]
    return Sheet("llm-agreement", "Language models as judges", columns, rows)


def _annotators(analysis: Analysis) -> Sheet:
    columns = (
        SheetColumn("annotator", "annotator"),
        SheetColumn("checks", "attention checks", "count"),
        SheetColumn("failures", "failed", "count"),
        SheetColumn("first", "first text", "count"),
        SheetColumn("second", "second text", "count"),
        SheetColumn("p_adjusted", "side p (Holm)"),
        SheetColumn("left_out", "left out as"),
    )
    sides = {each.annotator: each for each in analysis.side_bias_by_annotator}
    rows = []
    for each in analysis.attention:
        side = sides.get(each.annotator)
        rules = (("inattentive", analysis.inattentive), ("hasty", analysis.hasty))
        why = [word for word, names in rules if each.annotator in names]
        numbers = (
            (side.first, side.second, p_value_text(side.p_adjusted)) if side else (None, None, "–")
        )
        rows.append((each.annotator, each.checks, each.failures, *numbers, ", ".join(why)))
    return Sheet("annotators", "Annotator by annotator", columns, rows)


def _published(analysis: Analysis) -> Sheet:
    columns = (
        SheetColumn("study", "study"),
        SheetColumn("model", "model"),
        SheetColumn("weights_and_decoding", "weights and decoding"),
        SheetColumn("preferred_or_equal", "preferred or equal", "share"),
        SheetColumn("tokens", "tokens"),
        SheetColumn("source", "source"),
    )
    ours = [
        (
            "this study",
            "",
            row.one,
            row.preferred_or_equal,
            _tokens(analysis),
            f"{row.preferred_or_equal.n} judgements",
        )
        for row in analysis.shares
        if (row.other, row.domain, row.tokens) == (REFERENCE, "all", "all")
    ]
    theirs = [
        (
            "Carlsson et al. 2025",
            e.model,
            f"{e.weights}, {e.decoding}",
            e.preferred_or_equal_percent / 100,
            str(e.tokens),
            e.source,
        )
        for e in published_preference()
    ]
    return Sheet("published", "Published results", columns, ours + theirs)


def _tokens(analysis: Analysis) -> str:
    """The lengths of the study's texts, shortest to longest."""
    least, most = analysis.counts.tokens_least, analysis.counts.tokens_most
    return str(least) if least == most else f"{least}–{most}"
