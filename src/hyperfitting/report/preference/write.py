"""The report of a preference study: one page that works from disk, the same in Markdown, every table as CSV."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperfitting.errors import StudyError
from hyperfitting.files import new_folder, write_text
from hyperfitting.preference.analysis import Analysis
from hyperfitting.preference.analysis.clusters import Interval
from hyperfitting.preference.analysis.keeping import Promise
from hyperfitting.preference.analysis.published import SOURCE
from hyperfitting.preference.analysis.shares import PairShares
from hyperfitting.preference.analysis.whole import Counts
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.preference.tables import (
    Sheet,
    bounds,
    number,
    score_of,
    sheet_csv,
    sheet_markdown,
    sheets,
    shown,
)

_MARK = "sensitivity.csv"  # stands in every report of ours

BANNERS = {
    "simulated": (
        "Simulated judgements.",
        "No person read these texts. The figures rehearse a study and check its analysis; they are no evidence.",
    ),
    "model": (
        "A model judged.",
        "These are a language model's answers, not readers': what they are worth stands under agreement with people.",
    ),
}
"""What stands over a page whose judges were no people, for as long as the page is there."""


@dataclass(frozen=True)
class Context:
    """What a report says besides the analysis: its title, how the plan was kept, what a simulation was told.

    `primary` is the share of the headline, `level` that of the intervals, `provenance` whatever the figures rest on.
    """

    title: str
    primary: str = "preferred-or-equal"
    level: float = 0.95
    promises: Sequence[Promise] = ()
    truth: Sequence[dict[str, Any]] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def write_preference_report(analysis: Analysis, context: Context, folder: Path) -> Path:
    """Write the report's folder anew, whole or not at all, and return the page's path.

    Raises:
        StudyError: the folder holds something else than such a report.
    """
    refuse_to_overwrite(folder)
    from hyperfitting.report.kit import figures
    from hyperfitting.report.preference.figures import pictures

    made, drawn = (
        sheets(analysis, context.promises, context.truth),
        pictures(analysis, context.primary),
    )
    svgs = {name: (figures.svg(figure, name), words) for name, (figure, words) in drawn.items()}
    with new_folder(folder) as partial:
        for name, (figure, _) in drawn.items():
            figures.save_png(figure, partial / f"{name}.png")
        for sheet in made:
            write_text(partial / f"{sheet.name}.csv", sheet_csv(sheet))
        write_text(partial / "summary.json", summary(analysis, context))
        write_text(partial / "report.md", _markdown(analysis, context, made, list(drawn)))
        write_text(partial / "index.html", _page(analysis, context, made, svgs))
    return folder / "index.html"


def refuse_to_overwrite(folder: Path) -> None:
    """A report takes the place of an older one, and of nothing else.

    Raises:
        StudyError: the folder holds something else than such a report.
    """
    if folder.exists() and not (
        folder.is_dir() and ((folder / _MARK).is_file() or not any(folder.iterdir()))
    ):
        raise StudyError(f"{folder} holds something else than a report: choose another --out")


def headlines(analysis: Analysis, context: Context) -> list[str]:
    """One sentence for each pair of arms, those against the reference first; three at most."""
    whole = [row for row in analysis.shares if (row.domain, row.tokens) == ("all", "all")]
    return [
        _headline(row, context)
        for row in sorted(whole, key=lambda row: row.other != "reference")[:3]
    ]


def _headline(row: PairShares, context: Context) -> str:
    score = score_of(row, context.primary)
    what = "preferred to" if context.primary == "preferred" else "preferred to, or found equal to,"
    other = "the true text" if row.other == "reference" else row.other
    parts = (
        ("preferred", row.preferred),
        ("equal", row.equal),
        ("not preferred", row.not_preferred),
    )
    rest = ", ".join(f"{name} {number(share.value, 'share')}" for name, share in parts)
    return f"{row.one} was {what} {other} in {_in_words(score, context.level)} of {score.n} judgements ({rest})."


def _in_words(score: Interval, level: float) -> str:
    value = number(score.value, "share")
    few = f"no interval from {_many(score.contexts, 'context')} and {_many(score.annotators, 'annotator')}"
    if score.low is None or score.high is None:
        return f"{value} ({few})"
    if score.bound is not None:
        return f"{value} ({shown(score, 'share')[1]})"
    return f"{value} ({percent(level)} interval {bounds(score.low, score.high, 'share')})"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def percent(level: float) -> str:
    """A level in words, such as 95 %."""
    return f"{100 * level:g}\N{NO-BREAK SPACE}%"


def summary(analysis: Analysis, context: Context) -> str:
    """Everything as JSON, nothing rounded; a banner stands in it where the judges were no people."""
    banner = BANNERS.get(analysis.source)
    whole = {
        "title": context.title,
        "source": analysis.source,
        "banner": " ".join(banner) if banner else None,
        "primary": context.primary,
        "level": context.level,
        "headlines": headlines(analysis, context),
        "plan": [dataclasses.asdict(each) for each in context.promises],
        "truth": list(context.truth),
        "analysis": dataclasses.asdict(analysis),
        "provenance": context.provenance,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def notes(analysis: Analysis, context: Context) -> dict[str, str]:
    """What stands under the tables: how each figure was made and where it fails."""
    counts, level = analysis.counts, percent(context.level)
    return {
        "counts": (
            f"Of {counts.rows:,} {analysis.source} judgements {counts.counted:,} count: "
            f"{counts.annotators} annotators, {counts.contexts} contexts, {counts.comparisons} comparisons "
            f"with {_span(counts)} judgements each, {counts.seconds_median:.0f} seconds a page at the median. "
            f"Besides: {counts.attention} attention checks, {counts.repeats} repeats, {counts.surplus} surplus; "
            f"{counts.annotators_excluded} annotators excluded by hand."
        ),
        "intervals": _INTERVALS.format(level=level),
        "agreement": _AGREEMENT.format(level=level),
        **_NOTES,
    }


def _span(counts: Counts) -> str:
    least, most = counts.judgements_each_least, counts.judgements_each_most
    return str(least) if least == most else f"{least} to {most}"


_INTERVALS = """\
Answers are coded by arm, not by side. Small figures are {level} intervals, two-way clustered: variance by context + \
by annotator - by their intersection, never below the larger of the first two, each with its factor G / (G - 1), and \
t with the smaller count of clusters minus one, on the log-odds. Below 10 contexts or 10 annotators there is none. \
Of many slices looked at, one in twenty misses by chance."""

_AGREEMENT = """\
Worse < equal < better, coded by arm. Small figures are {level} bootstrap intervals over contexts, for these \
annotators: others would add to them. Alpha falls where one answer prevails, however much people agree; AC1 does \
not, and can flatter."""

_NOTES = {
    "bounds": """\
The interval is the matching two-way sandwich. An arm that always or never won has no number but a one-sided bound, \
by profile likelihood, with as many judgements as it has contexts or annotators, whichever are fewer.""",
    "models": """\
On comparisons that both judged; intervals over contexts. A model agrees with people as they do with each other \
where the first two columns are alike.""",
    "conduct": """\
Sides are drawn by lot within each annotator, so a pull of the side costs precision but favours no arm. Repeats show \
the same two texts with sides swapped; neither they nor attention checks enter a score.""",
    "sensitivity": """\
Each set lies within the one before; "by book or article" is the primary one with that as its cluster. The planned \
rules name the inattentive (more failed checks than the plan allows) and the hasty (median time on a page below its \
least).""",
    "variety": """\
Logistic regression of decided answers, an intercept for each pair of arms: above 1, the more varied of two texts is \
preferred more often than its arms alone explain. It says nothing of causes.""",
    "beside": SOURCE,
}


def _markdown(
    analysis: Analysis, context: Context, made: Sequence[Sheet], pictures: Sequence[str]
) -> str:
    banner = BANNERS.get(analysis.source)
    parts = [f"# {context.title}"]
    if banner:
        parts.append(f"> **{banner[0]}** {banner[1]}")
    parts += headlines(analysis, context)
    said = notes(analysis, context)
    parts.append(said["counts"])
    under = {"shares": "intervals", "worths": "bounds", "agreement-pairs": ""}
    for sheet in made:
        parts += [f"## {sheet.title}"]
        parts += [f"![{sheet.title}]({sheet.name}.png)"] if sheet.name in pictures else []
        parts += [
            sheet_markdown(sheet.readable()),
            sheet.note,
            said.get(under.get(sheet.name, sheet.name), ""),
        ]
    parts += [
        "## Provenance",
        "```json\n" + json.dumps(context.provenance, indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _page(
    analysis: Analysis, context: Context, made: Sequence[Sheet], svgs: dict[str, tuple[str, str]]
) -> str:
    return (
        templates()
        .get_template("preference/page.html.j2")
        .render(
            title=context.title,
            banner=BANNERS.get(analysis.source),
            headlines=headlines(analysis, context),
            sheets=defaultdict(lambda: None, {sheet.name: sheet.readable() for sheet in made}),
            pictures=svgs,
            notes=notes(analysis, context),
            shown=shown,
            provenance=context.provenance,
            style=style("preference/page.css"),
        )
    )
