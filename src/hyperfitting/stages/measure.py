"""Measure what the runs wrote, and their models: text_metrics.jsonl, pooled_metrics.jsonl and
metrics.jsonl of a run.
"""

from __future__ import annotations

import torch

from hyperfitting import measure, models
from hyperfitting.facts import MauveFacts, MauveTaken, MeasureFacts
from hyperfitting.measure.experiment import MeasuredRun, RunToMeasure, measure_runs
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ORIGINAL, MeasureSettings
from hyperfitting.records import REFERENCE, Continuation
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.train import drop_stale
from hyperfitting.training import translate_torch_errors
from hyperfitting.writing import load_run


@translate_torch_errors(
    "run the recipe with a smaller measure.batch_blocks, or name another --device"
)
def measure_experiment(
    experiment: Experiment, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> list[Run]:
    """Measure the texts and models of all runs. True texts and controls stand with the original's
    rows.
    """
    runs, recipe = experiment.runs(), experiment.recipe
    drop_stale(experiment, progress)
    todo = [run for run in runs.values() if not run.measured]
    for run in runs.values():
        if run not in todo:
            progress.log(f"{run.variant}: measured already")
    if not todo:
        return list(runs.values())
    place = models.resolve_device(device)
    original, codec = load_run(runs[ORIGINAL], place)
    names = ["train", "validation", *(each.name for each in recipe.data.domains)]
    blocks = [experiment.blocks(name) for name in names]
    true = [text for text in runs[ORIGINAL].continuations() if text.variant == REFERENCE]
    with progress.bar("measuring", len(blocks) + len(todo) * (len(blocks) + 1)) as bar:
        found = measure_runs(
            (_run_to_measure(run, true, recipe.seed, place) for run in todo),
            original,
            blocks,
            _baselines(experiment, original, codec, place),
            measure.MetricOptions.of_recipe(recipe),
            true_texts=true,
            context_tokens=recipe.data.context_tokens,
            advance=bar.advance,
        )
        for run, measured in zip(todo, found, strict=True):
            _keep_metrics(run, recipe.measure, measured)
    return list(runs.values())


def _run_to_measure(
    run: Run, true: list[Continuation], seed: int, place: torch.device
) -> RunToMeasure:
    texts = run.continuations()
    if run.variant == ORIGINAL:
        controls = measure.control_texts(true, seed)
        return RunToMeasure(run.variant, run.name, [*texts, *controls], None)
    return RunToMeasure(run.variant, run.name, texts, load_run(run, place)[0])


def _baselines(
    experiment: Experiment, original: torch.nn.Module, codec: models.TextCodec, place: torch.device
) -> measure.TextBaselines:
    """What the texts of an experiment are measured against."""
    settings, training_ids = experiment.recipe.measure, experiment.blocks("train").ids_NT.tolist()
    scorer, features = (settings.model_named(name) for name in ("scorer", "mauve"))
    return measure.TextBaselines(
        index=TrainingIndex(training_ids),
        training_texts=[codec.decode(ids) for ids in training_ids] if settings.bleu else (),
        original=original,
        scorer=models.load_scoring_model(scorer, place) if scorer else None,
        features=models.load_scoring_model(features, place) if features else None,
    )


def _keep_metrics(run: Run, settings: MeasureSettings, measured: MeasuredRun) -> None:
    """Write what was measured of one run, and how. The rows come last."""
    texts, mauve = measured.texts, None
    if settings.mauve:
        values = {
            f"{each.domain}: {each.arm.title}": MauveTaken(
                n=each.n, clusters=each.clusters, by_seed=each.by_seed
            )
            for each in texts.mauve
        }
        mauve = MauveFacts(features=settings.mauve, values=values)
    facts = MeasureFacts(
        weights=run.made_with, scorer=settings.scorer, mauve=mauve, **texts.signatures
    )
    run.update_facts(measure=facts)
    run.write_metrics(texts.each, texts.pooled, measured.rows)
