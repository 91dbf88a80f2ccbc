"""Measure what the runs wrote, and their models: RUN/text_measures.jsonl, set_measures.jsonl, metrics.jsonl."""

from __future__ import annotations

from typing import Any

import torch

from hyperfitting import measure, models
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ORIGINAL
from hyperfitting.records import MetricRow
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.train import drop_stale
from hyperfitting.training import plain_failures
from hyperfitting.writing import load_run


@plain_failures("run the recipe with a smaller measure.batch_blocks, or name another --device")
def measure_experiment(
    experiment: Experiment, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> list[Run]:
    """Measure the texts and models of all runs. True texts and controls stand with the original's rows."""
    runs, recipe = experiment.runs(), experiment.recipe
    drop_stale(experiment, progress)
    todo = [variant for variant in recipe.variant_names if not runs[variant].measured]
    for variant in recipe.variant_names:
        if variant not in todo:
            progress.log(f"{variant}: measured already")
    if not todo:
        return list(runs.values())
    place = models.resolve_device(device)
    original, codec = load_run(runs[ORIGINAL], place)
    beside = _beside(experiment, original, codec, place)
    sets = {each.name: experiment.blocks(each.name) for each in recipe.data.domains}
    sets = {
        "train": experiment.blocks("train"),
        "validation": experiment.blocks("validation"),
        **sets,
    }
    with progress.bar("measuring", len(sets) + len(todo) * (len(sets) + 1)) as bar:
        before = {}
        for name, blocks in sets.items():
            before[name] = measure.score(original, blocks, recipe)
            bar.advance()
        for variant in todo:
            model = None if variant == ORIGINAL else load_run(runs[variant], place)[0]
            model_rows = []
            for name, blocks in sets.items():
                scores = before[name] if model is None else measure.score(model, blocks, recipe)
                ranks = (
                    None
                    if model is None
                    else measure.choice_ranks(original, scores, blocks, recipe)
                )
                model_rows += measure.measure_model(
                    scores,
                    blocks,
                    recipe,
                    role=variant,
                    run=runs[variant].name,
                    original=None if model is None else before[name],
                    ranks_NS=ranks,
                )
                bar.advance()
            _measure_texts(experiment, runs[variant], beside, model_rows, place)
            bar.advance()
    return list(runs.values())


def _beside(
    experiment: Experiment, original: torch.nn.Module, codec: models.TextCodec, place: torch.device
) -> measure.Beside:
    """What the texts of an experiment are measured against."""
    settings, training_ids = experiment.recipe.measure, experiment.blocks("train").ids_NT.tolist()
    return measure.Beside(
        index=TrainingIndex(training_ids),
        training_texts=[codec.decode(ids) for ids in training_ids] if settings.bleu else None,
        original=original,
        scorer=models.load_reader(scorer, place)
        if (scorer := settings.model_named("scorer"))
        else None,
        batch_blocks=settings.batch_blocks,
    )


def _measure_texts(
    experiment: Experiment,
    run: Run,
    beside: measure.Beside,
    model_rows: list[MetricRow],
    place: torch.device,
) -> None:
    """Measure what one run wrote, and keep it with the rows of its model."""
    recipe, texts = experiment.recipe, run.continuations()
    references = [
        text for text in experiment.run(ORIGINAL).continuations() if text.variant == "reference"
    ]
    if run.variant == ORIGINAL:
        texts += measure.controls(references, recipe.seed)
    each, together = measure.measure_texts(texts, beside), measure.measure_sets(texts, beside)
    how = measure.Intervals(recipe.measure.bootstrap_draws, recipe.seed)
    rows = [*measure.text_rows(each, how), *measure.set_rows(together)]
    strings = [each.text for each in texts if each.variant in ("reference", run.variant)]
    strings += beside.training_texts or ()
    facts: dict[str, Any] = {
        **measure.signatures(strings, bleu=recipe.measure.bleu),
        "weights": run.made_with,
    }
    if recipe.measure.scorer:
        facts["scorer"] = recipe.measure.scorer
    if features := recipe.measure.model_named("mauve"):
        reader = models.load_reader(features, place)
        beside_true = [*texts, *([] if run.variant == ORIGINAL else references)]
        found, taken = measure.mauve_rows(
            reader,
            beside_true,
            batch_blocks=recipe.measure.batch_blocks,
            force=recipe.measure.force_mauve,
        )
        rows += found
        facts["mauve"] = {"features": recipe.measure.mauve, "values": taken}
    run.add_facts("measure", facts)
    run.keep_measures(each, together, [*rows, *model_rows])
