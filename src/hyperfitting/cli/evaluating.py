"""The verb that asks benchmarks: evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hyperfitting.cli import options as shared
from hyperfitting.cli.options import Options, Parser, Verbs, print_next
from hyperfitting.cli.values import a_name, whole_number

if TYPE_CHECKING:
    from hyperfitting.downstream.tables import EvaluationRow

_SETTINGS = (
    "tasks",
    "forms",
    "limit",
    "examples",
    "data",
    "seed",
    "dtype",
    "batch_items",
    "chat",
    "answer_tokens",
)
"""Options that replace settings of `[evaluate]`."""


def add_evaluating(verbs: Verbs) -> None:
    """`evaluate`."""
    made = verbs.add(
        "evaluate",
        "benchmarks (MMLU, ARC, GLUE, tasks of lm-evaluation-harness) for a trained experiment or "
        "a model",
        _evaluate,
        shared.device,
        shared.loudness,
    )
    made.add_argument(
        "target",
        type=a_name,
        metavar="EXPERIMENT|MODEL",
        help="an experiment's folder, all of whose variants answer; or a model, named as in "
        "model.source",
    )
    _add_what(made)
    _add_how(made)


def _add_what(made: Parser) -> None:
    made.add_argument(
        "--tasks",
        nargs="+",
        type=a_name,
        metavar="NAME",
        help="mmlu, arc, glue, arc_easy, rte, ..., or tasks of lm-evaluation-harness (the recipe's "
        "evaluate.tasks)",
    )
    made.add_argument(
        "--forms",
        nargs="+",
        choices=("letters", "cloze", "generated"),
        help="how questions with choices are put (letters cloze)",
    )
    made.add_argument(
        "--limit",
        type=_limit,
        metavar="N",
        help="at most N items of each subject, drawn by --seed, or all (the recipe's, else all)",
    )
    made.add_argument(
        "--examples",
        type=whole_number(),
        metavar="N",
        help="solved examples before each question (0)",
    )
    made.add_argument("--data", metavar="DIR", help="the folder of the benchmarks' files")
    made.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the answers of a model go (runs/evaluate-NAME); those of an experiment lie "
        "with its runs",
    )


def _add_how(made: Parser) -> None:
    made.add_argument("--seed", type=whole_number(), help="decides the sample and the examples (0)")
    made.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="dtype of the weights (the recipe's; of a model float32)",
    )
    made.add_argument(
        "--beginning-of-text",
        choices=("add", "none"),
        help="of a model; default: as its tokenizer does by itself. An experiment has its recipe's",
    )
    made.add_argument(
        "--batch",
        dest="batch_items",
        type=whole_number(1),
        metavar="N",
        help="texts read side by side (16)",
    )
    made.add_argument(
        "--chat",
        action=argparse.BooleanOptionalAction,
        help="put questions into the user's turn of the model's chat template",
    )
    made.add_argument(
        "--answer-tokens",
        type=whole_number(1),
        metavar="N",
        help="new tokens of a generated answer (16)",
    )


def _limit(text: str) -> int | str:
    return text if text == "all" else whole_number(1)(text)


def _evaluate(options: Options) -> None:
    from hyperfitting.stages.evaluate_any import evaluate

    made = evaluate(
        options.target,
        out=options.out,
        beginning_of_text=options.beginning_of_text,
        changes={name: getattr(options, name) for name in _SETTINGS},
        device=options.device,
        progress=shared.progress(options),
    )
    _print_rows(made.rows)
    for folder in made.folders:
        print(f"answers  {folder}")
    if made.experiment is not None:
        print_next("report", made.experiment.folder)


def _print_rows(rows: list[EvaluationRow]) -> None:
    from hyperfitting.report import evaluation_grids

    for grid in evaluation_grids(rows):
        print(f"{grid.title}\n\n{grid.markdown}\n")
