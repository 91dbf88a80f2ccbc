"""Chat templates: the texts that a tokenizer's own template puts around what a user says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hyperfitting.errors import ModelError, kind_of

_HERE = "HyperfittingContext"
"""Stands for the context while a template is filled in, which may write it in other letters."""


def texts_around(tokenizer: Any, instruction: str) -> tuple[str, str]:
    """The texts of a template before and after a context in the user's turn, up to where the
    assistant's turn begins. The instruction comes first in the user's turn, then a blank line.

    Raises:
        ModelError: there is no chat template, or it cannot be filled in so.
    """
    text = fill_template(tokenizer, [("user", f"{instruction}\n\n{_HERE}")], begin_answer=True)
    before, found, after = text.partition(_HERE)
    if not found or _HERE in after:
        raise ModelError(
            "its chat template does not write the user's text once as it is: set "
            'data.context_format = "plain"'
        )
    return before, after


def ids_around(
    tokenize: Callable[[str], list[int]], before: str, after: str
) -> tuple[list[int], list[int]]:
    """The ids of the texts around a context: with those of the context between them they are the
    ids of the whole text, and need not be those of each text alone.

    A tokenizer that begins every text with a space, as Llama 2's does, needs one before the context
    in the whole text too.

    Raises:
        ModelError: the tokenizer has no ids for them that do not depend on the context.
    """
    for between in ("", " "):
        wholes = [tokenize(f"{before}{between}{each}{after}") for each in _CONTEXTS]
        contexts = [tokenize(each) for each in _CONTEXTS]
        for start in _places(contexts[0], wholes[0]):
            first, last = wholes[0][:start], wholes[0][start + len(contexts[0]) :]
            if [*first, *contexts[1], *last] == wholes[1]:
                return first, last
    raise ModelError(
        "its tokenizer gives the words around a context other tokens than those of its filled-in "
        'chat template: set data.context_format = "plain"'
    )


_CONTEXTS = ("the house was empty", "and so they went to the sea")
"""What `ids_around` tries."""


def _places(part: list[int], whole: list[int]) -> list[int]:
    """Where a list stands in another."""
    return [i for i in range(len(whole)) if whole[i : i + len(part)] == part]


def opens_turns(tokenizer: Any) -> bool:
    """Whether the template writes the beginning-of-text token before every turn."""
    if tokenizer.bos_token is None or not tokenizer.chat_template:
        return False
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    try:
        return fill_template(tokenizer, turns, begin_answer=False).count(tokenizer.bos_token) > 1
    except ModelError:
        return False


def turn_end(tokenizer: Any) -> int | None:
    """The first token that the template writes after what the assistant says; None if none.

    Raises:
        ModelError: the template cannot be filled in with a turn of the assistant.
    """
    text = fill_template(tokenizer, [("user", "a"), ("assistant", _HERE)], begin_answer=False)
    _, found, after = text.rpartition(_HERE)
    if not found:
        raise ModelError("its chat template does not write the assistant's text as it is")
    ids = tokenizer(after.strip(), add_special_tokens=False)["input_ids"]
    return int(ids[0]) if ids else None


def fill_template(tokenizer: Any, turns: Sequence[tuple[str, str]], *, begin_answer: bool) -> str:
    """The text of a chat of (role, content) pairs in the tokenizer's own template, up to where the
    assistant's turn begins if `begin_answer`.

    Raises:
        ModelError: there is no chat template, or it cannot be filled in.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            'its tokenizer has no chat template: set data.context_format = "plain", or take a '
            "model that was trained for chats"
        )
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=begin_answer
        )
    except Exception as error:  # a template is a program of the model's author
        raise ModelError(f"its chat template cannot be filled in ({kind_of(error)})") from error
    return str(text)
