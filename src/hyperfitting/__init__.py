"""Hyperfit a language model on a few texts, see its greedy decoding stop looping, and measure why.

Public names are loaded on first use, so that importing this package loads neither torch nor
pydantic.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperfitting.errors import HyperfittingError, InputError
    from hyperfitting.pipeline import run
    from hyperfitting.recipe import Recipe, load_recipe
    from hyperfitting.records import Continuation, MetricRow, TokenBlocks
    from hyperfitting.runs import Experiment, Run
    from hyperfitting.writing import write

__version__ = metadata.version("hyperfitting")

_ROOMS = {
    "Continuation": "records",
    "Experiment": "runs",
    "HyperfittingError": "errors",
    "InputError": "errors",
    "MetricRow": "records",
    "Recipe": "recipe",
    "Run": "runs",
    "TokenBlocks": "records",
    "load_recipe": "recipe",
    "run": "pipeline",
    "write": "writing",
}

__all__ = [
    "Continuation",
    "Experiment",
    "HyperfittingError",
    "InputError",
    "MetricRow",
    "Recipe",
    "Run",
    "TokenBlocks",
    "__version__",
    "load_recipe",
    "run",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'hyperfitting' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"hyperfitting.{_ROOMS[name]}"), name)
    except ModuleNotFoundError as error:
        from hyperfitting.errors import name_the_extra

        raise name_the_extra(error) from error


def __dir__() -> list[str]:
    return __all__
