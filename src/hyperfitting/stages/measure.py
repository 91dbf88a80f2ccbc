"""Measure what the runs wrote, and their models: text_metrics.jsonl, pooled_metrics.jsonl and
metrics.jsonl of a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from hyperfitting import measure, models
from hyperfitting.facts import MauveFacts, MauveTaken, MeasureFacts
from hyperfitting.files import changed_at
from hyperfitting.measure.experiment import MeasuredRun, RunToMeasure, measure_runs
from hyperfitting.measure.reading import TextReader, third_models
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ORIGINAL, Recipe
from hyperfitting.records import REFERENCE, Continuation, TokenBlocks
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.train import drop_stale
from hyperfitting.training import translate_torch_errors
from hyperfitting.writing import load_run, load_run_codec


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
            progress.log(f"{run.variant}: measured already, {changed_at(run.metrics_file)}")
    if not todo:
        return list(runs.values())
    models.return_freed_memory()
    place, codec = models.resolve_device(device), load_run_codec(runs[ORIGINAL])
    names = ["train", "validation", *(each.name for each in recipe.data.domains)]
    blocks = [experiment.blocks(name) for name in names]
    true = [text for text in runs[ORIGINAL].continuations() if text.variant == REFERENCE]
    texts = {run.variant: _texts(run, true) for run in todo}
    with progress.bar("measuring", _readings(recipe, blocks, texts, len(true))) as bar:

        def reader(run: Run) -> TextReader:
            # A head that multiplies in float32 would halve what a named dtype gains.
            dtype, exact = recipe.measuring_dtype, recipe.measure.dtype is None
            model = load_run(run, place, dtype=dtype, exact_head=exact)[0]
            size = recipe.measure.batch_blocks
            return TextReader(run.variant, model, batch_texts=size, advance=bar.advance)

        original = reader(runs[ORIGINAL])
        found = measure_runs(
            [
                RunToMeasure(
                    run.variant,
                    run.name,
                    texts[run.variant],
                    None if run.variant == ORIGINAL else partial(reader, run),
                )
                for run in todo
            ],
            original,
            blocks,
            _baselines(experiment, original, codec, place, bar.advance),
            measure.MetricOptions.of_recipe(recipe),
            true_texts=true,
            context_tokens=recipe.data.context_tokens,
        )
        tokens: Counter[str] = Counter()
        for run, measured in zip(todo, found, strict=True):
            _keep_metrics(run, recipe, measured)
            tokens.update(measured.tokens)
    progress.log(f"measured: {tokens.total():,} tokens scored by {_models_in_words(len(tokens))}")
    return list(runs.values())


def _models_in_words(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _texts(run: Run, true: list[Continuation]) -> list[Continuation]:
    """What a run wrote; with the original's, the true texts and the controls."""
    controls = measure.control_texts(true, run.recipe.seed) if run.variant == ORIGINAL else []
    return [*run.continuations(), *controls]


def _readings(
    recipe: Recipe,
    blocks: Sequence[TokenBlocks],
    texts: Mapping[str, Sequence[Continuation]],
    true_texts: int,
) -> int:
    """How many times a model is asked for a text: every model for the blocks, the original and
    third models for what was written.
    """
    trained = len(texts.keys() - {ORIGINAL})
    third = sum(name is not None for name in (recipe.measure.scorer, recipe.measure.mauve))
    beside = trained * true_texts if recipe.measure.mauve else 0
    written = sum(map(len, texts.values()))
    return (1 + trained) * sum(len(each.ids_NT) for each in blocks) + (1 + third) * written + beside


def _baselines(
    experiment: Experiment,
    original: TextReader,
    codec: models.TextCodec,
    place: torch.device,
    advance: Callable[[int], None],
) -> measure.TextBaselines:
    """What the texts of an experiment are measured against."""
    settings, training_ids = experiment.recipe.measure, experiment.blocks("train").ids_NT.tolist()
    scorer, features = third_models(
        settings.model_named("scorer"),
        settings.model_named("mauve"),
        place,
        dtype=settings.dtype or "float32",
        batch_texts=settings.batch_blocks,
        advance=advance,
    )
    return measure.TextBaselines(
        index=TrainingIndex(training_ids),
        training_texts=[codec.decode(ids) for ids in training_ids] if settings.bleu else (),
        original=original,
        scorer=scorer,
        features=features,
    )


def _keep_metrics(run: Run, recipe: Recipe, measured: MeasuredRun) -> None:
    """Write what was measured of one run, and how. The rows come last."""
    settings, texts, mauve = recipe.measure, measured.texts, None
    if settings.mauve:
        values = {
            f"{each.domain}: {each.arm.title}": MauveTaken(
                n=each.n, clusters=each.clusters, by_seed=each.by_seed
            )
            for each in texts.mauve
        }
        mauve = MauveFacts(features=settings.mauve, values=values)
    facts = MeasureFacts(
        weights=run.made_with,
        dtype=recipe.measuring_dtype,
        tokens_scored=measured.tokens,
        scorer=settings.scorer,
        mauve=mauve,
        **texts.signatures,
    )
    run.update_facts(measure=facts)
    run.write_metrics(texts.each, texts.pooled, measured.rows)
