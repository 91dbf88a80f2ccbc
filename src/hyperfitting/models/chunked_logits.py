"""Logits a chunk of tokens at a time: the body reads the texts once, and the head is given some of its hidden states.

What a head does beside its product (bias, cap, scale) is done here too: it is the model's own forward that runs, with a
body that answers at once. A (B, T, V) tensor is made only by a model that cannot be fed so, and that is tried first.

Shapes: B texts, T tokens, H hidden units, V vocabulary, N = B x (T - 1) predicted tokens, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hyperfitting.models.adapt.head import autocast_logits, logits_of_hidden, read_body
from hyperfitting.models.devices import Precision

_CHUNK_BYTES = 2**27
"""The float32 logits of one chunk: 256 tokens at the 128,256 words of Llama 3. Scoring makes five times as much."""


def chunk_tokens(words: int) -> int:
    """Tokens whose float32 logits over `words` words fill a chunk; at least one."""
    return max(1, _CHUNK_BYTES // (4 * words))


def logits_in_chunks(
    model: nn.Module, ids_BT: Tensor, precision: Precision, *, fed: bool
) -> Iterator[Tensor]:
    """Logits (C, V) that predict every token of the texts but the first, text after text, in the dtype of the head.

    Together (N, V). `fed` is what `can_be_fed` says of the model; if it cannot be, its logits are made whole. To be
    used without gradients, and every process of a model that is dealt out over several must use it alike.
    """
    if not fed:
        logits_NV = autocast_logits(model, ids_BT, precision)[:, :-1].flatten(0, 1)
        yield from torch.split(logits_NV, chunk_tokens(logits_NV.shape[1]))
        return
    output, words = read_body(model, ids_BT, precision)
    ids_N, hidden_NH = ids_BT[:, :-1].flatten(), output.last_hidden_state[:, :-1].flatten(0, 1)
    size = chunk_tokens(words)
    for ids_C, hidden_CH in zip(
        *(torch.split(each, size) for each in (ids_N, hidden_NH)), strict=True
    ):
        yield logits_of_hidden(model, output, ids_C, hidden_CH, precision)
