"""Settings of hyperfitting 0.1 that are called otherwise now, and the experiments that it wrote."""

from __future__ import annotations

from typing import Any

_FORMER = {
    "generate.arms": "generate.strategies",
    "data.contexts": "data.domains",
    "controls": 'variants: write [[variants]] name = "early-stopped" and set = '
    '{ "train.stop" = "best-validation" }',
}


def new_name(key: str) -> str | None:
    """What a setting of hyperfitting 0.1 is called now; None where its name is the same."""
    return next(
        (new for former, new in _FORMER.items() if f"{key}.".startswith(f"{former}.")), None
    )


def is_of_former_version(tree: dict[str, Any]) -> bool:
    """Whether a recipe.json with every setting written out is one of hyperfitting 0.1."""
    generate = tree.get("generate")
    return "controls" in tree and isinstance(generate, dict) and "arms" in generate
