"""Who trains, who validates, who is continued: drawn by seed, split by document or group, nothing leaking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyperfitting.data.leaks import LeakIndex
from hyperfitting.data.sources import Texts, read_texts
from hyperfitting.errors import DataError
from hyperfitting.recipe import DataSettings, Recipe, TextSource
from hyperfitting.records import Codec, Document, Origin, TokenBlocks


@dataclass(frozen=True)
class Drawn:
    """The sets `train`, `validation` and each set of contexts, and how they came to be."""

    sets: list[TokenBlocks]
    manifest: dict[str, Any]


@dataclass
class _Set:
    """One set while it is drawn: the documents it may take, in the order in which it is offered them."""

    name: str
    count: int
    tokens: int
    pool: Iterator[Document]
    chosen: bool  # the user named its source, so a leak is the user's to mend
    source: str
    seen: int = 0
    too_short: int = 0
    leaks: list[dict[str, Any]] = field(default_factory=list)


def draw_data(recipe: Recipe, codec: Codec) -> Drawn:
    """Draw every set of a recipe.

    Each set takes the first documents, in an order drawn by the seed, that are long enough. A text held out of the
    training source by us that leaks is passed over, and counted and named; a leak in a source that the user chose for
    validation or contexts is an error.

    Raises:
        DataError: a source cannot be read, is too small, or leaks.
    """
    cache: dict[TextSource, Texts] = {}
    index = LeakIndex(recipe.data.leak_words)
    sets, facts = [], []
    for wanted in _plan(recipe, cache):
        packed = recipe.data.blocks == "packed" and wanted.name in ("train", "validation")
        blocks, texts = (_packed if packed else _first_tokens)(wanted, codec, index)
        if wanted.name in ("train", "validation"):
            index.add(texts)
        sets.append(blocks)
        facts.append(_facts(wanted, blocks))
    return Drawn(
        sets, {"codec": codec.fingerprint, "sources": [texts.facts for texts in cache.values()], "sets": facts}
    )


def _plan(recipe: Recipe, cache: dict[TextSource, Texts]) -> Iterable[_Set]:
    """The sets in the order in which they are drawn: training first, since the others must not clash with it."""
    data = recipe.data
    context_length = data.context_tokens + recipe.generate.new_tokens
    held = _read(data.train, cache).documents
    drawn_here = next((each for each in data.contexts if each.source is None), None)
    counts = (
        data.train_blocks,
        data.validation_blocks if data.validation is None else 0,
        drawn_here.count if drawn_here else 0,
    )
    train, validation, contexts = _pools(held, data, counts, recipe.seed)
    yield _Set("train", data.train_blocks, data.block_tokens, train, False, data.train.path)
    if data.validation is not None:
        validation = _shuffled(_read(data.validation, cache).documents, recipe.seed)
    source = data.validation or data.train
    yield _Set(
        "validation", data.validation_blocks, data.block_tokens, validation, data.validation is not None, source.path
    )
    streams: dict[TextSource, Iterator[Document]] = {}  # sets of one source share its documents, each taken once
    for each in data.contexts:
        if each.source is not None and each.source not in streams:
            streams[each.source] = _shuffled(_read(each.source, cache).documents, recipe.seed)
        pool = contexts if each.source is None else streams[each.source]
        yield _Set(
            each.name, each.count, context_length, pool, each.source is not None, (each.source or data.train).path
        )


def _read(source: TextSource, cache: dict[TextSource, Texts]) -> Texts:
    if source not in cache:
        cache[source] = read_texts(source)
    return cache[source]


def _shuffled(documents: list[Document], seed: int) -> Iterator[Document]:
    return (documents[i] for i in np.random.default_rng([seed, 0]).permutation(len(documents)))


def _pools(
    documents: list[Document], data: DataSettings, counts: tuple[int, int, int], seed: int
) -> list[Iterator[Document]]:
    """Where training, validation and contexts take their documents from.

    Without groups all three take from one shuffled stream, so none can take another's. With groups, whole groups are
    dealt out by share first.
    """
    if data.train.group is None:
        stream = _shuffled(documents, seed)
        return [stream, stream, stream]
    names = sorted({document.group for document in documents})
    shares = np.array(data.shares or counts, dtype=float) * (np.array(counts) > 0)
    if len(names) < np.count_nonzero(shares):
        raise DataError(
            f"{data.train.path}: {len(names)} group(s) in the field {data.train.group!r} cannot be split into "
            f"{np.count_nonzero(shares)} parts: name another data.train.group, or give the other sets their own source"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(names))
    part_of = dict(zip((names[i] for i in order), _deal(len(names), shares), strict=True))
    return [_shuffled([each for each in documents if part_of[each.group] == part], seed) for part in range(3)]


def _deal(groups: int, shares: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """The part of each group: sizes by largest remainder, at least one for every part that has a share."""
    exact = groups * shares / shares.sum()
    sizes = np.floor(exact).astype(int)
    for part in np.argsort(-(exact - sizes), kind="stable")[: groups - sizes.sum()]:
        sizes[part] += 1
    for part in np.flatnonzero((sizes == 0) & (shares > 0)):
        sizes[sizes.argmax()] -= 1
        sizes[part] = 1
    return [part for part, size in enumerate(sizes) for _ in range(size)]


def _first_tokens(wanted: _Set, codec: Codec, index: LeakIndex) -> tuple[TokenBlocks, list[str]]:
    """One block a document, its first tokens; and the texts of the blocks."""
    rows: list[list[int]] = []
    texts: list[str] = []
    origins: list[Origin] = []
    while len(rows) < wanted.count:
        document = next(wanted.pool, None)
        if document is None:
            raise DataError(_too_few(wanted, len(rows)))
        wanted.seen += 1
        ids = codec.encode(document.text, at_most=wanted.tokens)[: wanted.tokens]
        text = codec.decode(ids)
        if len(ids) < wanted.tokens:
            wanted.too_short += 1
        elif not _leaks(wanted, document, text, index):
            rows.append(ids)
            texts.append(text)
            origins.append(_origin(document))
    return TokenBlocks(wanted.name, codec.fingerprint, np.array(rows, dtype=np.int32), tuple(origins)), texts


def _leaks(wanted: _Set, document: Document, text: str, index: LeakIndex) -> bool:
    run = index.shared_run(text)
    if run is None:
        return False
    if wanted.chosen:
        raise DataError(
            f"{document.source}, row {document.row}: the set {wanted.name!r} leaks: it shares {run!r} with a text that "
            "trains or validates: remove it, or choose another source"
        )
    wanted.leaks.append({"source": document.source, "row": document.row, "title": document.title, "words": run})
    return True


def _packed(wanted: _Set, codec: Codec, index: LeakIndex) -> tuple[TokenBlocks, list[str]]:
    """Whole documents end to end, cut into blocks, each cited by the document it begins in; and their texts."""
    ids: list[int] = []
    texts: list[str] = []
    origins: list[Origin] = []
    while len(ids) < wanted.count * wanted.tokens:
        document = next(wanted.pool, None)
        if document is None:
            raise DataError(_too_few(wanted, len(ids) // wanted.tokens))
        wanted.seen += 1
        if _leaks(wanted, document, document.text, index):
            continue
        ids += codec.encode(document.text)
        texts.append(document.text)
        origins += [_origin(document)] * (-(-len(ids) // wanted.tokens) - len(origins))
    table = np.array(ids[: wanted.count * wanted.tokens], dtype=np.int32).reshape(wanted.count, wanted.tokens)
    return TokenBlocks(wanted.name, codec.fingerprint, table, tuple(origins[: wanted.count])), texts


def _origin(document: Document) -> Origin:
    return Origin(document.source, document.row, document.group, document.title)


def _too_few(wanted: _Set, found: int) -> str:
    setting = {"train": "data.train_blocks", "validation": "data.validation_blocks"}.get(
        wanted.name, "its count in data.contexts"
    )
    leaked = f" ({len(wanted.leaks)} leaked)" if wanted.leaks else ""
    return (
        f"{wanted.source}: the set {wanted.name!r} needs {wanted.count} documents of at least {wanted.tokens} tokens, "
        f"and there are {found} among the {wanted.seen} left for it{leaked}: lower {setting}, or give it more text"
    )


def _facts(wanted: _Set, blocks: TokenBlocks) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "source": wanted.source,
        "blocks": len(blocks),
        "tokens": wanted.tokens,
        "groups": len(set(blocks.groups)),
        "documents_seen": wanted.seen,
        "too_short": wanted.too_short,
        "leaks_left_out": wanted.leaks,
    }
