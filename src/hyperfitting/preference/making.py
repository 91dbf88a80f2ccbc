"""How a study comes to be: its plan read from TOML and options, its folder written with where the texts came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperfitting.environment import environment
from hyperfitting.errors import RecipeError, StudyError
from hyperfitting.preference.model_judge import ModelSettings
from hyperfitting.preference.pairing import Paired
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.simulate import Taste
from hyperfitting.preference.study import Study
from hyperfitting.recipe import apply_override, parse_settings, read_tree


def read_plan(
    file: Path | None,
    options: Mapping[str, str],
    overrides: Sequence[str] = (),
    *,
    default_name: str | None = None,
) -> StudyPlan:
    """A plan from a TOML file, options by name and overrides such as `analysis.level=0.9`, the later over the earlier.

    Raises:
        StudyError: the file, the setting or the value that is wrong, in one line.
    """
    if file is not None and not file.is_file():
        raise StudyError(f"{file}: no such file")
    try:
        tree = {} if file is None else read_tree(file)
        for name, text in options.items():
            if name == "pairs":
                tree["pairs"] = _pairs(text)
            else:
                apply_override(tree, f"{name}={text}")
        for override in overrides:
            apply_override(tree, override)
        if default_name is not None:
            tree.setdefault("name", default_name)
        return parse_settings(StudyPlan, tree, source=str(file or "the plan"))
    except RecipeError as error:
        raise StudyError(
            str(error).replace("not a readable recipe", "not a readable plan")
        ) from error


def read_taste(strengths: Sequence[str], overrides: Sequence[str]) -> Taste:
    """The taste of simulated annotators from `ARM=S` and `KEY=VALUE`.

    Raises:
        StudyError: what is wrong, in one line.
    """
    tree: dict[str, Any] = {"strengths": {}}
    try:
        for each in strengths:
            arm, _, value = each.rpartition("=")
            try:
                tree["strengths"][arm.strip()] = float(value)
            except ValueError as error:
                raise StudyError(f"--strength {each}: write it as 'arm=1.5'") from error
        for override in overrides:
            apply_override(tree, override)
        return parse_settings(Taste, tree, source="the taste")
    except RecipeError as error:
        raise StudyError(str(error)) from error


def read_model_settings(
    url: str, model: str, prompt: Path | None, overrides: Sequence[str]
) -> ModelSettings:
    """How a model is asked, from options and `KEY=VALUE`.

    Raises:
        StudyError: what is wrong, in one line.
    """
    tree: dict[str, Any] = {"url": url, "model": model}
    try:
        if prompt is not None:
            tree["prompt"] = prompt.read_text(encoding="utf-8")
        for override in overrides:
            apply_override(tree, override)
        return parse_settings(ModelSettings, tree, source="the model's settings")
    except RecipeError as error:
        raise StudyError(str(error)) from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{prompt}: not UTF-8") from error


def _pairs(text: str) -> Any:
    """`reference`, `all`, or pairs of arms such as `hyperfitted · greedy=original · greedy`, parted by commas."""
    if text in ("reference", "all"):
        return text
    pairs = [[arm.strip() for arm in pair.split("=")] for pair in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise StudyError(
            f"--pairs {text}: write it as reference, all, or 'one arm=another arm'; commas between pairs"
        )
    return pairs


def create_study(
    folder: Path, plan: StudyPlan, paired: Paired, runs: Sequence[Path]
) -> tuple[Study, str]:
    """Write the study, and return it with the admin's token.

    Raises:
        StudyError: the folder is not empty.
    """
    names = sorted({shown.run for row in paired.comparisons for shown in (row.one, row.other)})
    facts = {
        "runs": names,
        "pairs": [list(pair) for pair in paired.pairs],
        "left_out": dict(sorted(paired.left_out.items())),
        "environment": environment(),
    }
    return Study.create(folder, plan, paired.comparisons, json.loads(json.dumps(facts)))
