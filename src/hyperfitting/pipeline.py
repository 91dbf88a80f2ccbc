"""The main path: what `hyperfit run` does, stage after stage. Read this file first.

    recipe -> draw -> train -> generate -> measure (-> evaluate) -> report

Every stage is a function of `stages/`, which reads and writes files of an `Experiment` folder and
skips what is there: each can be run again, alone, or after a stop.

    stages/draw.py      the texts of the recipe -> data/, token blocks of every set
    stages/train.py     data/ -> original/, hyperfitted/, ...: a Run for each variant
    stages/generate.py  contexts, models, decoding strategies -> continuations.jsonl of each run
    stages/measure.py   continuations and models -> metrics.jsonl of each run
    stages/evaluate.py  benchmarks -> evaluation/ of each run, where the recipe names any
    stages/report.py    all of these -> report/index.html and its tables
"""

from __future__ import annotations

from pathlib import Path

from hyperfitting import training
from hyperfitting.errors import InputError
from hyperfitting.progress import Job, Progress, default_progress
from hyperfitting.recipe import Recipe, read_or_given
from hyperfitting.report.notebook import NotebookExperiment
from hyperfitting.runs import Experiment
from hyperfitting.stages.check import refuse_missing_parts
from hyperfitting.stages.draw import experiment_folder
from hyperfitting.stages.generate import generate_experiment
from hyperfitting.stages.measure import measure_experiment
from hyperfitting.stages.report import report_experiment
from hyperfitting.stages.train import train_experiment
from hyperfitting.stages.workload import planned_work


def run(
    recipe: Recipe | str | Path,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    keep_data: bool = False,
    models_of: str | Path | None = None,
) -> NotebookExperiment:
    """Make an experiment: all runs of a recipe, from the data to the report. What is done already
    is skipped.

    Examples:
        >>> recipe = hyperfitting.load_recipe("mine.toml")
        >>> experiment = hyperfitting.run(recipe, "runs/mine", device="cpu")
        >>> experiment.state()
        'reported'

    Args:
        recipe: what to do: a recipe, a file, or the name of a shipped one.
        out: the experiment's folder; none: `runs/<name>-<digest8>`.
        device: `auto` (the accelerator if there is one), `cpu`, `cuda`, ...
        progress: where progress goes; none: to a terminal or a notebook, if there is one.
        keep_data: go on with the data as drawn, even where a source has changed since.
        models_of: another experiment, trained alike, whose models are taken: only texts are written
            and measured.

    Raises:
        InputError: anything the user gave that cannot be used; nothing half-written is left behind.
        Interrupted: Ctrl-C while training; calling again goes on.
    """
    recipe = read_or_given(recipe)
    out, progress = None if out is None else Path(out), progress or default_progress()
    refuse_missing_parts(recipe)
    if training.process_count() > 1:
        raise InputError("torchrun is for `train`: run the other stages alone afterwards")
    job = Job(progress, planned_work(recipe, Experiment(experiment_folder(recipe, out))))
    experiment = train_experiment(
        recipe,
        out,
        device=device,
        progress=job.stage("train"),
        keep_data=keep_data,
        models_of=None if models_of is None else Path(models_of),
    )
    generate_experiment(experiment, device=device, progress=job.stage("generate"))
    measure_experiment(experiment, device=device, progress=job.stage("measure"))
    if recipe.evaluate.tasks:
        from hyperfitting.stages.evaluate import evaluate_experiment

        asked = job.stage("evaluate")
        evaluate_experiment(experiment, recipe.evaluate, device=device, progress=asked)
    report_experiment(experiment, progress=job.stage("report"))
    return NotebookExperiment(experiment.folder)
