"""The shipped recipes, and how any recipe is read: TOML and overrides in, a typed tree or one line of error out."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from hyperfitting.assets import PREFIX, is_relative
from hyperfitting.errors import RecipeError
from hyperfitting.recipe import PathSettings, Recipe, Settings

Kind = TypeVar("Kind", bound=Settings)

_SHIPPED = Path(__file__).parent


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def recipe_path(name_or_path: str | Path) -> Path:
    """The file behind a recipe's name or path: a file named so, else the shipped recipe of that name.

    Raises:
        RecipeError: if there is neither; the message names the nearest shipped recipe.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = _SHIPPED / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped
    names = ", ".join(shipped_recipes())
    raise RecipeError(f"no recipe {str(name_or_path)!r}: neither a file nor one of {names}{_nearest(path.name)}")


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.removesuffix(".toml"), shipped_recipes(), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def copy_recipe(name: str, to: Path | None = None) -> Path:
    """Copy a shipped recipe with its comments, to `<name>.toml` or `to`.

    Raises:
        RecipeError: no such recipe, or the file is there already.
    """
    target = to or Path(f"{name}.toml")
    if name not in shipped_recipes():
        raise RecipeError(f"no shipped recipe {name!r}: there are {', '.join(shipped_recipes())}{_nearest(name)}")
    if target.exists():
        raise RecipeError(f"{target} is there already: name another file")
    target.write_bytes((_SHIPPED / f"{name}.toml").read_bytes())
    return target


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe (.toml, or the .json that a run keeps) and apply overrides such as `train.epochs=10`.

    Relative paths in it count from its folder, or from where `stored_recipe` says; those of overrides and of shipped
    recipes count from the working folder.

    Raises:
        RecipeError: one line that names the file, the setting and the remedy.
    """
    path = recipe_path(name_or_path)
    tree = _on_its_base(read_tree(path), path)
    stored = tree.pop(PATHS_FROM, {}) if path.suffix == ".json" else {}
    for override in overrides:
        apply_override(tree, override)
    recipe = parse_recipe(tree, source=str(path))
    changed = [_parts(override) for override in overrides]
    for key, settings in recipe.path_settings():
        settings.count_from(partial(_folder, key, settings, path.absolute().parent, stored, changed))
    return recipe


def _folder(
    key: str, settings: PathSettings, own: Path, stored: dict[str, Any], changed: list[list[str]], setting: str
) -> Path:
    """The folder that one path of a recipe counts from."""
    parts = f"{key}.{setting}".split(".")
    if own == _SHIPPED or any(parts[: len(each)] == each for each in changed):
        return Path.cwd()
    found = stored.get(f"{key}.{setting}") if isinstance(stored, dict) else None
    if not isinstance(found, dict):
        return own
    here, there = str(found.get("from_here", "")), str(found.get("folder", ""))
    folders = [Path(os.path.normpath(own / here)), (own.resolve() / here).resolve(), own / there]
    name = getattr(settings, setting) or ""
    return next((each for each in folders if os.path.exists(each / name)), folders[0])


PATHS_FROM = "paths_from"


def stored_recipe(recipe: Recipe, folder: Path) -> str:
    """The recipe as an experiment in `folder` keeps it: its settings as written, and where its paths count from.

    Each relative path's folder is kept as it is on this machine, and seen from `folder`: whichever of the two has what
    the setting names is taken, so that the experiment may be moved alone or together with all that it was made of.
    """
    paths = {
        f"{key}.{setting}": {"folder": str(place), "from_here": os.path.relpath(place, folder.absolute())}
        for key, settings in recipe.path_settings()
        for setting in settings.PATHS
        if is_relative(getattr(settings, setting) or PREFIX)
        for place in [settings.folder_of(setting)]
    }
    tree = json.loads(recipe.canonical_json()) | ({PATHS_FROM: paths} if paths else {})
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def read_tree(path: Path) -> dict[str, Any]:
    """The settings in a .toml or .json file as plain values, not yet validated.

    Raises:
        RecipeError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, OSError) as error:
        raise RecipeError(f"{path}: not a readable recipe: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: not a readable recipe: it holds {type(tree).__name__}, not settings by name")
    return tree


def _on_its_base(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """The tree laid over the shipped recipe that it is `based_on`, if it names one; lists are replaced whole."""
    base = tree.pop("based_on", None)
    if base is None:
        return tree
    if base not in shipped_recipes():
        raise RecipeError(f"{path}: based_on = {base!r}: no such shipped recipe: {', '.join(shipped_recipes())}")
    under = _on_its_base(tomllib.loads((_SHIPPED / f"{base}.toml").read_text(encoding="utf-8")), path)
    return _laid_over(under, tree)


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _laid_over(under[key], over[key]) for key in under.keys() & over.keys() if isinstance(over[key], dict)}
    return {**under, **over, **both}


def parse_recipe(tree: dict[str, Any], source: str) -> Recipe:
    """Validate a tree of plain values. `source` names it in errors.

    Raises:
        RecipeError: the first thing that is wrong, in one line.
    """
    return parse_settings(Recipe, tree, source)


def parse_settings(kind: type[Kind], tree: dict[str, Any], source: str) -> Kind:
    """The same for any settings: a recipe, or the plan of a study.

    Raises:
        RecipeError: the first thing that is wrong, in one line.
    """
    try:
        # Through JSON, where strict types still take an array for a tuple and 1 for 1.0.
        return kind.model_validate_json(json.dumps(tree))
    except TypeError as error:
        raise RecipeError(f"{source}: a value is of a type that recipes do not use: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"{source}: {_first_problem(error, kind)}") from error


def apply_override(tree: dict[str, Any], override: str) -> None:
    """Set `a.b=value` (TOML syntax; a bare word is a string) in the tree; a number indexes a list.

    Raises:
        RecipeError: it is written in another way, or there is nothing of that name to set.
    """
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: write it as section.key=value, for example train.epochs=10")
    *parents, last = _parts(override)
    node: Any = tree
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else _item(node, parent, override)
    if isinstance(node, list):
        _item(node, last, override)
        node[int(last)] = _toml_value(value)
    elif isinstance(node, dict):
        node[last] = _toml_value(value)
    else:
        raise RecipeError(f"--set {override}: {'.'.join(parents)} holds a value, not settings")


def _parts(override: str) -> list[str]:
    """The parts of an override's dotted key, with indices as they are written in a number."""
    parts = override.partition("=")[0].strip().split(".")
    return [str(int(part)) if part.isdecimal() else part for part in parts]


def _item(node: Any, index: str, override: str) -> Any:
    if isinstance(node, list) and index.isdecimal() and int(index) < len(node):
        return node[int(index)]
    raise RecipeError(f"--set {override}: there is no {index!r} to set there")


def _toml_value(text: str) -> Any:
    if text.strip() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _first_problem(error: ValidationError, kind: type[Settings]) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _known_keys(problem["loc"], kind), n=1, cutoff=0.5)
        return f"{key} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    if problem["type"] == "missing":
        return f"{key} is not set"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return message
    return f"{key} = {json.dumps(problem['input'])[:80]}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple[int | str, ...], kind: type[Settings]) -> list[str]:
    """Every setting's dotted name, with list indices as they stand in `location`."""
    indices = [str(part) for part in location if isinstance(part, int)]
    keys = [key for key, _, _ in settings_list(kind)]
    keys += sorted({key.rpartition(".")[0] for key in keys} - {""})  # sections
    return [key.replace("[]", f".{indices[0]}" if indices else ".0") for key in keys]


def settings_list(kind: type[Settings] = Recipe) -> Iterator[tuple[str, str, str]]:
    """Every setting as (dotted key, default, description); `[]` stands for an index."""
    return _walk(kind, "")


def settings_markdown() -> str:
    """The page docs/settings.md: every setting, its default and what it does."""
    lines = ["# Settings", "", "Every setting of a recipe; `[]` stands for an index.", ""]
    return "\n".join(lines) + "\n" + settings_table(Recipe)


def settings_table(kind: type[Settings]) -> str:
    """The settings as a Markdown table; a text of several lines is shown by its first words."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for key, default, text in settings_list(kind):
        shown = default if len(default) < 80 else default[:60] + "..."
        lines.append(f"| `{key}` | {shown if default in ('required', 'none') else f'`{shown}`'} | {text} |")
    return "\n".join(lines) + "\n"


def _walk(section: type[Settings], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        inner, is_list = _inner_section(field.annotation)
        if inner is None or field.description:
            default = "required" if field.is_required() else json.dumps(field.get_default(), default=_plain)
            yield prefix + name, "none" if default == "null" else default, field.description or ""
        if inner is not None:
            yield from _walk(inner, f"{prefix}{name}{'[]' if is_list else ''}.")


def _inner_section(annotation: Any) -> tuple[type[Settings] | None, bool]:
    """The settings class inside an annotation, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation, False
    for argument in get_args(annotation):
        inner, _ = _inner_section(argument)
        if inner is not None:
            return inner, "tuple" in str(annotation)
    return None, False


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True)
