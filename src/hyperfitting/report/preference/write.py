"""The report of a preference study: one page that works from disk, the same in Markdown, every
table as CSV.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hyperfitting.errors import StudyError
from hyperfitting.files import names_in, new_folder, write_text
from hyperfitting.metrics.stats import LEAST_CLUSTERS
from hyperfitting.preference.analysis import Analysis
from hyperfitting.preference.analysis.analyse import JudgementCounts
from hyperfitting.preference.analysis.clustered_se import Interval
from hyperfitting.preference.analysis.guard import without_non_finite
from hyperfitting.preference.analysis.protocol_adherence import ProtocolCheck
from hyperfitting.preference.analysis.published import PUBLISHED_SOURCE
from hyperfitting.preference.analysis.shares import PairShares
from hyperfitting.preference.judges.simulated import TrueShares
from hyperfitting.preference.store.llm_judgements import KeptReply
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.kit.subject import counted
from hyperfitting.report.preference import conduct_tables, judge_tables, tables
from hyperfitting.report.preference.sheets import (
    Sheet,
    bounds,
    number_text,
    sheet_csv,
    sheet_markdown,
    shown,
)

_MARK = "sensitivity.csv"  # in every report of a preference study
_SHEETS = (
    "protocol",
    "not-computed",
    "shares",
    "slices",
    "truth",
    "judges",
    "flips",
    "unanswered",
    "llm-agreement",
    "worths",
    "fit",
    "agreement",
    "agreement-pairs",
    "data-quality",
    "sensitivity",
    "ttr-regression",
    "annotators",
    "published",
)
_SHEETS_OF_0_1 = ("plan", "conduct", "variety", "models", "beside")
_WRITTEN = {
    "summary.json",
    "report.md",
    "index.html",
    *(f"{name}.png" for name in ("shares", "slices", "worths", "sensitivity")),
    *(f"{name}.csv" for name in (*_SHEETS, *_SHEETS_OF_0_1)),
}
"""What a report of any study may hold."""

BANNERS = {
    "simulated": (
        "Simulated judgements.",
        "No person gave these answers. The numbers rehearse a study and check its analysis. They "
        "are not evidence.",
    ),
    "model": (
        "Judgements of a language model.",
        "No person gave these answers. How far they agree with people is shown below.",
    ),
}
"""The banner of a report whose judges were not people."""


@dataclass(frozen=True)
class PreferenceContext:
    """What a report shows besides the analysis.

    `noun`: what is compared; `primary`: the share of the headline; `level`: that of the intervals;
    `checks`: adherence to the protocol; `truth`: the true shares of a simulation; `judges`: the
    other language models that judged, `people`: the people who did, each analysed for itself;
    `names`: names of language models by annotator; `replies`: their replies to scored comparisons;
    `provenance`: protocol, settings and environment.
    """

    title: str
    noun: Literal["text", "image"] = "text"
    primary: str = "preferred-or-equal"
    level: float = 0.95
    checks: Sequence[ProtocolCheck] = ()
    truth: Sequence[TrueShares] = ()
    judges: Sequence[Analysis] = ()
    people: Analysis | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    replies: Sequence[KeptReply] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def write_preference_report(analysis: Analysis, context: PreferenceContext, folder: Path) -> Path:
    """Write the report's folder anew, whole or not at all, and return the page's path.

    Raises:
        StudyError: the folder holds something else than such a report, or something beside it.
    """
    refuse_unless_report(folder)
    from hyperfitting.report.kit import figures
    from hyperfitting.report.preference.figures import preference_figures

    made = preference_sheets(analysis, context)
    drawn = preference_figures(analysis, context.primary)
    svgs = {
        name: (
            [figures.svg(figure, f"{name}-{width}") for width, figure in each.widths.items()],
            each.description,
        )
        for name, each in drawn.items()
    }
    with new_folder(folder) as partial:
        for name, each in drawn.items():
            figures.save_png(each.widths["wide"], partial / f"{name}.png")
        for sheet in made:
            write_text(partial / f"{sheet.name}.csv", sheet_csv(sheet))
        write_text(partial / "summary.json", preference_summary(analysis, context))
        write_text(partial / "report.md", _markdown(analysis, context, made, list(drawn)))
        write_text(partial / "index.html", _page(analysis, context, made, svgs))
    return folder / "index.html"


def refuse_unless_report(folder: Path) -> None:
    """Writing anew replaces the whole folder: only an older report, and nothing beside it, may
    stand there, and the place must be one that can be written to.

    Raises:
        StudyError: something else would be lost, or the disk is read-only.
    """
    held = names_in(folder)
    if (folder.exists() and not folder.is_dir()) or (held and _MARK not in held):
        raise StudyError(f"{folder} holds something else than a report: choose another --out")
    if others := sorted(held - _WRITTEN):
        raise StudyError(
            f"{folder} holds {others[0]} beside a report, which would be lost: choose another --out"
        )
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise StudyError(f"{folder}: this place cannot be written to: choose another with --out")


def preference_sheets(analysis: Analysis, context: PreferenceContext) -> list[Sheet]:
    """Every table that has rows, in the order of the page."""
    judges = [analysis, *context.judges] if analysis.source == "model" else []
    columns = {judge_name(each, context): each for each in judges}
    if context.people is not None:
        columns[judge_tables.PEOPLE] = context.people
    made = [
        conduct_tables.protocol_sheet(context.checks),
        conduct_tables.not_computed_sheet(analysis),
        tables.shares_sheet(analysis),
        tables.slices_sheet(analysis),
        tables.truth_sheet(analysis, context.truth),
        judge_tables.judges_sheet(columns if len(columns) > 1 else {}, context.primary),
        judge_tables.flips_sheet(context.replies, context.names),
        judge_tables.unanswered_sheet(context.replies, context.names),
        judge_tables.llm_agreement_sheet(judges or [analysis]),
        tables.worths_sheet(analysis),
        tables.fit_sheet(analysis),
        conduct_tables.agreement_sheet(analysis),
        conduct_tables.agreement_by_pair_sheet(analysis),
        conduct_tables.data_quality_sheet(analysis),
        tables.sensitivity_sheet(analysis),
        tables.ttr_sheet(analysis),
        conduct_tables.annotators_sheet(analysis),
        tables.published_sheet(analysis),
    ]
    return [sheet for sheet in made if sheet.rows or sheet.name == "sensitivity"]


def judge_name(analysis: Analysis, context: PreferenceContext) -> str:
    """The language model of an analysis, by the name that tables show."""
    judge = str(analysis.judge)
    return context.names.get(judge, judge)


def preference_headlines(analysis: Analysis, context: PreferenceContext) -> list[str]:
    """One sentence for each pair of arms, those against the reference first; of each judge."""
    if not analysis.shares:
        return ["No judgement counts: the rules left out everybody who answered."]
    by_judge = [analysis, *context.judges] if analysis.judge else [analysis]
    return [
        _headline(row, context, f" by {judge_name(each, context)}" if each.judge else "")
        for each in by_judge
        for row in sorted(tables.whole_shares(each), key=lambda row: row.other != "reference")
    ]


def _headline(row: PairShares, context: PreferenceContext, by: str) -> str:
    score = tables.primary_share(row, context.primary)
    what = "preferred to" if context.primary == "preferred" else "preferred to, or found equal to,"
    other = f"the true {context.noun}" if row.other == "reference" else row.other
    parts = (
        ("preferred", row.preferred),
        ("equal", row.equal),
        ("not preferred", row.not_preferred),
    )
    rest = ", ".join(f"{name} {number_text(share.value, 'share')}" for name, share in parts)
    value = _value_with_interval(score, context.level, "judges" if by else "annotators")
    return f"{row.one} was {what} {other} in {value} of {score.n} judgements{by} ({rest})."


def _value_with_interval(score: Interval, level: float, judges: str) -> str:
    value = number_text(score.value, "share")
    clusters = f"{counted(score.contexts, 'context')} and {counted(score.annotators, 'annotator')}"
    if score.low is None or score.high is None:
        return f"{value} (no interval from {clusters})"
    ends = bounds(score.low, score.high, "share")
    words = f"{level_text(level)} interval {ends}"
    if score.bound is not None:
        words = shown(score, "share")[1]
    if score.over != "both":
        others = "contexts" if score.over == "annotators" else judges
        words += f" over {score.over} alone: it says nothing of other {others}"
    elif min(score.contexts, score.annotators) < LEAST_CLUSTERS:
        words += f", from {clusters} only"
    return f"{value} ({words})"


def level_text(level: float) -> str:
    """A level as text, such as 95 %."""
    return f"{100 * level:g}\N{NO-BREAK SPACE}%"


def preference_summary(analysis: Analysis, context: PreferenceContext) -> str:
    """The whole report as JSON, not rounded."""
    banner = BANNERS.get(analysis.source)
    whole = {
        "title": context.title,
        "source": analysis.source,
        "banner": " ".join(banner) if banner else None,
        "primary": context.primary,
        "level": context.level,
        "headlines": preference_headlines(analysis, context),
        "protocol": [dataclasses.asdict(each) for each in context.checks],
        "truth": [each.model_dump(mode="json") for each in context.truth],
        "analysis": dataclasses.asdict(analysis),
        "other_judges": [dataclasses.asdict(each) for each in context.judges],
        "people": context.people and dataclasses.asdict(context.people),
        "provenance": context.provenance,
    }
    finite, lost = without_non_finite(whole)
    finite["not_finite"] = lost
    return json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def table_notes(analysis: Analysis, context: PreferenceContext) -> dict[str, str]:
    """The notes under the tables: how each number is computed, and its limits."""
    counts, level = analysis.counts, level_text(context.level)
    return {
        "counts": (
            f"Of {counts.rows:,} {analysis.source} judgements {counts.counted:,} count: "
            f"{counts.annotators} annotators, {counts.contexts} contexts, {counts.comparisons} "
            f"comparisons with {_span(counts)} judgements each, "
            f"{_seconds(counts)}. Besides: {counts.attention} attention checks, "
            f"{counts.repeats} repeats, {counts.surplus} surplus; {counts.annotators_excluded} "
            "annotators excluded by hand."
        ),
        "intervals": _INTERVALS.format(level=level),
        "agreement": _AGREEMENT.format(level=level),
        **_NOTES,
    }


def _seconds(counts: JudgementCounts) -> str:
    if counts.seconds_median is None:
        return "the time on a page is not known"
    return f"{counts.seconds_median:.0f} seconds a page at the median"


def _span(counts: JudgementCounts) -> str:
    least, most = counts.judgements_each_least, counts.judgements_each_most
    if least is None:
        return "no"
    return str(least) if least == most else f"{least} to {most}"


_INTERVALS = """\
Answers are coded by arm, not by side. Small numbers are {level} intervals, clustered two ways: \
variance by context + by annotator - by their intersection, never below the larger of the first \
two, each with its factor G / (G - 1), and t with the smaller number of clusters minus one, on \
the log-odds. Below 10 contexts or annotators, t has Satterthwaite's degrees of freedom, and the \
interval is wide: it rests on few. With one annotator it is over contexts alone and says nothing \
of other annotators. Of many slices, one in twenty intervals misses the true value by chance."""

_AGREEMENT = """\
Worse < equal < better, coded by arm. Small numbers are {level} bootstrap intervals over \
contexts (below 10, jackknife intervals), for these annotators; other annotators would add \
variance. Alpha falls where one \
answer prevails, even if annotators agree. AC1 does not, and can be too high."""

_NOTES = {
    "bounds": """\
The interval is the matching two-way sandwich. An arm that always or never won has a one-sided \
bound instead of a value, by profile likelihood, with as many judgements as it has contexts or \
annotators, whichever are fewer.""",
    "llm-agreement": """\
On comparisons that both judged; intervals over contexts. Where the first two columns are equal, \
the model agrees with people as they agree with each other.""",
    "judges": """\
Each judge is analysed for itself; judges are never pooled. The other tables of this report are of \
one judge; --judge NAME chooses it. The interval of a model is over contexts alone.""",
    "flips": """\
Each comparison is asked in both orders; a flip is an answer that the order decided, and counts as \
a tie. A model without a bias names the first text in one order as often as the second in the \
other. The test for a side bias of people would test the arms here, so it is left out.""",
    "unanswered": """\
These comparisons are not counted unless the model answered later. The same command asks about \
them again.""",
    "data-quality": """\
Sides are random within each annotator, so a side bias costs precision but favours no arm. \
Repeats show the same pair with the sides swapped. Neither repeats nor attention checks \
enter a score.""",
    "sensitivity": """\
Each set lies within the one before; "by book or article" is the primary set with books or \
articles as clusters. The protocol's rules define the inattentive (more failed checks than it \
allows) and the hasty (median time on a page below its minimum).""",
    "ttr-regression": """\
Logistic regression of decided answers, with an intercept for each pair of arms. Above 1: the \
more varied of the two is preferred more often than their arms alone explain. This is not a \
causal effect.""",
    "published": PUBLISHED_SOURCE,
}


def _markdown(
    analysis: Analysis, context: PreferenceContext, made: Sequence[Sheet], pictures: Sequence[str]
) -> str:
    banner = BANNERS.get(analysis.source)
    parts = [f"# {context.title}"]
    if banner:
        parts.append(f"> **{banner[0]}** {banner[1]}")
    parts += preference_headlines(analysis, context)
    notes_ = table_notes(analysis, context)
    parts.append(notes_["counts"])
    under = {"shares": "intervals", "worths": "bounds", "agreement-pairs": ""}
    for sheet in made:
        parts += [f"## {sheet.title}"]
        parts += [f"![{sheet.title}]({sheet.name}.png)"] if sheet.name in pictures else []
        parts += [
            sheet_markdown(sheet.readable()),
            sheet.note,
            notes_.get(under.get(sheet.name, sheet.name), ""),
        ]
    parts += [
        "## Provenance",
        "```json\n" + json.dumps(context.provenance, indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _page(
    analysis: Analysis,
    context: PreferenceContext,
    made: Sequence[Sheet],
    svgs: dict[str, tuple[list[str], str]],
) -> str:
    return (
        templates()
        .get_template("preference/page.html.j2")
        .render(
            title=context.title,
            judge=judge_name(analysis, context) if analysis.judge else None,
            several=bool(context.judges),
            banner=BANNERS.get(analysis.source),
            headlines=preference_headlines(analysis, context),
            sheets=defaultdict(lambda: None, {sheet.name: sheet.readable() for sheet in made}),
            pictures=svgs,
            notes=table_notes(analysis, context),
            shown=shown,
            provenance=context.provenance,
            style=style("preference/page.css"),
        )
    )
