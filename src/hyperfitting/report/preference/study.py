"""The report of a study, or of a file of judgements."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hyperfitting.environment import Environment
from hyperfitting.preference.analysis import Analysis, analyse_judgements
from hyperfitting.preference.analysis.protocol_adherence import ProtocolCheck, check_protocol
from hyperfitting.preference.judges.simulated import read_simulations
from hyperfitting.preference.records import JudgementSource
from hyperfitting.preference.store.judgement_files import collected_judgements, read_judgements
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
class _Bootstrap:
    draws: int
    seed: int


def report_preference(
    what: Path,
    *,
    source: JudgementSource | None = None,
    out: Path | None = None,
    database: str | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> PreferenceReport:
    """Analyse a study, its archive or a file of judgements, and write the report.

    The protocol of a study says which annotators are left out, which share is primary, and the
    level of the intervals. A file of judgements has no protocol.

    Args:
        what: a study's folder, its archive, or judgements in a .jsonl or .csv file.
        source: whose judgements; None: the only source that there is.
        out: the report's folder; None: in the study's folder, or beside the file.
        database: a PostgreSQL database; None: SQLite in the study's folder.
        draws: bootstrap draws of the agreement coefficients.
        seed: seed of the bootstrap.

    Raises:
        StudyError: there is no such study or file, a row cannot be used, sources would mix, or
            `out` is taken.
    """
    if out is not None:
        refuse_unless_report(out)
    bootstrap = _Bootstrap(draws, seed)
    if what.is_file() or what.suffix.lower() in (".jsonl", ".csv"):
        analysis = analyse_judgements(read_judgements(what), source=source, draws=draws, seed=seed)
        context = PreferenceContext(
            what.name, provenance={"file": what.name, **_provenance(analysis, bootstrap)}
        )
        beside = what.with_name(f"{what.stem}-report-{analysis.source}")
    else:
        analysis, context = _of_study(Study.find(what), source, database, bootstrap)
        beside = what / f"report-{analysis.source}"
    banner = BANNERS.get(analysis.source)
    return PreferenceReport(
        page=write_preference_report(analysis, context, out or beside),
        analysis=analysis,
        banner=" ".join(banner) if banner else None,
        headlines=tuple(preference_headlines(analysis, context)),
        protocol_checks=tuple(context.checks),
    )


def _of_study(
    study: Study, source: JudgementSource | None, database: str | None, bootstrap: _Bootstrap
) -> tuple[Analysis, PreferenceContext]:
    protocol, comparisons = study.protocol, study.comparisons()
    collected = collected_judgements(study, database=database)
    rows, models = collected.rows, collected.llm_judges
    analysis = analyse_judgements(
        rows,
        comparisons,
        source=source,
        rules=protocol.analysis,
        level=protocol.analysis.level,
        draws=bootstrap.draws,
        seed=bootstrap.seed,
    )
    # Two prompts make two judges of one model, so its name stands beside the annotator's id.
    names = {each.annotator: f"{each.name} ({each.annotator})" for each in models if each.name}
    named = tuple(
        replace(each, model=names.get(each.model, each.model)) for each in analysis.llm_agreement
    )
    analysis = replace(analysis, llm_agreement=named)
    mine = [row for row in rows if row.source == analysis.source]
    left_out = frozenset(analysis.inattentive) | frozenset(analysis.hasty)
    simulations = read_simulations(study) if analysis.source == "simulated" else ()
    facts = study.facts
    return analysis, PreferenceContext(
        title=protocol.name,
        primary=protocol.analysis.primary,
        level=protocol.analysis.level,
        checks=check_protocol(
            protocol, study.digest, facts.created_at, comparisons, mine, left_out
        ),
        # Several simulations may have had different preferences: then there are no true shares to
        # show.
        truth=simulations[0].truth if len({each.truth for each in simulations}) == 1 else (),
        provenance={
            "digest": study.digest,
            "created_at": facts.created_at,
            "protocol": protocol.model_dump(mode="json"),
            "simulations": [each.model_dump(mode="json") for each in simulations],
            "models": {each.annotator: json.loads(each.settings) for each in models},
            **_provenance(analysis, bootstrap),
        },
    )


def _provenance(analysis: Analysis, bootstrap: _Bootstrap) -> dict[str, Any]:
    made = asdict(Environment.of_this_process())
    # An address may hold a password.
    made["command"] = ["URL" if "://" in word else word for word in made["command"]]
    return {
        "source": analysis.source,
        "studies": list(analysis.studies),
        "bootstrap": {"draws": bootstrap.draws, "seed": bootstrap.seed},
        "environment": made,
    }
