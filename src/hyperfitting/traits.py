"""What a model is and brings beside its weights: how it is read, what of it is trained, its files,
its tokenizer's habits, and what its chat template puts around a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ChatFrame:
    """The ids that a chat template puts before and after a context in the user's turn, up to where
    the assistant's turn begins.

    `start` is the number of ids that the codec puts before every text; they are not repeated in
    the user's turn.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        """Tokens of the frame without the context."""
        return len(self.before) + len(self.after)

    def text_tokens(self, block_tokens: int) -> int:
        """Tokens of an encoded text that fill a block, together with the frame."""
        return block_tokens - len(self) + self.start

    def around(self, ids: Sequence[int], context_tokens: int) -> list[int]:
        """The ids of a text as a block whose first `context_tokens` are the frame and what stands
        in the user's turn; the rest is the assistant's.
        """
        text, own = ids[self.start :], context_tokens - len(self)
        return [*self.before, *text[:own], *self.after, *text[own:]]


@dataclass(frozen=True)
class TokenizerTraits:
    """What was found out about a model's tokenizer: how it begins and ends texts.

    `beginning` is its beginning-of-text token, and `adds_beginning` whether it puts it first by
    itself; `opens_turns` whether its own chat template puts that token before every turn. `ends`
    are the tokens that end a text. `special` are the ids of these and of all others that stand in
    the prompt of `data.context_format = "chat"`.
    """

    kind: str
    tokens: int
    beginning: str | None
    adds_beginning: bool
    opens_turns: bool
    ends: tuple[str, ...]
    chat_template: str | None
    special: dict[str, int]


@dataclass(frozen=True)
class ModelSource:
    """The files that a model's weights were made from, where that is no ordinary folder.

    `sha256` are their hashes by name. Of a GGUF file, `tensor_types` counts the tensors by their
    quantisation, and `tokenizer` names its tokenizer. Of an adapter, `base` is the model that it
    was merged into, as its own files name it, and the commit of one from the hub.
    """

    kind: Literal["GGUF", "adapter"]
    sha256: dict[str, str]
    tensor_types: dict[str, int]
    tokenizer: str | None = None
    base: str | None = None

    @property
    def quantisation(self) -> str:
        """How many tensors of the GGUF file are of each type; empty without such a file."""
        return ", ".join(f"{kind} {count}" for kind, count in self.tensor_types.items())


@dataclass(frozen=True)
class ModelTraits:
    """What was found out about a model when it was loaded: `check` prints it, run.json keeps it.

    `attention` is the kernel that transformers chose, `decoding` the way in which it is read token
    by token, and `decoding_one_token` that for contexts of a single token.
    """

    architecture: str
    layers: int | None
    vocabulary: int
    tied: bool
    experts: bool
    attention: str
    decoding: str
    decoding_one_token: str


@dataclass(frozen=True)
class TrainedWeights:
    """All trained weights of one place in the layers: their layers, shape and parameters."""

    weights: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]
    parameters: int
