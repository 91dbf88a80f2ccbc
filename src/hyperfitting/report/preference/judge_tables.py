"""Tables of a preference report: language models as judges, one beside the other, never pooled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hyperfitting.preference.analysis import Analysis
from hyperfitting.preference.records import Reply
from hyperfitting.preference.store.llm_judgements import KeptReply, is_flipped
from hyperfitting.report.preference.sheets import Sheet, SheetColumn
from hyperfitting.report.preference.tables import pair_name, primary_share, whole_shares

PEOPLE = "people"
"""The column of the people who judged the same study."""


def judges_sheet(columns: Mapping[str, Analysis], primary: str) -> Sheet:
    """The primary share of each pair of arms: one column a judge, and one for the people."""
    found = {
        name: {(row.one, row.other): primary_share(row, primary) for row in whole_shares(each)}
        for name, each in columns.items()
    }
    pairs = dict.fromkeys(pair for shares in found.values() for pair in shares)
    return Sheet(
        "judges",
        "Judge by judge",
        (SheetColumn("pair", "arms"), *(SheetColumn(name, name, "share") for name in found)),
        [(pair_name(*pair), *(shares.get(pair) for shares in found.values())) for pair in pairs],
    )


def flips_sheet(replies: Sequence[KeptReply], names: Mapping[str, str]) -> Sheet:
    """What each model replied in either order of the texts, and how often the order decided."""
    columns = (
        SheetColumn("judge", "judge"),
        SheetColumn("comparisons", "comparisons", "count"),
        SheetColumn("flips", "flips", "count"),
        *(
            SheetColumn(f"{order}_{place}", f"{title}{place}", "count")
            for order, title in (("drawn", ""), ("exchanged", "exchanged: "))
            for place in ("first", "second", "equal")
        ),
    )
    rows = []
    for judge in dict.fromkeys(each.annotator for each in replies):
        pairs = _both_orders([each for each in replies if each.annotator == judge])
        if not pairs:
            continue
        orders = [Counter(reply.answer for reply in order) for order in zip(*pairs, strict=True)]
        counts = [order[place] for order in orders for place in ("first", "second", "equal")]
        flips = sum(is_flipped(*pair) for pair in pairs)
        rows.append((names.get(judge, judge), len(pairs), flips, *counts))
    return Sheet("flips", "Does the order of the texts decide?", columns, rows)


def _both_orders(replies: Sequence[KeptReply]) -> list[tuple[Reply, Reply]]:
    """The replies to each comparison that was answered in both orders: with `one` first, then with
    `other` first.
    """
    said = {
        (each.comparison, each.one_first): Reply(
            each.one_first, each.answer, each.text, each.seconds
        )
        for each in replies
        if each.answer is not None
    }
    return [
        (reply, said[comparison, False])
        for (comparison, one_first), reply in said.items()
        if one_first and (comparison, False) in said
    ]


def unanswered_sheet(replies: Sequence[KeptReply], names: Mapping[str, str]) -> Sheet:
    """Replies that hold no answer, and comparisons that an endpoint refused or failed at."""
    columns = (
        SheetColumn("judge", "judge"),
        SheetColumn("comparison", "comparison"),
        SheetColumn("problem", "why there is no answer"),
        SheetColumn("reply", "reply"),
        SheetColumn("answered_later", "answered later?"),
    )
    answered = {
        (each.annotator, each.comparison, each.one_first) for each in replies if not each.problem
    }
    rows = [
        (
            names.get(each.annotator, each.annotator),
            each.comparison,
            each.problem,
            each.text,
            "yes" if (each.annotator, each.comparison, each.one_first) in answered else "no",
        )
        for each in replies
        if each.problem
    ]
    return Sheet("unanswered", "Replies without an answer", columns, rows)


def llm_agreement_sheet(analyses: Sequence[Analysis]) -> Sheet:
    """The agreement of each language model with people."""
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
        for analysis in analyses
        for each in analysis.llm_agreement
    ]
    return Sheet("llm-agreement", "Language models as judges", columns, rows)
