"""Verbs that make experiments, run a stage of one, and read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperfitting.cli import options as shared
from hyperfitting.cli.console import folded
from hyperfitting.cli.options import (
    Options,
    Parser,
    Verbs,
    print_json,
    print_next,
    read_experiment,
    read_recipe,
)
from hyperfitting.cli.values import whole_number

if TYPE_CHECKING:
    from hyperfitting.runs import Experiment

_PROMPT = "It was late when the carriage stopped, and"


def add_making(verbs: Verbs) -> None:
    """`demo` and `run`."""
    made = (shared.kept_out, shared.models_of, shared.device, shared.loudness)
    verbs.add(
        "demo",
        "the shipped demo: train, generate, measure, report, offline",
        _run,
        _demo_recipe,
        *made,
    )
    verbs.add(
        "run",
        "a recipe from data to report; what is done already is skipped",
        _run,
        shared.recipe,
        *made,
    )


def add_stages(verbs: Verbs) -> None:
    """`train`, `pretrain`, `generate`, `report` and `archive`."""
    made = (shared.recipe, shared.kept_out, shared.device, shared.loudness)
    verbs.add(
        "train",
        "only draw the data and train the runs of a recipe",
        _train,
        *made,
        shared.models_of,
    )
    verbs.add(
        "pretrain",
        "train a model from random weights on a corpus, with the same loop",
        _pretrain,
        *made,
    )
    generate = verbs.add(
        "generate",
        "only continue the contexts of a trained experiment",
        _generate,
        shared.experiment,
        shared.device,
        shared.loudness,
    )
    generate.add_argument(
        "--compare-reference",
        type=whole_number(),
        nargs="?",
        const=10,
        metavar="N",
        help="write N contexts of every set anew, one at a time in float32, and say how far they "
        "agree (10)",
    )
    verbs.add("report", "only write the report of what was measured", _report, shared.experiment)
    archive = verbs.add(
        "archive",
        "a small folder of a measured experiment to commit: no weights, hashes for texts",
        _archive,
        shared.experiment,
    )
    archive.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="where the archive goes"
    )
    archive.add_argument(
        "--texts", action="store_true", help="keep texts and token ids: they may be published"
    )


def add_reading(verbs: Verbs) -> None:
    """`write` and `runs`."""
    write = verbs.add(
        "write",
        "continue one prompt with a trained run, as it is written",
        _write,
        shared.experiment,
        shared.device,
    )
    write.add_argument("prompt", help="the text to continue")
    write.add_argument(
        "--tokens",
        type=whole_number(1),
        default=200,
        metavar="N",
        help="at most so many new tokens (200)",
    )
    write.add_argument("--original", action="store_true", help="use the untouched model instead")
    write.add_argument(
        "--nucleus",
        action="store_true",
        help="sample as the baseline of Carlsson et al. 2025 (p 0.9, T 0.7, k 50); default: greedy",
    )
    write.add_argument("--seed", type=whole_number(), default=0, help="seed of the sampling (0)")
    write.add_argument(
        "--format",
        choices=("plain", "chat"),
        help="chat: the prompt stands in the user's turn of the model's chat template, after "
        "data.chat_instruction (the recipe's data.context_format)",
    )
    write.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="dtype of the weights (that with which the recipe continues contexts)",
    )
    runs = verbs.add(
        "runs",
        "list the experiments in a folder and in those inside it, oldest first; losses and TTR are "
        "those of the probes, on validation texts",
        _runs,
        shared.as_json,
    )
    runs.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), help="where they are (runs)"
    )

    clean = verbs.add(
        "clean",
        "free disk: say what experiments no longer need, and remove it with --yes",
        _clean,
    )
    clean.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), help="where they are (runs)"
    )
    clean.add_argument(
        "--weights",
        action="store_true",
        help="also the models of measured experiments; texts, metrics and reports stay",
    )
    clean.add_argument("--yes", action="store_true", help="remove it")


def _demo_recipe(made: Parser) -> None:
    made.set_defaults(recipe="demo")
    shared.settings(made)


def _making(options: Options) -> dict[str, Any]:
    """The arguments of whatever makes an experiment."""
    return {
        "out": options.out,
        "device": options.device,
        "keep_data": options.keep_data,
        "progress": shared.progress(options),
    }


def _run(options: Options) -> None:
    recipe = read_recipe(options)
    from hyperfitting.pipeline import run

    experiment = run(recipe, models_of=options.models_of, **_making(options))
    from hyperfitting.report import closing_words

    print(f"\n{closing_words(experiment)}\n")
    _print_verdict(experiment)
    print(f"report   {experiment.report_page}")
    _print_use(experiment.folder, experiment, shared.device_given(options))


def _train(options: Options) -> None:
    recipe = read_recipe(options)
    from hyperfitting.stages.train import train_experiment

    experiment = train_experiment(recipe, models_of=options.models_of, **_making(options))
    for run in experiment.runs().values():
        print(f"model    {run.model_source}")
    _print_verdict(experiment)
    print_next("generate", experiment.folder, *shared.device_given(options))


def _pretrain(options: Options) -> None:
    recipe = read_recipe(options)
    from hyperfitting.stages.train import pretrain

    run = pretrain(recipe, **_making(options))
    print(f"model    {run.model_folder}")
    images, settings = recipe.data.images, [f"model.source={run.model_folder}"]
    if images is not None:
        settings.append(f"data.images.side={images.side}")
    changes = [part for setting in settings for part in ("--set", setting)]
    shipped = "demo" if images is None else "image-demo"
    print_next("run", shipped, *changes, *shared.device_given(options))


def _generate(options: Options) -> None:
    experiment, contexts = read_experiment(options), options.compare_reference
    from hyperfitting.cli.text import agreement_lines
    from hyperfitting.stages.generate import compare_all_with_reference, generate_experiment

    how: dict[str, Any] = {"device": options.device, "progress": shared.progress(options)}
    for run in generate_experiment(experiment, **how):
        print(f"texts    {run.continuations_file}")
    if contexts:
        for agreement in compare_all_with_reference(experiment, contexts, **how):
            print(agreement_lines(agreement))
    for strategy in experiment.recipe.generate.strategies:
        print(f"strategy {strategy.name}: {strategy.in_words()}")
    print_next("measure", experiment.folder, *shared.device_given(options))


def _report(options: Options) -> None:
    from hyperfitting.stages.report import report_experiment

    experiment = read_experiment(options)
    print(f"report   {report_experiment(experiment)}")
    _print_verdict(experiment)
    if experiment.archive is None:
        _print_use(options.folder, experiment)


def _print_use(folder: Path, experiment: Experiment, device: Sequence[str] = ()) -> None:
    """What a reported experiment is good for next: a prompt is for texts only."""
    if experiment.recipe.data.images is None:
        print_next("write", folder, _PROMPT, *device)
    else:
        print_next("preference", "create", folder, "--out", "study")


def _archive(options: Options) -> None:
    from hyperfitting.stages.archive import archive_experiment

    made = archive_experiment(options.folder, options.out, texts=options.texts)
    print(f"archive  {made.folder}: {made.files} files, {made.size_bytes / 1000:,.0f} kB")
    print_next("report", made.folder)


def _print_verdict(experiment: Experiment) -> None:
    """That a model was not hyperfitted, where its training did not come near zero loss."""
    if verdict := str(experiment.run("hyperfitted").verdict or ""):
        print(folded(f"note     {verdict}", 9))


def _write(options: Options) -> None:
    from hyperfitting.recipe import GREEDY, PAPER_NUCLEUS
    from hyperfitting.runs import find_run

    folder = options.folder / "original" if options.original else options.folder
    run = find_run(folder)  # refuses one that holds none, before torch is loaded
    context_format = options.format or run.recipe.data.context_format
    from hyperfitting import writing

    pieces = writing.write(
        folder,
        options.prompt,
        strategy=PAPER_NUCLEUS if options.nucleus else GREEDY,
        new_tokens=options.tokens,
        seed=options.seed,
        device=options.device,
        context_format=context_format,
        dtype=options.dtype,
    )
    print(options.prompt, end="\n" if context_format == "chat" else "", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def _runs(options: Options) -> None:
    from hyperfitting.cli.text import listing_line
    from hyperfitting.stages.listing import list_experiments

    found = list_experiments(options.folder)
    if options.json:
        print_json(found)
        return
    for each in found:
        print(listing_line(each))
    if not found:
        print(f"no experiments in {options.folder}")
        print_next("demo")


def _clean(options: Options) -> None:
    from hyperfitting.cli.text import in_gib
    from hyperfitting.stages.clean import clean_experiments

    found = clean_experiments(options.folder, weights=options.weights, remove=options.yes)
    for each in found:
        print(f"{in_gib(each.size_bytes):>10s}  {each.path}: {each.what}")
    freed = in_gib(sum(each.size_bytes for each in found))
    print(f"{freed:>10s}  in all, {'removed' if options.yes else 'nothing removed yet'}")
    if found and not options.yes:
        more = ["--weights"] if options.weights else []
        print_next("clean", options.folder, *more, "--yes")
