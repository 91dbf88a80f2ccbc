"""A language model as an annotator, behind any endpoint with OpenAI's chat completions, as
in Li et al. 2026.

Each comparison is asked twice, once in each order of the texts. A text preferred both times is the
answer; a preference that changes with the order is a tie. Model, settings, prompt and every reply
are kept, also those that hold no answer. The judgements are marked `model`, fill no quota, and have
no influence on what people are asked.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hyperfitting.errors import HyperfittingError, StudyError
from hyperfitting.preference.judges.endpoint import (
    PROMPT,
    ChatEndpoint,
    EndpointFailure,
    LlmJudgeSettings,
    RefusedRequest,
    StrangeReply,
    prompt_about,
)
from hyperfitting.preference.records import Answer, BlindedComparison, Reply
from hyperfitting.preference.settings_input import settings_from
from hyperfitting.preference.store import Store, open_store
from hyperfitting.preference.store.llm_judgements import KeptReply, is_flipped
from hyperfitting.preference.study import Study
from hyperfitting.preference.wording import Material
from hyperfitting.progress import Bar, NoProgress, Progress

_ANSWERS: dict[str, Answer] = {
    "A": "first",
    "B": "second",
    "EQUAL": "equal",
    "C": "equal",
    "TIE": "equal",
}
_MOST_FAILURES = 3
"""Comparisons in a row at which an endpoint may fail before the rest is not asked."""
_MOST_REFUSALS = 10
"""Comparisons that an endpoint may refuse before its first answer."""


def read_llm_settings(
    url: str, model: str, prompt: Path | None, overrides: Sequence[str]
) -> LlmJudgeSettings:
    """How a model is asked, from options and `KEY=VALUE`.

    Raises:
        StudyError: what is wrong, in one line.
    """
    tree: dict[str, Any] = {"url": url, "model": model}
    try:
        if prompt is not None:
            tree["prompt"] = prompt.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{prompt}: not UTF-8") from error
    return settings_from(LlmJudgeSettings, tree, overrides, "the model's settings")


@dataclass(frozen=True)
class LlmJudging:
    """The result of asking a model: comparisons answered now and before, flips among all, and those
    without answer. `example`: one reply without an answer, or the reason of one refusal.
    """

    model: str
    now: int
    before: int
    flips: int
    unanswered: int
    example: str = ""


def judge_with_llm(
    study: Study,
    settings: LlmJudgeSettings,
    *,
    key: str | None = None,
    parallel: int = 4,
    database: str | None = None,
    progress: Progress | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> LlmJudging:
    """Ask a model about every comparison and check that it has not judged yet. Each reply is kept
    at once.

    A comparison that the endpoint refuses or fails at, or whose reply holds no answer, is counted,
    and the others are asked.

    Args:
        study: the study to judge.
        settings: which model and how; a call with the same settings continues where the last one
            stopped.
        key: sent as a bearer token, and not stored.
        parallel: questions under way at a time.
        database: a PostgreSQL database; None: SQLite in the study's folder.
        progress: where progress goes.
        pause: waits so many seconds between two attempts.

    Raises:
        StudyError: the endpoint refuses everything, the study holds simulated judgements, or it
            compares images.
        HyperfittingError: the endpoint fails again and again.
    """
    if study.protocol.material == "images":
        raise StudyError(
            f"{study.folder}: it compares images, and a language model is asked about texts: let "
            "people judge it"
        )
    contexts = any(row.context_text for row in study.comparisons())
    settings = _with_prompt_for(settings, study.protocol.material, contexts=contexts)
    endpoint = ChatEndpoint(settings, key, pause, contexts=contexts)
    with open_store(study, database) as store:
        annotator = _annotator_of(store, settings)
        done = store.llm.judged(annotator)
        left = [row for row in study.comparisons() if row.id not in done]
        with (progress or NoProgress()).bar("comparisons", len(done) + len(left), len(done)) as bar:
            asking = _Asking(endpoint, settings, store, annotator, bar, len(done))
            answered = asking.ask_about(left, parallel)
        flips = sum(is_flipped(first, second) for first, second in store.llm.replies(annotator))
    unanswered = len(left) - answered
    return LlmJudging(settings.model, answered, len(done), flips, unanswered, asking.example)


_NAMED: dict[Material, tuple[str, str]] = {
    "texts": ("Text", "The context"),
    "answers": ("Answer", "The request"),
}


def _with_prompt_for(
    settings: LlmJudgeSettings, material: Material, *, contexts: bool
) -> LlmJudgeSettings:
    """Settings whose default prompt says what is compared."""
    if material not in _NAMED or settings.prompt != PROMPT:
        return settings
    text, context = _NAMED[material]
    prompt = prompt_about(text, context if contexts else None)
    return settings.model_copy(update={"prompt": prompt})


def _annotator_of(store: Store, settings: LlmJudgeSettings) -> str:
    """The annotator of a model with these settings, made when they are first used.

    Stored settings that lack a field of this version have its default.
    """
    for judge in store.llm.judges():
        with suppress(ValidationError):  # settings of a later version are other settings
            if LlmJudgeSettings.model_validate_json(judge.settings) == settings:
                return judge.annotator
    return store.llm.annotator(settings.model, settings.model_dump_json())


class _Asking:
    """Asks a model about comparisons side by side, and keeps what it replies."""

    def __init__(
        self,
        endpoint: ChatEndpoint,
        settings: LlmJudgeSettings,
        store: Store,
        annotator: str,
        bar: Bar,
        answered: int,
    ):
        self._endpoint, self._settings, self._store = endpoint, settings, store
        self._annotator, self._bar = annotator, bar
        self._answered, self._refused, self._failed = answered, 0, 0
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.example = ""

    def ask_about(self, left: Sequence[BlindedComparison], parallel: int) -> int:
        """Ask about comparisons; returns how many were answered. After an error no further one
        begins.
        """
        with ThreadPoolExecutor(parallel) as pool:
            try:
                return sum(pool.map(self._ask_about_one, left))
            finally:
                self._stop.set()

    def _ask_about_one(self, row: BlindedComparison) -> bool:
        if self._stop.is_set():
            return False
        try:
            replies, error = self._ask_in_both_orders(row)
            answered = error is None and all(reply.answer for reply in replies)
            if answered:
                said = [
                    Reply(r.one_first, r.answer, r.text, r.seconds) for r in replies if r.answer
                ]
                self._store.llm.submit(self._annotator, row.id, said)
            else:
                self._store.llm.keep_unanswered(replies)
            self._count(replies[-1], error)
        except BaseException:
            self._stop.set()
            raise
        self._bar.advance()
        return answered

    def _ask_in_both_orders(
        self, row: BlindedComparison
    ) -> tuple[list[KeptReply], HyperfittingError | None]:
        """The replies with `one` first and with `other` first, up to the first one without an
        answer; and why the endpoint gave none.
        """
        replies: list[KeptReply] = []
        for one_first in (True, False):
            about = self._annotator, row.id, one_first
            try:
                text, seconds = self._endpoint.ask(_texts(row, one_first, self._store.study))
            except (RefusedRequest, StrangeReply, EndpointFailure) as error:
                return [*replies, KeptReply(*about, None, "", 0.0, str(error))], error
            answer = read_answer(text, self._settings.pattern)
            problem = "" if answer else "it holds no answer"
            replies.append(KeptReply(*about, answer, text, seconds, problem))
            if answer is None:
                break
        return replies, None

    def _count(self, last: KeptReply, error: HyperfittingError | None) -> None:
        """Count an outcome.

        Raises:
            StudyError, HyperfittingError: the endpoint refuses or fails too often to go on.
        """
        with self._lock:
            if last.problem and not self.example:
                self.example = f"“{last.text[:300]}”" if last.text else last.problem
            self._answered += not last.problem
            self._refused += isinstance(error, RefusedRequest)
            fails = isinstance(error, EndpointFailure | StrangeReply)
            self._failed = self._failed + 1 if fails else 0
            wrong = not self._answered and (
                isinstance(error, StrangeReply) or self._refused >= _MOST_REFUSALS
            )
            if error is not None and (wrong or self._failed >= _MOST_FAILURES):
                kind = StudyError if wrong else HyperfittingError
                raise kind(
                    f"{error}; the judgements so far are kept, and the same command continues"
                ) from error


def _texts(row: BlindedComparison, one_first: bool, study: Study) -> dict[str, str]:
    """What the prompt is filled with."""
    first, second = (row.one, row.other) if one_first else (row.other, row.one)
    return {
        "instructions": study.protocol.instructions,
        "question": study.protocol.question,
        "context": row.context_text,
        "first": first.text,
        "second": second.text,
    }


def read_answer(reply: str, pattern: str | None = None) -> Answer | None:
    """The answer (A, B or EQUAL) in a reply; None without one.

    Without a pattern it stands in the first line, or in the last one after reasoning. With one it
    is the group of the last match, in capitals or not.
    """
    words = re.sub(r"<think>.*?</think>", "", reply, flags=re.S).strip()
    if pattern is not None:
        matches = list(re.finditer(pattern, words))
        return _ANSWERS.get((matches[-1][1] or "").strip().upper()) if matches else None
    lines = words.upper().splitlines() or [""]
    for line in (lines[0], lines[-1]):
        found = re.fullmatch(
            r"\W*(?:(?:THE )?(?:ANSWER|CONTINUATION)(?: IS)?\W*)?(A|B|C|EQUAL|TIE)\b\W*", line
        )
        if found is not None:
            return _ANSWERS[found[1]]
    return None
