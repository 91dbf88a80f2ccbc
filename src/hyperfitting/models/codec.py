"""Text in, token ids out: a tokenizer under one policy for beginning-of-text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hyperfitting.decoding import Words
from hyperfitting.errors import ModelError


class TextCodec:
    """A tokenizer with one policy for beginning-of-text, the same for every text of an experiment."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int], *, beginning_of_text: Literal["add", "none"]):
        if not end_ids:
            raise ModelError("the tokenizer has no end-of-text token: set eos_token in its tokenizer_config.json")
        if beginning_of_text == "add" and tokenizer.bos_token_id is None:
            raise ModelError('the tokenizer has no beginning-of-text token: set model.beginning_of_text = "none"')
        self.tokenizer = tokenizer
        self._start = [int(tokenizer.bos_token_id)] if beginning_of_text == "add" else []
        self._end_ids = tuple(sorted(set(end_ids)))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end a text, from the tokenizer and from the model's configs."""
        return self._end_ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer's rules and of the beginning-of-text policy."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        rules = backend.to_str() if backend is not None else json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        return hashlib.sha256(f"{self._start}{rules}".encode()).hexdigest()

    def encode(self, text: str, *, at_most: int | None = None) -> list[int]:
        """Ids of `text` behind the beginning-of-text token, if the policy adds it; at least `at_most` exact ones.

        A novel is not tokenised whole for its first 256 tokens: a prefix that yields twice as many as needed is enough,
        since a token depends on the text around it only.
        """
        if at_most is not None and len(text) > 16 * at_most:
            ids = self._encode(text[: 16 * at_most])
            if len(ids) >= 2 * at_most:
                return [*self._start, *ids]
        return [*self._start, *self._encode(text)]

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens, white space as it is."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    @cached_property
    def words(self) -> Words:
        """For every token whether its text begins, and ends, within a word."""
        anchor = self._encode("a")[-1:]  # tokenizers drop the space that a text begins with
        start = len(self.decode(anchor))
        pairs = [[*anchor, token] for token in range(len(self.tokenizer))]
        texts = self.tokenizer.batch_decode(pairs, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        inside = [
            (not text[start].isspace(), not text[-1].isspace()) if len(text) > start else (False, False)
            for text in texts
        ]
        begins_V, ends_V = np.array(inside, dtype=np.bool_).T
        return Words(begins_V, ends_V)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One string a token, in step with the text: a character that spans tokens goes to its last one."""
        pieces, start, done = [], 0, 0
        for end in range(1, len(ids) + 1):
            # A window that begins one token early is enough for tokenizers that drop a leading space, and is linear.
            shown, text = self.decode(ids[start:done]), self.decode(ids[start:end])
            complete = not text.endswith("\N{REPLACEMENT CHARACTER}") or end == len(ids)
            pieces.append(text[len(shown) :] if complete else "")
            if complete:
                start, done = done, end
        return pieces
