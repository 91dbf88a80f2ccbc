"""Tables of a preference report: what was preferred, from an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyperfitting.preference.analysis import Analysis, published_preference
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.preference.analysis.shares import PairShares
from hyperfitting.preference.judges.simulated import TrueShares
from hyperfitting.records import REFERENCE
from hyperfitting.report.preference.sheets import Sheet, SheetColumn

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


def pair_name(one: str, other: str) -> str:
    """A pair of arms as text."""
    return f"{one} vs {other}"


def primary_share(row: PairShares, primary: str) -> Interval:
    """The share that the protocol makes primary."""
    return row.preferred if primary == "preferred" else row.preferred_or_equal


def whole_shares(analysis: Analysis) -> list[PairShares]:
    """Each pair's shares over all domains and lengths."""
    return [row for row in analysis.shares if (row.domain, row.tokens) == ("all", "all")]


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


def shares_sheet(analysis: Analysis) -> Sheet:
    """The shares of each pair of arms."""
    rows = [(pair_name(row.one, row.other), *_share_row(row)) for row in whole_shares(analysis)]
    return Sheet(
        "shares", "What was preferred", (SheetColumn("pair", "arms"), *_SHARES, *_COUNTS), rows
    )


def slices_sheet(analysis: Analysis) -> Sheet:
    """The shares by domain and length."""
    columns = (SheetColumn("pair", "arms"), SheetColumn("slice", "texts"), *_SHARES, *_COUNTS)
    found = [row for row in analysis.shares if slice_name(row) != "all"]
    rows = [(pair_name(row.one, row.other), slice_name(row), *_share_row(row)) for row in found]
    return Sheet("slices", "By domain and length", columns, rows)


def truth_sheet(analysis: Analysis, truth: Sequence[TrueShares]) -> Sheet:
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
    for row in whole_shares(analysis):
        turned = told.get((row.other, row.one))
        true = told.get((row.one, row.other)) or (turned and turned[::-1])
        if true:
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


def worths_sheet(analysis: Analysis) -> Sheet:
    """The log-worths of every scale."""
    columns = (SheetColumn("arm", "arm"), SheetColumn("log_worth", "log-worth", "number"), *_COUNTS)
    rows = [
        (
            each.arm,
            "0 (baseline)" if each.arm == scale.baseline else each.log_worth,
            *_counts(each.log_worth),
        )
        for scale in analysis.scales
        for each in scale.worths
    ]
    bases = " and ".join(scale.baseline for scale in analysis.scales)
    ties = ", ".join(
        "none" if scale.tie is None else f"{scale.tie:.3f}" for scale in analysis.scales
    )
    note = (
        f"Davidson's Bradley-Terry model with ties: log-worths relative to {bases}. An arm that is "
        f"0.69 above another is preferred twice as often as not, ties aside. Tie parameter {ties}."
    )
    several = len(analysis.scales) > 1
    if several:
        note += " No comparison links the arms of different scales: their numbers do not compare."
    title = "A scale for each group of arms" if several else "One scale for all arms"
    return Sheet("worths", title, columns, rows, note)


def _counts(found: Interval) -> tuple[int, int, int]:
    return found.n, found.contexts, found.annotators


def fit_sheet(analysis: Analysis) -> Sheet:
    """Observed and expected shares of each pair on its scale."""
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
        for scale in analysis.scales
        for e in scale.expected
    ]
    note = "Large gaps between observed and expected mean that one scale does not fit these arms."
    return Sheet("fit", "Fit of one scale", columns, rows if len(rows) > 1 else [], note)


def sensitivity_sheet(analysis: Analysis) -> Sheet:
    """The shares by set of annotators."""
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


def ttr_sheet(analysis: Analysis) -> Sheet:
    """The odds ratios of the type-token ratio."""
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


def published_sheet(analysis: Analysis) -> Sheet:
    """The shares of this study beside published ones."""
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
        for row in whole_shares(analysis)
        if row.other == REFERENCE
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
    if least is None:
        return ""
    return str(least) if least == most else f"{least}–{most}"
