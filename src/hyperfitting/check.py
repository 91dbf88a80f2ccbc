"""What a recipe would do, in lines for a reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperfitting.recipe import Recipe


def describe(
    recipe: Recipe,
    manifest: dict[str, Any],
    *,
    end_ids: Sequence[int],
    parameters: int,
    updates: int,
    precision: str,
    device: str,
    folder: Path,
) -> str:
    """One line for the recipe, the model, each set, the training, the decoding and the folder."""
    model, settings, arms = recipe.model, recipe.train, recipe.generate.arms
    lines = [
        f"recipe    {recipe.run_name}, digest {recipe.digest}",
        f"model     {model.source}: {parameters:,} parameters as {model.dtype}",
        f"text      beginning-of-text: {model.beginning_of_text}; end-of-text ids: {', '.join(map(str, end_ids))}",
        *(_set_line(each) for each in manifest["sets"]),
        f"train     {updates:,} updates of {settings.batch_blocks} x {recipe.data.block_tokens} tokens, "
        f"learning rate {settings.learning_rate:g}, {precision} on {device}",
        f"generate  {recipe.generate.new_tokens} tokens after each context, {_plural(len(arms), 'arm')}: "
        f"{', '.join(arm.name for arm in arms)}",
        f"write     {folder}: recipe.json, data/, original/, hyperfitted/, report/",
    ]
    return "\n".join(lines)


def _set_line(each: dict[str, Any]) -> str:
    leaks = f", {_plural(len(each['leaks_left_out']), 'leak')} left out" if each["leaks_left_out"] else ""
    return (
        f"set       {each['name']}: {each['blocks']} x {each['tokens']} tokens from {_plural(each['groups'], 'group')} "
        f"of {each['source']}{leaks}"
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
