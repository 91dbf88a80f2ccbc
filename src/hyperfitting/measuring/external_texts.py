"""Anybody's texts, from files: as continuations without a model, a run or a context, and measured
like those of a run.

Needs torch only for a tokenizer, a scorer or MAUVE.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hyperfitting.data import Mistakes, RowError, read_texts, refuse_name
from hyperfitting.errors import DataError, plain_out_of_memory
from hyperfitting.measuring.aggregate import Intervals
from hyperfitting.measuring.texts import (
    MeasuredTexts,
    MetricOptions,
    TextBaselines,
    control_texts,
    measure_texts,
)
from hyperfitting.metrics.overlap import LONG_OVERLAP_TOKENS, TrainingIndex
from hyperfitting.metrics.specs import AgainstTrueTexts, metrics_measured_as
from hyperfitting.metrics.words import characters_said, spaced_pieces
from hyperfitting.recipe import MeasureSettings, ModelSettings, TextSource
from hyperfitting.records import REFERENCE, Codec, Continuation, Document, MetricRow

EXTERNAL = "texts"
"""The variant and the domain of texts from a file."""

Tokens = Callable[[str], tuple[list[int], list[str]]]
"""The ids of a text and one string each, which joined are the text."""


@dataclass(frozen=True)
class ExternalTextsRequest:
    """Texts in a file, and what they are measured against.

    Examples:
        >>> hyperfitting.ExternalTextsRequest("texts.jsonl", column="story").column
        'story'

    Args:
        path: the texts.
        reference: true texts to stand beside them, with their two controls; needed by MAUVE.
        training: texts that those of `path` may have been learnt from.
        tokenizer: a model whose tokens are counted; None: what stands between white space.
        column: the field of a row that holds the text.
        group: the field that names a text's cluster; None: each text is its own.
        bleu: Self-BLEU, and with `training` Dataset-BLEU.
        scorer: a model for perplexity under it.
        mauve: a model whose features tell how near the texts are to `reference`.
        force_mauve: MAUVE of fewer texts than it needs.
        seed: of controls and intervals.
        device: where scorer and features run.
    """

    path: str | Path
    reference: str | Path | None = None
    training: str | Path | None = None
    tokenizer: str | None = None
    column: str = "text"
    group: str | None = None
    bleu: bool = False
    scorer: str | None = None
    mauve: str | None = None
    force_mauve: bool = False
    seed: int = 0
    device: str = "auto"


def origin_of(row: MetricRow, request: ExternalTextsRequest) -> dict[str, str]:
    """The file of a row's texts, and the tokenizer whose tokens were counted: `words` where white
    space parts them. Controls are made of the true texts.
    """
    file = request.path if row.variant == EXTERNAL else request.reference
    return {"file": str(file), "tokenizer": request.tokenizer or "words"}


def measure_external_texts(
    texts: ExternalTextsRequest | str | Path,
    *,
    on_warning: Callable[[str], None] = lambda line: None,
) -> list[MetricRow]:
    """The rows of a file's texts, and of the true texts and their controls.

    `texts` is the file, or a request that says more. `on_warning` is given a line for each mistake
    in a file, for sets that do not compare, for the longest recited runs, and for how words, BLEU
    and MAUVE were taken. Rows that cannot be used are passed over.

    Examples:
        >>> ttr = [row for row in hyperfitting.measure("texts.jsonl") if row.name == "ttr"]
        >>> 0 < ttr[0].value <= 1
        True

    Raises:
        DataError: a file cannot be read or holds no text; MAUVE is asked for without true texts, or
            of too few.
        ModelError: a model that the request names cannot be loaded.
        OutOfMemory: a model or its texts do not fit the device.
    """
    request = texts if isinstance(texts, ExternalTextsRequest) else ExternalTextsRequest(texts)
    with plain_out_of_memory("give fewer or shorter texts, or name another --device"):
        measured = _measure(request, on_warning)
    for each in measured.mauve:
        seeds = ", ".join(f"{value:.3f}" for value in each.by_seed)
        on_warning(
            f"MAUVE of {each.arm.title}: {each.n:,} texts, {each.clusters} clusters; by seed "
            f"{seeds}"
        )
    for name, signature in measured.signatures.items():
        on_warning(f"{name}: {signature}")
    return measured.rows


def _measure(request: ExternalTextsRequest, on_warning: Callable[[str], None]) -> MeasuredTexts:
    read = _TextFiles(request, on_warning, _tokens_of(request.tokenizer))
    texts, baselines = read(request.path, EXTERNAL), TextBaselines()
    if request.reference is not None:
        true = read(request.reference, REFERENCE)
        _warn_of_other_size(texts, true, on_warning)
        texts = [*texts, *true, *control_texts(true, request.seed)]
    if request.training is not None:
        training = read(request.training, "training")
        index = TrainingIndex([text.ids for text in training])
        baselines = TextBaselines(index, [text.text for text in training])
        for line in _recited_lines(texts, training, index):
            on_warning(line)
    if request.mauve is not None:
        _refuse_mauve(texts, force=request.force_mauve)
    intervals = Intervals(MeasureSettings().bootstrap_draws, request.seed)
    options = MetricOptions(intervals, request.bleu, request.force_mauve)
    return measure_texts(texts, _with_models(baselines, request), options)


def _with_models(baselines: TextBaselines, request: ExternalTextsRequest) -> TextBaselines:
    """The baselines with the models that the request names; torch is imported for them only."""
    if request.scorer is None and request.mauve is None:
        return baselines
    from hyperfitting.measuring.reading import third_models
    from hyperfitting.models import resolve_device

    device = resolve_device(request.device)
    scorer, features = third_models(request.scorer, request.mauve, device)
    return replace(baselines, scorer=scorer, features=features)


class WordTokens:
    """What stands between white space, each kind its own number: for texts whose tokenizer nobody
    knows.

    In scripts without spaces each character, with its marks, is a unit.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __call__(self, text: str) -> tuple[list[int], list[str]]:
        """Ids and strings of one text, which is brought to NFC."""
        cut = spaced_pieces(unicodedata.normalize("NFC", text))
        ids = [self._ids.setdefault(unit, len(self._ids)) for _, unit in cut]
        return ids, [piece for piece, _ in cut]


def _tokens_of(tokenizer: str | None) -> Tokens:
    """How texts are cut: by a model's tokenizer, without a token for the beginning of a text, or at
    white space.
    """
    if tokenizer is None:
        return WordTokens()
    from hyperfitting.models import load_text_codec

    codec: Codec = load_text_codec(ModelSettings(source=tokenizer, beginning_of_text="none"))

    def tokens(text: str) -> tuple[list[int], list[str]]:
        ids = codec.encode(text)
        return ids, codec.pieces(ids)

    return tokens


@dataclass(frozen=True)
class _TextFiles:
    """Reads the files of a request, all with the same numbers for the same tokens."""

    request: ExternalTextsRequest
    warn: Callable[[str], None]
    tokens: Tokens

    def __call__(self, file: str | Path, variant: str) -> list[Continuation]:
        """The texts of a file as continuations of no context, in file order.

        Rows that cannot be used are warned of, in at most three lines a mistake, and passed over.

        Raises:
            DataError: the file cannot be read, or no text is left.
        """
        path = Path(file)
        texts = [
            _continuation(each, variant, self.tokens, number)
            for number, each in enumerate(self._documents(path))
        ]
        empty, kept = Mistakes(self.warn), [text for text in texts if text.ids]
        for text in texts:
            if not text.ids:
                empty.add(RowError(str(path), text.row, "an empty text"))
        empty.close()
        if not kept:
            raise DataError(f"{path}: no text in it")
        units = characters_said([text.text for text in kept], elsewhere="words")
        if units and self.request.tokenizer is None:
            self.warn(f"{path}: units: {units}; --tokenizer MODEL counts a model's tokens")
        return kept

    def _documents(self, path: Path) -> list[Document]:
        refuse_name(path, str(path))
        column, group = self.request.column, self.request.group
        source = TextSource(path=str(path.absolute()), column=column, group=group)
        documents, facts = read_texts(source, on_warning=self.warn)
        if facts.nulls:
            self.warn(
                f"{path}: {facts.nulls:,} of {facts.rows:,} rows hold a null for a text, and are "
                "passed over"
            )
        return documents


def _continuation(document: Document, variant: str, tokens: Tokens, number: int) -> Continuation:
    ids, pieces = tokens(document.text)
    return Continuation(
        variant=variant,
        run="",
        domain=EXTERNAL,
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


def _recited_lines(
    texts: Sequence[Continuation], training: Sequence[Continuation], index: TrainingIndex
) -> list[str]:
    """The five longest runs of more than 10 tokens that stand in a training text, and in which;
    longest first.
    """
    own = [text for text in texts if text.variant == EXTERNAL]
    shared = [each.longest for each in index.search([text.ids for text in own])]
    pairs = sorted(zip(own, shared, strict=True), key=lambda pair: -pair[1].length)
    return [
        f"{text.source}, row {text.row}: {run.length} tokens stand in "
        f"{training[run.block].source}, row {training[run.block].row}: "
        f"{''.join(text.pieces[run.start : run.start + run.length]).strip()!r}"
        for text, run in pairs[:5]
        if run.length > LONG_OVERLAP_TOKENS
    ]


def _refuse_mauve(texts: Sequence[Continuation], *, force: bool) -> None:
    """Refuse MAUVE without true texts, and of so few that it is mostly chance."""
    counts = Counter(text.variant for text in texts)
    if REFERENCE not in counts:
        raise DataError("MAUVE tells how near texts are to others: give true ones with --reference")
    [(_, how)] = metrics_measured_as(AgainstTrueTexts)
    if (few := min(counts.values())) < how.least_texts and not force:
        raise DataError(
            f"MAUVE of {few} texts is mostly chance: give {how.least_texts:,} a file, or "
            "--force-mauve"
        )


def _warn_of_other_size(
    texts: Sequence[Continuation],
    true: Sequence[Continuation],
    on_warning: Callable[[str], None],
) -> None:
    """Warn where the pooled metrics of two sets do not compare."""
    tokens, true_tokens = (sum(len(text.ids) for text in side) for side in (texts, true))
    if (len(texts), tokens) != (len(true), true_tokens):
        on_warning(
            f"{len(texts)} texts and {len(true)} reference texts, of {tokens} and {true_tokens} "
            "tokens: distinct n-grams and Self-BLEU depend on the number of texts and their "
            "length, and do not compare"
        )
