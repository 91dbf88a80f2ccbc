"""The analyses of the shipped studies: each reads the finished cells of a study and returns what
the page shows.
"""

from collections.abc import Callable

from hyperfitting.report.study.content import Findings
from hyperfitting.studies.analyses.cells import every_cell
from hyperfitting.studies.analyses.curves import curves
from hyperfitting.studies.analyses.quantity import quantity
from hyperfitting.studies.folder import StudyResults

ANALYSES: dict[str, Callable[[StudyResults], Findings]] = {
    "cells": every_cell,
    "curves": curves,
    "quantity": quantity,
}
"""By the name that a study gives as `analysis`; `cells` is that of a study without one."""

__all__ = ["ANALYSES"]
