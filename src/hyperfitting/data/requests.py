"""The sets of a recipe before they are drawn: how many blocks of which source each needs, and what
it may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hyperfitting.data.lost_characters import Losses, losses_of, refuse_losses
from hyperfitting.data.passages import Passage
from hyperfitting.data.sources import SourceTexts
from hyperfitting.data.splits import document_pools, shuffled
from hyperfitting.data.stretches import PassagePool, passage_pools, whole_pool
from hyperfitting.errors import DataError
from hyperfitting.facts import LeakFacts
from hyperfitting.recipe import Recipe, TextSource
from hyperfitting.records import Codec, Document
from hyperfitting.traits import ChatFrame

WATCHED = ("train", "validation")
"""The sets for training and for validation. All others are contexts, which must share nothing with
these.
"""


@dataclass(frozen=True)
class BlockForm:
    """How an encoded text becomes a block of `block_tokens`: its first tokens, or, with a `frame`,
    those and the frame, which stands around what is the context's of them.
    """

    block_tokens: int
    context_tokens: int
    frame: ChatFrame | None

    @property
    def tokens(self) -> int:
        """Tokens of a text that make a block."""
        held = self.block_tokens
        return held if self.frame is None else self.frame.text_tokens(held)

    def block(self, ids: list[int]) -> list[int]:
        """The block of a text's first `tokens`."""
        return ids if self.frame is None else self.frame.around(ids, self.context_tokens)


@dataclass
class SetRequest:
    """One set while it is drawn: its size, what it may take in order, and counts of what was taken
    or skipped.
    """

    name: str
    count: int
    pool: Iterator[Any] | PassagePool
    form: BlockForm
    chosen: bool  # the user named its source
    texts: SourceTexts
    refuses_leaks: bool = False  # a leak is an error that the user must correct
    seen: list[Any] = field(default_factory=list)
    too_short: int = 0
    repeated: int = 0
    near_repeated: int = 0
    leaks: list[LeakFacts] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    short_losses: Losses = field(default_factory=Losses)
    passages: list[Passage] = field(default_factory=list)  # that were taken

    @property
    def tokens(self) -> int:
        """Tokens of a text that make one of its blocks."""
        return self.form.tokens

    @property
    def source(self) -> str:
        """The path of its source, as the recipe names it."""
        return self.texts.facts.path

    def offered(self) -> Any:
        """The next document, image or passage that it may take; None if there are no more."""
        pool: Iterator[Any] = self.pool.offered if isinstance(self.pool, PassagePool) else self.pool
        item = next(pool, None)
        if item is not None:
            self.seen.append(item.document if isinstance(item, Passage) else item)
        return item


def leak_remedy(wanted: SetRequest) -> str:
    """What a user does about a leak that is an error."""
    if wanted.name == "validation":
        return "remove it, or choose another source"
    return 'remove it, choose another source, or set leaks = "leave-out" of this domain'


class SetRequests:
    """The sets of a recipe and the texts of their sources, each of which `read` reads once.

    `codec` is None where blocks are not cut from what is read: of images, each is one block.
    """

    def __init__(
        self, recipe: Recipe, codec: Codec | None, read: Callable[[TextSource], SourceTexts]
    ):
        data = recipe.data
        frame = codec.chat_frame(data.chat_instruction) if codec and data.holds_chats else None
        if frame is not None and data.context_tokens <= len(frame):
            raise DataError(
                f"data.context_tokens = {data.context_tokens}: the chat template and "
                f"data.chat_instruction take {len(frame)} of them: set {len(frame) + 32}, for a "
                "context of 32"
            )
        self._recipe, self._codec, self._read_source = recipe, codec, read
        self._contexts, self._training = (
            BlockForm(length, data.context_tokens, frame if form == "chat" else None)
            for length, form in (
                (data.context_tokens + recipe.generate.new_tokens, data.context_format),
                (data.block_tokens, data.train_format),
            )
        )
        self._texts: dict[TextSource, SourceTexts] = {}
        self._streams: dict[TextSource, Iterator[Document] | PassagePool] = {}

    @property
    def texts(self) -> list[SourceTexts]:
        """The texts of every source that was read."""
        return list(self._texts.values())

    def sets(self) -> Iterator[SetRequest]:
        """The sets in drawing order: training first, because the others must not share texts with
        it.
        """
        data = self._recipe.data
        train, validation, contexts = self._pools()
        form, own = self._training, data.validation
        yield SetRequest("train", data.train_blocks, train, form, False, self._read(data.train))
        pool = validation if own is None else self._all_of(own, form.tokens)
        texts = self._read(own or data.train)
        chosen = own is not None
        yield SetRequest(
            "validation", data.validation_blocks, pool, form, chosen, texts, refuses_leaks=chosen
        )
        for each in data.domains:
            pool = contexts if each.source is None else self._stream(each.source)
            texts = self._read(each.source or data.train)
            chosen, refuses = each.source is not None, each.leaks == "refuse"
            yield SetRequest(
                each.name, each.count, pool, self._contexts, chosen, texts, chosen and refuses
            )

    def _pools(self) -> list[Iterator[Document]] | list[PassagePool]:
        data, seed = self._recipe.data, self._recipe.data_seed
        held = self._read(data.train).documents
        drawn_here = next((each for each in data.domains if each.source is None), None)
        counts = (
            data.train_blocks,
            data.validation_blocks if data.validation is None else 0,
            drawn_here.count if drawn_here else 0,
        )
        if data.blocks != "passages" or self._codec is None:
            return document_pools(held, data, counts, seed)
        lengths = (self._training.tokens, self._training.tokens, self._contexts.tokens)
        try:
            return passage_pools(held, data, self._codec, lengths, counts, seed)
        except DataError:  # too little text: the tokenizer may have lost it
            refuse_losses(
                losses_of(held, self._codec), data.train.path, "train", data.lost_characters
            )
            raise

    def _stream(self, source: TextSource) -> Iterator[Document] | PassagePool:
        """The stream that sets of one source share, so that no document is taken twice."""
        if source not in self._streams:
            self._streams[source] = self._all_of(source, self._contexts.tokens)
        return self._streams[source]

    def _all_of(self, source: TextSource, tokens: int) -> Iterator[Document] | PassagePool:
        data, seed, documents = (
            self._recipe.data,
            self._recipe.data_seed,
            self._read(source).documents,
        )
        if data.blocks == "passages" and self._codec is not None:
            return whole_pool(documents, data, self._codec, tokens, seed)
        return shuffled(documents, seed)

    def _read(self, source: TextSource) -> SourceTexts:
        if source not in self._texts:
            self._texts[source] = self._read_source(source)
        return self._texts[source]
