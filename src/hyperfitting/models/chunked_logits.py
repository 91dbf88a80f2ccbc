"""Logits a chunk of tokens at a time: the body reads the texts once, and the head gets its hidden
states in chunks.

The model's own forward computes each chunk, with a body that returns given hidden states, so that
bias, cap and scale of a head are included. The whole (B, T, V) tensor is made only for a model
whose head does not accept chunks, which `head_accepts_chunks` finds out beforehand.

Shapes: B texts, T tokens, S = T - 1 predicted tokens, H hidden units, V vocabulary, N predicted
tokens that are wanted, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hyperfitting.models.adapt.head import autocast_logits, logits_of_hidden, read_body
from hyperfitting.models.adapt.parts import predicting_ids
from hyperfitting.models.devices import Precision

_CHUNK_BYTES = 2**27
"""Size of the float32 logits of a chunk: 256 tokens at Llama 3's vocabulary of 128,256. Scoring
needs 5 times as much.
"""


def chunk_tokens(vocabulary_size: int) -> int:
    """Tokens of a chunk, so that its float32 logits over the vocabulary fill 128 MiB; at least
    one.
    """
    return max(1, _CHUNK_BYTES // (4 * vocabulary_size))


def read_in_chunks(
    model: nn.Module,
    ids_BT: Tensor,
    wanted_BS: Tensor,
    precision: Precision,
    *,
    accepts_chunks: bool,
) -> tuple[Tensor | None, Iterator[Tensor]]:
    """The body's last hidden states (B, T, H) of the texts, and the logits (C, V) that predict the
    wanted ones of all tokens but the first, text after text, in the dtype of the head.

    The logits joined are (N, V). `accepts_chunks` is the answer of `head_accepts_chunks`; if false,
    the logits are computed whole and then split, and the hidden states are None. Without gradients
    only. With a sharded model every process must make the same calls.
    """
    read_BT, predicted = predicting_ids(model, ids_BT), ids_BT.shape[1] - 1
    if not accepts_chunks:
        logits_NV = autocast_logits(model, read_BT, precision)[:, :predicted][wanted_BS]
        return None, iter(torch.split(logits_NV, chunk_tokens(logits_NV.shape[1])))
    output, vocabulary_size = read_body(model, read_BT, precision)
    wanted = (ids_BT[:, :-1][wanted_BS], output.last_hidden_state[:, :predicted][wanted_BS])
    size = chunk_tokens(vocabulary_size)
    chunks = zip(*(torch.split(each, size) for each in wanted), strict=True)
    return output.last_hidden_state, (
        logits_of_hidden(model, output, ids_C, hidden_CH, precision) for ids_C, hidden_CH in chunks
    )
