"""Tasks of lm-evaluation-harness, and task files of it, each in its own form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from lm_eval.api.registry import get_aggregation

from hyperfitting.downstream.asked import AskedItem, AskedTask, brief_sha256, with_choice
from hyperfitting.downstream.harness import build_requests, foreign_tasks, score_document, stops_of
from hyperfitting.downstream.paired import OF_CLASSES
from hyperfitting.errors import DataError
from hyperfitting.recipe import EvaluateSettings
from hyperfitting.runs.answers import AnsweredItem
from hyperfitting.seeds import derive_seed


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
        self.chance, self.chat = None, settings.chat
        self._refuse_unusable()
        if task.OUTPUT_TYPE == "multiple_choice":
            self.chance = float(np.mean([1 / len(task.doc_to_choice(it[1])) for it in self._kept]))
        if task.OUTPUT_TYPE == "generate_until":
            _, self.new_tokens = stops_of(task.config.generation_kwargs)
            self.fewer_tokens = "lower max_gen_toks in its task file, or leave the task out"

    def _refuse_unusable(self) -> None:
        """Refuse, before a model is asked, what would make no table of rows."""
        if not self._kept:
            raise DataError(f"{self.name}: it has no items: leave the task out")
        has_choices = self._task.OUTPUT_TYPE == "multiple_choice"
        of_classes = has_choices and self.metric in OF_CLASSES
        is_mean = self._task.aggregation()[self.metric] is get_aggregation("mean")
        if self.metric in _UNREAD or not (is_mean or of_classes):
            raise self._unusable("is no mean of what single items score")
        if of_classes and (self._task.config.process_results or not self._has_two_classes()):
            raise self._unusable("is read of two choices with one right answer, and it has others")
        if self.metric in _LENGTHS and not all(map(all, map(self._lengths, self._documents))):
            raise self._unusable("divides by the length of a choice, and one has no text")

    def _unusable(self, why: str) -> DataError:
        return DataError(
            f"{self.name}: its metric {self.metric} {why}: leave the task out, or name another "
            "metric first in its task file"
        )

    def _has_two_classes(self) -> bool:
        return all(
            len(self._task.doc_to_choice(each)) == 2 and self._gold(each) is not None
            for each in self._documents
        )

    @property
    def _documents(self) -> list[Any]:
        return [document for _, document, _ in self._kept]

    def _lengths(self, document: Any) -> tuple[int, ...]:
        """What the metric divides the log-likelihood of each choice by; nothing if it does not."""
        size = _LENGTHS.get(self.metric)
        if size is None or self._task.OUTPUT_TYPE != "multiple_choice":
            return ()
        return tuple(size(each) for each in self._task.doc_to_choice(document))

    def __len__(self) -> int:
        """The number of items."""
        return len(self._kept)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the sample, in order."""
        return [(number + 1, brief_sha256(sha256)) for number, _, sha256 in self._kept]

    def choices(self) -> Iterator[tuple[int, str]]:
        """`item` and text of each choice; nothing where questions vary and what follows does
        not.
        """
        if self._task.OUTPUT_TYPE == "multiple_choice" and not self._task.multiple_input:
            for number, document, _ in self._kept:
                yield from ((number + 1, each) for each in self._task.doc_to_choice(document))

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
                item_sha256=brief_sha256(sha256),
                gold=self._gold(document),
                chosen=None,
                score=_number(found, self.name, self.metric),
                loglikelihoods=() if is_text else tuple(each[0] for each in answers),
                lengths=self._lengths(document),
                cut_tokens=0,
                text=answers[0] if is_text else None,
            )
            return made if is_text else with_choice(made)

        return row

    def _gold(self, document: Any) -> int | None:
        if self._task.OUTPUT_TYPE != "multiple_choice":
            return None
        turned = self._task.multiple_input  # then the question varies, and the text after it not
        gold = (self._task.doc_to_text if turned else self._task.doc_to_target)(document)
        choices = self._task.doc_to_choice(document)
        if isinstance(gold, str) and gold in choices:
            return int(choices.index(gold))
        return gold if isinstance(gold, int) and 0 <= gold < len(choices) else None


_LENGTHS: dict[str, Callable[[str], int]] = {
    "acc_norm": len,
    "acc_bytes": lambda choice: len(choice.encode()),
}
"""The metrics that divide by the length of a choice before choices are compared."""

_UNREAD = ("acc_mutual_info",)
"""Metrics that ask more than one question about each choice."""


def _number(value: Any, task: str, metric: str) -> float:
    """The metric of one item; a pair (right, chosen), as of F1, counts as right or wrong."""
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0] == value[1])
    if isinstance(value, bool | int | float | np.number):
        return float(value)
    raise DataError(f"{task}: its metric {metric} gives no number for an item: leave the task out")


def harness_tasks(
    name: str, settings: EvaluateSettings, *, limit: int | None, examples: int
) -> list[AskedTask]:
    """The tasks of a name, or a task file, of lm-evaluation-harness.

    Raises:
        DataError: there is none, its data cannot be had, or its metric is not one of single items.
    """
    found = foreign_tasks(name, examples=examples)
    return [ForeignTask(each, settings, limit) for each in found]
