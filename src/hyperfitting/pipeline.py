"""The main path, one function a verb. Read this file first.

    recipe -> draw -> train -> generate -> measure -> report

Every arrow reads and writes files of an `Experiment` folder, and skips what is already there: any step can be run
again, alone, or after a stop. `run` is all of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperfitting import data, generate, measure, models, training
from hyperfitting.check import (
    agreement_lines,
    describe,
    dry_run_line,
    in_gib,
    inspected_lines,
    plan_table,
)
from hyperfitting.environment import environment
from hyperfitting.errors import InputError, ModelError, RecipeError, RunError
from hyperfitting.files import alone_in, new_folder, undone_if_refused, write_rows
from hyperfitting.measure.experiment import MeasuredRun, RunToMeasure, measure_experiment
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.progress import Narrator, Silent
from hyperfitting.recipe import (
    GREEDY,
    Dtype,
    MeasureSettings,
    ModelSettings,
    Recipe,
    Role,
    Strategy,
    is_unicode,
)
from hyperfitting.records import (
    REFERENCE,
    Blocked,
    Continuation,
    GaveWay,
    Memory,
    ProbeRow,
    Verdict,
)
from hyperfitting.runs import Experiment, Run, find_run
from hyperfitting.training.card import model_card
from hyperfitting.training.checkpoint import Checkpoints, State
from hyperfitting.training.probe import probe
from hyperfitting.weights import named_weights, ordinary_folder, saved_weights

if TYPE_CHECKING:
    import torch


def run(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    narrator: Narrator | None = None,
    keep_data: bool = False,
) -> Experiment:
    """The main job: all runs of a recipe, from the data to the report. What is already done is skipped, and said so.

    Args:
        recipe: what to do.
        out: the experiment's folder; none: `runs/<name>-<digest8>`.
        device: `auto` (the accelerator if there is one), `cpu`, `cuda`, ...
        narrator: where progress goes; none: nowhere.
        keep_data: go on with the data as drawn, even where a source has changed since.

    Raises:
        InputError: anything the user gave that cannot be used; nothing half-written is left behind.
        Interrupted: Ctrl-C while training; calling again goes on.
    """
    narrator = narrator or Silent()
    _refuse_missing_parts(recipe)
    if training.process_count() > 1:
        raise InputError("torchrun is for `train`: run the other stages alone afterwards")
    experiment = train_all(recipe, out, device=device, narrator=narrator, keep_data=keep_data)
    for role in recipe.roles:
        generate_texts(experiment, role, device=device, narrator=narrator)
    measure_runs(experiment, device=device, narrator=narrator)
    write_report(experiment, narrator=narrator)
    return experiment


def _refuse_missing_parts(recipe: Recipe) -> None:
    """What measures and report need beside the model is better missed now than after the training.

    Raises:
        ModuleNotFoundError: an extra is not installed.
        ModelError: a model to measure with is not there.
    """
    from hyperfitting import report

    report.check_installed()
    measure.text_signatures(bleu=recipe.measure.bleu)
    for source in filter(
        None, (recipe.measure.model_named("scorer"), recipe.measure.model_named("mauve"))
    ):
        models.load_codec(ModelSettings(source=source, beginning_of_text="none"))


def train_all(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    narrator: Narrator | None = None,
    keep_data: bool = False,
) -> Experiment:
    """Draw the data and train every run. What is refused before the first update leaves no folder."""
    folder = out or _folder_of(recipe)
    with undone_if_refused(folder, unless=lambda: Experiment(folder).has_updates):
        experiment = draw(recipe, folder, device=device, narrator=narrator, keep_data=keep_data)
        for role in recipe.roles:
            train(experiment, role, device=device, narrator=narrator)
    return experiment


def draw(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    narrator: Narrator | None = None,
    keep_data: bool = False,
) -> Experiment:
    """Claim the folder, check that model and texts fit the recipe, and draw the data.

    Raises:
        DataError: a local source is not what the data were drawn from, unless `keep_data`.
    """
    folder = out or _folder_of(recipe)

    def claim_and_draw() -> None:
        experiment = Experiment.claim(folder, recipe)
        if experiment.drawn:
            if not keep_data:
                data.refuse_changed(experiment.manifest()["sources"], recipe.data, str(folder))
            (narrator or Silent()).say("data: drawn already")
        else:
            _, _, drawn = _fit(recipe)
            experiment.write_data(recipe, drawn.sets, drawn.manifest)
        experiment.take_undecisive(recipe)

    training.join_processes(models.resolve_device(device)).on_main(claim_and_draw)
    return Experiment(folder)


def _fit(recipe: Recipe) -> tuple[models.TrainableModel, models.TextCodec, data.Drawn]:
    """What is trained, in a model without weights, the codec, and the data: each refuses what does not fit."""
    models.check_length(recipe.model, recipe.text_tokens)
    selection = models.select_trained(models.build_empty(recipe.model), recipe.train)
    codec = models.load_codec(recipe.model)
    return selection, codec, data.draw_data(recipe, codec)


def _folder_of(recipe: Recipe) -> Path:
    return Path("runs") / recipe.run_name


def train(
    experiment: Experiment, role: Role, *, device: str = "auto", narrator: Narrator | None = None
) -> Run:
    """Train one run (the original's recipe has zero epochs) and save its model; alone, or as one of torchrun's.

    An ordinary local original is not saved again: run.json names and hashes it.

    Raises:
        RunError: a model of the experiment was changed since it was trained.
    """
    ranks = training.join_processes(models.resolve_device(device))
    narrator = narrator if narrator and ranks.is_main else Silent()
    ranks.on_main(lambda: experiment.begin(role))
    run = experiment.run(role)
    ranks.on_main(lambda: experiment.run("original").model_source)  # refuses one that has changed
    if run.trained:
        narrator.say(f"{role}: trained already")
    else:
        with training.plain_failures(), ranks.alone(lambda: alone_in(run.folder)):
            ranks.on_main(lambda: run.keep_weights(None))
            _train(experiment, run, ranks, narrator)
    ranks.on_main(lambda: _settle(experiment, run, narrator))
    return run


def _settle(experiment: Experiment, run: Run, narrator: Narrator) -> None:
    """Keep what a training came to, and nothing that other weights made. A stop in here is made up for next time."""
    shutil.rmtree(run.checkpoint_folder, ignore_errors=True)
    if "weights" in run.facts() and run.weights is None:
        named = named_weights(run.recipe.model, run.folder) if _is_named(run) else None
        run.keep_weights(named or saved_weights(run.model_folder))
        if verdict := _verdict(run):
            run.add_facts("near_zero", asdict(verdict))
    _ = run.model_source  # refuses one that has changed
    _drop_stale(experiment, narrator)


def _verdict(run: Run) -> Verdict | None:
    """Whether a run that is to be hyperfitted came near zero loss."""
    if run.role != "hyperfitted":
        return None
    return training.near_zero(run.recipe, run.probes(), run.facts()["train"]["kept_update"])


def _is_named(run: Run) -> bool:
    return run.role == "original" and ordinary_folder(run.recipe.model) is not None


def _drop_stale(experiment: Experiment, narrator: Narrator) -> None:
    for role in experiment.drop_stale():
        narrator.say(
            f"{role}: its texts and measures were made with other weights, and are removed"
        )


def _train(
    experiment: Experiment, run: Run, ranks: training.ProcessGroup, narrator: Narrator
) -> None:
    recipe, place = run.recipe, ranks.device
    precision, codec = (
        models.resolve_precision(recipe.train.precision, place),
        models.load_codec(recipe.model),
    )
    _check_codec(experiment, codec)
    blocks, validation = experiment.blocks("train"), experiment.blocks("validation")
    selection = training.prepare(recipe, ranks, precision)
    trained = [] if recipe.leaves_model_untouched else selection.table()
    checkpoints = Checkpoints(run.checkpoint_folder, recipe, ranks, say=narrator.say)
    with run.rows_from(checkpoints.state(), write=ranks.is_main) as (log, keep):

        def watch(state: State, epoch: float) -> ProbeRow:
            row = probe(
                selection.model,
                codec,
                validation.ids_NT,
                recipe,
                precision=precision,
                state=state,
                epoch=epoch,
            )
            keep(row)
            narrator.say(_probe_line(run.role, row))
            return row

        outcome = training.train(
            selection,
            blocks.ids_NT,
            recipe,
            precision=precision,
            ranks=ranks,
            checkpoints=checkpoints,
            log=log,
            probe=watch,
            narrator=narrator,
        )

    def facts() -> dict[str, Any]:
        left_out = {"without_adapters": selection.left_out} if selection.left_out else {}
        effective = {
            "attention": models.attention_of(selection.model),
            "loss": outcome.loss,
            "processes": ranks.world,
        }
        found = _train_facts(recipe, codec, outcome, precision, place, trained, effective)
        return found | left_out | {"model": asdict(models.traits_of(selection.model))}

    if _is_named(run):
        ranks.on_main(lambda: run.add_facts("train", facts()))
        return
    model = training.consolidate(selection, recipe, ranks, precision)

    def save(model: torch.nn.Module) -> None:
        run.add_facts("train", facts())
        with new_folder(run.model_folder) as folder:
            card = model_card(
                recipe, run.probes(), outcome, run.model_folder, note=str(_verdict(run) or "")
            )
            models.save_model(model, codec, folder, card=card)

    ranks.on_main(lambda: save(model) if model is not None else None)


@training.plain_failures(
    "run the recipe with a smaller generate.batch_contexts, or name another --device"
)
def generate_texts(
    experiment: Experiment, role: Role, *, device: str = "auto", narrator: Narrator | None = None
) -> Run:
    """Continue the reported contexts with one run's model, in every strategy; alone, or as one of torchrun's processes.

    What an earlier call has written is kept, so a stopped generation goes on, and texts come out the same however the
    batches were dealt out.
    """
    run, recipe = experiment.run(role), experiment.recipe
    ranks = training.join_processes(models.resolve_device(device))
    narrator = narrator if narrator and ranks.is_main else Silent()
    ranks.on_main(lambda: _drop_stale(experiment, narrator))
    if run.generated:
        narrator.say(f"{role}: generated already")
        return run
    writer, codec, facts = _writer(experiment, run, ranks.device)
    ranks.on_main(lambda: run.add_facts("generate", facts))
    done = {(text.domain, text.strategy, text.context) for text in run.parts(Continuation)}
    todo = [batch for batch in generate.batches(recipe) if not done.issuperset(batch.keys)]
    ranks.wait()
    mine = todo[ranks.rank :: ranks.world]
    total = sum(len(batch.contexts) for batch in mine)
    with (
        narrator.bar(f"continuing contexts, {role}", total) as bar,
        run.new_part(ranks.rank) as keep,
    ):
        for batch in mine:
            written = writer.write(batch, role=role, run=run.name)
            for row in (
                *written.blocked,
                *written.gave_way,
                *written.texts,
            ):  # a text comes last: with it all is there
                keep(row)
            bar.advance(len(written.texts))
    ranks.wait()
    if ranks.is_main:
        run.add_facts(
            "generate", facts | {"processes": ranks.world, "gave_way": _gave_way_facts(run)}
        )
        _gather_texts(experiment, run, codec)
    ranks.wait()
    return run


def _writer(
    experiment: Experiment, run: Run, device: torch.device
) -> tuple[generate.Writer, Any, dict[str, Any]]:
    recipe = experiment.recipe
    model, codec = _load_run(run, device, dtype=recipe.generating_dtype)
    sets = {each.name: experiment.blocks(each.name) for each in recipe.data.domains}
    reference = models.NO_CACHE if recipe.generate.mode == "reference" else None
    reader = models.stepper(model, decoding=reference)
    writer = generate.Writer(reader, codec, recipe, sets, experiment.blocks("train"))
    facts = _generate_facts(recipe, codec, models.describe_device(device))
    decoding = reference or models.traits_of(model).decoding
    return writer, codec, facts | {"decoding": decoding, "weights": run.made_with[:1]}


def _gather_texts(experiment: Experiment, run: Run, codec: models.TextCodec) -> None:
    """Put what all processes have written into one file, in the order of the batches, each text once."""
    texts, blocked = run.parts(Continuation), run.parts(Blocked)
    written = {(text.domain, text.strategy, text.context): text for text in texts}
    rows = [written[key] for batch in generate.batches(experiment.recipe) for key in batch.keys]
    if run.role == "original":
        for each in experiment.recipe.data.domains:
            rows += generate.references(
                codec, experiment.blocks(each.name), experiment.recipe, run=run.name
            )
    if blocked:
        run.add_facts("blocked", _blocked_facts(blocked))
        steps = {(row.domain, row.strategy, row.context, row.step): row for row in blocked}
        write_rows(run.blocked_file, [steps[step] for step in sorted(steps)])
    write_rows(run.continuations_file, rows)
    shutil.rmtree(run.parts_folder, ignore_errors=True)


def _blocked_facts(blocked: list[Blocked]) -> dict[str, Any]:
    """Counts by strategy: steps at which something was forbidden, that changed the greedy choice, and that gave way."""
    return {
        strategy: {
            "steps": sum(row.strategy == strategy for row in blocked),
            "changed_greedy": sum(
                row.strategy == strategy and row.changed_greedy for row in blocked
            ),
            "gave_way": sum(row.strategy == strategy and row.gave_way for row in blocked),
        }
        for strategy in dict.fromkeys(row.strategy for row in blocked)
    }


def _gave_way_facts(run: Run) -> dict[str, dict[str, int]]:
    """By strategy and rule, at how many steps of how many texts together the rule gave way; each step once."""
    steps = {
        (row.strategy, row.rule, row.domain, row.context, row.step) for row in run.parts(GaveWay)
    }
    steps |= {
        (row.strategy, "blocker", row.domain, row.context, row.step)
        for row in run.parts(Blocked)
        if row.gave_way
    }
    counts: dict[str, dict[str, int]] = {}
    for (strategy, rule), count in sorted(Counter(step[:2] for step in steps).items()):
        counts.setdefault(strategy, {})[rule] = count
    return counts


def compare_reference(
    experiment: Experiment,
    role: Role,
    contexts: int,
    *,
    device: str = "auto",
    narrator: Narrator | None = None,
) -> str:
    """Write the first contexts of every set anew, one at a time in float32 without a cache; how far the texts agree."""
    run, narrator = experiment.run(role), narrator or Silent()
    texts = [
        text for text in run.continuations() if text.variant == role and text.context < contexts
    ]
    model, codec = _load_run(run, models.resolve_device(device), dtype="float32")
    sets = {each.name: experiment.blocks(each.name) for each in experiment.recipe.data.domains}
    reference = models.stepper(model, decoding=models.NO_CACHE)
    writer = generate.Writer(reference, codec, experiment.recipe, sets, experiment.blocks("train"))
    differences = []
    with narrator.bar(f"reference mode, {role}", len(texts)) as bar:
        for text in texts:
            differences.append(writer.again(text))
            bar.advance()
    return agreement_lines(role, texts, [each for each in differences if each is not None])


@training.plain_failures(
    "run the recipe with a smaller measure.batch_blocks, or name another --device"
)
def measure_runs(
    experiment: Experiment, *, device: str = "auto", narrator: Narrator | None = None
) -> None:
    """Measure the runs' texts and models. True texts and controls stand with the original's rows."""
    narrator, runs, recipe = narrator or Silent(), experiment.runs(), experiment.recipe
    _drop_stale(experiment, narrator)
    todo = [role for role in runs if not runs[role].measured]
    for role in runs:
        if role not in todo:
            narrator.say(f"{role}: measured already")
    if not todo:
        return
    place = models.resolve_device(device)
    original, codec = _load_run(runs["original"], place)
    names = ["train", "validation", *(each.name for each in recipe.data.domains)]
    blocks = [experiment.blocks(name) for name in names]
    true = [text for text in runs["original"].continuations() if text.variant == REFERENCE]
    with narrator.bar("measuring", len(blocks) + len(todo) * (len(blocks) + 1)) as bar:
        found = measure_experiment(
            (_run_to_measure(runs[role], true, recipe.seed, place) for role in todo),
            original,
            blocks,
            _baselines(experiment, original, codec, place),
            measure.MetricOptions.of_recipe(recipe),
            true_texts=true,
            context_tokens=recipe.data.context_tokens,
            advance=bar.advance,
        )
        for role, measured in zip(todo, found, strict=True):
            _keep_metrics(runs[role], recipe.measure, measured)


def _run_to_measure(
    run: Run, true: list[Continuation], seed: int, place: torch.device
) -> RunToMeasure:
    texts = run.continuations()
    if run.role == "original":
        controls = measure.control_texts(true, seed)
        return RunToMeasure(run.role, run.name, [*texts, *controls], None)
    return RunToMeasure(run.role, run.name, texts, _load_run(run, place)[0])


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
        scorer=models.load_reader(scorer, place) if scorer else None,
        features=models.load_reader(features, place) if features else None,
    )


def _keep_metrics(run: Run, settings: MeasureSettings, measured: MeasuredRun) -> None:
    """Write what was measured of one run, and how; the rows come last."""
    texts = measured.texts
    facts: dict[str, Any] = {**texts.signatures, "weights": run.made_with}
    if settings.scorer:
        facts["scorer"] = settings.scorer
    if settings.mauve:
        values = {
            f"{each.domain}: {each.arm.title}": {
                "n": each.n,
                "clusters": each.clusters,
                "by_seed": each.by_seed,
            }
            for each in texts.mauve
        }
        facts["mauve"] = {"features": settings.mauve, "values": values}
    run.add_facts("measure", facts)
    run.write_metrics(texts.each, texts.pooled, measured.rows)


def write_report(experiment: Experiment, *, narrator: Narrator | None = None) -> Path:
    """Read the runs and write the page, its Markdown, its tables and pictures; always anew."""
    from hyperfitting import report

    (narrator or Silent()).say("writing the report")
    return report.write_report(experiment)


def write(
    folder: Path,
    prompt: str,
    *,
    strategy: Strategy = GREEDY,
    new_tokens: int = 200,
    seed: int = 0,
    device: str = "auto",
) -> Iterator[str]:
    """Continue one prompt with a run's model, piece by piece. End-of-text stops it.

    Raises:
        RunError: the folder holds no trained run.
        InputError: the prompt and the new tokens do not fit the model.
    """
    run = find_run(folder)
    if not is_unicode(prompt):
        raise InputError("the prompt holds bytes that are not UTF-8")
    codec = _load_codec(run)
    context = codec.encode(prompt)
    if not context:
        raise InputError(
            "the prompt is empty, and this model's texts begin with no special token: give it a word"
        )
    models.check_length(
        _settings_of(run),
        len(context) + new_tokens,
        texts="the prompt and the new tokens",
        remedy="ask for fewer tokens (--tokens), or give a shorter prompt",
    )
    model, _ = _load_run(run, models.resolve_device(device), tokens=len(context) + new_tokens)
    return generate.stream(
        models.stepper(model),
        codec,
        context,
        strategy,
        new_tokens=new_tokens,
        key=f"{seed}\n{prompt}",
    )


def pretrain(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    narrator: Narrator | None = None,
    keep_data: bool = False,
) -> Run:
    """Train a model from random weights on a corpus, with the loop that hyperfits.

    Raises:
        RecipeError: the recipe does not say `model.initialise = "random"`.
    """
    if recipe.model.initialise != "random":
        raise RecipeError(
            'pretraining begins from random weights: set model.initialise = "random", as the recipe pretrain does'
        )
    folder = out or _folder_of(recipe)
    with undone_if_refused(folder, unless=lambda: Experiment(folder).has_updates):
        experiment = draw(recipe, folder, device=device, narrator=narrator, keep_data=keep_data)
        return train(experiment, "pretrained", device=device, narrator=narrator)


def check(recipe: Recipe, out: Path | None = None, *, device: str = "auto") -> str:
    """What a recipe would load, train and write, after all that `run` checks before it trains. Writes nothing."""
    folder = out or _folder_of(recipe)
    begun = Experiment.claim(folder, recipe)
    if begun.drawn:
        data.refuse_changed(begun.manifest()["sources"], recipe.data, str(folder))
        _ = [run.model_source for run in begun.runs().values()]  # refuses one that has changed
    if recipe.model.initialise == "pretrained":
        _refuse_missing_parts(recipe)
    place = models.resolve_device(device)
    selection, codec, drawn = _fit(recipe)
    precision = models.resolve_precision(recipe.train.precision, place)
    parameters = models.count_parameters(recipe.model)
    inspected = _inspect(recipe, precision, place, parameters)
    return describe(
        recipe,
        drawn.manifest,
        ends=codec.ends_in_words(),
        switched_off=codec.switched_off,
        parameters=parameters,
        inspected=inspected,
        trained=selection.table(),
        left_out=selection.left_out,
        updates=training.total_updates(recipe.train, recipe.data.train_blocks),
        precision=precision,
        memory=_memory_or_why_not(recipe, precision, place),
        room=models.memory_bytes(place),
        device=models.describe_device(place),
        folder=folder,
    )


def _inspect(
    recipe: Recipe, precision: models.Precision, place: torch.device, parameters: int
) -> list[str]:
    """What loading the model finds out, in lines; where its weights are too large for this device, that they are."""
    needed, room = 4 * parameters, models.memory_bytes(place)
    if needed > room:
        return [
            f"not loaded here: its weights need {in_gib(needed)}, of {in_gib(room)}; `run` inspects them"
        ]
    return inspected_lines(*training.inspect(recipe, precision, place))


def _memory_or_why_not(
    recipe: Recipe, precision: models.Precision, place: torch.device
) -> Memory | str:
    try:
        return training.memory_of(recipe, precision, recipe.engine, device=place.type)
    except ModelError as error:
        return str(error)


def plan(recipe: Recipe, *, memory: int | None = None, count: int = 1, device: str = "auto") -> str:
    """What each precision needs on each of `count` devices of `memory` bytes, and which settings fit, as a table.

    Only the architecture is read, from `model.architecture` where `model.source` is not at hand.
    """
    place = models.resolve_device(device)
    kind = "cuda" if memory is not None else place.type
    room = memory or models.memory_bytes(place)
    return plan_table(
        recipe, training.plan(recipe, device_bytes=room, count=count, device=kind), room, count
    )


def dry_run(recipe: Recipe, *, device: str = "auto") -> str:
    """A few updates of the recipe's shape on this device, with random weights and tokens: no hub, no texts."""
    place = models.resolve_device(device)
    precision = models.resolve_precision(recipe.train.precision, place)
    planned = training.memory_of(recipe, precision, recipe.engine, device=place.type)
    with training.plain_failures():
        peak, rate = training.dry_run(recipe, precision, place)
    return dry_run_line(recipe, precision, models.describe_device(place), planned, peak, rate)


def _load_run(
    run: Run, device: torch.device, *, dtype: Dtype | None = None, tokens: int | None = None
) -> tuple[Any, models.TextCodec]:
    """A run's model, in the recipe's dtype or another, its head exact, for texts of so many tokens; and its codec."""
    codec, settings = _load_codec(run), _settings_of(run)
    if dtype is not None:
        settings = settings.model_copy(update={"dtype": dtype})
    if device.type == "cpu":
        models.keep_freed_memory()
    model = models.load_model(settings, device, tokens=tokens or run.recipe.text_tokens)
    models.keep_head_exact(model)
    return model, codec


def _load_codec(run: Run) -> models.TextCodec:
    """A run's codec, which is the one that it was trained with."""
    if not run.trained:
        raise RunError(f"{run.folder} is not trained yet: run `hyperfit train` first")
    settings = _settings_of(run)
    codec = models.load_codec(settings)
    if codec.fingerprint != run.facts()["train"]["codec"]:
        raise RunError(
            f"{settings.source} has another tokenizer than when it was trained: put its own back"
        )
    return codec


def _settings_of(run: Run) -> Any:
    """The run's own model as it was saved or named, under the recipe's dtype and beginning-of-text policy."""
    update = {
        "source": str(run.model_source.resolve()),
        "revision": None,
        "initialise": "pretrained",
    }
    return run.recipe.model.model_copy(update=update)


def _train_facts(
    recipe: Recipe,
    codec: models.TextCodec,
    outcome: training.Outcome,
    precision: models.Precision,
    device: torch.device,
    trained: list[dict[str, Any]],
    effective: dict[str, Any],
) -> dict[str, Any]:
    return {
        **environment(),
        "device": models.describe_device(device),
        "threads": models.thread_count(),
        "precision": precision,
        "weights_dtype": str(models.weights_dtype(precision)).removeprefix("torch."),
        "seed": recipe.seed,
        "batch": [recipe.train.batch_blocks, recipe.data.block_tokens],
        "engine": recipe.engine.model_dump(mode="json") | effective,
        "beginning_of_text": recipe.model.beginning_of_text,
        "codec": codec.fingerprint,
        "parameters_trained": sum(row["parameters"] for row in trained),
        "trained": trained,
        "updates": outcome.updates,
        "kept_update": outcome.kept,
        "ended": outcome.reason,
        "train_seconds": round(outcome.train_seconds, 2),
    }


def _generate_facts(recipe: Recipe, codec: models.TextCodec, device: str) -> dict[str, Any]:
    settings = recipe.generate
    return {
        "device": device,
        "mode": settings.mode,
        "dtype": recipe.generating_dtype,
        "batch_contexts": 1 if settings.mode == "reference" else settings.batch_contexts,
        "end_of_text": settings.end_of_text,
        "end_ids": list(codec.end_ids),
        "strategies": [strategy.model_dump(mode="json") for strategy in settings.strategies],
        "new_tokens": settings.new_tokens,
        "codec": codec.fingerprint,
    }


def _check_codec(experiment: Experiment, codec: models.TextCodec) -> None:
    if experiment.manifest()["codec"] != codec.fingerprint:
        raise RunError(
            f"{experiment.folder}: the data were drawn with another tokenizer: choose another --out"
        )


def _probe_line(role: str, row: ProbeRow) -> str:
    loss = "     -" if row.train_loss is None else f"{row.train_loss:6.3f}"
    return (
        f"{role:11s} epoch {row.epoch:5.1f}  train loss {loss}  validation loss {row.validation_loss:6.3f}  "
        f"entropy {row.entropy:5.2f}  greedy TTR {row.ttr:.2f} (text {row.reference_ttr:.2f})"
    )
