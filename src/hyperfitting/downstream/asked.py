"""What a task asks: its items, their requests, and how the answers to them become rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyperfitting.downstream.benchmarks import Question
from hyperfitting.downstream.calibration import choice_scores
from hyperfitting.runs.answers import AnsweredItem


@dataclass(frozen=True)
class AskedItem:
    """One item of a task: its requests, and how the answers to them become a row."""

    requests: Sequence[Any]
    row: Callable[[], AnsweredItem]


class AskedTask(ABC):
    """A benchmark in one form, ours or one of lm-evaluation-harness.

    `new_tokens` are written for an answer, 0 where none is; `fewer_tokens` says how to lower them.
    """

    title: str
    metric: str
    chance: float | None
    sample_sha256: str
    definition_sha256: str
    files: dict[str, str]
    questions: Sequence[Question] = ()
    left_out: int = 0
    chat: bool = False
    new_tokens: int = 0
    fewer_tokens: str = "lower evaluate.answer_tokens (--answer-tokens)"

    def __init__(self, name: str, form: str):
        self.name, self.form = name, form

    @abstractmethod
    def __len__(self) -> int:
        """The number of items."""

    @property
    @abstractmethod
    def keys(self) -> list[tuple[int, str]]:
        """`item` and `item_sha256` of the items, in order."""

    def choices(self) -> Iterator[tuple[int, str]]:
        """`item` and text of each choice that is scored as a text."""
        return iter(())

    @abstractmethod
    def asked(self, chat_template: Callable[..., str] | None) -> Iterator[AskedItem]:
        """The items in order, with their prompts: the same ones each time."""


def brief_sha256(sha256: str) -> str:
    """What a row keeps of the hash of its item."""
    return sha256[:16]


def with_choice(row: AnsweredItem) -> AnsweredItem:
    """The row with the choice of the largest score, the first of equals; as it is without a right
    choice to compare with.
    """
    if row.gold is None:
        return row
    return replace(row, chosen=int(np.argmax(choice_scores(row))))
