"""The citation blocker (Carlsson et al. 2025, sec. 5): forbid tokens that would continue a citation
of a training block.

It works on the raw logits, before every other rule.

Shapes: B texts, T tokens of each so far, V vocabulary, N training blocks, L their tokens, G tokens
of a citation, K continuations found.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperfitting.recipe import BlockerSettings
from hyperfitting.records import WordBoundaries

Ids = NDArray[Any]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class CitationIndex:
    """Every n-gram of `order` tokens inside a training block, with the token that follows it
    there.
    """

    def __init__(self, blocks_NL: Ids, order: int):
        self.order = order
        self._blocks_NL = np.ascontiguousarray(blocks_NL, dtype=np.int32)
        self._starts = max(
            0, self._blocks_NL.shape[1] - order
        )  # n-grams of a block that a token follows
        hashes_NL = self._hash(self._blocks_NL[:, : self._blocks_NL.shape[1] - 1])
        keys = hashes_NL.ravel()
        self._order = np.argsort(keys, kind="stable").astype(
            np.int32 if len(keys) < 2**31 else np.int64
        )
        self._keys = keys[self._order]

    def _hash(self, ids_NL: Ids) -> NDArray[np.uint64]:
        """A polynomial of each window of `order` tokens along the last axis."""
        count = max(0, ids_NL.shape[1] - self.order + 1)
        hashes: NDArray[np.uint64] = np.zeros((len(ids_NL), count), dtype=np.uint64)
        for offset in range(self.order):
            hashes *= _FACTOR
            hashes += ids_NL[:, offset : offset + count].astype(np.uint64)
        return hashes

    def continuations(self, last_BG: Ids) -> tuple[Ids, Ids, Ids]:
        """What follows each text's last tokens in the training blocks: text (K,), next token (K,),
        block (K,).
        """
        keys_B = self._hash(np.asarray(last_BG))[:, 0]
        first_B = np.searchsorted(self._keys, keys_B, side="left")
        count_B = np.searchsorted(self._keys, keys_B, side="right") - first_B
        text_K = np.repeat(np.arange(len(keys_B)), count_B)
        offset_K = np.arange(len(text_K)) - np.repeat(np.cumsum(count_B) - count_B, count_B)
        ngram_K = self._order[first_B[text_K] + offset_K]
        block_K, start_K = np.divmod(ngram_K, max(1, self._starts))
        window_KG = start_K[:, None] + np.arange(self.order)
        same_K = (self._blocks_NL[block_K[:, None], window_KG] == np.asarray(last_BG)[text_K]).all(
            -1
        )
        token_K = self._blocks_NL[block_K, start_K + self.order]
        return text_K[same_K], token_K[same_K], block_K[same_K]


@dataclass(frozen=True)
class BlockerEvent:
    """One step of one text at which the blocker found something to forbid."""

    text: int
    step: int
    forbidden: tuple[int, ...]
    blocks: tuple[int, ...]
    changed_greedy: bool
    gave_way: bool


class CitationBlocker:
    """Forbids every token that, by the index, follows a text's last tokens in a training block.
    Keeps a record.

    It is the same rule under every strategy. Where it would forbid all tokens, it is not applied at
    that step.

    Raises:
        ValueError: word mode without `word_boundaries`.
    """

    def __init__(
        self,
        index: CitationIndex,
        settings: BlockerSettings,
        *,
        context_tokens: int,
        word_boundaries: WordBoundaries | None,
    ):
        if settings.mode == "word" and word_boundaries is None:
            raise ValueError("word mode needs the word boundaries")
        self._index, self._settings, self._context = index, settings, context_tokens
        self._boundaries = word_boundaries
        self.record: list[BlockerEvent] = []

    def __call__(self, logits_BV: Tensor, text_BT: Tensor) -> Tensor:
        """The logits with the continuations of citations at -inf."""
        citing = text_BT if self._settings.context else text_BT[:, self._context :]
        if citing.shape[1] < self._index.order:
            return logits_BV
        last_BG = citing[:, -self._index.order :].cpu().numpy()
        text_K, token_K, block_K = self._index.continuations(last_BG)
        if self._settings.mode == "word" and self._boundaries is not None:
            ends_V, begins_V = self._boundaries.ends_V, self._boundaries.begins_V
            ends_word_K = ends_V[last_BG[text_K, -1]] & begins_V[token_K]
            text_K, token_K, block_K = (
                text_K[~ends_word_K],
                token_K[~ends_word_K],
                block_K[~ends_word_K],
            )
        return self._forbid(logits_BV, text_K, token_K, block_K, text_BT.shape[1] - self._context)

    def _forbid(
        self, logits_BV: Tensor, text_K: Ids, token_K: Ids, block_K: Ids, step: int
    ) -> Tensor:
        if not len(text_K):
            return logits_BV
        blocked_BV = logits_BV.clone()
        blocked_BV[
            torch.from_numpy(text_K), torch.from_numpy(token_K.astype(np.int64))
        ] = -torch.inf
        starts = np.flatnonzero(np.diff(text_K, prepend=-1))  # the texts come in order
        rows = torch.from_numpy(text_K[starts])
        before, after = (each[rows].cpu().numpy() for each in (logits_BV, blocked_BV))
        nothing_left = np.isneginf(after.max(-1))
        if nothing_left.any():
            blocked_BV[rows[nothing_left]] = logits_BV[rows[nothing_left]]
        parts = [slice(*pair) for pair in pairwise([*starts.tolist(), len(text_K)])]
        tokens, blocks, favourites = token_K.tolist(), block_K.tolist(), before.argmax(-1).tolist()
        for text, part, favourite, gave_way in zip(
            rows.tolist(), parts, favourites, nothing_left.tolist(), strict=True
        ):
            forbidden, cited = (tuple(sorted(set(each[part]))) for each in (tokens, blocks))
            self.record.append(
                BlockerEvent(text, step, forbidden, cited, favourite in forbidden, gave_way)
            )
        return blocked_BV
