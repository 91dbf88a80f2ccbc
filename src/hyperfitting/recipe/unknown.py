"""Stored settings of another version that this one does not know, where they mean "as before"."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.problems import unknown_places
from hyperfitting.recipe.tree import covers


def stood_at_default(key: str, at_default: Collection[str]) -> bool:
    """Whether a setting, by dotted key, or a section around it is among those that stood at their
    default.
    """
    return any(covers(each, key) for each in at_default)


def without_unknown(
    kind: type[Settings], tree: dict[str, Any], at_default: Collection[str]
) -> dict[str, Any]:
    """A tree of settings without those that are unknown here and stood at their default.

    Args:
        kind: what the tree is read as.
        tree: plain values.
        at_default: the settings, by dotted key, that stood at their default when the tree was
            written; a section stands for all that is in it.
    """
    left = copy.deepcopy(tree)
    for *parents, last in _unknown(kind, tree) if at_default else ():
        if stood_at_default(".".join(map(str, (*parents, last))), at_default):
            node: Any = left
            for parent in parents:
                node = node[parent]
            del node[last]
    return left


def _unknown(kind: type[Settings], tree: dict[str, Any]) -> list[tuple[int | str, ...]]:
    try:
        kind.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        return unknown_places(error)
    return []
