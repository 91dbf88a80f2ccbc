"""Settings of this room from files and options. What is wrong with them is one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hyperfitting.errors import RecipeError, StudyError
from hyperfitting.recipe import Settings, apply_overrides, parse_settings

_Settings = TypeVar("_Settings", bound=Settings)


def settings_from(
    kind: type[_Settings], tree: dict[str, Any], overrides: Sequence[str], source: str
) -> _Settings:
    """Settings from plain values and overrides such as `analysis.level=0.9`.

    Raises:
        StudyError: the setting or the value that is wrong.
    """
    try:
        apply_overrides(tree, overrides)
        return parse_settings(kind, tree, source=source)
    except RecipeError as error:
        raise StudyError(str(error)) from error
