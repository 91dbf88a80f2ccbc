"""Whether a finished experiment is the one that a cell asks for, by its stored settings.

An experiment of another version may lack a setting, or have one more. It is still the same where
the setting stands at its default, which means "as before". A default that has changed is another
value, since stored recipes have all settings written out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from hyperfitting.recipe import Recipe, Settings, stood_at_default
from hyperfitting.recipe.paths import PATHS_FROM

_ASIDE = {"name", "description", "engine", "report_to", "model.architecture", PATHS_FROM}
"""What decides no result: names, descriptions, speed, and who is told."""


def first_disagreement(
    stored: dict[str, Any],
    recipe: Recipe,
    at_default: Collection[str] = (),
    *,
    engine: bool = False,
) -> str | None:
    """The first setting, by dotted key, in which a stored recipe is another than this one; None
    where they agree.

    Args:
        stored: the tree of a recipe.json, all its settings written out.
        recipe: what is asked for.
        at_default: the stored settings that stood at their default when they were written; a
            section stands for all that is in it.
        engine: settings of `engine` count too.
    """
    aside = _ASIDE - {"engine"} if engine else _ASIDE
    found = _disagreements(stored, recipe, "")
    return next(
        (
            key
            for key, unknown in found
            if not stood_at_default(key, aside)
            and not (unknown and stood_at_default(key, at_default))
        ),
        None,
    )


def _disagreements(stored: Any, now: Any, key: str) -> Iterator[tuple[str, bool]]:
    """The settings that differ, by dotted key, and whether this version does not know them."""
    if isinstance(now, Settings) and isinstance(stored, dict):
        fields = type(now).model_fields
        for name, field in fields.items():
            inner, value = f"{key}.{name}".removeprefix("."), getattr(now, name)
            if name in stored:
                yield from _disagreements(stored[name], value, inner)
            elif field.is_required() or value != field.get_default():
                yield inner, False
        for name in sorted(stored.keys() - fields):
            yield f"{key}.{name}".removeprefix("."), True
    elif isinstance(now, tuple) and isinstance(stored, list) and len(now) == len(stored):
        for number, (before, value) in enumerate(zip(stored, now, strict=True)):
            yield from _disagreements(before, value, f"{key}.{number}")
    elif stored != _plain(now):
        yield key, False


def _plain(value: Any) -> Any:
    """A value as it stands in a stored recipe."""
    if isinstance(value, Settings):
        return value.model_dump(mode="json")
    return json.loads(json.dumps(value))


def settings_at_default(recipe: Recipe) -> tuple[str, ...]:
    """The settings, by dotted key, that stand at their default; a section that does stands for all
    that is in it.
    """
    return tuple(_at_default(recipe, ""))


def _at_default(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, Settings):
        for name, field in type(node).model_fields.items():
            inner, value = f"{key}.{name}".removeprefix("."), getattr(node, name)
            if not field.is_required() and value == field.get_default():
                yield inner
            else:
                yield from _at_default(value, inner)
    elif isinstance(node, tuple):
        for number, value in enumerate(node):
            yield from _at_default(value, f"{key}.{number}")
