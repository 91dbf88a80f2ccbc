"""Answer benchmarks with every run's model: RUN/evaluation/, a sheet for each of them and form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch

from hyperfitting import models
from hyperfitting.data.contamination import LeakIndex
from hyperfitting.downstream.answering import answer_sheet
from hyperfitting.downstream.asked import AskedTask
from hyperfitting.downstream.harness import HarnessModel
from hyperfitting.downstream.overlap_check import Contamination, find_contaminated, training_index
from hyperfitting.downstream.parser import PARSER_VERSION
from hyperfitting.downstream.tables import EvaluationRow, evaluation_rows, experiment_rows
from hyperfitting.environment import Environment
from hyperfitting.errors import DataError, RunError
from hyperfitting.files import exclusive_lock, text_sha256
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import (
    ORIGINAL,
    BenchmarkSettings,
    Dtype,
    EvaluateSettings,
    Form,
    ModelSettings,
)
from hyperfitting.runs import EvaluationFolder, Experiment, Run
from hyperfitting.runs.answers import SheetFacts, SheetIdentity
from hyperfitting.stages.evaluate_plan import plan_tasks, refuse_unanswerable
from hyperfitting.stages.train import drop_stale
from hyperfitting.training import translate_torch_errors
from hyperfitting.weights import Weights, hash_model, ordinary_folder
from hyperfitting.writing import load_run, load_run_codec, run_positions

_REMEDY = "ask with a smaller evaluate.batch_items (--batch), or name another --device"


@dataclass(frozen=True)
class _Answering:
    """One model that is to answer: where its sheets go, its tokenizer, and how it is loaded."""

    name: str
    folder: EvaluationFolder
    codec: models.TextCodec
    source: str
    weights: str | None
    dtype: Dtype
    load: Callable[[], Any]


@translate_torch_errors(_REMEDY)
def evaluate_experiment(
    experiment: Experiment,
    settings: EvaluateSettings | None = None,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> list[EvaluationRow]:
    """Answer the benchmarks with all variants of a trained experiment; the rows of the table.

    What is answered already is kept. `settings` replace those of the recipe.

    Raises:
        DataError: a benchmark, a file or a row cannot be used; nothing is answered then.
        RunError: a run is not trained, or its answers were given under other settings.
    """
    experiment.refuse_archive()
    chosen = settings or experiment.recipe.evaluate
    tasks = plan_tasks(chosen, progress=progress)
    drop_stale(experiment, progress)
    runs, torch_device = experiment.runs(), models.resolve_device(device)
    all_answering = [_answering_of(run, chosen, torch_device) for run in runs.values()]
    codec = all_answering[0].codec
    refuse_unanswerable([task for _, task in tasks], codec, run_positions(runs[ORIGINAL]))
    blocks = experiment.blocks("train").ids_NT.tolist()
    leaks = _leaks(tasks, training_index(codec.decode(ids) for ids in blocks))
    with models.threads(experiment.recipe.engine.threads):
        for answering in all_answering:
            _answer(answering, tasks, chosen, torch_device, leaks, progress)
    return experiment_rows(experiment)


def _leaks(
    tasks: Sequence[tuple[BenchmarkSettings, AskedTask]], index: LeakIndex
) -> dict[str, Contamination]:
    """The items of our benchmarks that stand in the training blocks, by the hash of the sample: the
    same for all models, and for all forms that ask the same items.
    """
    asked = {task.sample_sha256: task.questions for _, task in tasks if task.questions}
    return {sample: find_contaminated(questions, index) for sample, questions in asked.items()}


def _text_codec(run: Run) -> models.TextCodec:
    codec = load_run_codec(run)
    if isinstance(codec, models.ImageCodec):
        raise RunError(f"{run.folder}: it continues images, and benchmarks ask language models")
    return codec


def _answering_of(run: Run, settings: EvaluateSettings, device: torch.device) -> _Answering:
    model = run.recipe.model
    dtype, exact = settings.dtype or model.dtype, settings.dtype is None
    return _Answering(
        name=run.variant,
        folder=run.evaluation,
        codec=_text_codec(run),
        source=model.source,
        weights=run.made_with[0],
        dtype=dtype,
        load=lambda: load_run(run, device, dtype=dtype, exact_head=exact)[0],
    )


@translate_torch_errors(_REMEDY)
def evaluate_model(
    source: str,
    out: Path,
    settings: EvaluateSettings,
    *,
    beginning_of_text: Literal["add", "none"] | None = None,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> list[EvaluationRow]:
    """Answer the benchmarks with one model, named as in `model.source`; the rows of the table.

    Prompts begin with beginning-of-text as `beginning_of_text` says; None: if the tokenizer puts it
    there by itself, as in the models of lm-evaluation-harness. The sheets go to the folder `out`.

    Raises:
        DataError: a benchmark, a file or a row cannot be used; nothing is answered then.
        ModelError: the model cannot be loaded, or has no chat template that is asked for.
        RunError: `out` holds something else, or answers that were given under other settings.
    """
    folder = EvaluationFolder(out)
    folder.refuse_other_files()
    tasks, torch_device = plan_tasks(settings, progress=progress), models.resolve_device(device)
    dtype = settings.dtype or "float32"
    plain = ModelSettings(source=source, dtype=dtype, beginning_of_text="none")
    codec = models.load_text_codec(plain)
    policy = beginning_of_text or _own_policy(codec)
    if policy == "add":
        codec = models.load_text_codec(plain.model_copy(update={"beginning_of_text": "add"}))
    positions = models.positions_of(models.load_config(plain))
    refuse_unanswerable([task for _, task in tasks], codec, positions)
    answering = _Answering(
        name="model",
        folder=folder,
        codec=codec,
        source=source,
        weights=_digest(plain),
        dtype=dtype,
        load=partial(models.load_model, plain, torch_device),
    )
    _answer(answering, tasks, settings, torch_device, {}, progress)
    return evaluation_rows({"model": folder})


def answers_folder(source: str) -> Path:
    """Where the answers of a model go unless told otherwise: `runs/evaluate-<its name>`."""
    name = re.sub(r"[^\w.-]+", "-", source.rstrip("/").rpartition("/")[2])
    return Path("runs") / f"evaluate-{name}"


def chosen_settings(
    base: EvaluateSettings,
    *,
    tasks: Sequence[str] | None = None,
    forms: Sequence[Form] | None = None,
    limit: int | Literal["all"] | None = None,
    examples: int | None = None,
    data: str | None = None,
    **others: Any,
) -> EvaluateSettings:
    """Settings with some replaced; None keeps what stands in `base`.

    Args:
        base: those of a recipe, or the defaults.
        tasks: names of benchmarks in the place of all others; one that `base` has too keeps its
            limit, forms and examples.
        forms: of every benchmark.
        limit: of every benchmark; `all`: every item.
        examples: of every benchmark.
        data: folder of the files, counted from the working folder.
        others: further settings by name.

    Raises:
        DataError: the name of a benchmark is empty.
    """
    if tasks is not None and not all(tasks):
        raise DataError("the name of a benchmark is empty: name one, such as mmlu")
    held = {each.name: each for each in base.tasks}
    named = [*held] if tasks is None else [*dict.fromkeys(tasks)]
    own = {"forms": forms and tuple(dict.fromkeys(forms)), "limit": limit, "examples": examples}
    changes: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if limit == "all":
        changes["limit"] = None
    asked = [held.get(name) or BenchmarkSettings(name=name) for name in named]
    update = {name: value for name, value in others.items() if value is not None}
    update["tasks"] = tuple(each.model_copy(update=changes) for each in asked)
    made = base.model_copy(update=update | ({} if data is None else {"data": data}))
    if data is not None:
        made.count_from(lambda setting: Path.cwd())
    return made


def _answer(
    answering: _Answering,
    tasks: list[tuple[BenchmarkSettings, AskedTask]],
    settings: EvaluateSettings,
    device: torch.device,
    leaks: Mapping[str, Contamination],
    progress: Progress,
) -> None:
    """Answer the tasks with one model, which is loaded at the first that is not done."""
    model: HarnessModel | None = None
    for asked, task in tasks:
        facts = _facts(answering, asked, task, settings, device, leaks.get(task.sample_sha256))
        sheet = answering.folder.sheet(facts.identity.name)
        sheet.begin(facts)
        if sheet.done:
            sheet.items()  # refuses a file that was cut off
            progress.log(f"{answering.name}: {sheet.name} answered already")
            continue
        with exclusive_lock(answering.folder.folder, sheet.name):
            model = model or _harness_model(answering, settings)
            answer_sheet(
                task,
                model,
                sheet,
                facts,
                batch_items=settings.batch_items,
                label=f"{answering.name}, {sheet.name}",
                progress=progress,
            )


def _harness_model(answering: _Answering, settings: EvaluateSettings) -> HarnessModel:
    models.return_freed_memory()
    model = answering.load()
    return HarnessModel(
        model,
        answering.codec,
        positions=models.positions_of(model.config),
        batch_items=settings.batch_items,
    )


def _facts(
    answering: _Answering,
    asked: BenchmarkSettings,
    task: AskedTask,
    settings: EvaluateSettings,
    device: torch.device,
    leaked: Contamination | None,
) -> SheetFacts:
    """What is in effect for one sheet."""
    codec, generated = answering.codec, task.form == "generated"
    template = None
    if task.chat:
        models.fill_template(codec.tokenizer, [("user", "a")], begin_answer=True)  # it has one
        template = text_sha256(str(codec.tokenizer.chat_template))
    identity = SheetIdentity(
        task=task.name,
        form=task.form,
        task_sha256=task.definition_sha256,
        files=task.files,
        sample=task.sample_sha256,
        items=len(task),
        limit=asked.limit,
        seed=settings.seed,
        examples=asked.examples,
        weights=answering.weights,
        codec=codec.fingerprint,
        beginning_of_text="add" if codec.start_ids else "none",
        dtype=answering.dtype,
        device=device.type,
        batch_items=settings.batch_items,
        chat_template=template,
        answer_tokens=settings.answer_tokens if generated else None,
        parser=PARSER_VERSION if generated else None,
        harness=metadata.version("lm_eval"),
    )
    return SheetFacts(
        identity=identity,
        source=answering.source,
        title=task.title,
        metric=task.metric,
        chance=task.chance,
        device=models.describe_device(device),
        environment=Environment.of_this_process(),
        contaminated=None if leaked is None else leaked.items,
        unchecked=None if leaked is None else leaked.unchecked,
        left_out=task.left_out,
    )


def _own_policy(codec: models.TextCodec) -> Literal["add", "none"]:
    return "add" if models.tokenizer_traits(codec, None).adds_beginning else "none"


def _digest(settings: ModelSettings) -> str | None:
    """The digest of a model's files, as run.json has it; None of a model on the hub."""
    folder = ordinary_folder(settings)
    if folder is not None:
        return Weights(hash_model(folder)).digest
    held = models.source_of(settings)
    return None if held is None else Weights(held.sha256).digest
