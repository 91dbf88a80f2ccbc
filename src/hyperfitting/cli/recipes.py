"""`hyperfit recipes`: the shipped recipes, and every setting."""

from __future__ import annotations

from pathlib import Path

from hyperfitting.cli.console import folded
from hyperfitting.cli.options import Options, Verbs, print_next
from hyperfitting.errors import InputError, RecipeError


def add_recipes(verbs: Verbs) -> None:
    """`recipes`."""
    recipes = verbs.add(
        "recipes", "list, show or copy the shipped recipes; document the settings", _recipes
    )
    recipes.add_argument(
        "action",
        choices=list(_ACTIONS),
        help="settings: every setting with its default; schema: the same as a JSON schema",
    )
    recipes.add_argument("name", nargs="?", help="the recipe to show or copy")
    recipes.add_argument("to", nargs="?", type=Path, help="where to copy it (NAME.toml)")


def _recipes(options: Options) -> None:
    given = [str(each) for each in (options.name, options.to) if each is not None]
    if beyond := given[_WORDS.get(options.action, 0) :]:
        raise InputError(f"hyperfit recipes {options.action}: {beyond[0]!r} is one word too many")
    _ACTIONS[options.action](options)


def _list(options: Options) -> None:
    from hyperfitting.recipe import shipped_descriptions

    for name, description in shipped_descriptions().items():
        print(folded(f"{name:18s} {description}", 19))
    print_next("recipes", "copy", "demo", "mine.toml")


def _show(options: Options) -> None:
    from hyperfitting.recipe import read_settings_text, recipe_path

    print(read_settings_text(recipe_path(_name(options))), end="")


def _copy(options: Options) -> None:
    from hyperfitting.recipe import copy_recipe

    copied = copy_recipe(_name(options), options.to)
    print(f"recipe   {copied}")
    print_next("check", copied)


def _settings(options: Options) -> None:
    from hyperfitting.recipe import settings_markdown

    print(settings_markdown(), end="")


def _schema(_: Options) -> None:
    import json

    from hyperfitting.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=1))


_ACTIONS = {
    "list": _list,
    "show": _show,
    "copy": _copy,
    "settings": _settings,
    "schema": _schema,
}
_WORDS = {"show": 1, "copy": 2}
"""How many words follow an action; none follow the others."""


def _name(options: Options) -> str:
    if options.name is None:
        from hyperfitting.recipe import shipped_recipes

        names = ", ".join(shipped_recipes())
        raise RecipeError(f"hyperfit recipes {options.action} needs a name: one of {names}")
    return str(options.name)
