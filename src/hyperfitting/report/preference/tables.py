"""A preference study's analysis as sheets: the same rows for the page, for Markdown and for CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hyperfitting.preference.analysis import Analysis, published_preference
from hyperfitting.preference.analysis.agreement import Coefficient
from hyperfitting.preference.analysis.clusters import Interval
from hyperfitting.preference.analysis.conduct import SideBias
from hyperfitting.preference.analysis.keeping import Promise
from hyperfitting.preference.analysis.shares import PairShares

Kind = Literal["text", "count", "share", "number"]

COEFFICIENTS = {
    "raw_agreement": "raw agreement",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "ac1": "Gwet's AC1",
    "fleiss_kappa": "Fleiss' kappa",
}


SCORES = {"preferred-or-equal": "preferred or equal", "preferred": "preferred"}
"""The shares that a plan can make primary."""


@dataclass(frozen=True)
class Column:
    """One column: its name in CSV, its heading, and how its values are shown."""

    name: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Sheet:
    """One table. `columns[0]` heads the rows; a cell is a text, a number, an Interval, a Coefficient or none."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""

    def readable(self) -> Sheet:
        """Without a column of notes that says nothing: a CSV file keeps it, a reader need not see it."""
        kept = [
            index
            for index, column in enumerate(self.columns)
            if column.name != "note" or any(row[index] for row in self.rows)
        ]
        columns = tuple(self.columns[index] for index in kept)
        return replace(
            self, columns=columns, rows=[tuple(row[index] for index in kept) for row in self.rows]
        )


_COUNTS = (
    Column("judgements", "judgements", "count"),
    Column("contexts", "contexts", "count"),
    Column("annotators", "annotators", "count"),
)
_SHARES = (
    Column("preferred", "preferred", "share"),
    Column("equal", "equal", "share"),
    Column("not_preferred", "not preferred", "share"),
    Column("preferred_or_equal", "preferred or equal", "share"),
)


def shown(value: Any, kind: Kind) -> tuple[str, str]:
    """A cell as (main words, small words): the value, and its bounds or why there is none."""
    if value is None:
        return "–", ""
    if isinstance(value, Coefficient):
        return number(value.value, kind), bounds(value.low, value.high, kind)
    if not isinstance(value, Interval):
        return (value if isinstance(value, str) else number(value, kind)), ""
    if value.bound is not None and value.value is None:
        sign, end = ("<", value.high) if value.bound == "upper" else (">", value.low)
        return f"{sign} {number(end, kind)}", "one-sided bound"
    if value.bound is not None:
        end = value.high if value.bound == "upper" else value.low
        return number(
            value.value, kind
        ), f"{'at most' if value.bound == 'upper' else 'at least'} {number(end, kind)}"
    return number(value.value, kind), bounds(value.low, value.high, kind)


def bounds(low: float | None, high: float | None, kind: Kind) -> str:
    """An interval in words, without the unit."""
    if low is None or high is None:
        return ""
    join = " to " if low < 0 or high < 0 else "–"
    return _bare(low, kind) + join + _bare(high, kind)


def number(value: float | None, kind: Kind) -> str:
    """A number as a table shows it."""
    if value is None:
        return "–"
    if kind == "share":
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    return (
        f"{value:,.0f}"
        if kind == "count"
        else f"{value:.3f}"
        if abs(value) < 0.0995
        else f"{value:.2f}"
    )


def _bare(value: float, kind: Kind) -> str:
    return number(value, kind).removesuffix("\N{NO-BREAK SPACE}%")


def sheets(
    analysis: Analysis, promises: Sequence[Promise], truth: Sequence[dict[str, Any]]
) -> list[Sheet]:
    """Every table, in the order of the page."""
    made = [
        _plan(promises),
        _shares(analysis),
        _slices(analysis),
        _truth(analysis, truth),
        _worths(analysis),
        _expected(analysis),
        _agreement(analysis),
        _agreement_by_pair(analysis),
        _conduct(analysis),
        _sensitivity(analysis),
        _variety(analysis),
        _models(analysis),
        _annotators(analysis),
        _beside(analysis),
    ]
    return [sheet for sheet in made if sheet.rows]


def _plan(promises: Sequence[Promise]) -> Sheet:
    columns = (
        Column("what", "promise"),
        Column("kept", "kept?"),
        Column("planned", "planned"),
        Column("found", "found"),
    )
    rows = [
        (each.what, "kept" if each.kept else "not kept", each.planned, each.found)
        for each in promises
    ]
    return Sheet("plan", "Was the plan kept?", columns, rows)


def pair_name(one: str, other: str) -> str:
    """A pair of arms in words."""
    return f"{one} vs {other}"


def score_of(row: PairShares, primary: str) -> Interval:
    """The share that the plan made primary."""
    return row.preferred if primary == "preferred" else row.preferred_or_equal


def where(row: PairShares) -> str:
    """A slice in words."""
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
        if where(row) == "all"
    ]
    return Sheet("shares", "What was preferred", (Column("pair", "arms"), *_SHARES, *_COUNTS), rows)


def _slices(analysis: Analysis) -> Sheet:
    columns = (Column("pair", "arms"), Column("slice", "texts"), *_SHARES, *_COUNTS)
    found = [row for row in analysis.shares if where(row) != "all"]
    rows = [(pair_name(row.one, row.other), where(row), *_share_row(row)) for row in found]
    return Sheet("slices", "By domain and length", columns, rows)


def _truth(analysis: Analysis, truth: Sequence[dict[str, Any]]) -> Sheet:
    """What simulated annotators were told to prefer, beside what the analysis found."""
    columns = (
        Column("pair", "arms"),
        Column("true_preferred", "preferred: truth", "share"),
        Column("preferred", "found", "share"),
        Column("true_equal", "equal: truth", "share"),
        Column("equal", "found", "share"),
        Column("true_preferred_or_equal", "preferred or equal: truth", "share"),
        Column("preferred_or_equal", "found", "share"),
    )
    told = {(each["one"], each["other"]): each["shares"] for each in truth}
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
    return Sheet("truth", "What the simulation was told", columns, rows)


def _worths(analysis: Analysis) -> Sheet:
    columns = (Column("arm", "arm"), Column("log_worth", "log-worth", "number"), *_COUNTS)
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
        f"Davidson's Bradley-Terry with ties: log-worths relative to {baseline}; 0.69 above another is preferred twice "
        f"as often as not, ties aside. Tie parameter {tie}."
    )
    return Sheet("worths", "One scale for all arms", columns, rows, note)


def _counts(found: Interval) -> tuple[int, int, int]:
    return found.n, found.contexts, found.annotators


def _expected(analysis: Analysis) -> Sheet:
    columns = (
        Column("pair", "arms"),
        Column("preferred", "preferred: seen", "share"),
        Column("preferred_expected", "expected", "share"),
        Column("equal", "equal: seen", "share"),
        Column("equal_expected", "expected", "share"),
        Column("judgements", "judgements", "count"),
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
    note = "Large gaps between seen and expected say that one scale does not hold these arms."
    return Sheet("fit", "How well one scale fits", columns, rows if len(rows) > 1 else [], note)


_AGREEMENT = (
    Column("coefficient", "coefficient"),
    Column("value", "value", "number"),
    Column("comparisons", "comparisons", "count"),
    Column("judgements", "judgements", "count"),
    Column("contexts", "contexts", "count"),
    Column("note", "note"),
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
        "agreement-pairs", "Agreement, pair by pair", (Column("pair", "arms"), *_AGREEMENT), rows
    )


def _agreement_rows(found: Sequence[Coefficient]) -> list[tuple[Any, ...]]:
    return [(COEFFICIENTS[e.name], e, e.items, e.judgements, e.contexts, e.note) for e in found]


def _conduct(analysis: Analysis) -> Sheet:
    consistency, side = analysis.consistency, analysis.side_bias
    columns = (
        Column("what", "what"),
        Column("share", "share", "share"),
        Column("detail", "rests on"),
    )
    rows: list[tuple[Any, ...]] = []
    for title, found in (
        ("same answer when the pair came again", consistency.same),
        ("the other arm when it came again", consistency.reversed),
        ("to or from equal when it came again", consistency.moved),
    ):
        if found is not None:
            rows.append(
                (title, found, f"{consistency.repeats} repeats, {found.annotators} annotators")
            )
    if side.share_first is not None:
        words = (
            f"{side.first} first, {side.second} second; exact binomial p {p_value(side.p_value)}"
        )
        rows.append(("the text that stood first, of decided answers", _side_interval(side), words))
    checks, failures = (
        sum(getattr(each, name) for each in analysis.attention) for name in ("checks", "failures")
    )
    if checks:
        rows.append(("failed attention checks", failures / checks, f"{failures} of {checks}"))
    return Sheet("conduct", "How the judging went", columns, rows)


def _side_interval(side: SideBias) -> Interval:
    return Interval(side.share_first, None, side.low, side.high, side.first + side.second, 0, 0)


def p_value(p: float | None) -> str:
    """A p-value in words."""
    return "–" if p is None else "below 0.001" if p < 0.001 else f"{p:.3f}"


def _sensitivity(analysis: Analysis) -> Sheet:
    columns = (Column("pair", "arms"), Column("set", "annotators"), *_SHARES, *_COUNTS)
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
    return Sheet("sensitivity", "Does leaving people out change it?", columns, rows)


def _variety(analysis: Analysis) -> Sheet:
    columns = (
        Column("pair", "arms"),
        Column("odds_ratio", "odds ratio per 0.1 TTR", "number"),
        *_COUNTS,
        Column("note", "note"),
    )
    rows = [
        (
            each.pairs.replace(" / ", " vs "),
            each.odds_ratio,
            *_counts_or_none(each.odds_ratio),
            each.note,
        )
        for each in analysis.variety
    ]
    return Sheet("variety", "Does the type-token ratio predict preference?", columns, rows)


def _counts_or_none(found: Interval | None) -> tuple[int | None, ...]:
    return _counts(found) if found is not None else (None, None, None)


def _models(analysis: Analysis) -> Sheet:
    columns = (
        Column("model", "model"),
        Column("agreement", "same answer as a person", "share"),
        Column("people", "two people, same comparisons", "share"),
        Column("ac1", "AC1, model and person", "number"),
        Column("comparisons", "comparisons", "count"),
        Column("contexts", "contexts", "count"),
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
        for each in analysis.models
    ]
    return Sheet("models", "A model as judge, beside people", columns, rows)


def _annotators(analysis: Analysis) -> Sheet:
    columns = (
        Column("annotator", "annotator"),
        Column("checks", "attention checks", "count"),
        Column("failures", "failed", "count"),
        Column("first", "first text", "count"),
        Column("second", "second text", "count"),
        Column("p_adjusted", "side p (Holm)"),
        Column("left_out", "left out as"),
    )
    sides = {each.annotator: each for each in analysis.side_bias_by_annotator}
    rows = []
    for each in analysis.attention:
        side = sides.get(each.annotator)
        rules = (("inattentive", analysis.inattentive), ("hasty", analysis.hasty))
        why = [word for word, names in rules if each.annotator in names]
        numbers = (side.first, side.second, p_value(side.p_adjusted)) if side else (None, None, "–")
        rows.append((each.annotator, each.checks, each.failures, *numbers, ", ".join(why)))
    return Sheet("annotators", "Annotator by annotator", columns, rows)


def _beside(analysis: Analysis) -> Sheet:
    columns = (
        Column("study", "study"),
        Column("model", "model"),
        Column("weights_and_decoding", "weights and decoding"),
        Column("preferred_or_equal", "preferred or equal", "share"),
        Column("tokens", "tokens"),
        Column("source", "source"),
    )
    ours = [
        (
            "ours",
            "",
            row.one,
            row.preferred_or_equal,
            _tokens(analysis),
            f"{row.preferred_or_equal.n} judgements",
        )
        for row in analysis.shares
        if (row.other, row.domain, row.tokens) == ("reference", "all", "all")
    ]
    theirs = [
        (
            "A",
            e.model,
            f"{e.weights}, {e.decoding}",
            e.preferred_or_equal_percent / 100,
            str(e.tokens),
            e.source,
        )
        for e in published_preference()
    ]
    return Sheet("beside", "Beside the paper", columns, ours + theirs)


def _tokens(analysis: Analysis) -> str:
    """The lengths of ours, shortest to longest."""
    least, most = analysis.counts.tokens_least, analysis.counts.tokens_most
    return str(least) if least == most else f"{least}–{most}"


def sheet_csv(sheet: Sheet) -> str:
    """A sheet as CSV: an interval takes four fields (value, low, high, bound), nothing is rounded."""
    wide = {
        index
        for index in range(len(sheet.columns))
        if any(isinstance(row[index], Interval | Coefficient) for row in sheet.rows)
    }
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads: list[str] = []
    for index, column in enumerate(sheet.columns):
        ends = ("", "_low", "_high", "_bound") if index in wide else ("",)
        heads += [column.name + end for end in ends]
    writer.writerow(heads)
    for row in sheet.rows:
        writer.writerow(
            [field for index, cell in enumerate(row) for field in _fields(cell, index in wide)]
        )
    return buffer.getvalue()


def _fields(cell: Any, wide: bool) -> list[Any]:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")):
        cell = "'" + cell  # a spreadsheet would take the name of an arm for a formula
    if not wide:
        return [cell]
    if isinstance(cell, Interval):
        return [cell.value, cell.low, cell.high, cell.bound]
    return (
        [cell.value, cell.low, cell.high, None]
        if isinstance(cell, Coefficient)
        else [cell, None, None, None]
    )


def sheet_markdown(sheet: Sheet) -> str:
    """A sheet in Markdown, bounds in brackets."""
    head = "| " + " | ".join(column.title or " " for column in sheet.columns) + " |"
    lines = [head, "|" + "---|" * len(sheet.columns)]
    for row in sheet.rows:
        cells = (shown(cell, column.kind) for cell, column in zip(row, sheet.columns, strict=True))
        words = [
            (main + (f" ({small})" if small else "")).replace("|", r"\|") for main, small in cells
        ]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)
