"""The analyses of the shipped studies: each reads the finished cells of a study and returns what
the page shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hyperfitting.errors import RecipeError
from hyperfitting.report.study.content import Findings
from hyperfitting.studies.analyses.cells import find_cells
from hyperfitting.studies.analyses.curve_rows import TRAINING
from hyperfitting.studies.analyses.curves import find_curves
from hyperfitting.studies.analyses.data_type import DATA, find_data_type, refuse_reserved_points
from hyperfitting.studies.analyses.downstream import find_downstream
from hyperfitting.studies.analyses.long_texts import TRAINED, find_long_texts
from hyperfitting.studies.analyses.pairs import ORDER
from hyperfitting.studies.analyses.quantity import SCHEDULE, TEXTS, find_quantity
from hyperfitting.studies.analyses.shuffle import find_shuffle
from hyperfitting.studies.folder import StudyResults
from hyperfitting.studies.settings import StudySettings


@dataclass(frozen=True)
class StudyAnalysis:
    """How findings are made of finished cells, and what a study must have for it.

    Args:
        find: makes them.
        axes: those that the study has, and no other; None: whichever.
        refuse: raises a RecipeError where it cannot read their points.
        predictions: it reads what the models predicted.
        coordinates: where published values may stand, beside the axes; None: it reads none.
    """

    find: Callable[[StudyResults], Findings]
    axes: tuple[str, ...] | None = ()
    refuse: Callable[[StudySettings], None] | None = None
    predictions: bool = False
    coordinates: tuple[str, ...] | None = ()


ANALYSES: dict[str, StudyAnalysis] = {
    "cells": StudyAnalysis(find_cells, None, coordinates=None),
    "curves": StudyAnalysis(find_curves, (TRAINING,), coordinates=("epoch",)),
    "data-type": StudyAnalysis(find_data_type, (DATA,), refuse_reserved_points),
    "downstream": StudyAnalysis(find_downstream, coordinates=None),
    "long": StudyAnalysis(find_long_texts, (TRAINED,), coordinates=None),
    "quantity": StudyAnalysis(find_quantity, (TEXTS, SCHEDULE)),
    "shuffle": StudyAnalysis(find_shuffle, (ORDER,), predictions=True, coordinates=("pair",)),
}
"""By the name that a study gives as `analysis`; `cells` is that of a study without one."""


def analysis_of(study: StudySettings) -> StudyAnalysis:
    """The analysis that a study names.

    Raises:
        RecipeError: there is no such analysis, or the study has other axes or points than it reads,
            keeps no predictions for it, or has published values where it reads none.
    """
    name = study.analysis or "cells"
    if name not in ANALYSES:
        raise RecipeError(f"{study.name}: no analysis {name!r}: there are {', '.join(ANALYSES)}")
    analysis, axes = ANALYSES[name], [axis.name for axis in study.axes]
    if missing := next((axis for axis in analysis.axes or () if axis not in axes), None):
        raise RecipeError(
            f"{study.name}: the analysis {name} reads an axis {missing!r}, which the study does "
            "not have: name one so, or leave out analysis"
        )
    if analysis.axes is not None and (extra := set(axes) - set(analysis.axes)):
        first = next(axis for axis in axes if axis in extra)
        raise RecipeError(
            f"{study.name}: the analysis {name} does not read the axis {first!r}, and would take "
            "its points for one: drop the axis, or leave out analysis"
        )
    if analysis.refuse is not None:
        analysis.refuse(study)
    _refuse_unread_places(study, name, analysis)
    if analysis.predictions and not study.predictions:
        raise RecipeError(
            f"{study.name}: the analysis {name} reads predictions, which the study does not keep: "
            "set predictions = true"
        )
    return analysis


def _refuse_unread_places(study: StudySettings, name: str, analysis: StudyAnalysis) -> None:
    if analysis.coordinates is None:
        return
    known = (*(axis.name for axis in study.axes), *analysis.coordinates)
    for each in study.published:
        if unread := next((place for place in each.at if place not in known), None):
            raise RecipeError(
                f"{study.name}: published value of {each.metric}: the analysis {name} reads no "
                f"{unread!r}: name one of {', '.join(known)}"
            )


__all__ = ["ANALYSES", "StudyAnalysis", "analysis_of"]
