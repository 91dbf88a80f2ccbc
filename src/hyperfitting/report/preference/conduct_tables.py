"""Tables of a preference report: how the judgements were made, by whom, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyperfitting.preference.analysis import Analysis
from hyperfitting.preference.analysis.agreement import Coefficient
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.preference.analysis.data_quality import SideBias
from hyperfitting.preference.analysis.protocol_adherence import ProtocolCheck
from hyperfitting.report.preference.sheets import Sheet, SheetColumn

COEFFICIENT_TITLES = {
    "raw_agreement": "raw agreement",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "ac1": "Gwet's AC1",
    "fleiss_kappa": "Fleiss' kappa",
}


def protocol_sheet(checks: Sequence[ProtocolCheck]) -> Sheet:
    """What the protocol promised, and what was found."""
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


_AGREEMENT = (
    SheetColumn("coefficient", "coefficient"),
    SheetColumn("value", "value", "number"),
    SheetColumn("comparisons", "comparisons", "count"),
    SheetColumn("judgements", "judgements", "count"),
    SheetColumn("contexts", "contexts", "count"),
    SheetColumn("note", "note"),
)


def not_computed_sheet(analysis: Analysis) -> Sheet:
    """What the judgements do not determine, each with the reason."""
    columns = SheetColumn("what", "what"), SheetColumn("why", "why")
    rows = [(each.what, each.why) for each in analysis.not_computed]
    return Sheet("not-computed", "What could not be computed", columns, rows)


def agreement_sheet(analysis: Analysis) -> Sheet:
    """The coefficients of agreement over all pairs of arms."""
    return Sheet(
        "agreement", "Do annotators agree?", _AGREEMENT, _agreement_rows(analysis.agreement["all"])
    )


def agreement_by_pair_sheet(analysis: Analysis) -> Sheet:
    """The coefficients of agreement of each pair of arms."""
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


def data_quality_sheet(analysis: Analysis) -> Sheet:
    """Self-consistency, side bias and attention checks."""
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
    if side is not None and side.share_first is not None:
        words = (
            f"{side.first} first, {side.second} second; exact binomial p "
            f"{p_value_text(side.p_value)}"
        )
        rows.append(("the one shown first, of decided answers", _side_interval(side), words))
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


def annotators_sheet(analysis: Analysis) -> Sheet:
    """Checks and sides of each annotator."""
    columns = (
        SheetColumn("annotator", "annotator"),
        SheetColumn("checks", "attention checks", "count"),
        SheetColumn("failures", "failed", "count"),
        SheetColumn("first", "shown first", "count"),
        SheetColumn("second", "shown second", "count"),
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
