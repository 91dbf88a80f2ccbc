"""The analyses of the shipped studies: each reads the finished cells of a study and returns what
the page shows.
"""

from collections.abc import Callable

from hyperfitting.report.study.content import Findings
from hyperfitting.studies.analyses.cells import find_cells
from hyperfitting.studies.analyses.curves import find_curves
from hyperfitting.studies.analyses.data_type import find_data_type
from hyperfitting.studies.analyses.long_texts import find_long_texts
from hyperfitting.studies.analyses.quantity import find_quantity
from hyperfitting.studies.analyses.shuffle import find_shuffle
from hyperfitting.studies.folder import StudyResults

ANALYSES: dict[str, Callable[[StudyResults], Findings]] = {
    "cells": find_cells,
    "curves": find_curves,
    "data-type": find_data_type,
    "long": find_long_texts,
    "quantity": find_quantity,
    "shuffle": find_shuffle,
}
"""By the name that a study gives as `analysis`; `cells` is that of a study without one."""

__all__ = ["ANALYSES"]
