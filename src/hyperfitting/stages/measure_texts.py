"""Measure anybody's texts: no experiment, no model of ours."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hyperfitting import measure, models
from hyperfitting.measure import external_texts
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import MeasureSettings, ModelSettings
from hyperfitting.records import MetricRow
from hyperfitting.training import plain_failures


@plain_failures("give fewer or shorter texts, or name another --device")
def measure_file(
    path: Path,
    *,
    reference: Path | None = None,
    training: Path | None = None,
    tokenizer: str | None = None,
    column: str = "text",
    group: str | None = None,
    bleu: bool = False,
    scorer: str | None = None,
    mauve: str | None = None,
    force_mauve: bool = False,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> list[MetricRow]:
    """Measure anybody's texts: beside `reference` texts and their two controls, and against `training` texts.

    `scorer` names a model for perplexity under it, `mauve` one whose features tell how near they are to `reference`.

    Tokens are those of the model that `tokenizer` names, else what stands between white space. Each text is its own
    cluster, or each value of the field `group`. Rows that cannot be used are told one by one and passed over.

    Raises:
        DataError: a file cannot be read, or holds no text; MAUVE is asked for without reference texts, or of too few.
    """
    on_warning = progress.log
    tokens: external_texts.Tokens = external_texts.WordTokens()
    if tokenizer is not None:
        tokens = external_texts.codec_tokens(
            models.load_codec(ModelSettings(source=tokenizer, beginning_of_text="none"))
        )
    read = partial(
        external_texts.read_written, tokens=tokens, column=column, group=group, told=on_warning
    )
    texts, index = read(path, "texts"), None
    training_texts: list[str] | None = [] if bleu else None
    if reference is not None:
        true = read(reference, "reference")
        if warning := external_texts.same_size(texts, true):
            on_warning(warning)
        texts = [*texts, *true, *measure.controls(true, seed)]
    if training is not None:
        blocks = read(training, "training")
        index = TrainingIndex([text.ids for text in blocks])
        for line in external_texts.recited_lines(
            [text for text in texts if text.variant == "texts"], blocks, index
        ):
            on_warning(line)
        training_texts = [text.text for text in blocks] if bleu else None
    how = measure.Intervals(MeasureSettings().bootstrap_draws, seed)
    place = models.resolve_device(device)
    reader = models.load_reader(scorer, place) if scorer else None
    beside = measure.Beside(index=index, training_texts=training_texts, scorer=reader)
    rows = [*measure.text_rows(measure.measure_texts(texts, beside), how)]
    rows += measure.set_rows(measure.measure_sets(texts, beside))
    if mauve is not None:
        external_texts.refuse_mauve(texts, force=force_mauve)
        features = models.load_reader(mauve, place)
        found, taken = measure.mauve_rows(
            features, texts, batch_blocks=beside.batch_blocks, force=force_mauve
        )
        rows += found
        for key, how_taken in taken.items():
            on_warning(f"MAUVE of {key}: {how_taken}")
    strings = [text.text for text in texts if text.variant in ("texts", "reference")] + (
        training_texts or []
    )
    for name, signature in measure.signatures(strings, bleu=bleu).items():
        on_warning(f"{name}: {signature}")
    return rows
