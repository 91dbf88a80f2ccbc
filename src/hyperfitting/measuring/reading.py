"""Models that read texts, each text once and counted: the untouched model, trained ones, and third
models with a tokenizer of their own. Needs torch.

Shapes: N texts, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperfitting.models import (
    ScoredText,
    TextCodec,
    accepts_chunks_of,
    last_hidden_states,
    load_scoring_model,
    score_rows,
)
from hyperfitting.recipe import Dtype
from hyperfitting.records import Continuation


class TextReader:
    """A model that reads no text twice: what it said of a text is kept for whoever asks next.

    `tokens` counts what it has read, padding left out; `name` stands beside that number. With
    `keep_last` the last hidden state of a scored text is kept too. `advance` is told how many of
    the texts asked for are done.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        *,
        batch_texts: int,
        keep_last: bool = False,
        advance: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self.name, self.tokens = name, 0
        self._model, self._batch_texts, self._keep_last = model, batch_texts, keep_last
        self._advance = advance
        self._accepts_chunks: bool | None = None
        self._scored: dict[bytes, ScoredText] = {}
        self._last: dict[bytes, NDArray[np.float32]] = {}

    def score(
        self, rows: Sequence[Any], choices: Sequence[Sequence[Tensor]] = ()
    ) -> list[ScoredText]:
        """What the model says of each text, given as ids.

        `choices` of other models are ranked, for each of these models one tensor a text; of a text
        that was read before, those of its first reading stand.
        """
        keys = [_key(row) for row in rows]
        new = {key: text for text, key in enumerate(keys) if key not in self._scored}
        read = [rows[text] for text in new.values()]
        lengths = [len(row) for row in read if len(row) > 1]  # nothing predicts a single token
        if self._accepts_chunks is None and lengths:
            self._accepts_chunks = accepts_chunks_of(self._model, read)
        found = score_rows(
            self._model,
            read,
            batch_texts=self._batch_texts,
            accepts_chunks=self._accepts_chunks,
            choices=[[own[text] for text in new.values()] for own in choices],
            keep_last=self._keep_last,
            advance=self._advance,
        )
        self._scored |= dict(zip(new, found, strict=True))
        self.tokens += sum(lengths)
        self._advance(len(rows) - len(lengths))
        return [self._scored[key] for key in keys]

    def last_states(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The hidden state of each text's last token after the last layer (N, H), in float32.

        Raises:
            ModelError: the model has no body that returns hidden states.
        """
        keys = [_key(row) for row in rows]
        known = {key: self._scored[key].last_H for key in keys if key in self._scored}
        self._last |= {key: last_H.numpy() for key, last_H in known.items() if last_H is not None}
        new = {key: text for text, key in enumerate(keys) if key not in self._last}
        read = [rows[text] for text in new.values()]
        found = last_hidden_states(self._model, read, batch_texts=self._batch_texts)
        self._last |= dict(zip(new, found, strict=True))
        self.tokens += sum(map(len, read))
        self._advance(len(rows))
        return np.stack([self._last[key] for key in keys]) if keys else found


@dataclass(frozen=True)
class ThirdModel:
    """A model beside those of the experiment: its reader, its tokenizer, and its limit of tokens
    (None: no limit).
    """

    reader: TextReader
    codec: TextCodec
    positions: int | None

    def encode(self, text: Continuation) -> tuple[list[int], int]:
        """Context and text in the model's tokens, as far as it has positions, and where the text
        begins.

        A token that reaches over the border between context and text counts as the text's.
        """
        context = "".join(text.context_pieces)
        before, ids = self.codec.encode(context), self.codec.encode(context + text.text)
        ids = ids[: self.positions]
        same = (i for i, (one, other) in enumerate(zip(before, ids, strict=False)) if one != other)
        return ids, next(same, len(before))


def third_models(
    scorer: str | None,
    mauve: str | None,
    device: torch.device,
    *,
    dtype: Dtype = "float32",
    batch_texts: int = 8,
    advance: Callable[[int], None] = lambda texts: None,
) -> tuple[ThirdModel | None, ThirdModel | None]:
    """The models that `measure.scorer` and `measure.mauve` name, as hub names or folders; the same
    one twice where both name one, so that its texts are read once.

    Raises:
        ModelError: as `load_scoring_model`.
    """
    held: dict[str, ThirdModel] = {}
    for name, source in (("scorer", scorer), ("mauve", mauve)):
        if source is not None and source not in held:
            loaded = load_scoring_model(source, device, dtype=dtype)
            reader = TextReader(
                name,
                loaded.model,
                batch_texts=batch_texts,
                keep_last=source == mauve,
                advance=advance,
            )
            held[source] = ThirdModel(reader, loaded.codec, loaded.positions)
    return (held[scorer] if scorer else None), (held[mauve] if mauve else None)


def _key(row: Any) -> bytes:
    return np.asarray(row, dtype=np.int64).tobytes()
