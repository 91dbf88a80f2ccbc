"""Tasks x items -> answers of one model, kept item by item.

Items are answered in portions that their place in the file decides, or, where texts are written,
the length of their prompts. A portion that a kill cut off is answered again as a whole, so batches
are the same and a sheet comes out equal to the bit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np

from hyperfitting.downstream.asked import AskedItem, AskedTask, brief_sha256, with_choice
from hyperfitting.downstream.benchmarks import LETTERS, Benchmark, Question
from hyperfitting.downstream.harness import (
    HarnessModel,
    build_requests,
    score_document,
    subject_tasks,
)
from hyperfitting.downstream.parser import parse_answer
from hyperfitting.downstream.prompts import divides_by_length, harness_config
from hyperfitting.progress import Progress
from hyperfitting.recipe import EvaluateSettings, Form
from hyperfitting.runs import AnswerSheet
from hyperfitting.runs.answers import AnsweredItem, SheetFacts

_PORTION = 8
"""Items of a portion, as a multiple of `batch_items`: texts of like length are read together."""


class OwnTask(AskedTask):
    """One of our benchmarks in a form."""

    def __init__(
        self,
        benchmark: Benchmark,
        form: Form,
        settings: EvaluateSettings,
        *,
        examples: int,
        chat: bool,
    ):
        super().__init__(benchmark.name, form)
        self._benchmark, self._form, self._seed = benchmark, form, settings.seed
        self.chat, self.new_tokens = chat, settings.answer_tokens if form == "generated" else 0
        self._by_length = divides_by_length(benchmark.task, form)
        self._tasks = subject_tasks(
            benchmark,
            form,
            examples=examples,
            answer_tokens=settings.answer_tokens,
            chat=chat,
        )
        self.title, self.metric = benchmark.title, benchmark.task.metric
        self.questions, self.left_out = benchmark.questions, len(benchmark.left_out)
        self.chance = float(np.mean([1 / len(each.choices) for each in self.questions]))
        self.sample_sha256, self.files = benchmark.sample_sha256, dict(benchmark.files)
        config = harness_config(
            benchmark,
            form,
            "",
            examples=examples,
            answer_tokens=settings.answer_tokens,
            chat=chat,
        )
        definition = f"{benchmark.task.sha256}\n{json.dumps(config, sort_keys=True)}"
        self.definition_sha256 = hashlib.sha256(definition.encode()).hexdigest()

    def __len__(self) -> int:
        """The number of items."""
        return len(self.questions)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the items, subject after subject."""
        asked = (question for each in self._tasks for question in each.questions)
        return [(each.item, brief_sha256(each.sha256)) for each in asked]

    def choices(self) -> Iterator[tuple[int, str]]:
        """`item` and text of each choice, in the cloze form."""
        asked = self.questions if self._form == "cloze" else ()
        return ((each.item, text) for each in asked for text in each.choices)

    def asked(self, chat_template: Callable[..., str] | None) -> Iterator[AskedItem]:
        """The items, subject after subject."""
        for each in self._tasks:
            each.task.set_fewshot_seed(self._seed)  # every model is shown the same examples
            pairs = zip(each.questions, each.task.task_docs, strict=True)
            for number, (question, document) in enumerate(pairs):
                requests = build_requests(each.task, number, document, chat_template)
                yield AskedItem(requests, self._reader(each.task, document, question, requests))

    def _reader(
        self, task: Any, document: Any, question: Question, requests: Sequence[Any]
    ) -> Callable[[], AnsweredItem]:
        def row() -> AnsweredItem:
            if self._form == "generated":
                return self._of_text(question, requests[0].resps[0])
            metrics = score_document(task, document, requests)
            score = float(metrics["acc_norm" if self._by_length else "acc"])
            return self._of_likelihoods(question, [each.resps[0][0] for each in requests], score)

        return row

    def _of_text(self, question: Question, text: str) -> AnsweredItem:
        labels = LETTERS[: len(question.choices)]
        chosen = parse_answer(text, labels, question.choices)
        return _row(question, chosen, float(chosen == question.answer), text=text)

    def _of_likelihoods(
        self, question: Question, found: Sequence[float], score: float
    ) -> AnsweredItem:
        lengths = [len(each) for each in question.choices] if self._by_length else []
        made = _row(question, None, score, loglikelihoods=found, lengths=lengths)
        return with_choice(made)


def _row(
    question: Question,
    chosen: int | None,
    score: float,
    *,
    loglikelihoods: Sequence[float] = (),
    lengths: Sequence[int] = (),
    text: str | None = None,
) -> AnsweredItem:
    return AnsweredItem(
        item=question.item,
        subject=question.subject,
        item_sha256=brief_sha256(question.sha256),
        gold=question.answer,
        chosen=chosen,
        score=score,
        loglikelihoods=tuple(loglikelihoods),
        lengths=tuple(lengths),
        cut_tokens=0,
        text=text,
    )


def own_tasks(
    benchmark: Benchmark,
    forms: Sequence[Form],
    settings: EvaluateSettings,
    *,
    examples: int,
    chat_forms: Sequence[Form] = (),
) -> list[AskedTask]:
    """A benchmark in each of its forms, `chat_forms` as chats in any case."""
    return [
        OwnTask(
            benchmark,
            form,
            settings,
            examples=examples,
            chat=settings.chat or form in chat_forms,
        )
        for form in forms
    ]


def answer_sheet(
    task: AskedTask,
    model: HarnessModel,
    sheet: AnswerSheet,
    facts: SheetFacts,
    *,
    batch_items: int,
    label: str,
    progress: Progress,
) -> None:
    """Answer all items of a task that its sheet lacks, and finish the sheet.

    Each portion is written when it is answered: a kill loses one portion at most.

    Raises:
        RunError: what the sheet holds is not of these items.
    """
    started, size = time.monotonic(), _PORTION * batch_items
    template, model.chat = model.apply_chat_template if task.chat else None, task.chat
    items = list(task.asked(template))
    order, keys = _order(model, items), task.keys
    held = sheet.part([keys[place] for place in order])
    rows = held[: len(held) // size * size]
    with (
        progress.bar(label, len(items), start=len(rows)) as bar,
        sheet.continuing(rows) as keep,
    ):
        for start in range(len(rows), len(items), size):
            portion = [items[place] for place in order[start : start + size]]
            for row in answered_portion(model, portion):
                keep(row)
                rows.append(row)
                bar.advance()
    cut = sum(row.cut_tokens > 0 for row in rows)
    for line in _warnings(task, rows, cut):
        progress.log(f"{label}: {line}")
    done = {
        "cut_items": cut,
        "seconds": round(time.monotonic() - started, 1) if not held else None,
    }
    in_file_order = [row for _, row in sorted(zip(order, rows, strict=True), key=itemgetter(0))]
    sheet.finish(in_file_order, facts.model_copy(update=done))


def _order(model: HarnessModel, items: Sequence[AskedItem]) -> list[int]:
    """The places of items in the order in which they are answered. Texts are written side by side
    after prompts of equal length only: the longest come first.
    """
    if not items or not _writes(items[0]):
        return list(range(len(items)))
    lengths = [model.prompt_tokens(item.requests[0].args[0]) for item in items]
    return sorted(range(len(items)), key=lambda place: -lengths[place])


def _writes(item: AskedItem) -> bool:
    """Whether the answer is a text, and no likelihood."""
    return bool(item.requests[0].request_type == "generate_until")


def _warnings(task: AskedTask, rows: Sequence[AnsweredItem], cut: int) -> Iterator[str]:
    if cut:
        yield (
            f"{cut} of {len(rows)} prompts do not fit the model, and were cut at their beginning"
        )
    unparsed = sum(row.chosen is None for row in rows)
    if task.form == "generated" and unparsed > len(rows) / 2:
        remedy = "" if task.chat else ": a model of chats answers in one, ask with --chat"
        yield f"{unparsed} of {len(rows)} answers name no choice, and count as wrong{remedy}"


def answered_portion(model: HarnessModel, items: Sequence[AskedItem]) -> list[AnsweredItem]:
    """Ask a model all requests of some items at once; the rows of the items."""
    requests = [each for item in items for each in item.requests]
    is_text = _writes(items[0])
    ask = model.texts if is_text else model.likelihoods
    answers = ask([each.args for each in requests])
    for request, answer in zip(requests, answers, strict=True):
        request.resps.append(answer.text if is_text else (answer.loglikelihood, answer.is_greedy))
    rows, start = [], 0
    for item in items:
        own = answers[start : start + len(item.requests)]
        start += len(own)
        rows.append(replace(item.row(), cut_tokens=max(each.cut_tokens for each in own)))
    return rows
