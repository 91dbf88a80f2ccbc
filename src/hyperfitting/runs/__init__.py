"""Experiment and Run folders: the only module that knows file names.

    EXPERIMENT/                     default: runs/<name>-<digest8>
      recipe.json                   the resolved recipe
      data/                         drawn once, read by all runs
        manifest.json  train.npz  validation.npz  contexts-<set>.npz
      original/  hyperfitted/       two Runs, and one for each variant of the recipe
        recipe.json  run.json       what was asked for; what was in effect
        updates.jsonl  probes.jsonl one row an update; one a probe
        checkpoint/                 only while training is unfinished (training/checkpoint.py)
        model/                      a Hugging Face folder; none where run.json names an original
        parts/                      only while generation is unfinished, by process
        continuations.jsonl         contexts x strategies
        blocked.jsonl               what the citation blocker forbade, if a strategy has one
        continuation_hashes.jsonl   only in an archive without texts, in their place
        text_metrics.jsonl           what was measured of each text, and of sets of them as a whole
        pooled_metrics.jsonl
        metrics.jsonl
        evaluation/                 answers to benchmarks, if any were asked (runs/evaluation.py)
      archive.json                  only in an archive: no weights (docs/howto/archive.md)
      report/
        index.html  report.md  table.csv  summary.json  *.png

A stage is done when its last file is there, made with the weights whose hashes run.json holds.
Every file and the model folder appear whole or not at all.
"""

from hyperfitting.runs.evaluation import AnswerSheet, EvaluationFolder
from hyperfitting.runs.experiment import Experiment
from hyperfitting.runs.find import find_experiments, find_run, made_on
from hyperfitting.runs.run import Run

__all__ = [
    "AnswerSheet",
    "EvaluationFolder",
    "Experiment",
    "Run",
    "find_experiments",
    "find_run",
    "made_on",
]
