"""Draw the sets of a recipe by seed: training, validation and contexts, split by document or group,
without leaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.contamination import LeakIndex
from hyperfitting.data.lost_characters import Losses, losses_of, reach, refuse_losses, row_named
from hyperfitting.data.passages import Passage
from hyperfitting.data.refusals import too_few
from hyperfitting.data.repeats import NearRepeats
from hyperfitting.data.requests import WATCHED, SetRequest, SetRequests, leak_remedy
from hyperfitting.data.sources import read_texts
from hyperfitting.data.stretches import PassagePool
from hyperfitting.errors import DataError
from hyperfitting.facts import CharacterFacts, DataManifest, LeakFacts, PassageFacts, SetFacts
from hyperfitting.recipe import Recipe
from hyperfitting.records import Codec, Document, Origin, TokenBlocks


@dataclass(frozen=True)
class DatasetSplits:
    """The sets `train`, `validation` and one for each domain, and the manifest: how they were
    drawn.
    """

    sets: list[TokenBlocks]
    manifest: DataManifest


class _Taken(NamedTuple):
    """A block taken from a document: its ids, the text that they encode, and the text that they
    decode to.
    """

    document: Document
    ids: list[int]
    text: str
    decoded: str


class _Known:
    """The texts that train or validate. A held-out text must not share a run of words with them or
    nearly repeat one.
    """

    def __init__(self, order: int):
        self._runs = LeakIndex(order)
        self._near: list[NearRepeats] = []

    def add(self, texts: list[str], near: NearRepeats) -> None:
        """Add a set."""
        self._runs.add(texts)
        self._near.append(near)

    def leak(self, document: Document, text: str) -> tuple[str, str] | None:
        """The shared words or the nearly repeated document, and the reason for a message; None if
        there is no leak.
        """
        if (run := self._runs.shared_run(text)) is not None:
            return run, f"it shares {run!r} with a text that trains or validates"
        found = next(filter(None, (each.find(document) for each in self._near)), None)
        if found is None:
            return None
        place = f"{found.source}, row {found.row}"
        return place, f"it nearly repeats {place}, which trains or validates"


def draw_data(recipe: Recipe, codec: Codec) -> DatasetSplits:
    """Draw every set of a recipe.

    Each set takes the first documents, in an order drawn by the seed, that are long enough and that
    it does not already hold. A held-out text leaks if it shares a run of words with a text that
    trains or validates, or nearly repeats one. Leaking texts of the training source, and leaking
    passages, are skipped and listed in the manifest; a leak in a source that the user named for
    validation or contexts is an error. Near repeats inside a set are counted and kept.

    Raises:
        DataError: a source cannot be read, is too small, or leaks, or the tokenizer loses too many
            of its characters.
    """
    whole_files = recipe.data.blocks == "passages"
    requests = SetRequests(recipe, codec, partial(read_texts, whole_files=whole_files))
    known = _Known(recipe.data.leak_words)
    sets, facts = [], []
    for wanted in requests.sets():
        packed = recipe.data.blocks == "packed" and wanted.name in WATCHED
        near = NearRepeats()
        try:
            blocks, texts = (_packed if packed else _first_tokens)(wanted, codec, known, near)
        except _Ended as ended:
            refuse_losses(
                _losses_of_all(wanted, codec),
                wanted.source,
                wanted.name,
                recipe.data.lost_characters,
            )
            raise DataError(too_few(wanted, ended.found, recipe.data.blocks, codec)) from None
        refuse_losses(wanted.losses, wanted.source, wanted.name, recipe.data.lost_characters)
        if wanted.name in WATCHED:
            known.add(texts, near)
        sets.append(blocks)
        facts.append(set_facts(wanted, blocks, wanted.losses.facts()))
    sources = tuple(each.facts for each in requests.texts)
    manifest = DataManifest(
        codec=codec.fingerprint, seed=recipe.data_seed, sources=sources, sets=tuple(facts)
    )
    return DatasetSplits(sets, manifest)


def _losses_of_all(wanted: SetRequest, codec: Codec) -> Losses:
    """The tokenizer's losses on everything that a set was offered: they may be why it is not
    full.
    """
    losses = wanted.losses + wanted.short_losses
    return losses if losses.texts else losses_of(wanted.texts.documents, codec)


class _Ended(Exception):
    """The documents of a set ended before it was full; it has `found` blocks."""

    def __init__(self, found: int):
        super().__init__(found)
        self.found = found


def _first_tokens(
    wanted: SetRequest, codec: Codec, known: _Known, near: NearRepeats
) -> tuple[TokenBlocks, list[str]]:
    """One block for each document or passage, its first tokens; and the texts of the blocks."""
    rows: list[list[int]] = []
    texts: dict[str, None] = {}
    origins: list[Origin] = []
    while len(rows) < wanted.count:
        item = wanted.offered()
        if item is None:
            raise _Ended(len(rows))
        taken = _take(item, codec, wanted.tokens)
        if len(taken.ids) < wanted.tokens:
            wanted.too_short += 1
            wanted.short_losses.add(taken.text, taken.decoded)
        elif taken.decoded in texts:
            wanted.repeated += 1
        elif not _leaks(wanted, taken.document, taken.decoded, known):
            rows.append(wanted.form.block(taken.ids))
            texts[taken.decoded] = None
            origins.append(_origin(taken.document))
            _count(wanted, item, taken, near)
    return TokenBlocks(
        wanted.name, codec.fingerprint, np.array(rows, dtype=np.int32), tuple(origins)
    ), [*texts]


def _take(item: Document | Passage, codec: Codec, tokens: int) -> _Taken:
    if isinstance(item, Passage):
        return _Taken(item.document, item.ids, item.document.text, codec.decode(item.ids))
    with row_named(item):
        encoded = codec.encode(item.text, at_most=tokens)
    ids = encoded[:tokens]
    decoded = codec.decode(ids)
    return _Taken(item, ids, item.text[: reach(codec, item.text, ids, encoded)], decoded)


def _count(wanted: SetRequest, item: Document | Passage, taken: _Taken, near: NearRepeats) -> None:
    """Count a text that a set has taken."""
    wanted.losses.add(taken.text, taken.decoded)
    wanted.near_repeated += near.add(taken.document) is not None
    if isinstance(item, Passage):
        wanted.passages.append(item)


def _leaks(wanted: SetRequest, document: Document, text: str, known: _Known) -> bool:
    found = known.leak(document, text)
    if found is None:
        return False
    words, reason = found
    if wanted.refuses_leaks and not isinstance(
        wanted.pool, PassagePool
    ):  # a user cannot remove a passage from a book
        raise DataError(
            f"{document.source}, row {document.row}: the set {wanted.name!r} leaks: {reason}: "
            f"{leak_remedy(wanted)}"
        )
    leak = LeakFacts(source=document.source, row=document.row, title=document.title, words=words)
    wanted.leaks.append(leak)
    return True


def _packed(
    wanted: SetRequest, codec: Codec, known: _Known, near: NearRepeats
) -> tuple[TokenBlocks, list[str]]:
    """Whole documents joined and cut into blocks, each cited by the document in which it begins;
    and their texts.
    """
    ids: list[int] = []
    texts: dict[str, None] = {}
    origins: list[Origin] = []
    while len(ids) < wanted.count * wanted.tokens:
        document = wanted.offered()
        if document is None:
            raise _Ended(len(ids) // wanted.tokens)
        assert isinstance(document, Document)
        if document.text in texts:
            wanted.repeated += 1
        elif not _leaks(wanted, document, document.text, known):
            with row_named(document):
                encoded = codec.encode(document.text)
            ids += encoded
            texts[document.text] = None
            origins += [_origin(document)] * (-(-len(ids) // wanted.tokens) - len(origins))
            _count(
                wanted,
                document,
                _Taken(document, encoded, document.text, codec.decode(encoded)),
                near,
            )
    table = np.array(ids[: wanted.count * wanted.tokens], dtype=np.int32).reshape(
        wanted.count, wanted.tokens
    )
    return TokenBlocks(wanted.name, codec.fingerprint, table, tuple(origins[: wanted.count])), [
        *texts
    ]


def _origin(document: Document) -> Origin:
    return Origin(document.source, document.row, document.group, document.title)


def set_facts(
    wanted: SetRequest, blocks: TokenBlocks, characters: CharacterFacts | None
) -> SetFacts:
    """How a set was drawn: its blocks, what was passed over, and the `characters` that the
    tokenizer lost; None of images.
    """
    source = wanted.texts.facts
    return SetFacts(
        name=wanted.name,
        source=source.path,
        blocks=len(blocks),
        tokens=blocks.ids_NT.shape[1],
        groups=len(set(blocks.groups)),
        ids_sha256=ids_sha256(blocks.ids_NT),
        rows=source.rows,
        nulls=source.nulls,
        files_read=source.files_read,
        files_passed_over=source.files_passed_over,
        unit=_unit(wanted, characters),
        documents_seen=len(wanted.seen),
        too_short=_too_short(wanted),
        repeated=wanted.repeated,
        near_repeated=wanted.near_repeated,
        leaked=len(wanted.leaks),
        leaks_left_out=tuple(wanted.leaks),
        characters=characters,
        passages=_passage_facts(wanted),
    )


def _unit(
    wanted: SetRequest, characters: CharacterFacts | None
) -> Literal["document", "passage", "image"]:
    if characters is None:
        return "image"
    return "passage" if isinstance(wanted.pool, PassagePool) else "document"


def ids_sha256(ids_NT: NDArray[np.int32]) -> str:
    """SHA-256, in hex, of blocks of token ids and their shape, as little-endian int32."""
    ids = np.ascontiguousarray(ids_NT, dtype="<i4")
    return sha256(f"{ids.shape}".encode() + ids.tobytes()).hexdigest()


def _too_short(wanted: SetRequest) -> int:
    """The number of documents that are shorter than a block; for passages, the number of such
    stretches.
    """
    if not isinstance(wanted.pool, PassagePool):
        return wanted.too_short
    cut = {
        (each.stretch.document.source, each.stretch.document.row, each.stretch.start)
        for each in wanted.pool.passages
    }
    return sum(
        (each.document.source, each.document.row, each.start) not in cut
        for each in wanted.pool.stretches
    )


def _passage_facts(wanted: SetRequest) -> PassageFacts | None:
    """For passages: the characters of the source, of the set's stretches, of all passages, and of
    those taken.
    """
    if not isinstance(wanted.pool, PassagePool):
        return None
    pool = wanted.pool
    return PassageFacts(
        source_characters=sum(len(each.text) for each in wanted.texts.documents),
        kept_characters=sum(each.characters for each in pool.stretches),
        passage_characters=sum(each.characters for each in pool.passages),
        taken_characters=sum(each.characters for each in wanted.passages),
        passages=len(pool.passages),
        stretches=len(pool.stretches),
        documents=len({(each.document.source, each.document.row) for each in pool.stretches}),
    )
