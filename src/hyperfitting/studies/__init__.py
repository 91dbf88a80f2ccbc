"""Studies: grids of experiments, made on one machine or many, and read together."""

from hyperfitting.studies.folder import (
    CellFacts,
    FinishedCell,
    StudyFolder,
    StudyResults,
    study_folder,
)
from hyperfitting.studies.grid import Cell, base_recipe, study_cells
from hyperfitting.studies.load import copy_study, load_study, shipped_studies, study_path
from hyperfitting.studies.predictions import Predictions
from hyperfitting.studies.settings import (
    Axis,
    AxisPoint,
    PaperAccount,
    PublishedValue,
    StudySettings,
)

__all__ = [
    "Axis",
    "AxisPoint",
    "Cell",
    "CellFacts",
    "FinishedCell",
    "PaperAccount",
    "Predictions",
    "PublishedValue",
    "StudyFolder",
    "StudyResults",
    "StudySettings",
    "base_recipe",
    "copy_study",
    "load_study",
    "shipped_studies",
    "study_cells",
    "study_folder",
    "study_path",
]
