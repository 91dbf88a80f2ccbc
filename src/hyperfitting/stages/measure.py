"""Measure what the runs wrote, and their models: text_metrics.jsonl, pooled_metrics.jsonl and
metrics.jsonl of a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch

from hyperfitting import measuring, models, trackers
from hyperfitting.facts import MauveFacts, MauveTaken, MeasureFacts
from hyperfitting.files import changed_at, exclusive_lock
from hyperfitting.measuring.experiment import MeasuredRun, RunToMeasure, measure_runs
from hyperfitting.measuring.reading import TextReader, third_models
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
    runs = list(experiment.runs().values())
    drop_stale(experiment, progress)
    todo = [run for run in runs if not run.measured]
    for run in runs:
        if run not in todo:
            progress.log(f"{run.variant}: measured already, {changed_at(run.metrics_file)}")
    for run in todo:
        run.refuse_untrained()
        _ = run.model_source  # refuses one that has changed, before the first is read
    if todo:
        models.return_freed_memory()
        with ExitStack() as held:
            held.enter_context(models.threads(experiment.recipe.engine.threads))
            for run in todo:
                held.enter_context(exclusive_lock(run.folder))
            read = _measure(experiment, todo, models.resolve_device(device), progress)
        progress.log(f"measured: {read.total():,} tokens scored by {_models_in_words(len(read))}")
    trackers.tell_metrics(runs, experiment.recipe.report_to, progress.log)
    return runs


def _measure(
    experiment: Experiment, todo: Sequence[Run], device: torch.device, progress: Progress
) -> Counter[str]:
    """Measure runs and write the metrics of each as they come; how many tokens each model has
    read.
    """
    original, recipe = experiment.run(ORIGINAL), experiment.recipe
    codec, blocks = load_run_codec(original), _blocks(experiment)
    true = [text for text in original.continuations() if text.variant == REFERENCE]
    images = measuring.image_baselines(experiment)
    texts = {run.variant: _texts(run, true, images) for run in todo}
    tokens: Counter[str] = Counter()
    with progress.bar("measuring", _readings(recipe, blocks, texts, len(true))) as bar:
        load = partial(_reader, recipe, device, bar.advance)
        reader = load(original)
        found = measure_runs(
            [_run_to_measure(run, texts[run.variant], load) for run in todo],
            reader,
            blocks,
            replace(_baselines(experiment, reader, codec, device, bar.advance), images=images),
            measuring.MetricOptions.of_recipe(recipe),
            true_texts=true,
            context_tokens=recipe.data.context_tokens,
        )
        for run, measured in zip(todo, found, strict=True):
            _keep_metrics(run, recipe, measured)
            tokens.update(measured.tokens)
    return tokens


def _blocks(experiment: Experiment) -> list[TokenBlocks]:
    """What every model reads: the blocks of training and validation, and the texts of each
    domain.
    """
    domains = (each.name for each in experiment.recipe.data.domains)
    return [experiment.blocks(name) for name in ("train", "validation", *domains)]


def _reader(
    recipe: Recipe, device: torch.device, advance: Callable[[int], None], run: Run
) -> TextReader:
    """A run's model as a reader of texts."""
    # A head that multiplies in float32 would halve what a named dtype gains.
    dtype, exact = recipe.measuring_dtype, recipe.measure.dtype is None
    model, _ = load_run(run, device, dtype=dtype, exact_head=exact)
    if recipe.measure.dtype == "bfloat16":  # float32 stays as it is to the bit
        models.prefer_attention(model, "auto", device, recipe.data.block_tokens)
    return TextReader(run.variant, model, batch_texts=recipe.measure.batch_blocks, advance=advance)


def _run_to_measure(
    run: Run, texts: Sequence[Continuation], load: Callable[[Run], TextReader]
) -> RunToMeasure:
    own = None if run.variant == ORIGINAL else partial(load, run)
    blocking = [each.name for each in run.recipe.generate.strategies if each.blocker is not None]
    kept = measuring.blocked_inputs(texts, blocking, run.blocked()) if blocking else {}
    return RunToMeasure(run.variant, run.name, texts, own, kept)


def _models_in_words(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _texts(
    run: Run, true: list[Continuation], images: measuring.ImageBaselines | None
) -> list[Continuation]:
    """What a run wrote; with the original's, the true texts and the controls."""
    written, seed = run.continuations(), run.recipe.seed
    if run.variant != ORIGINAL:
        return written
    if images is None:
        return [*written, *measuring.control_texts(true, seed)]
    return [*written, *measuring.control_images(true, images, seed)]


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
    codec: models.ModelCodec,
    device: torch.device,
    advance: Callable[[int], None],
) -> measuring.TextBaselines:
    """What the texts of an experiment are measured against."""
    settings, training_ids = experiment.recipe.measure, experiment.blocks("train").ids_NT.tolist()
    scorer, features = third_models(
        settings.model_named("scorer"),
        settings.model_named("mauve"),
        device,
        dtype=settings.dtype or "float32",
        batch_texts=settings.batch_blocks,
        advance=advance,
    )
    return measuring.TextBaselines(
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
