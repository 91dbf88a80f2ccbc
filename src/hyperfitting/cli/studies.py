"""`hyperfit study ...`: grids of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyperfitting.cli import options as shared
from hyperfitting.cli.console import folded
from hyperfitting.cli.options import Options, Parser, Verbs, print_next
from hyperfitting.cli.values import whole_number

STUDIES_HELP = (
    "studies, which are grids of experiments: list, show, copy, estimate, run, status, report"
)


def add_studies(made: Parser) -> None:
    """The verbs of `hyperfit study`."""
    verbs = Verbs(made)
    verbs.add("list", "the shipped studies", _list)
    verbs.add("show", "print a study's file", _show, _study)
    copy = verbs.add("copy", "copy a shipped study, to edit it", _copy, _study)
    copy.add_argument("to", nargs="?", type=Path, help="where to copy it (NAME.toml)")
    grid = (_study, shared.settings, _out)
    verbs.add(
        "estimate",
        "how many trainings a study has, what they share, and what time and disk they take",
        _estimate,
        *grid,
        *(_work, shared.device),
    )
    run = verbs.add(
        "run",
        "make the cells of a study; the same command goes on, also on several machines at once",
        _run,
        *grid,
        *(_work, shared.device, shared.loudness),
    )
    _run_options(run)
    verbs.add("status", "how far a study has come", _status, *grid)
    verbs.add("report", "write the report on the cells that are finished", _report, *grid)


def _study(made: Parser) -> None:
    made.add_argument(
        "study", metavar="NAME", help="the name of a shipped study, or a study's .toml file"
    )


def _out(made: Parser) -> None:
    made.add_argument(
        "--out", type=Path, metavar="DIR", help="the study's folder (runs/studies/NAME)"
    )


def _work(made: Parser) -> None:
    made.add_argument(
        "--workers",
        type=whole_number(1, 1024),
        metavar="N",
        help="cells made at once on this machine (1)",
    )
    made.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads of each cell that begins (the cores, divided among the workers)",
    )
    made.add_argument(
        "--reuse",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="use finished experiments in this folder too; repeatable",
    )
    made.add_argument("--yes", action="store_true", help="go on with more than 1,000 cells")


def _run_options(made: Parser) -> None:
    made.add_argument(
        "--on",
        choices=("local", "ray", "slurm"),
        default="local",
        help="processes of this machine, the Ray cluster that it belongs to, or Slurm jobs (local)",
    )
    made.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of submitit, such as slurm_partition=gpu or timeout_min=120 (a job has a "
        "day unless it says so); repeatable",
    )
    made.add_argument(
        "--keep-weights", action="store_true", help="do not drop the models of finished cells"
    )
    made.add_argument(
        "--retry-failed", action="store_true", help="begin again with cells that failed"
    )


def _list(options: Options) -> None:
    from hyperfitting.studies import load_study, shipped_studies

    for name in shipped_studies():
        print(folded(f"{name:18s} {load_study(name).description}", 19))
    print_next("study", "show", "NAME")


def _show(options: Options) -> None:
    from hyperfitting.recipe import read_settings_text
    from hyperfitting.studies import study_path

    print(read_settings_text(study_path(options.study), "study"), end="")


def _copy(options: Options) -> None:
    from hyperfitting.studies import copy_study

    copied = copy_study(options.study, options.to)
    print(f"study    {copied}")
    print_next("study", "estimate", copied)


def _estimate(options: Options) -> None:
    from hyperfitting.studies import load_study

    study = load_study(options.study)
    from hyperfitting.cli.study_text import estimate_lines
    from hyperfitting.studies.estimate import estimate_study

    estimate = estimate_study(
        study,
        **_place(options),
        reuse=options.reuse,
        workers=options.workers or 1,
        threads=options.threads,
        device=options.device,
        allow_many=options.yes,
    )
    print(estimate_lines(estimate))
    print_next("study", "run", *_named(options), *_work_given(options))


def _run(options: Options) -> None:
    from hyperfitting.cli.study_text import on_status, status_lines
    from hyperfitting.studies import load_study, study_folder
    from hyperfitting.studies.launchers.choose import choose_launcher
    from hyperfitting.studies.study_run import RunOptions, run_study

    study = load_study(options.study)
    launcher = choose_launcher(
        options.on,
        study_folder(study, options.out),
        workers=options.workers,
        threads=options.threads,
        parameters=tuple(options.slurm),
    )
    how = RunOptions(
        device=options.device,
        keep_weights=options.keep_weights,
        retry_failed=options.retry_failed,
        reuse=tuple(options.reuse),
        allow_many=options.yes,
    )
    status = run_study(
        study, launcher, **_place(options), options=how, on_status=on_status(options)
    )
    print("\n".join(status_lines(status)))
    status.refuse_failed()
    print_next("study", "report", *_named(options))


def _status(options: Options) -> None:
    from hyperfitting.cli.study_text import status_lines
    from hyperfitting.studies import load_study
    from hyperfitting.studies.status import study_status

    status = study_status(load_study(options.study), **_place(options))
    print("\n".join(status_lines(status)))


def _report(options: Options) -> None:
    from hyperfitting.studies import load_study
    from hyperfitting.studies.report import report_study

    report = report_study(load_study(options.study), **_place(options))
    for file in report.files:
        print(f"report   {file}")
    if report.missing:
        print(f"note     {report.missing} of {report.missing + report.finished} cells are missing")


def _place(options: Options) -> dict[str, Any]:
    return {"out": options.out, "overrides": options.set}


def _named(options: Options) -> list[Any]:
    """The study as it was named, with what must be said again."""
    changes = [part for change in options.set for part in ("--set", change)]
    return [options.study, *changes, *(["--out", options.out] if options.out else [])]


def _work_given(options: Options) -> list[Any]:
    """The options of `_work` and --device that were given: `run` needs them as `estimate` did."""
    given = {"--workers": options.workers, "--threads": options.threads}
    said = [part for name, value in given.items() if value is not None for part in (name, value)]
    said += shared.device_given(options)
    said += [part for folder in options.reuse for part in ("--reuse", folder)]
    return [*said, *(["--yes"] if options.yes else [])]
