"""A language model as an annotator, behind any endpoint with OpenAI's chat completions, as
in Li et al. 2026.

Each comparison is asked twice, once in each order of the texts. A text preferred both times is the
answer; a preference that changes with the order is a tie. Model, settings, prompt and replies are
kept. The judgements are marked `model`, fill no quota, and have no influence on what people are
asked.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from hyperfitting.errors import HyperfittingError, StudyError
from hyperfitting.preference.records import Answer, BlindedComparison, Reply
from hyperfitting.preference.settings_input import settings_from
from hyperfitting.preference.store import Store, open_store
from hyperfitting.preference.store.llm_judgements import is_flipped
from hyperfitting.preference.study import Study
from hyperfitting.progress import Bar, NoProgress, Progress
from hyperfitting.recipe import Count, CountOrZero, Positive, Settings

PROMPT = """\
{instructions}

The beginning of the text:
<beginning>
{context}
</beginning>

Continuation A:
<a>
{first}
</a>

Continuation B:
<b>
{second}
</b>

{question} Answer with one word: A, B, or EQUAL if you cannot choose."""
"""The prompt. Instructions and question are those of the protocol, which annotators read too."""

_MOST_BYTES = 10_000_000
_ANSWERS: dict[str, Answer] = {
    "A": "first",
    "B": "second",
    "EQUAL": "equal",
    "C": "equal",
    "TIE": "equal",
}


class LlmJudgeSettings(Settings):
    """Which model judges, and how it is asked. The key is not a setting, since settings are
    stored.
    """

    url: str = Field(
        description="The endpoint: .../v1, or the whole address of its chat completions."
    )
    model: str = Field(min_length=1, description="Name of the model at the endpoint.")
    prompt: str = Field(PROMPT, description="The prompt; {first} and {second} are the texts.")
    temperature: Annotated[float, Field(ge=0, le=5)] = Field(
        0.0, description="0: the most probable answer."
    )
    max_tokens: Count = Field(
        16, description="Most tokens of a reply; raise it for a model that thinks first."
    )
    seed: CountOrZero | None = Field(0, description="Seed sent to the endpoint; none: not sent.")
    timeout_seconds: Positive = Field(60.0, description="Longest time for one reply.")
    retries: CountOrZero = Field(4, description="Further attempts after a failure.")


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
    without answer.
    """

    model: str
    now: int
    before: int
    flips: int
    unanswered: int


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
    """Ask a model about every comparison and check that it has not judged yet. Each answer is kept
    at once.

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
        StudyError: the endpoint refuses, or the study holds simulated judgements.
        HyperfittingError: the endpoint fails again and again.
    """
    endpoint = ChatEndpoint(settings, key, pause)
    with open_store(study, database) as store:
        annotator = _annotator_of(store, settings)
        done = store.llm.judged(annotator)
        left = [row for row in study.comparisons() if row.id not in done]
        with (progress or NoProgress()).bar("comparisons", len(done) + len(left), len(done)) as bar:
            answered = _ask_about(left, endpoint, store, annotator, parallel, bar)
        flips = sum(is_flipped(first, second) for first, second in store.llm.replies(annotator))
    return LlmJudging(settings.model, answered, len(done), flips, len(left) - answered)


def _annotator_of(store: Store, settings: LlmJudgeSettings) -> str:
    """The annotator of a model with these settings, made when they are first used.

    Stored settings that lack a field of this version have its default.
    """
    for judge in store.llm.judges():
        with suppress(ValidationError):  # settings of a later version are other settings
            if LlmJudgeSettings.model_validate_json(judge.settings) == settings:
                return judge.annotator
    return store.llm.annotator(settings.model, settings.model_dump_json())


def _ask_about(
    left: Sequence[BlindedComparison],
    endpoint: ChatEndpoint,
    store: Store,
    annotator: str,
    parallel: int,
    bar: Bar,
) -> int:
    """Ask about comparisons side by side; returns how many were answered. After a failure no
    further one begins.
    """
    stop = threading.Event()
    protocol = store.study.protocol

    def ask_about(row: BlindedComparison) -> bool:
        if stop.is_set():
            return False
        try:
            replies = ask_in_both_orders(endpoint, row, protocol.instructions, protocol.question)
            if replies is not None:
                store.llm.submit(annotator, row.id, replies)
        except BaseException:
            stop.set()
            raise
        bar.advance()
        return replies is not None

    with ThreadPoolExecutor(parallel) as pool:
        try:
            return sum(pool.map(ask_about, left))
        finally:
            stop.set()


def ask_in_both_orders(
    endpoint: ChatEndpoint, row: BlindedComparison, instructions: str, question: str
) -> tuple[Reply, Reply] | None:
    """The replies with `one` first and with `other` first; None if one of them holds no answer."""
    replies = []
    for one_first in (True, False):
        first, second = (
            (row.one.text, row.other.text) if one_first else (row.other.text, row.one.text)
        )
        texts = {"context": row.context_text, "first": first, "second": second}
        text, seconds = endpoint.ask({"instructions": instructions, "question": question, **texts})
        answer = read_answer(text)
        if answer is None:
            return None
        replies.append(Reply(one_first, answer, text, seconds))
    return replies[0], replies[1]


def read_answer(reply: str) -> Answer | None:
    """The answer (A, B or EQUAL) in the first line of a reply, or in the last one after reasoning;
    else None.
    """
    words = re.sub(r"<think>.*?</think>", "", reply, flags=re.S).upper().strip()
    lines = words.splitlines() or [""]
    for line in (lines[0], lines[-1]):
        found = re.fullmatch(
            r"\W*(?:(?:THE )?(?:ANSWER|CONTINUATION)(?: IS)?\W*)?(A|B|C|EQUAL|TIE)\b\W*", line
        )
        if found is not None:
            return _ANSWERS[found[1]]
    return None


class ChatEndpoint:
    """An endpoint of chat completions. Temporary failures are tried again, each time after twice
    the pause.
    """

    def __init__(
        self, settings: LlmJudgeSettings, key: str | None, pause: Callable[[float], object]
    ):
        self._settings, self._pause = settings, pause
        self._address, self._key = _address(settings.url), key
        self._opener = urllib.request.build_opener(_NoRedirect)
        _check_prompt(settings.prompt)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, texts: dict[str, str]) -> tuple[str, float]:
        """The reply to the prompt filled with `texts`, and its time in seconds.

        Raises:
            StudyError: the endpoint refuses, or the reply is not a chat completion.
            HyperfittingError: every attempt failed.
        """
        body = self._body(texts)
        for attempt in range(self._settings.retries + 1):
            started = time.monotonic()
            try:
                return self._send(body), round(time.monotonic() - started, 3)
            except _TemporaryFailure as failure:
                if attempt == self._settings.retries:
                    raise HyperfittingError(
                        f"{self._address}: {failure} ({attempt + 1} attempts); the judgements so "
                        "far are kept, and the same command continues"
                    ) from failure
                self._pause(failure.after or min(60.0, 2.0**attempt))
        raise AssertionError("unreachable")

    def _body(self, texts: dict[str, str]) -> bytes:
        prompt = re.sub(r"\{(\w+)\}", lambda found: texts[found[1]], self._settings.prompt)
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.max_tokens,
        }
        if self._settings.seed is not None:
            body["seed"] = self._settings.seed
        return json.dumps(body).encode()

    def _send(self, body: bytes) -> str:
        request = urllib.request.Request(self._address, body, self._headers)
        try:
            with self._opener.open(request, timeout=self._settings.timeout_seconds) as response:
                return _text_of(response.read(_MOST_BYTES), self._address)
        except urllib.error.HTTPError as error:
            with error:
                said = _one_line(error.read(2000), self._key)
            if error.code in (408, 409, 425, 429) or error.code >= 500:
                raise _TemporaryFailure(
                    f"HTTP {error.code}{said}", _seconds(error.headers.get("Retry-After"))
                ) from error
            raise StudyError(f"{self._address}: HTTP {error.code}{said}") from error
        except urllib.error.URLError as error:
            raise _TemporaryFailure(
                f"cannot be reached: {getattr(error.reason, 'strerror', None) or error.reason}"
            ) from error
        except TimeoutError as error:
            raise _TemporaryFailure(
                f"no reply within {self._settings.timeout_seconds:g} s"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _TemporaryFailure(f"the connection broke: {type(error).__name__}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error, so that the key is not sent to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


class _TemporaryFailure(Exception):
    """A temporary failure. `after`: seconds that the endpoint asks to wait."""

    def __init__(self, what: str, after: float | None = None):
        super().__init__(what)
        self.after = after


def _address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StudyError(f"--url {url}: write it as https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise StudyError(
            "--url: leave the user and the password out: a key is read from the environment "
            "(--key-from)"
        )
    whole = url.rstrip("/")
    return whole if whole.endswith("/chat/completions") else whole + "/chat/completions"


def _check_prompt(prompt: str) -> None:
    names = set(re.findall(r"\{(\w+)\}", prompt))
    known = {"instructions", "context", "first", "second", "question"}
    if not names <= known or not {"context", "first", "second"} <= names:
        raise StudyError(
            "a prompt holds {context}, {first} and {second}; {instructions} and {question} may be "
            "there too"
        )


def _text_of(raw: bytes, address: str) -> str:
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
        if isinstance(content, str):
            return content
    except (ValueError, LookupError, TypeError):
        pass
    raise StudyError(
        f"{address}: the reply is not a chat completion{_one_line(raw)}: is this the right --url?"
    )


def _one_line(raw: bytes, key: str | None = None) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    text = text.replace(key, "(the key)") if key else text
    return f": {text[:200]}" if text else ""


def _seconds(header: str | None) -> float | None:
    return (
        min(300.0, float(header))
        if header is not None and re.fullmatch(r"\d{1,6}", header.strip())
        else None
    )


def key_from_environment(variable: str | None) -> str | None:
    """The key in an environment variable; None without a variable.

    Raises:
        StudyError: the variable is not set.
    """
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise StudyError(f"--key-from {variable}: that environment variable is not set")
    return key
