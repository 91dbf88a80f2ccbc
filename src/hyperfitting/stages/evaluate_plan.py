"""Which benchmarks are asked, and whether a model can answer them: before any is answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hyperfitting import models
from hyperfitting.downstream.answering import own_tasks
from hyperfitting.downstream.asked import AskedTask
from hyperfitting.downstream.benchmarks import has_files, read_benchmark
from hyperfitting.downstream.foreign import harness_tasks
from hyperfitting.downstream.task_files import benchmark_names, expand_names
from hyperfitting.errors import DataError, ModelError
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings


def plan_tasks(
    settings: EvaluateSettings, *, progress: Progress = NO_PROGRESS
) -> list[tuple[BenchmarkSettings, AskedTask]]:
    """The benchmarks of the settings with their items, each in each form.

    Raises:
        DataError: a name, a file or a row cannot be used; or nothing is left.
    """
    found: list[tuple[BenchmarkSettings, AskedTask]] = []
    for each in settings.tasks:
        for name in expand_names(each.name):
            if name not in benchmark_names():
                made = harness_tasks(name, settings, limit=each.limit, examples=each.examples)
            elif name != each.name and not has_files(name, _data_folder(settings)):
                progress.log(f"{each.name}: no file of {name}, which is left out")
                continue
            else:
                benchmark = read_benchmark(
                    name,
                    _data_folder(settings),
                    limit=each.limit,
                    seed=settings.seed,
                    examples=each.examples,
                )
                if rows := benchmark.left_out:
                    progress.log(
                        f"{name}: {len(rows)} rows, the first is row {rows[0]}, have a choice "
                        "without text, and are left out"
                    )
                made = own_tasks(
                    benchmark,
                    each.forms,
                    settings,
                    examples=each.examples,
                    chat_forms=each.chat_forms,
                )
            found += [(each, task) for task in made]
    _refuse_none_or_twice(settings, [f"{task.name}-{task.form}" for _, task in found])
    return found


def _refuse_none_or_twice(settings: EvaluateSettings, names: list[str]) -> None:
    if not names:
        asked = ", ".join(each.name for each in settings.tasks) or "nothing"
        raise DataError(
            f"no benchmark is left of {asked}: name one with --tasks, or in evaluate.tasks, and "
            "its folder of files in evaluate.data"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{twice} is asked for twice: name a benchmark once, alone or by its group")


def _data_folder(settings: EvaluateSettings) -> Path:
    if settings.data is None:
        raise DataError(
            "the folder of the benchmarks' files is not named: set evaluate.data, or --data"
        )
    folder = settings.tried("data")
    if not folder.is_dir():
        raise DataError(f"{settings.data}: no such folder of benchmarks (tried {folder})")
    return folder


def refuse_unanswerable(
    tasks: Sequence[AskedTask], codec: models.TextCodec, positions: int | None
) -> None:
    """Refuse what a model with this tokenizer and so many positions cannot answer at all. A prompt
    that is too long is cut instead, and counted.

    Raises:
        ModelError: a chat is asked for, and there is no template.
        DataError: an answer alone does not fit; the message names benchmark and item.
    """
    if any(task.chat for task in tasks) and not codec.tokenizer.chat_template:
        raise ModelError(
            "its tokenizer has no chat template: leave out --chat (evaluate.chat, chat_forms), or "
            "take a model that was trained for chats"
        )
    if positions is None:
        return
    room = positions - len(codec.start_ids) - 1
    for task in tasks:
        if task.new_tokens > room:
            raise DataError(
                f"{task.name}: an answer of {task.new_tokens} tokens does not fit the model's "
                f"{positions} positions: {task.fewer_tokens}"
            )
        _refuse_long_choice(task, codec, room, positions)


def _refuse_long_choice(
    task: AskedTask, codec: models.TextCodec, room: int, positions: int
) -> None:
    for item, text in task.choices():
        if len(text.encode()) <= room:  # a token is a byte at least
            continue
        tokens = len(codec.encode(text)) - len(codec.start_ids)
        if tokens > room:
            raise DataError(
                f"{task.name}, row {item}: a choice of {tokens} tokens does not fit the model's "
                f"{positions} positions: remove the row, or leave the benchmark out"
            )
