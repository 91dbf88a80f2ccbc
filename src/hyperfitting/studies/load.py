"""The shipped studies, and how any study is read: a TOML file in, a typed tree or one line of error
out.
"""

from __future__ import annotations

from pathlib import Path

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import parse_settings, read_tree
from hyperfitting.recipe.load import copy_shipped, nearest_hint
from hyperfitting.studies.settings import StudySettings

_SHIPPED = Path(__file__).parent / "shipped"


def shipped_studies() -> list[str]:
    """Names of the studies that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def study_path(name_or_path: str | Path) -> Path:
    """The file behind a study's name or path: a file named so, else the shipped study of that name.

    Raises:
        RecipeError: if there is neither; the message names the nearest shipped study.
    """
    path, shipped = Path(name_or_path), _SHIPPED / f"{name_or_path}.toml"
    found = next((each for each in (path, shipped) if each.is_file()), None)
    if found is None:
        folder = path.is_dir() and str(name_or_path)
        kind = "is a folder, not a study's file" if folder else "neither a file nor shipped"
        hint = nearest_hint(path.name, shipped_studies())
        names = ", ".join(shipped_studies()) or "none"
        raise RecipeError(f"no study {str(name_or_path)!r}: {kind} (shipped: {names}){hint}")
    return found


def load_study(name_or_path: str | Path) -> StudySettings:
    """Read a study.

    Relative paths in it count from its folder; those of a shipped study from the working folder.

    Raises:
        RecipeError: one line that names the file, the settings and the remedy.
    """
    path = study_path(name_or_path)
    settings = parse_settings(StudySettings, read_tree(path, "study"), source=str(path))
    settings.was_loaded_as(str(name_or_path))
    own = path.absolute().parent
    folder = Path.cwd() if own == _SHIPPED else own
    settings.count_from(lambda _: folder)
    return settings


def copy_study(name: str, to: Path | None = None) -> Path:
    """Copy a shipped study with its comments, to `<name>.toml` or `to`.

    Raises:
        RecipeError: no such study, or the file is there already.
    """
    return copy_shipped("study", name, _SHIPPED, to)
