"""The analyses of the shipped studies: each reads the finished cells of a study and returns what
the page shows.
"""

from collections.abc import Callable

from hyperfitting.report.study.content import Findings
from hyperfitting.studies.analyses.cells import every_cell
from hyperfitting.studies.analyses.curves import curves
from hyperfitting.studies.analyses.data_type import data_type
from hyperfitting.studies.analyses.long_texts import long_texts
from hyperfitting.studies.analyses.quantity import quantity
from hyperfitting.studies.analyses.shuffle import shuffle
from hyperfitting.studies.folder import StudyResults

ANALYSES: dict[str, Callable[[StudyResults], Findings]] = {
    "cells": every_cell,
    "curves": curves,
    "data-type": data_type,
    "long": long_texts,
    "quantity": quantity,
    "shuffle": shuffle,
}
"""By the name that a study gives as `analysis`; `cells` is that of a study without one."""

__all__ = ["ANALYSES"]
