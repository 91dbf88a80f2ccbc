"""A model as one more annotator, behind any endpoint that speaks OpenAI's chat completions (B, section on judging).

Each comparison is asked twice, once in each order of the texts. The same text preferred both times is an answer; a
preference that flips with the order is a tie. What was asked, of which model, with which settings and what it replied
is kept. Its judgements are marked `model`, fill no quota, and never enter what people are asked.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from hyperfitting.errors import HyperfittingError, StudyError
from hyperfitting.preference.answers import flipped
from hyperfitting.preference.records import Answer, Comparison, Reply
from hyperfitting.preference.store import Store
from hyperfitting.progress import NoProgress, Progress
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
"""What a model is asked; the instructions and the question are the plan's own, which annotators read too."""

_MOST_BYTES = 10_000_000
_ANSWERS: dict[str, Answer] = {"A": "first", "B": "second", "EQUAL": "equal", "C": "equal", "TIE": "equal"}


class ModelSettings(Settings):
    """Which model judges, and how it is asked. The key is no setting: it is kept nowhere."""

    url: str = Field(description="The endpoint: .../v1, or the whole address of its chat completions.")
    model: str = Field(min_length=1, description="The model's name there.")
    prompt: str = Field(PROMPT, description="What it is asked; {first} and {second} are the texts.")
    temperature: Annotated[float, Field(ge=0, le=5)] = Field(0.0, description="0: its likeliest answer.")
    max_tokens: Count = Field(16, description="Tokens of the reply at most; more for a model that thinks first.")
    seed: CountOrZero | None = Field(0, description="Sent along, for endpoints that take one; none: not sent.")
    timeout_seconds: Positive = Field(60.0, description="How long one reply may take.")
    retries: CountOrZero = Field(4, description="How often a question is asked again after a failure.")


@dataclass(frozen=True)
class Judged:
    """What a run of the judge came to: comparisons answered now and before, flips among them all, and no answers."""

    now: int
    before: int
    flips: int
    unanswered: int


def judge(
    store: Store,
    settings: ModelSettings,
    *,
    key: str | None = None,
    parallel: int = 4,
    narrator: Progress | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Judged:
    """Ask a model about every comparison and every check that it has not judged yet; what is done is kept at once.

    Args:
        store: an open store.
        settings: which model; the same settings go on where they stopped.
        key: sent as a bearer token, and kept nowhere.
        parallel: questions under way at a time.
        narrator: where progress goes.
        pause: waits so many seconds between two tries.

    Raises:
        StudyError: the endpoint refuses, or the study holds simulated judgements.
        HyperfittingError: the endpoint fails again and again.
    """
    door = Endpoint(settings, key, pause)
    annotator = store.model_annotator(settings.model, settings.model_dump_json())
    done = store.judged_by(annotator)
    left = [row for row in store.study.comparisons() if row.id not in done]
    stop = threading.Event()
    with (narrator or NoProgress()).bar("comparisons", len(done) + len(left), len(done)) as bar:

        def one(row: Comparison) -> bool:
            if stop.is_set():
                return False
            try:
                replies = ask_both_ways(door, row, store.study.plan.instructions, store.study.plan.question)
                if replies is not None:
                    store.judge_as_model(annotator, row.id, replies)
            except BaseException:
                stop.set()  # what has not begun is not asked any more
                raise
            bar.advance()
            return replies is not None

        with ThreadPoolExecutor(parallel) as pool:
            try:
                answered = sum(pool.map(one, left))
            finally:
                stop.set()
    flips = sum(flipped(first, second) for first, second in store.replies(annotator))
    return Judged(answered, len(done), flips, len(left) - answered)


def ask_both_ways(door: Endpoint, row: Comparison, instructions: str, question: str) -> tuple[Reply, Reply] | None:
    """The replies with `one` first and with `other` first; none if one of them is no answer."""
    replies = []
    for one_first in (True, False):
        first, second = (row.one.text, row.other.text) if one_first else (row.other.text, row.one.text)
        texts = {"context": row.context_text, "first": first, "second": second}
        text, seconds = door.ask({"instructions": instructions, "question": question, **texts})
        answer = read_answer(text)
        if answer is None:
            return None
        replies.append(Reply(one_first, answer, text, seconds))
    return replies[0], replies[1]


def read_answer(reply: str) -> Answer | None:
    """A, B or EQUAL: the first word of the reply, or the last line's after a model has thought aloud; else none."""
    words = re.sub(r"<think>.*?</think>", "", reply, flags=re.S).upper().strip()
    lines = words.splitlines() or [""]
    for line in (lines[0], lines[-1]):
        found = re.fullmatch(r"\W*(?:(?:THE )?(?:ANSWER|CONTINUATION)(?: IS)?\W*)?(A|B|C|EQUAL|TIE)\b\W*", line)
        if found is not None:
            return _ANSWERS[found[1]]
    return None


class Endpoint:
    """An address that completes chats. Failures that may pass are tried again, each time after twice as long."""

    def __init__(self, settings: ModelSettings, key: str | None, pause: Callable[[float], object]):
        self._settings, self._pause = settings, pause
        self._address, self._key = _address(settings.url), key
        self._opener = urllib.request.build_opener(_NoRedirect)
        _check_prompt(settings.prompt)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, texts: dict[str, str]) -> tuple[str, float]:
        """The reply to the prompt filled with `texts`, and the seconds that it took.

        Raises:
            StudyError: refused, or the reply is no chat completion.
            HyperfittingError: it failed to the last try.
        """
        body = self._body(texts)
        for attempt in range(self._settings.retries + 1):
            started = time.monotonic()
            try:
                return self._send(body), round(time.monotonic() - started, 3)
            except _Passing as failure:
                if attempt == self._settings.retries:
                    raise HyperfittingError(
                        f"{self._address}: {failure} ({attempt + 1} tries); what was judged is kept, "
                        "and the same command goes on"
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
                raise _Passing(f"HTTP {error.code}{said}", _seconds(error.headers.get("Retry-After"))) from error
            raise StudyError(f"{self._address}: HTTP {error.code}{said}") from error
        except urllib.error.URLError as error:
            raise _Passing(f"cannot be reached: {getattr(error.reason, 'strerror', None) or error.reason}") from error
        except TimeoutError as error:
            raise _Passing(f"no reply within {self._settings.timeout_seconds:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(f"the connection broke: {type(error).__name__}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key must not follow to another host: a redirect is an answer like any other that is not 200."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


class _Passing(Exception):
    """A failure that may pass; `after`: how many seconds the endpoint asks to wait."""

    def __init__(self, what: str, after: float | None = None):
        super().__init__(what)
        self.after = after


def _address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StudyError(f"--url {url}: write it as https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise StudyError("--url: leave the user and the password out: a key is read from the environment (--key-from)")
    whole = url.rstrip("/")
    return whole if whole.endswith("/chat/completions") else whole + "/chat/completions"


def _check_prompt(prompt: str) -> None:
    names = set(re.findall(r"\{(\w+)\}", prompt))
    known = {"instructions", "context", "first", "second", "question"}
    if not names <= known or not {"context", "first", "second"} <= names:
        raise StudyError(
            "a prompt holds {context}, {first} and {second}; {instructions} and {question} may be there too"
        )


def _text_of(raw: bytes, address: str) -> str:
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
        if isinstance(content, str):
            return content
    except (ValueError, LookupError, TypeError):
        pass
    raise StudyError(f"{address}: the reply is no chat completion{_one_line(raw)}: is this the right --url?")


def _one_line(raw: bytes, key: str | None = None) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    text = text.replace(key, "(the key)") if key else text
    return f": {text[:200]}" if text else ""


def _seconds(header: str | None) -> float | None:
    return min(300.0, float(header)) if header is not None and re.fullmatch(r"\d{1,6}", header.strip()) else None


def key_from(variable: str | None) -> str | None:
    """The key in an environment variable; none where none is named.

    Raises:
        StudyError: the variable is not set.
    """
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise StudyError(f"--key-from {variable}: that environment variable is not set")
    return key
