"""Write the report of an experiment: report/. It needs no torch."""

from __future__ import annotations

from pathlib import Path

from hyperfitting import report
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.runs import Experiment


def report_experiment(experiment: Experiment, *, progress: Progress = NO_PROGRESS) -> Path:
    """Read the runs and write the page, its Markdown, its tables and pictures, always anew: the
    path of the page.

    Raises:
        RunError: a run is not measured yet.
    """
    progress.log("writing the report")
    return report.write_report(experiment)
