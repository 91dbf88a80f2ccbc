"""`hyperfit`: parsing, help, progress and exit codes. No logic: every verb is a function of `pipeline`."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hyperfitting import __version__
from hyperfitting.cli import preference as preference_verbs
from hyperfitting.cli.console import UTF8_LOCALE, Console, not_text, say, take_any_text
from hyperfitting.cli.values import device_count, memory_size, whole_number
from hyperfitting.errors import DiskFull, HyperfittingError, InputError, Interrupted, TrainingFailed, name_the_extra

if TYPE_CHECKING:
    from hyperfitting.recipe import Recipe
    from hyperfitting.runs import Experiment

__all__ = ["Console", "main", "parser"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage block, and the way to help."""
        dash = "; a prompt that begins with a dash stands last, after --" if self.prog.endswith(" write") else ""
        say(f"{message}{dash} (see {self.prog} --help)")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="hyperfit",
        description=_DESCRIPTION,
        epilog="HYPERFIT_DEBUG=1 in the environment adds the traceback to an error's one line.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"hyperfit {__version__}")
    verbs = top.add_subparsers(metavar="VERB", dest="verb", required=True, parser_class=_Parser)

    def verb(
        name: str, help_: str, function: Callable[[argparse.Namespace], None], *needs: Callable[[Any], None]
    ) -> Any:
        made = verbs.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        made.set_defaults(function=function)
        for need in needs:
            need(made)
        return made

    verb(
        "demo",
        "the shipped demo: train, generate, measure, report, offline",
        _run,
        _demo_recipe,
        _kept_out,
        _device,
    )
    verb("run", "a recipe from data to report; what is done already is skipped", _run, _recipe, _kept_out, _device)
    verb("check", "validate a recipe and say what it would load, train and write", _check, _recipe, _out, _device)
    plan = verb("plan", "what memory a recipe's training needs, and which settings fit", _plan, _recipe)
    plan.add_argument("--device", type=memory_size, metavar="80GiB", help="a device's memory; default: this machine's")
    plan.add_argument(
        "--dry-run", action="store_true", help="train a few updates of this shape here, with random weights and tokens"
    )
    plan.add_argument("--count", type=device_count, default=1, metavar="N", help="devices that share the training (1)")
    verb("train", "only draw the data and train the runs of a recipe", _train, _recipe, _kept_out, _device)
    generate = verb("generate", "only continue the contexts of a trained experiment", _generate, _folder, _device)
    generate.add_argument(
        "--compare-reference",
        type=whole_number,
        nargs="?",
        const=10,
        metavar="N",
        help="write N contexts of every set anew, one at a time in float32, and say how far they agree (10)",
    )
    measure = verb("measure", "only measure what was generated; or anybody's texts in a file", _measure, _device)
    measure.add_argument("folder", type=Path, metavar="RUN|FILE", help="a run's folder, or a .txt, .jsonl or .csv file")
    measure.add_argument("--reference", type=Path, metavar="FILE", help="true texts to stand beside those of a file")
    measure.add_argument("--training", type=Path, metavar="FILE", help="texts that those of a file may have learnt")
    measure.add_argument("--tokenizer", metavar="MODEL", help="count its tokens (default: words, or characters)")
    measure.add_argument("--column", default="text", metavar="FIELD", help="the field that holds the text (text)")
    measure.add_argument("--group", metavar="FIELD", help="the field that names a text's cluster, such as its book")
    measure.add_argument("--bleu", action="store_true", help="Self-BLEU and Dataset-BLEU too")
    measure.add_argument("--scorer", metavar="MODEL", help="perplexity of a file's texts under this model")
    measure.add_argument("--mauve", metavar="MODEL", help="MAUVE against --reference, with this model's features")
    measure.add_argument("--force-mauve", action="store_true", help="MAUVE of fewer than 1,000 texts, mostly chance")
    measure.add_argument("--out", type=Path, metavar="FILE", help="where the rows of a file's table go, as JSON")
    compare = verb("compare", "measured experiments side by side: every arm, marked where it is nearest", _compare)
    compare.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="seeds of one recipe, or several recipes")
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="where the pages and tables go (runs/compare-RUN-RUN...)"
    )
    compare.add_argument("--baseline", metavar="TITLE", help="what is subtracted from the others (hyperfitted, greedy)")
    verb("report", "only write the report of what was measured", _report, _folder)
    write = verb("write", "continue one prompt with a trained run, as it is written", _write, _folder, _device)
    write.add_argument("prompt", help="the text to continue")
    write.add_argument("--tokens", type=whole_number, default=200, metavar="N", help="at most so many new tokens (200)")
    write.add_argument("--original", action="store_true", help="use the untouched model instead")
    write.add_argument(
        "--nucleus",
        action="store_true",
        help="sample as the paper's baseline does (p 0.9, T 0.7, k 50); default: greedy",
    )
    write.add_argument("--seed", type=whole_number, default=0, help="seed of the sampling (0)")
    runs = verb("runs", "list the experiments in a folder and in those inside it, oldest first", _runs)
    runs.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="where they are (runs)")
    recipes = verb("recipes", "list, show or copy the shipped recipes; document the settings", _recipes)
    recipes.add_argument(
        "action", choices=["list", "show", "copy", "settings"], help="settings: every setting with its default"
    )
    recipes.add_argument("name", nargs="?", help="the recipe to show or copy")
    recipes.add_argument("to", nargs="?", type=Path, help="where to copy it (NAME.toml)")
    verb(
        "pretrain",
        "train a model from random weights on a corpus, with the same loop",
        _pretrain,
        _recipe,
        _kept_out,
        _device,
    )
    preference_verbs.add_verbs(verbs.add_parser("preference", help=preference_verbs.HELP), Console)
    return top


_DESCRIPTION = """\
Hyperfit a language model: fine-tune it to near-zero loss on a few texts, see its greedy
decoding stop looping, and measure what happened.

  hyperfit demo                            the effect in minutes, offline
  hyperfit recipes copy demo mine.toml     a recipe of your own to edit
  hyperfit check mine.toml                 what it would load, train and write
  hyperfit run mine.toml --out mine        train, generate, measure, report
  hyperfit write mine "It was late when"   continue a prompt"""


def _recipe(made: argparse.ArgumentParser) -> None:
    made.add_argument("recipe", help="a .toml file, or the name of a shipped recipe")
    _set(made)


def _demo_recipe(made: argparse.ArgumentParser) -> None:
    made.set_defaults(recipe="demo")
    _set(made)


def _set(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, such as train.epochs=10; repeatable",
    )


def _out(made: argparse.ArgumentParser) -> None:
    made.add_argument("--out", type=Path, metavar="DIR", help="the experiment's folder (runs/<name>-<digest>)")


def _kept_out(made: argparse.ArgumentParser) -> None:
    _out(made)
    made.add_argument("--keep-data", action="store_true", help="go on with the data as drawn, though a source changed")


def _device(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--device", default="auto", help="auto (the accelerator if there is one), cpu, cuda, cuda:1, mps, ..."
    )


def _folder(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "folder", type=Path, metavar="RUN", help="the folder that `hyperfit run` or `hyperfit train` wrote"
    )


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
    except (Interrupted, TrainingFailed) as error:  # all processes end so, and the main one says it
        start = "\n" if isinstance(error, Interrupted) else ""
        say(str(error), start=start, file=sys.stderr if is_main else sys.stdout)
        return error.exit_code
    except HyperfittingError as error:
        say(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        named = name_the_extra(error)
        if not isinstance(named, HyperfittingError):
            raise
        say(str(named))
        return named.exit_code
    except UnicodeEncodeError as error:
        say(f"{error.object!r} cannot be written as {error.encoding}: {UTF8_LOCALE}")
        return 2
    except KeyboardInterrupt:
        say("stopped; what was finished is kept, and the same command goes on from there", start="\n")
        return Interrupted.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno == errno.ENOSPC:
            say(str(DiskFull()))
            return DiskFull.exit_code
        say(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 2
    return 0


def _load(options: argparse.Namespace) -> Recipe:
    """The recipe, and that --out can take it: said before torch is loaded, which takes seconds."""
    from hyperfitting.recipes import load_recipe
    from hyperfitting.runs import Experiment

    recipe = load_recipe(options.recipe, options.set)
    if getattr(options, "out", None) is not None and int(os.environ.get("RANK", "0")) == 0:
        Experiment.claim(options.out, recipe)
    return recipe


def _experiment(options: argparse.Namespace) -> Experiment:
    """The experiment of a folder, its recipe read: said before torch is loaded that there is none."""
    from hyperfitting.runs import Experiment

    experiment = Experiment(options.folder)
    _ = experiment.recipe
    return experiment


def _run(options: argparse.Namespace) -> None:
    recipe = _load(options)
    from hyperfitting import pipeline

    experiment = pipeline.run(recipe, options.out, narrator=Console(), **_begun(options))
    from hyperfitting.report import before_and_after

    print(f"\n{before_and_after(experiment)}\n")
    _say_verdict(experiment)
    print(f"report   {experiment.report_folder / 'index.html'}")
    _next("write", experiment.folder, _PROMPT)


def _begun(options: argparse.Namespace) -> dict[str, Any]:
    return {"device": options.device, "keep_data": options.keep_data}


def _say_verdict(experiment: Experiment) -> None:
    """That a model was not hyperfitted, where its training did not come near zero loss."""
    if verdict := str(experiment.run("hyperfitted").verdict or ""):
        print(f"note     {verdict}")


def _next(*words: object) -> None:
    """The command that goes on from here, fit to paste into a shell."""
    print(f"next     hyperfit {shlex.join(map(str, words))}")


_PROMPT = "It was late when the carriage stopped, and"


def _check(options: argparse.Namespace) -> None:
    recipe = _load(options)
    from hyperfitting import pipeline

    print(pipeline.check(recipe, options.out, device=options.device))
    changes = [part for change in options.set for part in ("--set", change)]
    verb = "run" if recipe.model.initialise == "pretrained" else "pretrain"
    _next(verb, options.recipe, *changes, *(["--out", options.out] if options.out else []))


def _plan(options: argparse.Namespace) -> None:
    if options.dry_run and (options.device is not None or options.count != 1):
        raise InputError("plan --dry-run trains on this machine, on one device: leave out --device and --count")
    recipe = _load(options)
    from hyperfitting import pipeline

    if options.dry_run:
        print(pipeline.dry_run(recipe))
        return
    print(pipeline.plan(recipe, memory=options.device, count=options.count))


def _train(options: argparse.Namespace) -> None:
    recipe = _load(options)
    from hyperfitting import pipeline

    experiment = pipeline.train_all(recipe, options.out, narrator=Console(), **_begun(options))
    for run in experiment.runs().values():
        print(f"model    {run.model_source}")
    _say_verdict(experiment)
    _next("generate", experiment.folder)


def _generate(options: argparse.Namespace) -> None:
    experiment = _experiment(options)
    from hyperfitting import pipeline

    for role in experiment.recipe.roles:
        run = pipeline.generate_texts(experiment, role, device=options.device, narrator=Console())
        print(f"texts    {run.continuations_file}")
        if options.compare_reference:
            count = options.compare_reference
            print(pipeline.compare_reference(experiment, role, count, device=options.device, narrator=Console()))
    for arm in experiment.recipe.generate.arms:
        print(f"arm      {arm.name}: {arm.in_words()}")
    _next("measure", experiment.folder)


def _measure(options: argparse.Namespace) -> None:
    if not options.folder.exists():
        raise InputError(f"{options.folder}: no such file or folder")
    if not options.folder.is_dir():
        _measure_file(options)
        return
    if given := [f"--{name.replace('_', '-')}" for name in _OF_A_FILE if getattr(options, name)]:
        raise InputError(f"{given[0]} is for a file of texts, and {options.folder} is a folder: leave it out")
    experiment = _experiment(options)
    from hyperfitting import pipeline

    pipeline.measure_runs(experiment, device=options.device, narrator=Console())
    for run in experiment.runs().values():
        print(f"metrics  {run.metrics_file}")
    _next("report", experiment.folder)


_OF_A_FILE = ("reference", "training", "tokenizer", "group", "bleu", "scorer", "mauve", "force_mauve", "out")


def _measure_file(options: argparse.Namespace) -> None:
    from hyperfitting import report
    from hyperfitting.files import refuse_to_replace, write_text

    if options.out is not None:
        read = [path for path in (options.folder, options.reference, options.training) if path is not None]
        refuse_to_replace(options.out, ours=report.is_table_of_texts, what="table of texts' measures", read=read)
    from hyperfitting import pipeline

    names = ("reference", "training", "tokenizer", "column", "group", "bleu", "scorer", "mauve", "force_mauve")
    chosen = {name: getattr(options, name) for name in names}
    rows = pipeline.measure_file(options.folder, **chosen, device=options.device, narrator=Console())
    print(report.markdown_table(report.texts_table(rows)))
    if options.out is not None:
        write_text(options.out, report.summary_json(rows))
        print(f"metrics  {options.out}")


def _report(options: argparse.Namespace) -> None:
    from hyperfitting import report

    experiment = _experiment(options)
    print(f"report   {report.write_report(experiment)}")
    _say_verdict(experiment)
    _next("write", options.folder, _PROMPT)


def _compare(options: argparse.Namespace) -> None:
    from hyperfitting import compare, report

    names = "-".join(folder.resolve().name for folder in options.folders)[:100]
    out = options.out or Path("runs") / f"compare-{names}"
    report.refuse_other_folder(out)
    comparison = compare.compare(options.folders, baseline=options.baseline)
    page = report.write_comparison(comparison, out)
    print("\n".join(report.nearest_lines(comparison)))
    for line in report.verdict_lines(comparison):
        print(f"note     {line}")
    print(f"report   {page}")


def _write(options: argparse.Namespace) -> None:
    from hyperfitting.recipe import GREEDY, PAPER_NUCLEUS
    from hyperfitting.runs import find_run

    folder = options.folder / "original" if options.original else options.folder
    arm = PAPER_NUCLEUS if options.nucleus else GREEDY
    find_run(folder)  # refuses one that holds none, before torch is loaded
    from hyperfitting import pipeline

    pieces = pipeline.write(
        folder, options.prompt, arm=arm, new_tokens=options.tokens, seed=options.seed, device=options.device
    )
    print(options.prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def _runs(options: argparse.Namespace) -> None:
    from hyperfitting.report import experiment_line
    from hyperfitting.runs import find_experiments

    experiments = find_experiments(options.folder)
    for each in experiments:
        print(experiment_line(each))
    if not experiments:
        print(f"no experiments in {options.folder}")
        _next("demo")


def _recipes(options: argparse.Namespace) -> None:
    from hyperfitting import recipes
    from hyperfitting.errors import RecipeError

    if options.action == "list":
        for name in recipes.shipped_recipes():
            print(f"{name:18s} {recipes.load_recipe(name).description}")
        _next("recipes", "copy", "demo", "mine.toml")
    elif options.action == "settings":
        print(recipes.settings_markdown(), end="")
    elif options.name is None:
        raise RecipeError(
            f"hyperfit recipes {options.action} needs a name: one of {', '.join(recipes.shipped_recipes())}"
        )
    elif options.action == "show":
        print(recipes.recipe_path(options.name).read_text(encoding="utf-8"), end="")
    else:
        print(f"recipe   {recipes.copy_recipe(options.name, options.to)}")
        _next("check", options.to or options.name + ".toml")


def _pretrain(options: argparse.Namespace) -> None:
    recipe = _load(options)
    from hyperfitting import pipeline

    run = pipeline.pretrain(recipe, options.out, narrator=Console(), **_begun(options))
    print(f"model    {run.model_folder}")
    _next("run", "demo", "--set", f"model.source={run.model_folder}")
