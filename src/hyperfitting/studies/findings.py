"""What a study found: its analysis of the finished cells, and all that its page shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hyperfitting.report.kit.numbers import number
from hyperfitting.report.study.content import CellLink, Findings, StudyPage
from hyperfitting.studies.analyses import analysis_of
from hyperfitting.studies.folder import FinishedCell, StudyResults
from hyperfitting.studies.settings import PaperAccount, PublishedValue


def study_page(results: StudyResults, folder: Path) -> StudyPage:
    """What the page shows, with links that count from its folder; at least one cell is finished.

    Raises:
        RecipeError: the study names an analysis that is not there.
    """
    study = results.study
    return StudyPage(
        name=study.name,
        description=study.description,
        account=tuple(_account(study.paper)) if study.paper is not None else (),
        findings=find_answers(results),
        published=tuple(map(_published, study.published)),
        cells=tuple(_link(cell, folder) for cell in results.finished),
        missing=tuple(cell.title for cell in results.missing),
    )


def find_answers(results: StudyResults) -> Findings:
    """What the study's own analysis finds in its finished cells.

    Raises:
        RecipeError: there is no such analysis, or the study has other axes than it reads.
    """
    return analysis_of(results.study).find(results)


def _account(paper: PaperAccount) -> Iterator[tuple[str, str]]:
    for heading, words in (
        ("Source", paper.source),
        ("What the paper did", paper.did),
        ("What it does not say", paper.silent),
        ("What this study adds", paper.adds),
    ):
        if words:
            yield heading, words


def _published(each: PublishedValue) -> tuple[str, ...]:
    bounds = (
        ""
        if each.low is None or each.high is None  # one does not stand alone
        else f" ({number(each.low)} to {number(each.high)})"
    )
    where = ", ".join(f"{name} {value}" for name, value in each.at.items())
    return each.metric, where, number(each.value) + bounds, each.source, each.note


def _link(cell: FinishedCell, folder: Path) -> CellLink:
    page = cell.experiment.report_page
    target = page if page.is_file() else cell.experiment.folder
    href = Path(os.path.relpath(target, folder)).as_posix()
    return CellLink(cell.cell.title, cell.experiment.recipe.run_name, href)
