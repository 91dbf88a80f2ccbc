"""Every setting with its default and what it does: docs/reference/settings.md, a JSON schema for
editors, and the names known to typos.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.settings import Recipe


def settings_markdown() -> str:
    """The page docs/reference/settings.md: every setting, its default and what it does."""
    return f"# Settings\n\n{_INDEX}\n\n{settings_table(Recipe)}"


def recipe_schema() -> dict[str, Any]:
    """A JSON schema of recipes, with which an editor completes and explains settings.

    No setting is required in it, since a recipe may be `based_on` another; what is missing, and
    what one setting asks of another, is said by `hyperfit check`.
    """
    schema = _without_required(Recipe.model_json_schema())
    based_on = {"type": "string", "description": "The shipped recipe whose settings these change."}
    schema["properties"] = {"based_on": based_on, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_required(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_required(each) for each in part]
    if isinstance(part, dict):
        return {key: _without_required(each) for key, each in part.items() if key != "required"}
    return part


_INDEX = (
    "Every setting of a recipe; `[]` stands for the index of a list, from 0: `--set "
    "generate.strategies[0].temperature=0.7`, or `generate.strategies.0.temperature`, sets the "
    "first strategy's."
)


def settings_table(kind: type[Settings]) -> str:
    """The settings as a Markdown table; a text of several lines is shown by its first words."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for key, default, text in settings_list(kind):
        shown = default if len(default) < 80 else default[:60] + "..."
        text = text.replace("|", "\\|")  # a bar would end the cell
        lines.append(
            f"| `{key}` | {shown if default in ('required', 'none') else f'`{shown}`'} | {text} |"
        )
    return "\n".join(lines) + "\n"


def settings_list(
    kind: type[Settings] = Recipe, prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Every setting as (dotted key, default, description); `[]` stands for an index. Keys begin
    with `prefix`.
    """
    for name, field in kind.model_fields.items():
        inner, is_list = _inner_section(field.annotation)
        if inner is None or field.description:
            default = (
                "required"
                if field.is_required()
                else json.dumps(field.get_default(), default=_plain)
            )
            yield prefix + name, "none" if default == "null" else default, field.description or ""
        if inner is not None:
            yield from settings_list(inner, f"{prefix}{name}{'[]' if is_list else ''}.")


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
