"""Which folder the relative paths of a recipe count from: its own, the working folder, or as an
experiment keeps it.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from hyperfitting.assets import PREFIX, is_relative
from hyperfitting.recipe.base import PathSettings
from hyperfitting.recipe.settings import Recipe

PATHS_FROM = "paths_from"
"""The key of a stored recipe under which the folders of its paths stand, beside its settings."""


def count_paths(
    recipe: Recipe, own: Path | None, stored: Any, changed: list[tuple[list[str], Path]]
) -> None:
    """Have each relative path count from `own`, the recipe's folder, or from where the stored
    recipe says.

    Paths of the `changed` keys count from the folder that stands beside the last of them, and all
    others of a shipped recipe, which has no folder, from the working folder.
    """
    for key, settings in recipe.path_settings():
        settings.count_from(partial(_folder, key, settings, own, stored, changed))


def _folder(
    key: str,
    settings: PathSettings,
    own: Path | None,
    stored: Any,
    changed: list[tuple[list[str], Path]],
    setting: str,
) -> Path:
    """The folder that one path of a recipe counts from."""
    parts = f"{key}.{setting}".split(".")
    if placed := [place for each, place in changed if parts[: len(each)] == each]:
        return placed[-1]
    if own is None:
        return Path.cwd()
    found = stored.get(f"{key}.{setting}") if isinstance(stored, dict) else None
    if not isinstance(found, dict):
        return own
    here, there = str(found.get("from_here", "")), str(found.get("folder", ""))
    folders = [Path(os.path.normpath(own / here)), (own.resolve() / here).resolve(), own / there]
    name = getattr(settings, setting) or ""
    return next((each for each in folders if os.path.exists(each / name)), folders[0])


def stored_recipe(recipe: Recipe, folder: Path) -> str:
    """The recipe as an experiment in `folder` keeps it: its settings as written, and where its
    paths count from.

    Each relative path's folder is kept as it is on this machine, and seen from `folder`: whichever
    of the two has what the setting names is taken, so that the experiment may be moved alone or
    together with all that it was made of.
    """
    paths = {
        f"{key}.{setting}": {
            "folder": str(place),
            "from_here": os.path.relpath(place, folder.absolute()),
        }
        for key, settings in recipe.path_settings()
        for setting in settings.PATHS
        if is_relative(getattr(settings, setting) or PREFIX)
        for place in [settings.folder_of(setting)]
    }
    tree = json.loads(recipe.canonical_json()) | ({PATHS_FROM: paths} if paths else {})
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
