"""An endpoint with OpenAI's chat completions: how it is asked, and which failures can pass."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from hyperfitting.errors import HyperfittingError, StudyError
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


def prompt_about(text: str, context: str | None) -> str:
    """The prompt where other material than continuations is compared: what a text is called, and
    its context; None where there is none.
    """
    said = PROMPT.replace("Continuation", text)
    if context is not None:
        return said.replace("The beginning of the text", context).replace("beginning>", "context>")
    before, _, after = said.partition("The beginning of the text:")
    return before + after.partition("</beginning>\n\n")[2]


_MOST_BYTES = 10_000_000
_OWN_FIELDS = {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "seed"}


class LlmJudgeSettings(Settings):
    """Which model judges, and how it is asked. The key is not a setting, since settings are
    stored.
    """

    url: str = Field(
        description="The endpoint: .../v1, or the whole address of its chat completions."
    )
    model: str = Field(min_length=1, description="Name of the model at the endpoint.")
    system: str | None = Field(None, description="A system message before the prompt; none: none.")
    prompt: str = Field(PROMPT, description="The prompt; {first} and {second} are the texts.")
    pattern: str | None = Field(
        None,
        description=r"A regular expression with one group, such as `\[\[(\w+)\]\]`: the group of "
        "its last match in a reply is the answer; none: the first or last line is.",
    )
    temperature: Annotated[float, Field(ge=0, le=5)] | None = Field(
        0.0, description="0: the most probable answer; none: not sent."
    )
    max_tokens: Count | None = Field(
        16,
        description="Most tokens of a reply; raise it for a model that thinks first; none: not "
        "sent.",
    )
    max_completion_tokens: Count | None = Field(
        None,
        description="Sent instead of `max_tokens`, for models that refuse that name; none: not "
        "sent.",
    )
    seed: CountOrZero | None = Field(0, description="Seed sent to the endpoint; none: not sent.")
    request: dict[str, JsonValue] = Field(
        {}, description='Further fields of the request, such as `{ reasoning_effort = "low" }`.'
    )
    timeout_seconds: Positive = Field(60.0, description="Longest time for one reply.")
    retries: CountOrZero = Field(4, description="Further attempts after a failure.")

    @field_validator("pattern")
    @classmethod
    def _is_an_expression(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if groups != 1:
            raise ValueError("it needs one group (...), which matches A, B or EQUAL")
        return pattern

    @model_validator(mode="after")
    def _request_has_no_field_of_a_setting(self) -> Self:
        if twice := sorted(_OWN_FIELDS & self.request.keys()):
            raise ValueError(f"request holds {', '.join(twice)}: that is a setting of its own")
        return self


class RefusedRequest(StudyError):
    """The endpoint refuses one request, or sends a reply without text; others may still succeed."""


class StrangeReply(StudyError):
    """What came back is no chat completion."""


class EndpointFailure(HyperfittingError):
    """The endpoint failed in every attempt at one request."""


class ChatEndpoint:
    """An endpoint of chat completions. Temporary failures are tried again, each time after twice
    the pause. `contexts`: the prompt has to show a context.
    """

    def __init__(
        self,
        settings: LlmJudgeSettings,
        key: str | None,
        pause: Callable[[float], object],
        *,
        contexts: bool = True,
    ):
        self._settings, self._pause = settings, pause
        self._address, self._key = _address(settings.url), key
        self._opener = urllib.request.build_opener(_NoRedirect)
        _check_prompt(settings.prompt, contexts=contexts)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, texts: dict[str, str]) -> tuple[str, float]:
        """The reply to the prompt filled with `texts`, and its time in seconds.

        Raises:
            RefusedRequest: the endpoint refuses this request, or sends no text.
            StrangeReply: what it sends is no chat completion.
            StudyError: it refuses every request.
            EndpointFailure: every attempt failed.
        """
        body = self._body(texts)
        for attempt in range(self._settings.retries + 1):
            started = time.monotonic()
            try:
                return self._send(body), round(time.monotonic() - started, 3)
            except _TemporaryFailure as failure:
                if attempt == self._settings.retries:
                    raise EndpointFailure(
                        f"{self._address}: {failure} ({attempt + 1} attempts)"
                    ) from failure
                self._pause(failure.after or min(60.0, 2.0**attempt))
        raise AssertionError("unreachable")

    def _body(self, texts: dict[str, str]) -> bytes:
        settings = self._settings
        prompt = re.sub(r"\{(\w+)\}", lambda found: texts[found[1]], settings.prompt)
        messages = [{"role": "user", "content": prompt}]
        if settings.system is not None:
            messages.insert(0, {"role": "system", "content": settings.system})
        newer = settings.max_completion_tokens
        limits = {
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens if newer is None else None,
            "max_completion_tokens": newer,
            "seed": settings.seed,
        }
        body = {"model": settings.model, "messages": messages, **settings.request}
        body |= {name: value for name, value in limits.items() if value is not None}
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
            # These speak of one request: too long, or against the endpoint's rules.
            kind = RefusedRequest if error.code in (400, 413, 422) else StudyError
            raise kind(f"{self._address}: HTTP {error.code}{said}") from error
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


def _check_prompt(prompt: str, *, contexts: bool) -> None:
    names = set(re.findall(r"\{(\w+)\}", prompt))
    known = {"instructions", "context", "first", "second", "question"}
    needed = {"first", "second", *(["context"] if contexts else [])}
    if not names <= known or not needed <= names:
        raise StudyError(
            "a prompt holds {context}, {first} and {second}; {instructions} and {question} may be "
            "there too"
        )


def _text_of(raw: bytes, address: str) -> str:
    try:
        choice = json.loads(raw)["choices"][0]
        content = choice["message"]["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part["type"] == "text")
        if isinstance(content, str):
            # Half a character, or a zero, is nothing that a database keeps.
            return content.encode("utf-8", "replace").decode().replace("\0", "?")
        if content is None:  # a filter, or a model that spent all its tokens on thinking
            why = choice["message"].get("refusal") or choice.get("finish_reason") or "no reason"
            raise RefusedRequest(f"{address}: a reply without text ({str(why)[:200]})")
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise StrangeReply(
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
