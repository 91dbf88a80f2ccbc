"""Hyperfit a language model on a few texts, see its greedy decoding stop looping, and measure why.

Public names are loaded on first use, so that importing this package loads neither torch nor
pydantic. The verbs of the command line have the same names here: `check`, `plan`, `run`, `measure`,
`compare`, `write`.

Examples:
    >>> recipe = hyperfitting.load_recipe("mine.toml")
    >>> experiment = hyperfitting.run(recipe, "runs/mine", device="cpu")
    >>> experiment.run("hyperfitted").probes()[-1].epoch
    3.0
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperfitting.errors import HyperfittingError, InputError
    from hyperfitting.measuring import ExternalTextsRequest
    from hyperfitting.measuring import measure_external_texts as measure
    from hyperfitting.pipeline import run
    from hyperfitting.recipe import Recipe, Strategy, load_recipe
    from hyperfitting.records import Arm, Continuation, MetricRow, TokenBlocks
    from hyperfitting.report.notebook import NotebookExperiment as Experiment
    from hyperfitting.runs import Run
    from hyperfitting.stages.check import check_recipe as check
    from hyperfitting.stages.compare import compare_experiments as compare
    from hyperfitting.stages.plan import plan_memory as plan
    from hyperfitting.writing import write

__version__ = metadata.version("hyperfitting")

_PLACES = {
    "Arm": "records",
    "Continuation": "records",
    "Experiment": "report.notebook:NotebookExperiment",
    "ExternalTextsRequest": "measuring",
    "HyperfittingError": "errors",
    "InputError": "errors",
    "MetricRow": "records",
    "Recipe": "recipe",
    "Run": "runs",
    "Strategy": "recipe",
    "TokenBlocks": "records",
    "check": "stages.check:check_recipe",
    "compare": "stages.compare:compare_experiments",
    "load_recipe": "recipe",
    "measure": "measuring:measure_external_texts",
    "plan": "stages.plan:plan_memory",
    "run": "pipeline",
    "write": "writing",
}
"""The module of each public name, and what it is called there where that differs."""

__all__ = [
    "Arm",
    "Continuation",
    "Experiment",
    "ExternalTextsRequest",
    "HyperfittingError",
    "InputError",
    "MetricRow",
    "Recipe",
    "Run",
    "Strategy",
    "TokenBlocks",
    "__version__",
    "check",
    "compare",
    "load_recipe",
    "measure",
    "plan",
    "run",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hyperfitting' has no attribute {name!r}")
    module, _, there = _PLACES[name].partition(":")
    try:
        return getattr(importlib.import_module(f"hyperfitting.{module}"), there or name)
    except ModuleNotFoundError as error:
        from hyperfitting.errors import name_the_extra

        raise name_the_extra(error) from error


def __dir__() -> list[str]:
    return __all__
