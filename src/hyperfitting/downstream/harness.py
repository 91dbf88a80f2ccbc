"""The door to lm-evaluation-harness: its tasks, and our models that answer them.

Its own models decide dtype, beginning-of-text and truncation themselves. Ours are loaded by this
project, under one policy, and what is cut is counted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lm_eval.tasks
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from torch import nn

from hyperfitting import models
from hyperfitting.decoding import Ending, make_sampler, token_steps
from hyperfitting.downstream.benchmarks import Benchmark, Question
from hyperfitting.downstream.prompts import AFTER_TEXT, documents, harness_config
from hyperfitting.downstream.task_files import GROUPS, benchmark_names, refuse_unknown_task
from hyperfitting.errors import DataError, InputError, ModelError, kind_of
from hyperfitting.recipe import GREEDY, Form

logging.getLogger("lm_eval").setLevel(logging.ERROR)

_NEW_TOKENS = 256
"""Most new tokens of an answer where a task does not say."""


@dataclass(frozen=True)
class ModelAnswer:
    """A model's answer to one request: a log-likelihood in nats and whether it is greedy, or a
    text. `cut_tokens` were left out at the beginning of the prompt.
    """

    loglikelihood: float = 0.0
    is_greedy: bool = False
    text: str = ""
    cut_tokens: int = 0


class HarnessModel:
    """A model of this project that answers the requests of lm-evaluation-harness.

    The prompt and what continues it are encoded together, and split where the prompt alone ends, as
    in the harness's own models. A prompt that does not fit the model's `positions` loses tokens at
    its beginning, after beginning-of-text. `chat` says whether prompts are filled-in templates, and
    may change from one call to the next.
    """

    def __init__(
        self,
        model: nn.Module,
        codec: models.TextCodec,
        *,
        positions: int | None = None,
        batch_items: int = 16,
        chat: bool = False,
    ):
        self._model, self._codec, self._positions = model, codec, positions
        self._batch_items, self.chat = batch_items, chat
        self._stepper: Any = None
        self._accepts_chunks: bool | None = None

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The text of a chat in the model's own template."""
        turns = [(each["role"], each["content"]) for each in chat_history]
        return models.fill_template(
            self._codec.tokenizer, turns, begin_answer=add_generation_prompt
        )

    def prompt_tokens(self, context: str) -> int:
        """The length of a prompt, before it is cut to the model's positions."""
        return len(self._encode(context))

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[ModelAnswer]:
        """Score the continuation of each context.

        Raises:
            ModelError: a continuation alone is longer than the model has positions.
        """
        encoded = [self._encode_pair(*pair) for pair in pairs]
        cut = [self._fitted(text, len(more)) for text, more in encoded]
        fitted = [(text, more) for (text, _), (_, more) in zip(cut, encoded, strict=True)]
        if self._accepts_chunks is None:
            rows = [[*text, *more] for text, more in fitted]
            self._accepts_chunks = models.accepts_chunks_of(self._model, rows)
        scored = models.score_continuations(
            self._model,
            fitted,
            batch_texts=self._batch_items,
            accepts_chunks=self._accepts_chunks,
        )
        return [
            ModelAnswer(-each.loss, each.is_greedy, cut_tokens=left_out)
            for each, (_, left_out) in zip(scored, cut, strict=True)
        ]

    def texts(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[ModelAnswer]:
        """Continue each context greedily. Contexts of equal length and settings are read together.

        Raises:
            InputError: a task asks for samples.
        """
        batches: dict[Any, list[int]] = {}
        fitted = []
        for number, (context, how) in enumerate(asked):
            until, new_tokens = stops_of(how)
            after_text = bool(how.get(AFTER_TEXT))
            ids, left_out = self._fitted(self._encode(context), new_tokens)
            fitted.append((ids, left_out))
            key = (-len(ids), until, new_tokens, after_text)
            batches.setdefault(key, []).append(number)
        found: dict[int, ModelAnswer] = {}
        for (_, until, new_tokens, after_text), numbers in sorted(
            batches.items(), key=lambda it: it[0][0]
        ):
            for start in range(0, len(numbers), self._batch_items):
                batch = numbers[start : start + self._batch_items]
                contexts = [fitted[each][0] for each in batch]
                texts = self._continue(contexts, until, new_tokens, after_text=after_text)
                for each, text in zip(batch, texts, strict=True):
                    found[each] = ModelAnswer(text=text, cut_tokens=fitted[each][1])
        return [found[number] for number in range(len(asked))]

    def _continue(
        self,
        contexts: Sequence[Sequence[int]],
        until: Sequence[str],
        new_tokens: int,
        *,
        after_text: bool,
    ) -> list[str]:
        """The texts after equally long contexts; no step is made after all have stopped."""
        self._stepper = self._stepper or models.stepper(self._model)
        context_BT, ends = torch.tensor(contexts), set(self._codec.end_ids)
        sampler = make_sampler(GREEDY, None, context_tokens=context_BT.shape[1])
        new: list[list[int]] = [[] for _ in contexts]
        texts, going = [""] * len(contexts), set(range(len(contexts)))
        for ids_B in token_steps(
            self._stepper,
            context_BT,
            sampler,
            new_tokens=new_tokens,
            ending=Ending(self._codec.end_ids, stop=True),
        ):
            for number in sorted(going):
                token = int(ids_B[number])
                if token not in ends:
                    new[number].append(token)
                    texts[number] = self._codec.decode(new[number])
                if token in ends or _stop_of(texts[number], until, after_text) is not None:
                    going.discard(number)
            if not going:
                break
        return [text[: _stop_of(text, until, after_text)] for text in texts]

    def _encode(self, text: str) -> list[int]:
        """Ids of a prompt; of an empty one that of end-of-text, if nothing begins a text."""
        ids = self._codec.encode_prompt(text) if self.chat else self._codec.encode(text)
        return ids or list(self._codec.end_ids[:1])

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        kept = context.rstrip()  # of spaces and line ends, as there
        whole = self._encode(context + continuation)
        before = min(len(self._encode(kept)), len(whole) - 1)
        if not kept and not self._codec.start_ids:
            return list(self._codec.end_ids[:1]), whole
        return whole[:before], whole[before:]

    def _fitted(self, ids: Sequence[int], more: int) -> tuple[list[int], int]:
        """The ids of a prompt that `more` tokens follow, cut to the model's positions, and how many
        were left out.
        """
        start = list(self._codec.start_ids)
        if self._positions is None or len(ids) + more <= self._positions:
            return list(ids), 0
        room = self._positions - more - len(start)
        if room < 1:
            raise ModelError(
                f"an answer of {more} tokens does not fit the model's {self._positions} positions: "
                "leave the benchmark out, or lower evaluate.answer_tokens if it is generated"
            )
        own = list(ids[len(start) :])
        return [*start, *own[-room:]], len(own) - room


def stops_of(how: Mapping[str, Any] | None) -> tuple[tuple[str, ...], int]:
    """Where an answer stops: its stop strings, and the most new tokens.

    Raises:
        InputError: samples are asked for.
    """
    how = how or {}
    if how.get("do_sample") or float(how.get("temperature") or 0) > 0:
        raise InputError("a task asks for samples, and answers are greedy: leave it out")
    until = how.get("until") or ()
    until = (until,) if isinstance(until, str) else tuple(until)
    return until, int(how.get("max_gen_toks", _NEW_TOKENS))


def _stop_of(text: str, until: Sequence[str], after_text: bool) -> int | None:
    """Where the first stop string stands, after the first text if so asked; None without one."""
    start = len(text) - len(text.lstrip()) if after_text else 0
    return min((place for stop in until if (place := text.find(stop, start)) >= 0), default=None)


class _Documents(list[dict[str, Any]]):
    """Documents of a split, with the field names that a task asks a data set for."""

    @property
    def features(self) -> dict[str, None]:
        return dict.fromkeys(self[0]) if self else {}


@dataclass(frozen=True)
class SubjectTask:
    """A task of lm-evaluation-harness, and our questions that are its documents, in order."""

    task: Any
    questions: Sequence[Question]


def subject_tasks(
    benchmark: Benchmark,
    form: Form,
    *,
    examples: int = 0,
    answer_tokens: int = 16,
    chat: bool = False,
) -> list[SubjectTask]:
    """One task for each subject of a benchmark, so that examples are of the same subject."""
    made = []
    for subject in benchmark.subjects:
        own = [each for each in benchmark.questions if each.subject == subject]
        shown = [each for each in benchmark.examples if each.subject == subject]
        config = harness_config(
            benchmark, form, subject, examples=examples, answer_tokens=answer_tokens, chat=chat
        )
        made.append(SubjectTask(_task(config, documents(own), documents(shown)), own))
    return made


def _task(
    config: dict[str, Any],
    items: list[dict[str, Any]],
    examples: list[dict[str, Any]],
) -> Any:
    splits = {"items": _Documents(items), "examples": _Documents(examples)}
    task = ConfigurableTask(config={**config, "custom_dataset": lambda **_: splits})
    if config.get("fewshot_split") == "items":  # all questions of the file, asked or not
        task.sampler.replace_df(examples)
    return task


def foreign_tasks(name: str, *, examples: int) -> list[Any]:
    """The tasks that a name of lm-evaluation-harness stands for, or its task file.

    Raises:
        DataError: there is no such task, its data cannot be had, or it asks for perplexity.
    """
    is_file = name.endswith((".yaml", ".yml"))
    if is_file and not Path(name).is_file():
        raise DataError(f"{name}: no such task file")
    if not is_file:
        _refuse_unknown(name)
    try:
        manager = TaskManager(include_defaults=False) if is_file else _manager_of_shipped()
        found = list(manager.load([name])["tasks"].values())
    except Exception as error:  # of whichever library reads the task's data
        raise DataError(
            f"{name}: lm-evaluation-harness cannot load this task ({kind_of(error)}): check the "
            "name, the task file and the network"
        ) from error
    for task in found:
        if task.OUTPUT_TYPE == "loglikelihood_rolling":
            raise DataError(
                f"{task.config.task}: tasks of perplexity are not evaluated: `hyperfit measure "
                "TEXTS.jsonl --scorer MODEL`"
            )
        if task.config.num_fewshot is None or examples:
            task.set_config(key="num_fewshot", value=examples)
    return found


@cache
def _manager_of_shipped() -> TaskManager:
    """Finds the tasks that lm-evaluation-harness ships: making it takes ten seconds."""
    return TaskManager()


_NAMED = re.compile(rb"""^["']?(?:task|group|tag)["']?:[ ]*["']?([\w.\-]+)""", re.M)


def _refuse_unknown(name: str) -> None:
    """Refuse a name that lm-evaluation-harness does not declare. The text of its task files is
    searched first: making a manager of these thousands of files takes ten seconds, and is for names
    that stand in one of them.
    """
    ours, texts = [*benchmark_names(), *GROUPS], _shipped_task_files()
    mentioned = re.compile(rb"(?<![\w.-])" + re.escape(name.encode()) + rb"(?![\w.-])")
    if name.lower() in ours or not any(mentioned.search(text) for text in texts):
        known = {found.decode() for text in texts for found in _NAMED.findall(text)}
        raise refuse_unknown_task(name, [*ours, *sorted(known)])
    if name not in (declared := _manager_of_shipped().all_tasks):
        raise refuse_unknown_task(name, [*ours, *declared])


@cache
def _shipped_task_files() -> tuple[bytes, ...]:
    """The task files of lm-evaluation-harness, some megabytes."""
    files = Path(lm_eval.tasks.__file__).parent.rglob("*yaml")
    return tuple(path.read_bytes() for path in files)


def build_requests(
    task: Any, number: int, document: Any, chat_template: Callable[..., str] | None
) -> list[Any]:
    """What a model is asked about one document of a task: one request for each choice, or one for a
    text. Call it for all documents in order, after `task.set_fewshot_seed`, since examples are
    drawn one after another.
    """
    context = task.fewshot_context(
        document,
        num_fewshot=task.config.num_fewshot or 0,
        apply_chat_template=chat_template is not None,
        chat_template=chat_template,
        gen_prefix=task.doc_to_prefix(document),
    )
    made = task.construct_requests(
        doc=document,
        ctx=context,
        metadata=(task.config.task, number, 1),
        apply_chat_template=chat_template is not None,
        chat_template=chat_template,
    )
    return [made] if isinstance(made, Instance) else list(made)


def score_document(task: Any, document: Any, requests: Sequence[Any]) -> dict[str, Any]:
    """The metrics of one document, as the task takes them from the answers in its requests."""
    filters = task._filters
    for each in filters:
        each.apply(list(requests))
    key = filters[0].name
    found: dict[str, Any] = task.process_results(
        document, [each.filtered_resps[key] for each in requests]
    )
    return found
