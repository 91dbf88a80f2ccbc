"""Text in, token ids out: a tokenizer under one policy for beginning-of-text, and the ids that end
a text.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from hyperfitting.errors import ModelError
from hyperfitting.models.chat import ids_around, texts_around
from hyperfitting.records import WordBoundaries
from hyperfitting.traits import ChatFrame

_BESIDE_THE_IDS = ("post_processor", "truncation", "padding")
"""Parts of a tokenizer.json that add special tokens, truncate and pad. All are switched off."""
_SAMPLE = "The naïve  Cafés’ end:\n\tÉté 2024, 日本語 हिन्दी 🙂 <s></s>"
"""Case, accents, white space, scripts and marks, which tokenizers without a rules file treat
differently.
"""


class TextCodec:
    """A tokenizer with one policy for beginning-of-text, the same for every text of an experiment.

    Truncation, padding and random merges are switched off, so that a text is encoded whole and
    always to the same ids. `rows` is the number of token embeddings of the model; None: as many as
    the tokenizer has ids. `start_ids` is the beginning-of-text id that every text gets, none under
    the policy `none`; `end_ids` end a text.

    Raises:
        ModelError: no id ends a text, the policy needs a beginning-of-text id that does not exist,
            or an id has no embedding.
    """

    def __init__(
        self,
        tokenizer: Any,
        end_ids: Sequence[int],
        *,
        beginning_of_text: Literal["add", "none"],
        rows: int | None = None,
    ):
        if not end_ids:
            raise ModelError(
                "the tokenizer has no end-of-text token, and the model's configs name none: "
                "set eos_token in its tokenizer_config.json"
            )
        if beginning_of_text == "add" and tokenizer.bos_token_id is None:
            raise ModelError(
                'the tokenizer has no beginning-of-text token: set model.beginning_of_text = "none"'
            )
        self.tokenizer = tokenizer
        self.switched_off = _switch_off(getattr(tokenizer, "backend_tokenizer", None))
        start_ids = [int(tokenizer.bos_token_id)] if beginning_of_text == "add" else []
        self.start_ids = tuple(start_ids)
        self.end_ids = tuple(sorted(set(end_ids)))
        self._ids: dict[str, int] = tokenizer.get_vocab()
        self.rows = max(self._ids.values(), default=-1) + 1 if rows is None else rows
        self._rowless = _rowless(tokenizer, self._ids, self.rows)
        self._special = _special(tokenizer, self.end_ids)
        self._unknown = _unknown(tokenizer)
        if beginning_of_text == "add" and self.start_ids[0] >= self.rows:
            raise ModelError(
                f"the tokenizer's bos_token_id = {self.start_ids[0]}, and the model's ids end at "
                f"{self.rows - 1}"
            )

    def ends_in_words(self) -> str:
        """The ids that end a text, each with the tokenizer's string for it if it has one."""
        names = {each: token for token, each in self._ids.items()}
        return ", ".join(
            f"{each} {names[each]!r}" if each in names else str(each) for each in self.end_ids
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the rules that turn text into ids and back, and of the beginning-of-text
        policy.

        It covers vocabulary, merges, added tokens, normaliser, pre-tokeniser and decoder. It leaves
        out the post-processor, truncation and padding, which `encode` does not use.
        """
        return hashlib.sha256(f"{list(self.start_ids)}{self._rules()}".encode()).hexdigest()

    def _rules(self) -> str:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            ids = [
                *self.start_ids,
                *self._tokenize(_SAMPLE),
            ]  # the sample holds special tokens: how they are read is a rule too
            return json.dumps([*_slow_rules(self.tokenizer), ids, self.decode(ids)])
        rules = json.loads(backend.to_str())
        kept = {key: value for key, value in rules.items() if key not in _BESIDE_THE_IDS}
        return json.dumps([kept, bool(getattr(self.tokenizer, "split_special_tokens", False))])

    def encode(self, text: str, *, at_most: int | None = None) -> list[int]:
        """Ids of `text`, after the beginning-of-text id if the policy adds it.

        With `at_most`, only that many ids are exact: a long text is tokenised up to a prefix that
        yields twice as many, which is enough because a token depends on the text near it only.

        The string of a special token, such as `</s>`, is encoded as ordinary text, never as the
        special token.

        Raises:
            ModelError: the tokenizer cannot read such a string as ordinary text.
        """
        if at_most is not None and len(text) > 16 * at_most:
            ids = self._encode(text[: 16 * at_most])
            if len(ids) >= 2 * at_most:
                return [*self.start_ids, *ids]
        return [*self.start_ids, *self._encode(text)]

    def _encode(self, text: str) -> list[int]:
        ids = self._tokenize(text)
        if self._controls(ids, text):
            ids = self._tokenize(
                text, split_special_tokens=True
            )  # only where it is needed: on other texts the option can change the ids
            if held := [
                self._special[each] for each in ids if each in self._special.keys() - self._unknown
            ]:
                raise ModelError(
                    f"the text holds {held[0]!r}, which this tokenizer can read only as a special "
                    "token: take it out"
                )
        if self._rowless and max(ids, default=0) >= self.rows:
            raise ModelError(
                f"a text holds {self._rowless[0]!r}, a token that the model has no row for: take "
                "it out"
            )
        return ids

    def _tokenize(self, text: str, **options: bool) -> list[int]:
        return list(
            self.tokenizer(text, add_special_tokens=False, verbose=False, **options)["input_ids"]
        )

    def _controls(self, ids: Sequence[int], text: str) -> bool:
        """Whether a text was encoded to a special token other than the one for unknown
        characters.
        """
        found = self._special.keys() & ids
        return any(each not in self._unknown or self._special[each] in text for each in found)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens; white space is kept."""
        return str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def chat_frame(self, instruction: str) -> ChatFrame:
        """What the tokenizer's own chat template puts around a context in the user's turn.

        The beginning-of-text token of the policy comes first, once: many templates write it.

        With the ids of a context they are those of the whole filled-in template.

        Raises:
            ModelError: there is no chat template, it cannot be filled in, or its ids depend on the
                context.
        """
        before, after = ids_around(self._tokenize, *texts_around(self.tokenizer, instruction))
        written = tuple(before[: len(self.start_ids)]) == self.start_ids
        start = () if written else self.start_ids
        return ChatFrame((*start, *before), tuple(after), len(self.start_ids))

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of a filled-in chat template: special tokens in it are read as such, and the
        beginning-of-text token of the policy comes first, once.
        """
        ids = self._tokenize(text)
        written = tuple(ids[: len(self.start_ids)]) == self.start_ids
        return ids if written else [*self.start_ids, *ids]

    def is_special(self, each: int) -> bool:
        """Whether this is the id of a special token."""
        return each in self._special

    def shown(self, ids: Sequence[int]) -> list[str]:
        """One string for each token, as `pieces`; special tokens by their names."""
        pairs = zip(ids, self.pieces(ids), strict=True)
        return [self._special[each] if each in self._left_out else piece for each, piece in pairs]

    @cached_property
    def word_boundaries(self) -> WordBoundaries:
        """For every token whether its text begins, and ends, inside a word."""
        anchor = self._encode("a")[-1:]  # tokenizers drop the space that a text begins with
        start = len(self.decode(anchor))
        tokens = sorted({each for each in self._ids.values() if each < self.rows})
        pairs = [[*anchor, token] for token in tokens]
        texts = self.tokenizer.batch_decode(
            pairs, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        begins_V, ends_V = np.zeros((2, self.rows), dtype=np.bool_)
        for token, text in zip(tokens, texts, strict=True):
            if len(text) > start:
                begins_V[token], ends_V[token] = not text[start].isspace(), not text[-1].isspace()
        return WordBoundaries(begins_V, ends_V)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One string for each token; joined, they are the decoded text. A character that spans
        tokens goes to the last.

        A special token gets the empty string, and does not change the strings of the others.
        """
        pieces = iter(self._pieces([each for each in ids if each not in self._left_out]))
        return ["" if each in self._left_out else next(pieces) for each in ids]

    @cached_property
    def _left_out(self) -> set[int]:
        """The special tokens that decoding leaves out; which ones depends on the tokenizer."""
        return {each for each in self._special if not self.decode([each])}

    def _pieces(self, ids: Sequence[int]) -> list[str]:
        pieces, start, done = [], 0, 0
        for end in range(1, len(ids) + 1):
            # A window that begins one token early suffices for tokenizers that drop a leading
            # space; the cost is linear.
            shown, text = self.decode(ids[start:done]), self.decode(ids[start:end])
            complete = not text.endswith("\N{REPLACEMENT CHARACTER}") or end == len(ids)
            pieces.append(text[len(shown) :] if complete else "")
            if complete:
                start, done = done, end
        return pieces


def make_codec(
    tokenizer: Any,
    config: Any,
    *,
    ends: Mapping[str, Any],
    beginning_of_text: Literal["add", "none"],
) -> TextCodec:
    """The codec of a model, from its tokenizer, its config, and what its files name as end-of-text.

    All ids that the tokenizer or a file names as end-of-text end a text. The default of the
    config's class is ignored: id 2 is end-of-text in Llama's own tokenizer, and an ordinary token
    in another one. `ends` are those of the files by place: an id, a list of ids, or None.

    Raises:
        ModelError: as `TextCodec`; or a place names an id that the model does not have.
    """
    named = {"the tokenizer": tokenizer.eos_token_id, **ends}
    ids_by_place = {place: _as_ids(place, value) for place, value in named.items()}
    codec = TextCodec(
        tokenizer,
        [each for ids in ids_by_place.values() for each in ids],
        beginning_of_text=beginning_of_text,
        rows=getattr(config.get_text_config(), "vocab_size", None),
    )
    for place, ids in ids_by_place.items():
        for each in ids:
            if not 0 <= each < codec.rows:
                raise ModelError(
                    f"{place}: eos_token_id = {each}, and the model's ids are 0 to {codec.rows - 1}"
                )
    return codec


def configured_ends(config_file: str | None, generation_file: str | None) -> dict[str, Any]:
    """What a model's two configuration files, those that exist, name as end-of-text, by place.

    Raises:
        ModelError: a file is damaged.
    """
    named = _read_object(config_file)
    part = named.get("text_config")
    return {
        "config.json": named.get("eos_token_id"),
        "config.json, its part for texts": part.get("eos_token_id")
        if isinstance(part, dict)
        else None,
        "generation_config.json": _read_object(generation_file).get("eos_token_id"),
    }


def _read_object(file: str | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        value = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(
            f"{Path(file).name} is damaged (not JSON): download it again, or remove it"
        ) from error
    if not isinstance(value, dict):
        raise ModelError(
            f"{Path(file).name} is damaged (not a JSON object): download it again, or remove it"
        )
    return value


def _as_ids(name: str, value: Any) -> list[int]:
    """The end-of-text ids that a config names, as a list."""
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(each) is int for each in ids):
        raise ModelError(
            f"{name}: eos_token_id = {json.dumps(value)} is neither a token id nor a list of them"
        )
    return ids


def _switch_off(backend: Any) -> tuple[str, ...]:
    """Switch off truncation, padding and random merges of a tokenizer.json; the descriptions of
    those that were on.
    """
    if backend is None:
        return ()
    off = []
    if backend.truncation is not None:
        off.append(f"truncation to {backend.truncation['max_length']} tokens")
        backend.no_truncation()
    if backend.padding is not None:
        off.append("padding")
        backend.no_padding()
    if getattr(backend.model, "dropout", None):
        off.append(f"random merges (dropout {backend.model.dropout:g})")
        backend.model.dropout = None
    return tuple(off)


def _special(tokenizer: Any, ends: Sequence[int]) -> dict[int, str]:
    """Special tokens by id: those marked as special or named so by the tokenizer, and those that
    end a text.
    """
    added = {
        key: str(value)
        for key, value in tokenizer.added_tokens_decoder.items()
        if value.special or key in ends
    }
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    return {**named, **added}


def _unknown(tokenizer: Any) -> set[int]:
    """The ids for unknown characters, if the tokenizer has any; in some tokenizers it is also the
    end-of-text id.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    names = {tokenizer.unk_token, getattr(getattr(backend, "model", None), "unk_token", None)} - {
        None
    }
    return {each for each in map(tokenizer.convert_tokens_to_ids, names) if each is not None}


def _rowless(tokenizer: Any, ids: Mapping[str, int], rows: int) -> tuple[str, ...]:
    """Tokens without an embedding that the tokenizer's class added by default. These are allowed.

    Qwen2's class adds `<|endoftext|>` to every tokenizer that it loads. Any other token without an
    embedding is refused, because the model would fail in the middle of a run.
    """
    beyond = {token: each for token, each in ids.items() if each >= rows}
    parameters = inspect.signature(type(tokenizer).__init__).parameters.values()
    added = {each.default for each in parameters if isinstance(each.default, str)} & set(
        tokenizer.all_special_tokens
    )
    if beyond.keys() <= added:
        return tuple(beyond)
    token, last = max(beyond.items(), key=lambda item: item[1])
    what = (
        f"has {last + 1:,} tokens"
        if len(set(ids.values())) == last + 1
        else f"has ids up to {last:,}"
    )
    raise ModelError(
        f"the tokenizer {what} (the last is {token!r}), the model {rows:,}: "
        "resize_token_embeddings adds rows to the model, or take the added tokens out of the "
        "tokenizer"
    )


def _slow_rules(tokenizer: Any) -> list[Any]:
    """Class, vocabulary, added tokens and vocabulary files of a tokenizer that is Python code."""
    added = {str(key): repr(value) for key, value in tokenizer.added_tokens_decoder.items()}
    rules = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items()), sorted(added.items())]
    with TemporaryDirectory() as folder:
        written = tokenizer.save_vocabulary(folder) or ()
        files = sorted(Path(each) for each in written if each and Path(each).is_file())
        return [
            *rules,
            [[each.name, hashlib.sha256(each.read_bytes()).hexdigest()] for each in files],
        ]
