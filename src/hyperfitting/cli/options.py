"""The parser, its verbs, and the options that several of them share."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hyperfitting.cli.console import say
from hyperfitting.progress import NO_PROGRESS, Console, Progress

if TYPE_CHECKING:
    from hyperfitting.recipe import Recipe
    from hyperfitting.runs import Experiment

Options = argparse.Namespace


class Parser(argparse.ArgumentParser):
    """Reports a wrong command in one line."""

    def error(self, message: str) -> NoReturn:
        """One line, without the usage block, and the way to help."""
        dash = (
            "; a prompt that begins with a dash stands last, after --"
            if self.prog.endswith(" write") and not message.startswith("argument --")
            else ""
        )
        say(f"{message}{dash} (see {self.prog} --help)")
        raise SystemExit(2)


class VerbsHelp(argparse.RawDescriptionHelpFormatter):
    """The help of a parser with verbs: they stand in the same columns as the options."""

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, action._get_subactions()))
        return super()._format_action(action)


def print_help(parser: argparse.ArgumentParser) -> NoReturn:
    """The help where no verb is given, which is a wrong command."""
    parser.print_help()
    raise SystemExit(2)


class Verbs:
    """The verbs of a parser."""

    def __init__(self, parser: Parser):
        parser.formatter_class = VerbsHelp
        parser.set_defaults(function=lambda _: print_help(parser))
        self._parsers = parser.add_subparsers(
            metavar="VERB", dest="verb", title="verbs", parser_class=Parser
        )

    def add(
        self,
        name: str,
        help_: str,
        function: Callable[[Options], None],
        *options: Callable[[Parser], None],
    ) -> Parser:
        """A verb that calls `function`; each of `options` adds options to its parser, which is
        returned.
        """
        made: Parser = self._parsers.add_parser(
            name, help=help_, description=help_[0].upper() + help_[1:] + "."
        )
        made.set_defaults(function=function)
        for add in options:
            add(made)
        return made

    def group(self, name: str, help_: str) -> Parser:
        """A verb that has verbs of its own."""
        made: Parser = self._parsers.add_parser(name, help=help_)
        return made


def recipe(made: Parser) -> None:
    """RECIPE and --set."""
    made.add_argument("recipe", help="a .toml file, or the name of a shipped recipe")
    settings(made)


def settings(made: Parser) -> None:
    """--set."""
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, such as train.epochs=10; repeatable",
    )


def out(made: Parser) -> None:
    """--out."""
    made.add_argument(
        "--out", type=Path, metavar="DIR", help="the experiment's folder (runs/<name>-<digest>)"
    )


def kept_out(made: Parser) -> None:
    """--out and --keep-data."""
    out(made)
    made.add_argument(
        "--keep-data",
        action="store_true",
        help="go on with the data as drawn, though a source changed",
    )


def models_of(made: Parser) -> None:
    """--models-of."""
    made.add_argument(
        "--models-of",
        type=Path,
        metavar="EXPERIMENT",
        help="take the models of an experiment that was trained alike; other texts are written",
    )


def device(made: Parser) -> None:
    """--device."""
    made.add_argument(
        "--device",
        default="auto",
        help="auto (the accelerator if there is one), cpu, cuda, cuda:1, mps, ...",
    )


def device_given(options: Options) -> list[str]:
    """--device where one was named: what comes next runs on the same."""
    return [] if options.device == "auto" else ["--device", options.device]


def loudness(made: Parser) -> None:
    """-q and -v."""
    one = made.add_mutually_exclusive_group()
    one.add_argument("-q", "--quiet", action="store_true", help="no progress, only the outcome")
    one.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also what libraries log, and an error's traceback (as HYPERFIT_DEBUG=1 does)",
    )


def progress(options: Options) -> Progress:
    """Where the progress of a verb with `loudness` goes."""
    if options.quiet:
        return NO_PROGRESS
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    return Console()


def as_json(made: Parser) -> None:
    """--json."""
    made.add_argument(
        "--json", action="store_true", help="print what was found as JSON, and nothing else"
    )


def print_json(found: Any) -> None:
    """Data as JSON, for programs: dataclasses and models as objects, no number as null."""
    from pydantic_core import to_json

    print(to_json(found, indent=1, inf_nan_mode="null", fallback=str).decode())


def experiment(made: Parser) -> None:
    """EXPERIMENT."""
    made.add_argument(
        "folder",
        type=Path,
        metavar="EXPERIMENT",
        help="the folder that `hyperfit run` or `hyperfit train` wrote",
    )


def read_recipe(options: Options) -> Recipe:
    """The recipe, and that --out can take it: refused before torch is loaded, which takes
    seconds.
    """
    from hyperfitting.recipe import load_recipe
    from hyperfitting.runs import Experiment

    recipe = load_recipe(options.recipe, options.set)
    if getattr(options, "out", None) is not None and int(os.environ.get("RANK", "0")) == 0:
        Experiment.open_or_new(options.out, recipe)
    return recipe


def read_experiment(options: Options) -> Experiment:
    """The experiment of a folder, its recipe read: that there is none is reported before torch is
    loaded.
    """
    from hyperfitting.runs import Experiment

    experiment = Experiment(options.folder)
    _ = experiment.recipe
    return experiment


def print_next(*words: object) -> None:
    """The command that goes on from here, fit to paste into a shell."""
    print(f"next     hyperfit {shlex.join(map(str, words))}")
