"""From a study's folder, or from a file of judgements, to its report."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hyperfitting.environment import environment
from hyperfitting.preference.analysis import Analysis, analyse
from hyperfitting.preference.analysis.keeping import Exclusions, promises
from hyperfitting.preference.exchange import read_judgements
from hyperfitting.preference.records import Judgement, Source
from hyperfitting.preference.study import Study
from hyperfitting.report.preference.write import (
    BANNERS,
    Context,
    headlines,
    refuse_to_overwrite,
    write_preference_report,
)


def report_on(
    what: Path,
    *,
    source: Source | None,
    out: Path | None,
    database: str | None,
    draws: int,
    seed: int,
) -> tuple[Path, list[str]]:
    """Analyse and report; returns the page and the lines for the terminal.

    A study brings its plan: whom it leaves out, which share is primary, which level. A file has none.

    Raises:
        StudyError: there is no such study or file, a row is not usable, sources would mix, or `out` is taken.
    """
    if out is not None:
        refuse_to_overwrite(out)
    settings: dict[str, Any] = {"draws": draws, "seed": seed}
    if what.is_file() or what.suffix.lower() in (".jsonl", ".csv"):
        analysis = analyse(read_judgements(what), source=source, **settings)
        context = Context(what.name, provenance={"file": what.name} | _facts(analysis, settings))
        beside = what.with_name(f"{what.stem}-report-{analysis.source}")
    else:
        analysis, context = _of_study(Study.find(what), source, database, settings)
        beside = what / f"report-{analysis.source}"
    page = write_preference_report(analysis, context, out or beside)
    return page, _lines(analysis, context)


def _of_study(
    study: Study, source: Source | None, database: str | None, settings: dict[str, Any]
) -> tuple[Analysis, Context]:
    plan, comparisons = study.plan, study.comparisons()
    with study.open_store(database) as store:
        rows = list(store.judgements())
        models = {
            name: json.loads(_URL_USER.sub("//", text))
            for name, text in store.model_settings().items()
        }
    rules = Exclusions(plan.analysis.attention_failures, plan.analysis.least_seconds)
    analysis = analyse(
        rows, comparisons, source=source, rules=rules, level=plan.analysis.level, **settings
    )
    analysis = replace(
        analysis, models=tuple(replace(e, model=_named(e.model, models)) for e in analysis.models)
    )
    mine: Sequence[Judgement] = [row for row in rows if row.source == analysis.source]
    left_out = frozenset(analysis.inattentive) | frozenset(analysis.hasty)
    facts = study.facts()
    told = study.simulations() if analysis.source == "simulated" else []
    return analysis, Context(
        title=plan.name,
        primary=plan.analysis.primary,
        level=plan.analysis.level,
        promises=promises(plan, study.digest, facts["created_at"], comparisons, mine, left_out),
        # Several simulations in one study may have been told different things: then there is no one truth to show.
        truth=told[0]["truth"]
        if told and all(each["truth"] == told[0]["truth"] for each in told)
        else (),
        provenance={
            "digest": study.digest,
            "created_at": facts["created_at"],
            "plan": plan.model_dump(mode="json"),
            "simulations": told,
            "models": models,
        }
        | _facts(analysis, settings),
    )


_URL_USER = re.compile(r"//[^/@\s\"]*@")  # a name and password in the address of an endpoint


def _named(annotator: str, models: dict[str, Any]) -> str:
    """A model by its name as well as by its number: two prompts make two judges of one model."""
    name = models.get(annotator, {}).get("model")
    return f"{name} ({annotator})" if name else annotator


def _facts(analysis: Analysis, settings: dict[str, Any]) -> dict[str, Any]:
    made = environment()
    made["command"] = [
        "URL" if "://" in word else word for word in made["command"]
    ]  # it may hold a password
    return {
        "source": analysis.source,
        "studies": list(analysis.studies),
        "bootstrap": settings,
        "environment": made,
    }


def _lines(analysis: Analysis, context: Context) -> list[str]:
    """The headline, for the terminal; a banner where the judges were no people."""
    banner = BANNERS.get(analysis.source)
    kept = [("kept" if each.kept else "NOT KEPT", each) for each in context.promises]
    return [
        *([f"note     {' '.join(banner)}"] if banner else []),
        *(f"result   {line}" for line in headlines(analysis, context)),
        *(f"plan     {word}: {each.what}: {each.found}" for word, each in kept),
    ]
