"""The page docs/reference/verbs.md: every verb of the command line, from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hyperfitting.cli import parser


def verbs_markdown() -> str:
    """Every verb with what it does, its arguments and its options."""
    top = parser()
    parts = ["# Verbs", _INTRODUCTION.format(epilog=top.epilog), _table(_options(top))]
    for made, help_ in _verbs(top):
        parts += [f"## {made.prog}", _sentence(help_)]
        inner = list(_verbs(made))
        if not inner:
            parts += [f"```text\n{_usage(made)}\n```", _table([*_arguments(made), *_options(made)])]
        for verb, its_help in inner:
            parts += [f"### {verb.prog}", _sentence(its_help), f"```text\n{_usage(verb)}\n```"]
            parts.append(_table([*_arguments(verb), *_options(verb)]))
    return "\n\n".join(part for part in parts if part) + "\n"


_INTRODUCTION = """\
`hyperfit VERB --help` shows the same in the terminal. This page is generated from the parser of the
command line: `python -m pages verbs`. A value in parentheses at the end of a description is the
default. Exit codes: 0, done; 1, a training, a cell of a study or a machine failed; 2, a wrong
command or wrong input, named in one line; 130, stopped by Ctrl-C. {epilog}"""


def _verbs(made: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """The verbs of a parser, each with its help."""
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action._choices_actions:
                yield action.choices[each.dest], each.help or ""


def _arguments(made: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        each
        for each in made._actions
        if not each.option_strings and not isinstance(each, argparse._SubParsersAction)
    ]


def _options(made: argparse.ArgumentParser) -> list[argparse.Action]:
    """Those that are shown; `--help` of a verb is the same everywhere."""
    return [
        each
        for each in made._actions
        if each.option_strings
        and each.help is not argparse.SUPPRESS
        and not isinstance(each, argparse._HelpAction)
    ]


def _usage(made: argparse.ArgumentParser) -> str:
    """One line, the same in every version of Python: required options are shown, others counted."""
    shown = [_spelled(each) for each in _options(made) if each.required]
    optional = "[OPTIONS]" if any(not each.required for each in _options(made)) else ""
    return " ".join(
        part for part in [made.prog, *map(_spelled, _arguments(made)), *shown, optional] if part
    )


def _spelled(action: argparse.Action) -> str:
    """As it is typed: `--out DIR`, `RECIPE`, `[NAME]`, `EXPERIMENT ...`."""
    metavar = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    value = metavar if isinstance(metavar, str) else " ".join(metavar)
    if action.nargs in ("+", "*"):
        value += " ..."
    if not action.option_strings:
        return f"[{value}]" if action.nargs in ("?", "*") else value
    return action.option_strings[-1] + ("" if action.nargs == 0 else f" {value}")


def _table(actions: list[argparse.Action]) -> str:
    rows = [f"| {_names(each)} | {_cell((each.help or '') % vars(each))} |" for each in actions]
    return "\n".join(["| | what it does |", "|---|---|", *rows]) if rows else ""


def _names(action: argparse.Action) -> str:
    return ", ".join(f"`{_cell(each)}`" for each in [*action.option_strings[:-1], _spelled(action)])


def _sentence(help_: str) -> str:
    return _cell(help_[:1].upper() + help_[1:]).replace("%%", "%") + "."


def _cell(text: str) -> str:
    """Fit for a table of Markdown: names in angle brackets and bars are text."""
    return text.replace("|", "\\|").replace("<", "&lt;")
