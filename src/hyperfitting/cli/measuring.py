"""Verbs that take numbers: measure, compare."""

from __future__ import annotations

from pathlib import Path

from hyperfitting.cli import options as shared
from hyperfitting.cli.console import folded
from hyperfitting.cli.options import (
    Options,
    Parser,
    Verbs,
    print_json,
    print_next,
    read_experiment,
)
from hyperfitting.cli.values import a_name
from hyperfitting.errors import InputError

_OF_A_FILE = (
    "reference",
    "training",
    "tokenizer",
    "column",
    "group",
    "bleu",
    "scorer",
    "mauve",
    "force_mauve",
)
"""Options that are arguments of measuring a file."""

_NEAREST = (
    "Nearest to the true texts, with all that cannot be told apart from the nearest; (2 of 3) "
    "means at two of three seeds"
)


def add_measuring(verbs: Verbs) -> None:
    """`measure` and `compare`."""
    _add_measure_options(
        verbs.add(
            "measure",
            "only measure what was generated; or anybody's texts in a file",
            _measure,
            shared.device,
            shared.loudness,
            shared.as_json,
        )
    )
    compare = verbs.add(
        "compare",
        "measured experiments side by side: every strategy, marked where it is nearest",
        _compare,
        shared.as_json,
    )
    compare.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="EXPERIMENT",
        help="seeds of one recipe, or several recipes",
    )
    compare.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the pages and tables go (runs/compare-NAME-NAME...)",
    )
    compare.add_argument(
        "--baseline",
        metavar="TITLE",
        help="what is subtracted from the others (hyperfitted, greedy)",
    )


def _add_measure_options(made: Parser) -> None:
    made.add_argument(
        "folder",
        type=Path,
        metavar="EXPERIMENT|FILE",
        help="an experiment's folder, or a file of texts: .txt, .md, .jsonl, .json, .csv, .tsv or "
        ".parquet",
    )
    made.add_argument(
        "--reference", type=Path, metavar="FILE", help="true texts to stand beside those of a file"
    )
    made.add_argument(
        "--training", type=Path, metavar="FILE", help="texts that those of a file may have learnt"
    )
    made.add_argument(
        "--tokenizer",
        type=a_name,
        metavar="MODEL",
        help="count its tokens (default: words, or characters)",
    )
    made.add_argument(
        "--column", default="text", metavar="FIELD", help="the field that holds the text (text)"
    )
    made.add_argument(
        "--group", metavar="FIELD", help="the field that names a text's cluster, such as its book"
    )
    made.add_argument("--bleu", action="store_true", help="Self-BLEU and Dataset-BLEU too")
    made.add_argument(
        "--scorer",
        type=a_name,
        metavar="MODEL",
        help="perplexity of a file's texts under this model",
    )
    made.add_argument(
        "--mauve",
        type=a_name,
        metavar="MODEL",
        help="MAUVE against --reference, with this model's features",
    )
    made.add_argument(
        "--force-mauve", action="store_true", help="MAUVE of fewer than 1,000 texts, mostly chance"
    )
    made.add_argument(
        "--out", type=Path, metavar="FILE", help="where the rows of a file's table go, as JSON"
    )


def _measure(options: Options) -> None:
    if not options.folder.exists():
        raise InputError(f"{options.folder}: no such file or folder")
    if options.folder.is_dir():
        _measure_folder(options)
    else:
        _measure_file(options)


def _measure_folder(options: Options) -> None:
    of_a_file = [name for name in (*_OF_A_FILE, "out") if name != "column"]
    if given := [name for name in of_a_file if getattr(options, name)]:
        option = f"--{given[0].replace('_', '-')}"
        raise InputError(
            f"{option} is for a file of texts, and {options.folder} is a folder: leave it out"
        )
    experiment = read_experiment(options)
    from hyperfitting.stages.measure import measure_experiment

    runs = measure_experiment(experiment, device=options.device, progress=shared.progress(options))
    if options.json:
        print_json([row for run in runs for row in run.metrics()])
        return
    for run in runs:
        print(f"metrics  {run.metrics_file}")
    print_next("report", experiment.folder)


def _measure_file(options: Options) -> None:
    from hyperfitting.measuring import ExternalTextsRequest
    from hyperfitting.stages.measure_file import measure_file

    chosen = {name: getattr(options, name) for name in _OF_A_FILE}
    request = ExternalTextsRequest(options.folder, **chosen, device=options.device)
    made = measure_file(request, options.out, on_warning=shared.progress(options).log)
    if options.json:
        print_json(made.json_rows)
        return
    print(made.table)
    if options.out is not None:
        print(f"metrics  {options.out}")


def _compare(options: Options) -> None:
    from hyperfitting import report
    from hyperfitting.stages.compare import compare_experiments

    compared = compare_experiments(options.folders, options.out, baseline=options.baseline)
    if options.json:
        print(compared.summary.read_text(encoding="utf-8"), end="")
        return
    print(folded(_NEAREST, 0))
    print(folded("\n".join(report.nearest_lines(compared.comparison)), 4))
    for line in report.verdict_lines(compared.comparison):
        print(folded(f"note     {line}", 9))
    print(f"report   {compared.page}")
