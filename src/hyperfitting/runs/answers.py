"""What a model answered to a benchmark, item by item, and what decided its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from hyperfitting.environment import Environment
from hyperfitting.facts import Facts


@dataclass(frozen=True)
class AnsweredItem:
    """One item of a benchmark, as one model answered it in one form.

    `item` is its row in the file, from 1 on, and `item_sha256` begins with the hash of what it
    says; `subject` is its cluster where a benchmark has several subjects. `gold` is the right
    choice and `chosen` the model's, both from 0 on; `chosen` is None where the parser found no
    answer in `text`. `score` is the metric of the benchmark on this item alone (1: right, 0:
    wrong). `loglikelihoods` are those of the choices in nats, and `lengths` the characters that
    they are divided by before they are compared; empty where they are compared as they are.
    `cut_tokens` were left out at the beginning of the prompt, because the model has too few
    positions.
    """

    item: int
    subject: str
    item_sha256: str
    gold: int | None
    chosen: int | None
    score: float
    loglikelihoods: tuple[float, ...]
    lengths: tuple[int, ...]
    cut_tokens: int
    text: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its choices are among those that have a likelihood, and each has a length if
        any has.
        """
        choices = len(self.loglikelihoods)
        named = [each for each in (self.gold, self.chosen) if each is not None and choices]
        lengths_fit = not self.lengths or (len(self.lengths) == choices and min(self.lengths) > 0)
        return lengths_fit and all(0 <= each < choices for each in named)


class SheetIdentity(Facts):
    """What decides the answers of one model to one benchmark in one form.

    Args:
        task: name of the benchmark.
        form: how the question was put; `own` of a task of lm-evaluation-harness.
        task_sha256: of the benchmark's definition: prompts, choices, metric.
        files: SHA-256 of the files that its items and examples were read from, by name.
        sample: SHA-256 over all items that were asked, in order.
        items: their number.
        limit: most items of a subject; None: all.
        seed: of the sample and of the examples.
        examples: solved examples before each question.
        weights: digest of the model's weights; None where they are not known.
        codec: fingerprint of the tokenizer.
        beginning_of_text: `add` or `none`.
        dtype: of the weights.
        device: the kind of device, such as `cpu`: it decides answers at near-ties.
        batch_items: texts read side by side.
        chat_template: SHA-256 of the model's chat template; None: plain prompts.
        answer_tokens: most new tokens of an answer; None: none is generated.
        parser: the version of the rules that read it; None: none is generated.
        harness: version of lm-evaluation-harness.
    """

    task: str
    form: str
    task_sha256: str
    files: dict[str, str]
    sample: str
    items: int
    limit: int | None
    seed: int
    examples: int
    weights: str | None
    codec: str
    beginning_of_text: Literal["add", "none"]
    dtype: str
    device: str
    batch_items: int
    chat_template: str | None
    answer_tokens: int | None
    parser: int | None
    harness: str

    @property
    def name(self) -> str:
        """The name of the sheet: benchmark and form, and what else a table keeps apart."""
        parts = [self.task, self.form, *(["chat"] if self.chat_template else [])]
        parts += [f"examples-{self.examples}"] if self.examples else []
        parts += [] if self.limit is None else [f"limit-{self.limit}"]
        return re.sub(r"[^\w.()-]+", "-", "-".join(parts))  # a task file may be called anything

    @property
    def how(self) -> str:
        """How it was asked, in words, but for the size of the sample: `letters, chat`."""
        parts = [self.form, *(["chat"] if self.chat_template else [])]
        return ", ".join([*parts, *([f"{self.examples} examples"] if self.examples else [])])


class SheetFacts(Facts):
    """How a sheet of answers was made, and what each of its tables needs beside the items.

    `source` is the model as it was named. `metric` is the benchmark's own: `acc`, `f1`, `mcc`, or
    one of lm-evaluation-harness. `chance` is the expected accuracy of a random choice, None where
    items have no choices. `contaminated` are the items that share 13 words in a row with a training
    block, and `unchecked` the number of those too short for that; None where there are no training
    blocks. `left_out` rows of the file were passed over, because a choice has no text. `cut_items`
    and `seconds` are known when the last item is answered; `seconds` are None if that took several
    attempts.
    """

    identity: SheetIdentity
    source: str
    title: str
    metric: str
    chance: float | None
    device: str
    environment: Environment
    contaminated: tuple[int, ...] | None
    unchecked: int | None
    left_out: int = 0
    cut_items: int | None = None
    seconds: float | None = None
