"""`hyperfit completion`: a script with which a shell completes verbs, options, settings and the
names of recipes and studies.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hyperfitting.cli.options import Options, Parser, Verbs

_HELP = "print a script that makes a shell complete verbs, options, settings and names"

_DESCRIPTION = f"""\
{_HELP.capitalize()}.

bash (with the package bash-completion; else `source` the file in ~/.bashrc):
  mkdir -p ~/.local/share/bash-completion/completions
  hyperfit completion bash > ~/.local/share/bash-completion/completions/hyperfit

zsh (a folder of $fpath, here ~/.zfunc; ~/.zshrc holds `fpath+=~/.zfunc` before `compinit`):
  hyperfit completion zsh > ~/.zfunc/_hyperfit

fish:
  hyperfit completion fish > ~/.config/fish/completions/hyperfit.fish

tcsh (~/.tcshrc holds `source ~/.hyperfit.tcsh`):
  hyperfit completion tcsh > ~/.hyperfit.tcsh

Write it again after an update. A new shell reads it."""

_SHELLS = ("bash", "zsh", "fish", "tcsh")

_Complete = dict[str, Any]
"""How each shell completes one argument, as shtab takes it."""

_DIRECTORIES = ("DIR", "EXPERIMENT", "STUDY")

_NO_SPACE_IN_BASH = """
# A setting's value follows its =, without a space.
_hyperfit_in_bash() {
  _shtab_hyperfit "$@"
  [[ "${COMPREPLY[0]-}" == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}

complete -o bashdefault -F _hyperfit_in_bash hyperfit"""


def add_completion(verbs: Verbs, whole: Callable[[], Parser]) -> None:
    """`completion`; `whole` makes the parser of the whole command line."""
    made = verbs.add("completion", _HELP, _completion)
    made.description = _DESCRIPTION
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("shell", choices=_SHELLS, help="bash, zsh, fish or tcsh", metavar="SHELL")
    made.set_defaults(whole=whole)


def _completion(options: Options) -> None:
    print(completion_script(options.whole(), options.shell))


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script with which a shell completes the command line of `parser`.

    Args:
        parser: the whole command line; it is changed: its arguments get how they are completed.
        shell: bash, zsh, fish or tcsh.
    """
    import shtab

    _say_how(parser)
    script = shtab.complete(parser, shell=shell)
    return f"{script}\n{_NO_SPACE_IN_BASH}" if shell == "bash" else script


def _say_how(parser: argparse.ArgumentParser) -> None:
    """Add to each argument how shells complete it, where that is more than its choices."""
    takes_recipe = {"recipe"} & {*parser._defaults, *(each.dest for each in parser._actions)}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _say_how(inner)
        elif complete := _complete(parser, action, bool(takes_recipe)):
            action.complete = complete  # type: ignore[attr-defined]


def _complete(
    parser: argparse.ArgumentParser, action: argparse.Action, takes_recipe: bool
) -> _Complete | None:
    """How one argument is completed; None where nothing is known of its values."""
    import shtab

    if action.dest == "recipe" or (action.dest == "name" and parser.prog.endswith(" recipes")):
        from hyperfitting.recipe import shipped_recipes

        return _names_or_toml("recipes", shipped_recipes())
    if action.dest == "study":
        from hyperfitting.studies.load import shipped_studies

        return _names_or_toml("studies", shipped_studies())
    if action.dest == "set" and takes_recipe:
        return _settings_before_values(list(_setting_keys()))
    if action.dest == "device" and action.help != argparse.SUPPRESS:
        return _words("devices", ("auto", "cpu", "cuda", "mps"))
    if action.type is Path:
        is_folder = action.metavar in _DIRECTORIES or (action.metavar, action.dest) == (
            None,
            "folder",
        )
        return dict(shtab.DIRECTORY if is_folder else shtab.FILE)
    return None


def _setting_keys() -> Iterator[str]:
    """The settings of a recipe that have a name of their own; those of a list's elements have
    none.
    """
    from hyperfitting.recipe.reference import settings_list

    yield from (key for key, _, _ in settings_list() if "[]" not in key)


def _words(what: str, words: Sequence[str]) -> _Complete:
    """One of a few words; others are taken too."""
    name, joined = f"_hyperfit_{what}", " ".join(words)
    return {
        "bash": name,
        "zsh": f"({joined})",
        "fish": joined,
        "tcsh": f"({joined})",
        "preamble": {"bash": f'{name}() {{ compgen -W "{joined}" -- "$1"; }}'},
    }


def _names_or_toml(what: str, names: Sequence[str]) -> _Complete:
    """A shipped name or a .toml file."""
    name, joined = f"_hyperfit_{what}_or_files", " ".join(names)
    return {
        "bash": name,
        "zsh": name,
        "fish": f"{joined} (__fish_complete_suffix .toml)",
        "tcsh": f"({joined})",
        "preamble": {
            "bash": f'{name}() {{\n  compgen -W "{joined}" -- "$1"\n'
            '  compgen -f -X "!*.toml" -- "$1"\n  compgen -d -- "$1"\n}',
            "zsh": f"{name}() {{\n  compadd -- {joined}\n  _files -g '*.toml'\n}}",
        },
    }


def _settings_before_values(keys: Sequence[str]) -> _Complete:
    """KEY=, after which the value is typed."""
    name, joined = "_hyperfit_settings", " ".join(f"{key}=" for key in keys)
    return {
        "bash": name,
        "zsh": name,
        "fish": joined,
        "tcsh": f"({joined})",
        "preamble": {
            "bash": f'{name}() {{ compgen -W "{joined}" -- "$1"; }}',
            "zsh": f"{name}() {{ compadd -S '' -- {joined}; }}",
        },
    }
