"""Tiny studies: grids of experiments that train in a second each."""

import json
from pathlib import Path
from typing import Any

from hyperfitting.studies import StudySettings, load_study

METRIC_FILES = ("metrics.jsonl", "text_metrics.jsonl", "pooled_metrics.jsonl")


def metric_files(folder: Path) -> dict[str, bytes]:
    """The metric files of an experiment, or of all in a folder, by their path in it."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for name in METRIC_FILES
        for file in folder.rglob(name)
    }


def write_study(
    folder: Path, tree: dict[str, Any], text: str = "", *, name: str = "tiny", seeds: str = "[0, 1]"
) -> Path:
    """A study's file, its base recipe beside it: two learning rates and two seeds, or what `text`
    says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.json").write_text(json.dumps(tree))
    axes = '[[axes]]\nname = "rate"\nvalues = { "train.learning_rate" = [3e-3, 1e-3] }\n'
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\nbase = "base.json"\nseeds = {seeds}\n{text or axes}')
    return path


def tiny_study(folder: Path, tree: dict[str, Any], text: str = "", **named: str) -> StudySettings:
    """The same, read."""
    return load_study(write_study(folder, tree, text, **named))


def small(tree: dict[str, Any]) -> dict[str, Any]:
    """The tiny recipe, made smaller: a cell takes half a second."""
    return {
        **tree,
        "data": {**tree["data"], "domains": [{"name": "pieces", "count": 10}]},
        "train": {**tree["train"], "epochs": 2},
        "generate": {"new_tokens": 8, "strategies": [{"name": "greedy", "method": "greedy"}]},
        "measure": {"bootstrap_draws": 20},
        "report": {"examples": 0},
    }
