"""Tasks x items -> answers of one model, kept item by item.

Items are answered in portions that their place in the file decides. A portion that a kill cut off
is answered again as a whole, so batches are the same and a sheet comes out equal to the bit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyperfitting.downstream.benchmarks import LETTERS, Benchmark, Question
from hyperfitting.downstream.calibration import choice_scores
from hyperfitting.downstream.harness import (
    HarnessModel,
    build_requests,
    foreign_tasks,
    score_document,
    subject_tasks,
)
from hyperfitting.downstream.parser import parse_answer
from hyperfitting.downstream.prompts import divides_by_length, harness_config
from hyperfitting.errors import DataError
from hyperfitting.progress import Progress
from hyperfitting.recipe import EvaluateSettings, Form
from hyperfitting.runs import AnswerSheet
from hyperfitting.runs.answers import AnsweredItem, SheetFacts
from hyperfitting.seeds import derive_seed

_PORTION = 8
"""Items of a portion, as a multiple of `batch_items`: texts of like length are read together."""


@dataclass(frozen=True)
class AskedItem:
    """One item of a task: its requests, and how the answers to them become a row."""

    requests: Sequence[Any]
    row: Callable[[], AnsweredItem]


class AskedTask:
    """A benchmark in one form, ours or one of lm-evaluation-harness."""

    title: str
    metric: str
    chance: float | None
    sample_sha256: str
    definition_sha256: str
    files: dict[str, str]
    questions: Sequence[Question] = ()
    left_out: int = 0

    def __init__(self, name: str, form: str):
        self.name, self.form = name, form

    def __len__(self) -> int:
        """The number of items."""
        raise NotImplementedError

    @property
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the items, in order."""
        raise NotImplementedError

    def asked(self, chat_template: Callable[..., str] | None) -> Iterator[AskedItem]:
        """The items in order, with their prompts: the same ones each time."""
        raise NotImplementedError


class OwnTask(AskedTask):
    """One of our benchmarks in a form."""

    def __init__(
        self, benchmark: Benchmark, form: Form, settings: EvaluateSettings, *, examples: int
    ):
        super().__init__(benchmark.name, form)
        self._benchmark, self._form, self._seed = benchmark, form, settings.seed
        self._by_length = divides_by_length(benchmark.task, form)
        self._tasks = subject_tasks(
            benchmark,
            form,
            examples=examples,
            answer_tokens=settings.answer_tokens,
            chat=settings.chat,
        )
        self.title, self.metric = benchmark.task.title, benchmark.task.metric
        self.questions, self.left_out = benchmark.questions, len(benchmark.left_out)
        self.chance = float(np.mean([1 / len(each.choices) for each in self.questions]))
        self.sample_sha256, self.files = benchmark.sample_sha256, dict(benchmark.files)
        config = harness_config(
            benchmark,
            form,
            "",
            examples=examples,
            answer_tokens=settings.answer_tokens,
            chat=settings.chat,
        )
        definition = f"{benchmark.task.sha256}\n{json.dumps(config, sort_keys=True)}"
        self.definition_sha256 = hashlib.sha256(definition.encode()).hexdigest()

    def __len__(self) -> int:
        """The number of items."""
        return len(self.questions)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the items, subject after subject."""
        return [(one.item, _brief(one.sha256)) for each in self._tasks for one in each.questions]

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
        return _with_choice(made)


class ForeignTask(AskedTask):
    """A task of lm-evaluation-harness, in its own form."""

    def __init__(self, task: Any, settings: EvaluateSettings, limit: int | None):
        super().__init__(str(task.config.task), "own")
        self._task, self._seed, documents = task, settings.seed, list(task.eval_docs)
        texts = [json.dumps(each, sort_keys=True, default=str) for each in documents]
        hashes = [hashlib.sha256(each.encode()).hexdigest() for each in texts]
        order = sorted(
            range(len(documents)), key=lambda it: (derive_seed(settings.seed, hashes[it]), it)
        )
        self._kept = [(it, documents[it], hashes[it]) for it in sorted(order[:limit])]
        self.title, self.files = self.name, {}
        self.metric = next(iter(task.aggregation()))
        joined = "\n".join(f"{number + 1} {sha256}" for number, _, sha256 in self._kept)
        self.sample_sha256 = hashlib.sha256(joined.encode()).hexdigest()
        definition = json.dumps(task.dump_config(), sort_keys=True, default=str)
        self.definition_sha256 = hashlib.sha256(definition.encode()).hexdigest()
        self.chance = None
        if task.OUTPUT_TYPE == "multiple_choice":
            self.chance = float(np.mean([1 / len(task.doc_to_choice(it[1])) for it in self._kept]))

    def __len__(self) -> int:
        """The number of items."""
        return len(self._kept)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the sample, in order."""
        return [(number + 1, _brief(sha256)) for number, _, sha256 in self._kept]

    def asked(self, chat_template: Callable[..., str] | None) -> Iterator[AskedItem]:
        """The documents of the sample."""
        self._task.set_fewshot_seed(self._seed)  # every model is shown the same examples
        for number, document, sha256 in self._kept:
            requests = build_requests(self._task, number, document, chat_template)
            yield AskedItem(requests, self._reader(number, document, sha256, requests))

    def _reader(
        self, number: int, document: Any, sha256: str, requests: Sequence[Any]
    ) -> Callable[[], AnsweredItem]:
        def row() -> AnsweredItem:
            found = score_document(self._task, document, requests)[self.metric]
            answers = [each.resps[0] for each in requests]
            is_text = isinstance(answers[0], str)
            made = AnsweredItem(
                item=number + 1,
                subject="all",
                item_sha256=_brief(sha256),
                gold=self._gold(document),
                chosen=None,
                score=_number(found, self.name, self.metric),
                loglikelihoods=() if is_text else tuple(each[0] for each in answers),
                lengths=(),
                cut_tokens=0,
                text=answers[0] if is_text else None,
            )
            return made if is_text else _with_choice(made)

        return row

    def _gold(self, document: Any) -> int | None:
        if self._task.OUTPUT_TYPE != "multiple_choice":
            return None
        gold = self._task.doc_to_target(document)
        choices = self._task.doc_to_choice(document)
        if isinstance(gold, str) and gold in choices:
            return int(choices.index(gold))
        return gold if isinstance(gold, int) else None


def _brief(sha256: str) -> str:
    return sha256[:16]


def _number(value: Any, task: str, metric: str) -> float:
    """The metric of one item; a pair (right, chosen), as of F1, counts as right or wrong."""
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0] == value[1])
    if isinstance(value, bool | int | float | np.number):
        return float(value)
    raise DataError(f"{task}: its metric {metric} gives no number for an item: leave the task out")


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
        item_sha256=_brief(question.sha256),
        gold=question.answer,
        chosen=chosen,
        score=score,
        loglikelihoods=tuple(loglikelihoods),
        lengths=tuple(lengths),
        cut_tokens=0,
        text=text,
    )


def _with_choice(row: AnsweredItem) -> AnsweredItem:
    """The row with the choice of the largest score, the first of equals; as it is without a right
    choice to compare with.
    """
    if row.gold is None:
        return row
    return replace(row, chosen=int(np.argmax(choice_scores(row))))


def own_tasks(
    benchmark: Benchmark, forms: Sequence[Form], settings: EvaluateSettings, *, examples: int
) -> list[AskedTask]:
    """A benchmark in each of its forms."""
    return [OwnTask(benchmark, form, settings, examples=examples) for form in forms]


def harness_tasks(
    name: str, settings: EvaluateSettings, *, limit: int | None, examples: int
) -> list[AskedTask]:
    """The tasks of a name, or a task file, of lm-evaluation-harness.

    Raises:
        DataError: there is none, or its data cannot be had.
    """
    found = foreign_tasks(name, examples=examples)
    return [ForeignTask(each, settings, limit) for each in found]


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
    template = model.apply_chat_template if facts.identity.chat_template is not None else None
    held = sheet.part(task.keys)
    rows = held[: len(held) // size * size]
    items = list(task.asked(template))
    with (
        progress.bar(label, len(items), start=len(rows)) as bar,
        sheet.continuing(rows) as keep,
    ):
        for start in range(len(rows), len(items), size):
            for row in answered_portion(model, items[start : start + size]):
                keep(row)
                rows.append(row)
                bar.advance()
    cut = sum(row.cut_tokens > 0 for row in rows)
    if cut:
        progress.log(
            f"{label}: {cut} of {len(rows)} prompts do not fit the model, and were cut at their "
            "beginning"
        )
    done = {
        "cut_items": cut,
        "seconds": round(time.monotonic() - started, 1) if not held else None,
    }
    sheet.finish(rows, facts.model_copy(update=done))


def answered_portion(model: HarnessModel, items: Sequence[AskedItem]) -> list[AnsweredItem]:
    """Ask a model all requests of some items at once; the rows of the items."""
    requests = [each for item in items for each in item.requests]
    is_text = requests[0].request_type == "generate_until"
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
