"""A study's cells: every combination of the points of its axes and its seeds, as a resolved recipe
with a stable folder name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import Overrides, Recipe, as_overrides, load_recipe, recipe_path
from hyperfitting.recipe.tree import covers, overridden_keys
from hyperfitting.studies.settings import AxisPoint, StudySettings

MOST_CELLS = 1_000
"""Cells above which a study has to be confirmed."""


@dataclass(frozen=True)
class Cell:
    """One experiment of a study.

    `points` has the name of a point by the name of its axis. `threads` is None where the study
    leaves them to whoever runs it. `repeat` tells cells with equal recipes apart.
    """

    points: dict[str, str]
    seed: int
    recipe: Recipe
    threads: int | None = None
    repeat: int = 0

    @cached_property
    def identity(self) -> str:
        """SHA-256, in hex, of what decides the cell's results."""
        return hashlib.sha256(
            f"{self.recipe.digest} {self.threads} {self.repeat}".encode()
        ).hexdigest()

    @property
    def title(self) -> str:
        """The cell in words: `texts 8, seed 0`."""
        return ", ".join(f"{name} {point}" for name, point in self.coordinates.items())

    @cached_property
    def folder_name(self) -> str:
        """The same name wherever and whenever the cell is made: `texts-8-seed-0-1a2b3c4d`."""
        words = "-".join(f"{name}-{point}" for name, point in self.coordinates.items())
        return f"{words[:150]}-{self.identity[:8]}"

    def threads_of(self, given: int) -> int:
        """The threads that the cell computes with: its recipe's, its own, or those given to it."""
        return self.recipe.engine.threads or self.threads or given

    @property
    def coordinates(self) -> dict[str, str]:
        """Where the cell stands on every axis, the seed last."""
        return {**self.points, "seed": str(self.seed)}


def cell_count(study: StudySettings) -> int:
    """How many cells a study has."""
    return math.prod(len(axis.all_points) for axis in study.axes) * len(study.seeds)


def base_recipe(study: StudySettings, overrides: Overrides = ()) -> Recipe:
    """The recipe that all cells are made of: the study's base with its `set`, then `overrides`.

    Raises:
        RecipeError: the base is not there, or a setting is wrong.
    """
    return _recipe(study, overrides, {}, f"{study.name}: base {study.base}")


def study_cells(
    study: StudySettings, overrides: Overrides = (), *, allow_many: bool = False
) -> list[Cell]:
    """All cells of a study: the points of the first axis vary slowest, the seeds fastest.

    Args:
        study: what is asked for.
        overrides: changes to the base for all cells, as after `--set`; their paths count from the
            working folder.
        allow_many: go on with more than `MOST_CELLS` cells.

    Raises:
        RecipeError: a point names no setting, two cells would be the same, or there are too many.
    """
    if (count := cell_count(study)) > MOST_CELLS and not allow_many:
        factors = [(axis.name, len(axis.all_points)) for axis in study.axes]
        shown = " x ".join(
            f"{name} {points}" for name, points in [*factors, ("seeds", len(study.seeds))]
        )
        raise RecipeError(
            f"{study.name} has {count:,} cells ({shown}): shorten an axis, or confirm more than "
            f"{MOST_CELLS:,} with --yes"
        )
    _refuse_overridden(study, overrides)
    base_recipe(study, overrides)  # a fault of the base is reported as the base's
    cells = list(_cells(study, overrides))
    _refuse_equal(cells)
    return cells


def _cells(study: StudySettings, overrides: Overrides) -> Iterator[Cell]:
    names = [axis.name for axis in study.axes]
    for points in product(*(axis.all_points for axis in study.axes)):
        changes = {key: value for point in points for key, value in point.set.items()}
        where = ", ".join(
            f"axis {name}, point {point.name}" for name, point in zip(names, points, strict=True)
        )
        source = f"{study.name}: {where or 'cell'}"
        for seed in study.seeds:
            recipe = _recipe(study, overrides, {**changes, "seed": seed}, source)
            _refuse_other_threads(recipe, points, source)
            yield Cell(
                points={name: point.name for name, point in zip(names, points, strict=True)},
                seed=seed,
                recipe=recipe,
                threads=_threads(study, points),
                repeat=sum(point.repeat for point in points),
            )


def _recipe(
    study: StudySettings, overrides: Overrides, changes: dict[str, object], source: str
) -> Recipe:
    own = study.folder_of("base")
    return load_recipe(
        _base_file(study),
        changes=[
            (as_overrides(study.set), own),
            (overrides, Path.cwd()),
            (as_overrides(changes), own),
        ],
        source=source,
    )


def _refuse_other_threads(recipe: Recipe, points: Iterable[AxisPoint], source: str) -> None:
    """Refuse threads of a point that would be overridden: those of a recipe count first."""
    asked = {point.threads for point in points} - {None, recipe.engine.threads}
    if recipe.engine.threads is not None and asked:
        raise RecipeError(
            f"{source}: engine.threads = {recipe.engine.threads} would override the point's "
            f"threads = {asked.pop()}: leave out one of them"
        )


def _base_file(study: StudySettings) -> Path:
    place = study.tried("base")
    try:
        return recipe_path(place if place.is_file() else study.base)
    except RecipeError as error:
        raise RecipeError(f"{study.called}: base: {error}") from error


def _threads(study: StudySettings, points: tuple[AxisPoint, ...]) -> int | None:
    asked = [point.threads for point in points if point.threads is not None]
    return asked[-1] if asked else study.threads


def _refuse_overridden(study: StudySettings, overrides: Overrides) -> None:
    changed = sorted(".".join(key) for key in overridden_keys(overrides))
    setters = [("seeds", {"seed"}), *((f"axis {axis.name}", axis.keys) for axis in study.axes)]
    for setter, keys in setters:
        if lost := [each for each in changed if any(covers(key, each) for key in keys)]:
            raise RecipeError(
                f"--set {lost[0]} would change nothing: {setter} of {study.name} sets it"
            )


def _refuse_equal(cells: list[Cell]) -> None:
    held: dict[str, Cell] = {}
    for cell in cells:
        if (other := held.setdefault(cell.identity, cell)) is not cell:
            raise RecipeError(
                f"the cells {other.title!r} and {cell.title!r} are the same experiment twice: "
                "drop a point, or give one of them another repeat"
            )
