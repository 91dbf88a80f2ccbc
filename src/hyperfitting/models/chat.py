"""Chat templates: the texts that a tokenizer's own template puts around what a user says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyperfitting.errors import ModelError, kind_of

_HERE = "HYPERFITTINGCONTEXT"
"""Stands for the context while a template is filled in."""


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
            "its chat template does not write the user's text once: set data.context_format = "
            '"plain"'
        )
    return before, after


def opens_turns(tokenizer: Any) -> bool:
    """Whether the template writes the beginning-of-text token before every turn."""
    if tokenizer.bos_token is None or not tokenizer.chat_template:
        return False
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    try:
        return fill_template(tokenizer, turns, begin_answer=False).count(tokenizer.bos_token) > 1
    except ModelError:
        return False


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
