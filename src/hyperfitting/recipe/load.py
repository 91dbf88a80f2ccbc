"""The shipped recipes, and how any recipe is read: TOML and overrides in, a typed tree or one line
of error out.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hyperfitting.errors import RecipeError, RunError
from hyperfitting.files import write_text
from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.former_names import is_of_former_version
from hyperfitting.recipe.images import with_image_lengths
from hyperfitting.recipe.paths import PATHS_FROM, count_paths
from hyperfitting.recipe.problems import problems_in_words, unusable_value
from hyperfitting.recipe.settings import Recipe
from hyperfitting.recipe.train import TrainSettings
from hyperfitting.recipe.tree import (
    Overrides,
    apply_overrides,
    by_setting,
    overridden_keys,
    read_tree,
)
from hyperfitting.recipe.unknown import without_unknown
from hyperfitting.recipe.variants import HYPERFITTED

_Settings = TypeVar("_Settings", bound=Settings)

_SHIPPED = Path(__file__).parent / "shipped"


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def shipped_descriptions() -> dict[str, str]:
    """What each shipped recipe is, in one line, by its name."""
    return {name: load_recipe(name).description for name in shipped_recipes()}


def recipe_path(name_or_path: str | Path) -> Path:
    """The file behind a recipe's name or path: a file named so, else the shipped recipe of that
    name.

    Raises:
        RecipeError: if there is neither; the message names the nearest shipped recipe.
    """
    if not isinstance(name_or_path, str | PathLike):
        kind = type(name_or_path).__name__
        raise RecipeError(f"a recipe is given as a file or by a shipped name, not as {kind}")
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = _SHIPPED / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped
    if str(name_or_path) and path.is_dir():  # an empty name would be the working folder
        held = (
            f": its recipe is {path / 'recipe.json'}"
            if (path / "recipe.json").is_file()
            else ", not a recipe"
        )
        raise RecipeError(f"{path} is a folder{held}")
    names = ", ".join(shipped_recipes())
    raise RecipeError(
        f"no recipe {str(name_or_path)!r}: neither a file nor one of {names}{_nearest(path.name)}"
    )


def _nearest(name: str) -> str:
    return nearest_hint(name, shipped_recipes())


def nearest_hint(name: str, names: Sequence[str]) -> str:
    """What an error about a name ends with: which of `names` may be meant, or nothing."""
    near = difflib.get_close_matches(name.removesuffix(".toml"), names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def copy_recipe(name: str, to: Path | None = None) -> Path:
    """Copy a shipped recipe with its comments, to `<name>.toml` or `to`.

    Raises:
        RecipeError: no such recipe, or the file is there already.
    """
    return copy_shipped("recipe", name, _SHIPPED, to, head=_EDITORS)


_EDITORS = """\
#:schema ./recipe.schema.json
# `hyperfit recipes schema > recipe.schema.json` lets an editor complete and explain the settings.
"""


def copy_shipped(
    kind: str, name: str, shipped: Path, to: Path | None = None, *, head: str = ""
) -> Path:
    """Copy `<name>.toml`, a file of some `kind` that ships in the folder `shipped`, with `head`
    above its text, to a file of the same name or to `to`.

    Raises:
        RecipeError: none of that name ships, or the file is there already.
    """
    names = sorted(path.stem for path in shipped.glob("*.toml"))
    if name not in names:
        raise RecipeError(
            f"no shipped {kind} {name!r}: there are {', '.join(names)}{nearest_hint(name, names)}"
        )
    target = to or Path(f"{name}.toml")
    if target.exists():
        raise RecipeError(f"{target} is there already: name another file")
    write_text(target, head + (shipped / f"{name}.toml").read_text(encoding="utf-8"))
    return target


def load_recipe(
    name_or_path: str | Path,
    overrides: Overrides = (),
    *,
    changes: Sequence[tuple[Overrides, Path]] = (),
    source: str | None = None,
) -> Recipe:
    """Read a recipe (.toml, or the .json that a run keeps) and apply overrides.

    Examples:
        >>> demo = hyperfitting.load_recipe("demo", {"train.epochs": 12, "seed": 1})
        >>> demo.train.epochs, demo.data.train_blocks
        (12, 64)

    Args:
        name_or_path: a file, or the name of a shipped recipe.
        overrides: such as `{"train.epochs": 10}` or `{"train": {"epochs": 10}}`, or
            `["train.epochs=10"]`, as after `--set`.
        changes: overrides of other origins, applied afterwards, each with the folder that its
            relative paths count from.
        source: names the recipe in errors; none: its file.

    Relative paths in it count from its folder, or from where `stored_recipe` says; those of
    overrides and of shipped recipes count from the working folder.

    Raises:
        RecipeError: one line that names the file, the settings and the remedy.
    """
    path = recipe_path(name_or_path)
    layers = [(by_setting(overrides), Path.cwd()), *changes]
    return _read(path, layers, source or str(path))


def _read(
    path: Path,
    layers: Sequence[tuple[Overrides, Path]],
    source: str,
    at_default: Collection[str] = (),
) -> Recipe:
    held = read_tree(path)
    if not held:
        raise RecipeError(f"{path}: not a readable recipe: it holds no settings")
    tree = _on_its_base(held, path)
    stored = tree.pop(PATHS_FROM, {}) if path.suffix.lower() == ".json" else {}
    for each, _ in layers:
        apply_overrides(tree, each)
    recipe = parse_recipe(without_unknown(Recipe, tree, at_default), source=source)
    own = path.absolute().parent
    changed = [(key, folder) for each, folder in layers for key in overridden_keys(each)]
    count_paths(recipe, None if own == _SHIPPED else own, stored, changed)
    return recipe


def read_or_given(recipe: Recipe | str | Path) -> Recipe:
    """A recipe, or the one of a file or of a shipped recipe's name."""
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _on_its_base(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """The tree laid over the shipped recipe that it is `based_on`, if it names one; lists are
    replaced whole.
    """
    base = tree.pop("based_on", None)
    if base is None:
        return tree
    if base not in shipped_recipes():
        raise RecipeError(
            f"{path}: based_on = {base!r}: no such shipped recipe: "
            f"{', '.join(shipped_recipes())}{_nearest(str(base))}"
        )
    under = _on_its_base(read_tree(_SHIPPED / f"{base}.toml"), path)
    return _laid_over(under, tree)


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key
        for key in under.keys() & over.keys()
        if isinstance(under[key], dict) and isinstance(over[key], dict)
    }
    return {**under, **over, **{key: _laid_over(under[key], over[key]) for key in both}}


def parse_recipe(tree: dict[str, Any], source: str) -> Recipe:
    """Validate a tree of plain values. `source` names it in errors.

    Raises:
        RecipeError: everything that is wrong, in one line.
    """
    recipe = parse_settings(Recipe, with_image_lengths(tree), source)
    _refuse_variants(recipe, source)
    return recipe


def _refuse_variants(recipe: Recipe, source: str) -> None:
    """Refuse variants whose settings are wrong, or that are another run's training again.

    Raises:
        RecipeError: names the settings.
    """
    trained: dict[TrainSettings, str] = {recipe.train: HYPERFITTED}
    for number, variant in enumerate(recipe.variants):
        where = f"{source}: variants.{number}.set"
        tree = {"train": variant.tree(recipe.train)}
        train = parse_settings(_Training, tree, where).train
        if train in trained:
            raise RecipeError(
                f"{where}: {variant.name} and {trained[train]} train with the same settings, so "
                "they are the same run twice"
            )
        trained[train] = variant.name


class _Training(Settings):
    """The part of a recipe that variants change."""

    train: TrainSettings


def load_stored_recipe(path: Path, at_default: Collection[str] = ()) -> Recipe:
    """The recipe that an experiment or a run keeps.

    Args:
        path: its file.
        at_default: the settings, by dotted key, that stood at their default when it was written;
            those of them that this version does not know are left out, since they change nothing.

    Raises:
        RunError: hyperfitting 0.1 wrote it.
        RecipeError: as `load_recipe`.
    """
    if path.is_file() and is_of_former_version(read_tree(path)):
        raise RunError(
            f"{path.parent} was written by hyperfitting 0.1, whose settings and files have other "
            "names: run its recipe again with this version, or read it with hyperfitting 0.1"
        )
    return _read(path, (), str(path), at_default)


_TOO_DEEP = "lists or tables are nested too deep"


def parse_settings(kind: type[_Settings], tree: dict[str, Any], source: str) -> _Settings:
    """The same for any settings: a recipe, or the protocol of a preference study.

    Raises:
        RecipeError: everything that is wrong, in one line.
    """
    try:
        if problem := unusable_value(tree):
            raise RecipeError(f"{source}: {problem}")
        # Through JSON, where strict types still take an array for a tuple and 1 for 1.0.
        return kind.model_validate_json(json.dumps(tree))
    except RecursionError as error:
        raise RecipeError(f"{source}: {_TOO_DEEP}") from error
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":  # JSON, but for its depth
            raise RecipeError(f"{source}: {_TOO_DEEP}") from error
        raise RecipeError(f"{source}: {problems_in_words(error, kind)}") from error
