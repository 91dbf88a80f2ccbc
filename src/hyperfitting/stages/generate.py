"""Continue the contexts with every run's model: RUN/parts/ while it goes on, then
continuations.jsonl and blocked.jsonl.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hyperfitting import generate, models, training
from hyperfitting.facts import BlockedCount, GaveWayCount, GenerateFacts
from hyperfitting.files import changed_at, exclusive_lock, write_rows
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ORIGINAL, Dtype, Recipe
from hyperfitting.records import Blocked, Continuation, Difference, GaveWay
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.train import drop_stale
from hyperfitting.writing import load_run


def generate_experiment(
    experiment: Experiment, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> list[Run]:
    """Continue the contexts with every run's model, the original's first."""
    return [
        generate_texts(experiment, name, device=device, progress=progress)
        for name in experiment.recipe.variant_names
    ]


@training.translate_torch_errors(
    "run the recipe with a smaller generate.batch_contexts, or name another --device"
)
def generate_texts(
    experiment: Experiment, variant: str, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> Run:
    """Continue the reported contexts with one run's model, in every strategy; alone, or as one of
    torchrun's processes.

    What an earlier call has written is kept, so a stopped generation goes on, and texts come out
    the same however the batches were dealt out.
    """
    experiment.refuse_archive()
    run = experiment.run(variant)
    ranks = training.join_processes(models.resolve_device(device))
    progress = progress if ranks.is_main else NO_PROGRESS
    ranks.on_main(lambda: drop_stale(experiment, progress))
    if run.generated:
        progress.log(f"{variant}: generated already, {changed_at(run.continuations_file)}")
        return run
    run.refuse_untrained()
    _ = run.model_source  # refuses one that has changed
    threads = models.threads(experiment.recipe.engine.threads)
    with threads, ranks.alone(lambda: exclusive_lock(run.folder)):
        _continue_contexts(experiment, run, ranks, progress)
    return run


def _continue_contexts(
    experiment: Experiment, run: Run, ranks: training.ProcessGroup, progress: Progress
) -> None:
    """Write this process's share of the texts, then gather those of all."""
    recipe, variant = experiment.recipe, run.variant
    generator, codec, facts = _generator(experiment, run, ranks.device)
    ranks.on_main(lambda: run.update_facts(generate=facts))
    done = {(text.domain, text.strategy, text.context) for text in run.parts(Continuation)}
    todo = [batch for batch in generate.batches(recipe) if not done.issuperset(batch.keys)]
    ranks.wait()
    mine = todo[ranks.rank :: ranks.world]
    total = sum(len(batch.contexts) for batch in mine)
    if done:
        progress.log(f"{variant}: {len(done):,} texts are kept, {total:,} are left to write")
    with (
        progress.bar(f"continuing contexts, {variant}", total) as bar,
        run.new_part(ranks.rank) as keep,
    ):
        for batch in mine:
            written = generator.write(batch, variant=variant, run=run.name)
            # A text comes last: with it all is there.
            for row in (*written.blocked, *written.gave_way, *written.texts):
                keep(row)
            bar.advance(len(written.texts))
    ranks.wait()
    if ranks.is_main:
        last = {"processes": ranks.world, "gave_way": _gave_way_facts(run)}
        run.update_facts(generate=facts.model_copy(update=last))
        _gather_texts(experiment, run, codec)
    ranks.wait()


def _generator(
    experiment: Experiment, run: Run, device: torch.device
) -> tuple[generate.TextGenerator, models.ModelCodec, GenerateFacts]:
    """What writes a run's texts, its codec, and what is in effect."""
    recipe = experiment.recipe
    reference = models.NO_CACHE if recipe.generate.mode == "reference" else None
    dtype = recipe.generating_dtype
    generator, model, codec = _load_generator(experiment, run, device, dtype, reference)
    decoding = reference or models.traits_of(model).decoding
    facts = _generate_facts(recipe, codec, device, decoding, weights=run.made_with[0])
    return generator, codec, facts


def _load_generator(
    experiment: Experiment, run: Run, device: torch.device, dtype: Dtype, decoding: str | None
) -> tuple[generate.TextGenerator, Any, models.ModelCodec]:
    recipe = experiment.recipe
    model, codec = load_run(run, device, dtype=dtype)
    if decoding is None:
        texts = recipe.generate.batch_contexts
        models.prefer_packed_steps(model, texts=texts, tokens=recipe.text_tokens)
    sets = {each.name: experiment.blocks(each.name) for each in recipe.data.domains}
    stepper = models.stepper(model, decoding=decoding)
    generator = generate.TextGenerator(stepper, codec, recipe, sets, experiment.blocks("train"))
    return generator, model, codec


def _generate_facts(
    recipe: Recipe,
    codec: models.ModelCodec,
    device: torch.device,
    decoding: str,
    *,
    weights: str | None,
) -> GenerateFacts:
    settings = recipe.generate
    return GenerateFacts(
        weights=weights,
        device=models.describe_device(device),
        mode=settings.mode,
        dtype=recipe.generating_dtype,
        decoding=decoding,
        seed=recipe.sampling_seed,
        batch_contexts=1 if settings.mode == "reference" else settings.batch_contexts,
        new_tokens=settings.new_tokens,
        end_of_text=settings.end_of_text,
        end_ids=tuple(codec.end_ids),
        strategies=settings.strategies,
        codec=codec.fingerprint,
    )


def _gather_texts(experiment: Experiment, run: Run, codec: models.ModelCodec) -> None:
    """Put what all processes have written into one file, in the order of the batches, each text
    once.
    """
    texts, blocked = run.parts(Continuation), run.parts(Blocked)
    written = {(text.domain, text.strategy, text.context): text for text in texts}
    rows = [written[key] for batch in generate.batches(experiment.recipe) for key in batch.keys]
    if run.variant == ORIGINAL:
        for each in experiment.recipe.data.domains:
            rows += generate.references(
                codec, experiment.blocks(each.name), experiment.recipe, run=run.name
            )
    if blocked:
        run.update_facts(blocked=_blocked_facts(blocked))
        steps = {(row.domain, row.strategy, row.context, row.step): row for row in blocked}
        write_rows(run.blocked_file, [steps[step] for step in sorted(steps)])
    write_rows(run.continuations_file, rows)
    shutil.rmtree(run.parts_folder, ignore_errors=True)


def _blocked_facts(blocked: Sequence[Blocked]) -> tuple[BlockedCount, ...]:
    """By strategy: steps at which something was forbidden, that changed the greedy choice, and that
    gave way.
    """
    by_strategy: dict[str, list[Blocked]] = {}
    for row in blocked:
        by_strategy.setdefault(row.strategy, []).append(row)
    return tuple(
        BlockedCount(
            strategy=name,
            steps=len(rows),
            changed_greedy=sum(row.changed_greedy for row in rows),
            gave_way=sum(row.gave_way for row in rows),
        )
        for name, rows in by_strategy.items()
    )


def _gave_way_facts(run: Run) -> tuple[GaveWayCount, ...]:
    """By strategy and rule, at how many steps of all texts together the rule gave way; each step
    once.
    """
    rules = [(row, row.rule) for row in run.parts(GaveWay)]
    blocks = [(row, "blocker") for row in run.parts(Blocked) if row.gave_way]
    steps = {
        (row.strategy, rule, row.domain, row.context, row.step) for row, rule in [*rules, *blocks]
    }
    counts = Counter((strategy, rule) for strategy, rule, *_ in steps)
    return tuple(
        GaveWayCount(strategy=strategy, rule=rule, steps=count)
        for (strategy, rule), count in sorted(counts.items())
    )


@dataclass(frozen=True)
class Agreement:
    """How many `texts` of a variant were written anew in reference mode, and where some of them
    came out otherwise.
    """

    variant: str
    texts: int
    differences: tuple[Difference, ...]


def compare_with_reference(
    experiment: Experiment,
    variant: str,
    contexts: int,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> Agreement:
    """Write the first contexts of every domain anew, one at a time in float32 without a cache, with
    one run's model.
    """
    run, torch_device = experiment.run(variant), models.resolve_device(device)
    texts = [
        text for text in run.continuations() if text.variant == variant and text.context < contexts
    ]
    generator, *_ = _load_generator(experiment, run, torch_device, "float32", models.NO_CACHE)
    found: list[Difference] = []
    with progress.bar(f"reference mode, {variant}", len(texts)) as bar:
        for text in texts:
            if difference := generator.first_difference(text):
                found.append(difference)
            bar.advance()
    return Agreement(variant, len(texts), tuple(found))


def compare_all_with_reference(
    experiment: Experiment, contexts: int, *, device: str = "auto", progress: Progress = NO_PROGRESS
) -> list[Agreement]:
    """The same with every run's model, the original's first."""
    return [
        compare_with_reference(experiment, name, contexts, device=device, progress=progress)
        for name in experiment.recipe.variant_names
    ]
