"""`hyperfit`: the command line. Every verb is one call of a function that takes values and returns
data.

options.py      the parser, its verbs and the options that several share
experiments.py  run, train, generate, report, write, ...: what makes and reads experiments
evaluating.py   evaluate: benchmarks
planning.py     check, plan: what a recipe would do
measuring.py    measure, compare: numbers
recipes.py      recipes: the shipped ones
studies.py      study ...: grids of experiments
preference.py   preference ...: studies with people; options in preference_options.py
completion.py   completion: what a shell completes
text.py         what verbs found out, in lines; of studies: study_text.py, preference_text.py
values.py       values of options, from text
console.py      errors in one line
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hyperfitting import __version__
from hyperfitting.cli import (
    completion,
    evaluating,
    experiments,
    measuring,
    planning,
    preference,
    recipes,
    studies,
)
from hyperfitting.cli.console import UTF8_LOCALE, not_text, say, take_any_text
from hyperfitting.cli.options import Parser, Verbs
from hyperfitting.documents import PUBLIC_ADDRESS, documents_folder
from hyperfitting.errors import (
    DiskFull,
    HyperfittingError,
    InputError,
    Interrupted,
    TrainingFailed,
    is_disk_full,
    name_the_extra,
)

__all__ = ["main", "parser"]

_DESCRIPTION = """\
Hyperfit a language model: fine-tune it to near-zero loss on a few texts, see
its greedy decoding stop looping, and measure what happened.

  hyperfit demo                            the effect in minutes, offline
  hyperfit recipes copy demo mine.toml     a recipe of your own to edit
  hyperfit check mine.toml                 what it would load, train and write
  hyperfit run mine.toml --out mine        train, generate, measure, report
  hyperfit write mine "It was late when"   continue a prompt"""


class _Whole(Parser):
    """Its help ends with where the documents are: on this machine, or in public."""

    def format_help(self) -> str:
        index = PUBLIC_ADDRESS or documents_folder() / "index.md"
        return f"{super().format_help()}Documents: {index}\n"


def parser() -> Parser:
    """The whole command line."""
    top = _Whole(
        prog="hyperfit",
        description=_DESCRIPTION,
        epilog="HYPERFIT_DEBUG=1 in the environment adds the traceback to an error's one line.",
    )
    top.add_argument("--version", action="version", version=f"hyperfit {__version__}")
    verbs = Verbs(top)
    experiments.add_making(verbs)
    planning.add_planning(verbs)
    experiments.add_stages(verbs)
    measuring.add_measuring(verbs)
    evaluating.add_evaluating(verbs)
    experiments.add_reading(verbs)
    recipes.add_recipes(verbs)
    studies.add_studies(verbs.group("study", studies.STUDIES_HELP))
    preference.add_preference(verbs.group("preference", preference.HELP))
    completion.add_completion(verbs, parser)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, call the verb, and turn errors into one line and an exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    take_any_text()
    if not arguments:
        parser().print_help()
        return 2
    if (unreadable := not_text(arguments)) is not None:
        say(unreadable)
        return 2
    options = parser().parse_args(arguments)
    is_main = int(os.environ.get("RANK", "0")) == 0
    if not is_main:
        sys.stdout = open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: SIM115 - one of torchrun's processes speaks for all
    try:
        options.function(options)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        said = _as_ours(error)
        if said is None:
            raise
        # All processes of torchrun end by these, and the main one says it.
        by_all = isinstance(said, Interrupted | TrainingFailed)
        say(
            str(said),
            start="\n" if isinstance(said, Interrupted) else "",
            file=sys.stdout if by_all and not is_main else sys.stderr,
            verbose=getattr(options, "verbose", False),
        )
        return said.exit_code
    return 0


def _as_ours(error: BaseException) -> HyperfittingError | None:
    """An error as one of ours, with its line and exit code; None of a fault of the program."""
    match error:
        case HyperfittingError():
            return error
        case ModuleNotFoundError():
            named = name_the_extra(error)
            return named if isinstance(named, HyperfittingError) else None
        case UnicodeEncodeError():
            return InputError(
                f"{error.object!r} cannot be written as {error.encoding}: {UTF8_LOCALE}"
            )
        case KeyboardInterrupt():
            return Interrupted(
                "stopped; what was finished is kept, and the same command goes on from there"
            )
        case OSError() if is_disk_full(error):
            return DiskFull()
        case OSError():
            return InputError(f"{error.filename or 'a file'}: {error.strerror or error}")
    return None
