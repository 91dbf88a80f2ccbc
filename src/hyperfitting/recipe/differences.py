"""In which settings two recipes differ, in words."""

from __future__ import annotations

import json
from typing import Any

from hyperfitting.files import first_few
from hyperfitting.recipe.settings import Recipe

_DECIDE_NOTHING: Any = {
    "name": True,
    "engine": True,
    "report_to": True,
    "description": True,
    "model": {"architecture"},
}


def differing_settings(one: Recipe, other: Recipe, *, sections: tuple[str, ...] = ()) -> str:
    """`train.epochs 20 -> 25` for each setting that decides results and differs, five at most;
    nothing where none does.

    Args:
        one: its values stand first.
        other: its values stand second.
        sections: only settings of these sections; none: all.
    """
    before, after = (each.model_dump(mode="json", exclude=_DECIDE_NOTHING) for each in (one, other))
    found = [
        f"{key} {_shown(old)} -> {_shown(new)}"
        for key, old, new in _leaves(before, after, "")
        if not sections or key.split(".")[0] in sections
    ]
    if not found and not sections and one.name != other.name:
        found = [f"name {_shown(one.name)} -> {_shown(other.name)}"]
    return first_few(found, most=5)


def _leaves(one: Any, other: Any, key: str) -> list[tuple[str, Any, Any]]:
    """Dotted key and both values of every difference; lists of the same length are compared item by
    item.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            leaf
            for name in {**one, **other}
            for leaf in _leaves(one.get(name), other.get(name), f"{key}.{name}" if key else name)
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            leaf
            for number, pair in enumerate(zip(one, other, strict=True))
            for leaf in _leaves(*pair, f"{key}.{number}")
        ]
    return [] if one == other else [(key, one, other)]


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "none"
    if isinstance(value, list):
        return f"{len(value)} of them"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
