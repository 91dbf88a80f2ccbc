"""The report of a study, or of a file of judgements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hyperfitting.environment import Environment
from hyperfitting.errors import StudyError
from hyperfitting.preference.analysis import Analysis, analyse_judgements
from hyperfitting.preference.analysis.encode import counted_rows, of_one_judge, of_one_source
from hyperfitting.preference.analysis.guard import NotComputed
from hyperfitting.preference.analysis.protocol_adherence import ProtocolCheck, check_protocol
from hyperfitting.preference.judges.simulated import SimulationRecord, read_simulations
from hyperfitting.preference.records import Judgement, JudgementSource
from hyperfitting.preference.store.judgement_files import collected_judgements, read_judgements_file
from hyperfitting.preference.store.llm_judgements import LlmJudge
from hyperfitting.preference.study import Study
from hyperfitting.report.preference.write import (
    BANNERS,
    PreferenceContext,
    preference_headlines,
    refuse_unless_report,
    write_preference_report,
)


@dataclass(frozen=True)
class PreferenceReport:
    """A written report. `banner` is None for judgements of people; `protocol_checks` is empty for a
    file of rows.
    """

    page: Path
    analysis: Analysis
    banner: str | None
    headlines: tuple[str, ...]
    protocol_checks: tuple[ProtocolCheck, ...]


@dataclass(frozen=True)
class _Choice:
    """What the caller chose."""

    source: JudgementSource | None
    judge: str | None
    draws: int
    seed: int


def report_preference(
    what: Path,
    *,
    source: JudgementSource | None = None,
    judge: str | None = None,
    out: Path | None = None,
    database: str | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> PreferenceReport:
    """Analyse a study, its archive or a file of judgements, and write the report.

    The protocol of a study says which annotators are left out, which share is primary, and the
    level of the intervals. A file of judgements has no protocol. Several language models are
    analysed each for itself, one column a judge.

    Args:
        what: a study's folder, its archive, or judgements in a .jsonl or .csv file.
        source: whose judgements; None: the only source that there is. In a file, rows that do not
            say their source are of this one, else of people.
        judge: the language model, by name or annotator, that the report shows in detail; None: the
            first.
        out: the report's folder; None: in the study's folder, or beside the file.
        database: a PostgreSQL database; None: SQLite in the study's folder.
        draws: bootstrap draws of the agreement coefficients.
        seed: seed of the bootstrap.

    Raises:
        StudyError: there is no such study or file, rows cannot be used, sources would mix, there is
            no such judge, or `out` is taken or cannot be written.
    """
    if out is not None:
        refuse_unless_report(out)
    choice = _Choice("model" if judge and source is None else source, judge, draws, seed)
    if what.is_file() or what.suffix.lower() in (".jsonl", ".csv"):
        analysis, context = _of_file(what, choice)
        beside = what.with_name(f"{what.stem}-report-{analysis.source}")
    else:
        analysis, context = _of_study(Study.find(what), database, choice)
        beside = what / f"report-{analysis.source}"
    banner = BANNERS.get(analysis.source)
    return PreferenceReport(
        page=write_preference_report(analysis, context, out or beside),
        analysis=analysis,
        banner=" ".join(banner) if banner else None,
        headlines=tuple(preference_headlines(analysis, context)),
        protocol_checks=tuple(context.checks),
    )


def _of_file(file: Path, choice: _Choice) -> tuple[Analysis, PreferenceContext]:
    read = read_judgements_file(file, source=choice.source or "human")
    analysis, judges, people = _analyses(read.rows, {}, choice)
    missing = tuple(
        NotComputed(what, f"no column {column!r}{so}")
        for column, (what, so) in _MISSING_COLUMNS.items()
        if column in read.missing
    )
    analysis = replace(analysis, not_computed=(*analysis.not_computed, *missing))
    provenance = {"file": file.name, **_provenance(analysis, choice)}
    context = PreferenceContext(file.name, judges=judges, people=people, provenance=provenance)
    return analysis, context


_MISSING_COLUMNS = {
    "source": ("who judged", ": the rows are taken as those of people, unless --source says else"),
    "kind": ("attention checks and self-consistency", ": every row is taken as a scored answer"),
    "context": ("intervals over contexts", ": every comparison is taken as a context of its own"),
    "group": ("intervals by book or article", ""),
    "domain": ("shares by domain", ""),
}
"""Columns that a file of rows may lack, what that costs, and what is assumed instead."""


def _of_study(
    study: Study, database: str | None, choice: _Choice
) -> tuple[Analysis, PreferenceContext]:
    protocol, comparisons = study.protocol, study.comparisons()
    collected = collected_judgements(study, database=database)
    rows, models = collected.rows, collected.llm_judges
    # Two prompts make two judges of one model, so its name stands beside the annotator's id.
    names = {each.annotator: f"{each.name} ({each.annotator})" for each in models if each.name}
    choice = replace(choice, judge=_chosen_judge(models, choice.judge))
    planned = protocol.analysis
    settings = {"comparisons": comparisons, "rules": planned, "level": planned.level}
    analysis, judges, people = _analyses(rows, settings, choice)
    analysis, *judges = (_with_names(each, names) for each in (analysis, *judges))
    mine = of_one_judge([row for row in rows if row.source == analysis.source], analysis.judge)
    left_out = frozenset(analysis.inattentive) | frozenset(analysis.hasty)
    simulations = read_simulations(study) if analysis.source == "simulated" else ()
    scored = {each.id for each in comparisons if each.kind == "scored"}
    return analysis, PreferenceContext(
        title=protocol.name,
        noun="image" if protocol.material == "images" else "text",
        primary=planned.primary,
        level=planned.level,
        checks=check_protocol(
            protocol, study.digest, study.facts.created_at, comparisons, mine, left_out
        ),
        # Several simulations may have had different preferences: then there are no true shares to
        # show.
        truth=simulations[0].truth if len({each.truth for each in simulations}) == 1 else (),
        judges=judges,
        people=people,
        names=names,
        replies=[
            each
            for each in collected.replies
            if analysis.source == "model" and each.comparison in scored
        ],
        provenance=_study_provenance(study, simulations, models) | _provenance(analysis, choice),
    )


def _study_provenance(
    study: Study, simulations: Sequence[SimulationRecord], models: Sequence[LlmJudge]
) -> dict[str, Any]:
    return {
        "digest": study.digest,
        "created_at": study.facts.created_at,
        "protocol": study.protocol.model_dump(mode="json"),
        "simulations": [each.model_dump(mode="json") for each in simulations],
        "models": {each.annotator: json.loads(each.settings) for each in models},
    }


def _chosen_judge(models: Sequence[LlmJudge], judge: str | None) -> str | None:
    """The annotator of the model that the caller chose by its name or by that annotator.

    Raises:
        StudyError: no model is called so, or several are.
    """
    if judge is None:
        return None
    chosen = [each.annotator for each in models if judge in (each.name, each.annotator)]
    if len(chosen) != 1:
        there = ", ".join(f"{each.name} ({each.annotator})" for each in models) or "none"
        number = "no such judge" if not chosen else "several judges are called so"
        raise StudyError(f"--judge {judge}: {number}; there are: {there}")
    return chosen[0]


def _analyses(
    rows: Sequence[Judgement], settings: Mapping[str, Any], choice: _Choice
) -> tuple[Analysis, list[Analysis], Analysis | None]:
    """The analysis to report; of language models also those of the other judges, and of people who
    judged the same, all with the same settings.
    """

    def analyse(source: JudgementSource | None, judge: str | None = None) -> Analysis:
        return analyse_judgements(
            rows, source=source, judge=judge, draws=choice.draws, seed=choice.seed, **settings
        )

    if of_one_source(rows, choice.source)[0].source != "model":
        return analyse(choice.source, choice.judge), [], None
    scored = counted_rows(rows, excluded=True)
    models = sorted({row.annotator for row in scored if row.source == "model"})
    first = choice.judge or next(iter(models), None)
    others = [analyse("model", each) for each in models if each != first]
    people = analyse("human") if any(row.source == "human" for row in scored) else None
    return analyse("model", first), others, people


def _with_names(analysis: Analysis, names: Mapping[str, str]) -> Analysis:
    """An analysis in which the agreement of each model names it."""
    named = [
        replace(each, model=names.get(each.model, each.model)) for each in analysis.llm_agreement
    ]
    return replace(analysis, llm_agreement=tuple(named))


def _provenance(analysis: Analysis, choice: _Choice) -> dict[str, Any]:
    made = asdict(Environment.of_this_process())
    # An address may hold a password.
    made["command"] = ["URL" if "://" in word else word for word in made["command"]]
    return {
        "source": analysis.source,
        "studies": list(analysis.studies),
        "bootstrap": {"draws": choice.draws, "seed": choice.seed},
        "environment": made,
    }
