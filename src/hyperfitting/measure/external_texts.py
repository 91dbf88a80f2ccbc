"""Anybody's texts in the form of continuations, so that the measures take them: no model, no run, no context."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from hyperfitting.data import Mistakes, RowError, read_texts, refuse_name
from hyperfitting.errors import DataError
from hyperfitting.metrics.overlap import LONG_OVERLAP_TOKENS, TrainingIndex
from hyperfitting.metrics.words import characters_said, spaced_pieces
from hyperfitting.models import TextCodec
from hyperfitting.recipe import LEAST_MAUVE_TEXTS, TextSource
from hyperfitting.records import Continuation, Document

Tokens = Callable[[str], tuple[list[int], list[str]]]
"""The ids of a text and one string each, which joined are the text."""


class WordTokens:
    """What stands between white space, each kind its own number: for texts whose tokenizer nobody knows.

    In scripts without spaces each character, with its marks, is a unit.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __call__(self, text: str) -> tuple[list[int], list[str]]:
        """Ids and strings of one text, which is brought to NFC."""
        cut = spaced_pieces(unicodedata.normalize("NFC", text))
        return [self._ids.setdefault(unit, len(self._ids)) for _, unit in cut], [
            piece for piece, _ in cut
        ]


def codec_tokens(codec: TextCodec) -> Tokens:
    """The tokens of a model's tokenizer, without one for the beginning of a text."""

    def tokens(text: str) -> tuple[list[int], list[str]]:
        ids = codec.encode(text)
        return ids, codec.pieces(ids)

    return tokens


def read_written(
    path: Path,
    model: str,
    tokens: Tokens,
    *,
    column: str,
    group: str | None,
    told: Callable[[str], None],
) -> list[Continuation]:
    """The texts of a file as continuations of no context, in file order.

    What cannot be used is told, in at most three lines a mistake, and passed over.

    Raises:
        DataError: the file cannot be read, or no text is left.
    """
    refuse_name(path, str(path))
    documents, facts = read_texts(
        TextSource(path=str(path.absolute()), column=column, group=group), on_warning=told
    )
    if facts["nulls"]:
        told(
            f"{path}: {facts['nulls']:,} of {facts['rows']:,} rows hold a null for a text, and are passed over"
        )
    written = [_written(each, model, tokens, number) for number, each in enumerate(documents)]
    kept = [text for text in written if text.ids]
    empty = Mistakes(told)
    for text in written:
        if not text.ids:
            empty.add(RowError(str(path), text.row, "an empty text"))
    empty.close()
    if not kept:
        raise DataError(f"{path}: no text in it")
    if isinstance(tokens, WordTokens) and (
        units := characters_said([text.text for text in kept], elsewhere="words")
    ):
        told(f"{path}: units: {units}; --tokenizer MODEL counts a model's tokens")
    return kept


def _written(document: Document, model: str, tokens: Tokens, number: int) -> Continuation:
    ids, pieces = tokens(document.text)
    return Continuation(
        variant=model,
        run="",
        domain="texts",
        strategy=None,
        context=number,
        source=document.source,
        row=document.row,
        group=document.group,
        title=document.title,
        context_ids=(),
        context_pieces=(),
        ids=tuple(ids),
        pieces=tuple(pieces),
        ended="length",
    )


def recited_lines(
    texts: Sequence[Continuation],
    training: Sequence[Continuation],
    index: TrainingIndex,
    *,
    most: int = 5,
) -> list[str]:
    """The longest runs of more than 10 tokens that stand in a training text, and in which; longest first."""
    shared = [each.longest for each in index.search([text.ids for text in texts])]
    pairs = sorted(zip(texts, shared, strict=True), key=lambda pair: -pair[1].length)
    return [
        f"{text.source}, row {text.row}: {run.length} tokens stand in {training[run.block].source}, row "
        f"{training[run.block].row}: {''.join(text.pieces[run.start : run.start + run.length]).strip()!r}"
        for text, run in pairs[:most]
        if run.length > LONG_OVERLAP_TOKENS
    ]


def refuse_mauve(texts: Sequence[Continuation], *, force: bool) -> None:
    """Refuse MAUVE without reference texts, and of so few that it is mostly chance.

    Raises:
        DataError: says what is missing.
    """
    counts = Counter(text.variant for text in texts)
    if "reference" not in counts:
        raise DataError("MAUVE tells how near texts are to others: give true ones with --reference")
    few = min(counts.values())
    if few < LEAST_MAUVE_TEXTS and not force:
        raise DataError(
            f"MAUVE of {few} texts is mostly chance: give {LEAST_MAUVE_TEXTS:,} a file, or --force-mauve"
        )


def same_size(texts: Sequence[Continuation], others: Sequence[Continuation]) -> str | None:
    """What to warn of where pooled measures of two sets do not compare."""
    tokens, other_tokens = (sum(len(text.ids) for text in side) for side in (texts, others))
    if (len(texts), tokens) == (len(others), other_tokens):
        return None
    return (
        f"{len(texts)} texts and {len(others)} reference texts, of {tokens} and {other_tokens} tokens: distinct "
        "n-grams and Self-BLEU depend on the number of texts and their length, and do not compare"
    )
