"""Verbs that tell what a recipe would do: check, plan."""

from __future__ import annotations

import argparse

from hyperfitting.cli import options as shared
from hyperfitting.cli.console import folded, is_too_wide
from hyperfitting.cli.options import Options, Verbs, print_json, print_next, read_recipe
from hyperfitting.cli.values import memory_option, whole_number
from hyperfitting.errors import InputError


def add_planning(verbs: Verbs) -> None:
    """`check` and `plan`."""
    verbs.add(
        "check",
        "validate a recipe and say what it would load, train and write",
        _check,
        shared.recipe,
        shared.out,
        shared.device,
        shared.as_json,
    )
    plan = verbs.add(
        "plan",
        "what memory a recipe's training needs, and which settings fit",
        _plan,
        shared.recipe,
        shared.as_json,
    )
    plan.add_argument(
        "--memory",
        type=memory_option,
        metavar="80GiB",
        help="a device's memory; default: this machine's",
    )
    plan.add_argument("--device", type=_is_now_memory, help=argparse.SUPPRESS)
    plan.add_argument(
        "--dry-run",
        action="store_true",
        help="train a few updates of this shape here, with random weights and tokens",
    )
    plan.add_argument(
        "--count",
        type=whole_number(1, 1024),
        default=1,
        metavar="N",
        help="devices that share the training (1)",
    )


def _is_now_memory(size: str) -> str:
    raise argparse.ArgumentTypeError(f"a device's memory is now given by --memory {size}")


def _check(options: Options) -> None:
    recipe = read_recipe(options)
    from hyperfitting.cli.text import check_lines
    from hyperfitting.stages.check import check_recipe

    found = check_recipe(recipe, options.out, device=options.device)
    if options.json:
        print_json(found)
        return
    print(folded(check_lines(found), 12))
    changes = [part for change in options.set for part in ("--set", change)]
    verb = "run" if recipe.model.initialise == "pretrained" else "pretrain"
    out = ["--out", options.out] if options.out else []
    print_next(verb, options.recipe, *changes, *out, *shared.device_given(options))


def _plan(options: Options) -> None:
    if options.dry_run and (options.memory is not None or options.count != 1):
        raise InputError(
            "plan --dry-run trains on this machine, on one device: leave out --memory and --count"
        )
    recipe = read_recipe(options)
    from hyperfitting.cli.text import dry_run_line, plan_lines, plan_table
    from hyperfitting.stages.plan import plan_memory, try_updates

    if options.dry_run:
        tried = try_updates(recipe)
        print_json(tried) if options.json else print(dry_run_line(tried))
        return
    plan = plan_memory(recipe, memory=options.memory, count=options.count)
    if options.json:
        print_json(plan)
        return
    table = plan_table(plan)
    print(folded(plan_lines(plan), 2) if is_too_wide(table) else table)
