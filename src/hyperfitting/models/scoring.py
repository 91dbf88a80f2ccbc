"""Score texts with a loaded model: losses, ranks and hidden states.

Shapes: N texts, B of them at a time, T tokens, S = T - 1 predicted tokens, V vocabulary, M = B x S
predicted tokens of a batch, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperfitting.errors import ModelError
from hyperfitting.metrics.token_scores import TokenScores, rank_under, target_scores
from hyperfitting.models.adapt.head import head_accepts_chunks
from hyperfitting.models.chunked_logits import logits_in_chunks
from hyperfitting.models.devices import Precision, device_of
from hyperfitting.models.stepping import accepts


@torch.no_grad()
def score_texts(
    model: nn.Module,
    ids_NT: NDArray[Any] | Tensor,
    *,
    batch_blocks: int,
    precision: Precision = "fp32",
) -> TokenScores:
    """Score every token but the first of N equally long texts; tensors of shape (N, T - 1) on the
    CPU.

    Softmax and scores are computed in float32, a chunk of tokens at a time. The logits of a whole
    batch are in memory only if the model's head does not accept chunks.
    """
    targets_NS = torch.as_tensor(ids_NT)[:, 1:]
    columns: list[Tensor] = []
    start = 0
    for logits_CV, target_C in _predictions(model, ids_NT, targets_NS, batch_blocks, precision):
        scores = target_scores(logits_CV, target_C)
        part = [getattr(scores, field.name) for field in fields(TokenScores)]
        # Filled in place: results allocated between the batches would fragment the memory, which
        # would keep growing.
        columns = columns or [torch.empty(targets_NS.numel(), dtype=each.dtype) for each in part]
        for column_N, each_C in zip(columns, part, strict=True):
            column_N[start : start + len(each_C)] = each_C
        start += len(target_C)
    return TokenScores(*(column_N.view(targets_NS.shape) for column_N in columns))


@torch.no_grad()
def rank_choices(
    model: nn.Module,
    ids_NT: NDArray[Any] | Tensor,
    choices_NS: Tensor,
    *,
    batch_blocks: int,
    precision: Precision = "fp32",
) -> Tensor:
    """The rank under this model (`rank_under`) of another model's choice at each predicted token;
    (N, T - 1), int64.

    `choices_NS` is the other model's `TokenScores.top1_id` for the same texts. Source: Li et al.
    2026, the rank map.

    Raises:
        ValueError: `choices_NS` does not have shape (N, T - 1).
    """
    expected = (len(ids_NT), ids_NT.shape[1] - 1)
    if tuple(choices_NS.shape) != expected:
        raise ValueError(
            f"choices of shape {tuple(choices_NS.shape)} for texts that need {expected}"
        )
    chunks = _predictions(model, ids_NT, choices_NS, batch_blocks, precision)
    return torch.cat(
        [rank_under(logits_CV.float(), choice_C).cpu() for logits_CV, choice_C in chunks]
    ).view(expected)


@torch.no_grad()
def last_hidden_states(
    model: nn.Module, rows: Sequence[Sequence[int]], *, batch_texts: int
) -> NDArray[np.float32]:
    """The hidden state of each text's last token after the last layer; (N, H), float32, on the CPU.

    Texts may differ in length: they are padded on the right, which does not change the states of a
    causal model.

    Raises:
        ValueError: a text is empty.
        ModelError: the model has no body that returns hidden states.
    """
    if not all(rows):
        raise ValueError("an empty text has no last token")
    device, parts = device_of(model), []
    for start in range(0, len(rows), batch_texts):
        batch = rows[start : start + batch_texts]
        longest = max(map(len, batch))
        ids_BT = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in batch], device=device)
        hidden_BTH = _hidden_states(model, ids_BT)
        last_B = torch.tensor([len(ids) - 1 for ids in batch], device=device)
        parts.append(hidden_BTH[torch.arange(len(batch), device=device), last_B].float().cpu())
    return torch.cat(parts).numpy() if parts else np.zeros((0, 0), np.float32)


def _hidden_states(model: nn.Module, ids_BT: Tensor) -> Tensor:
    body: Any = getattr(model, "base_model", None)
    output = (
        body(ids_BT, use_cache=False) if body is not None and accepts(body, "use_cache") else None
    )
    hidden_BTH = getattr(output, "last_hidden_state", None)
    if not isinstance(hidden_BTH, Tensor):
        raise ModelError(
            f"{type(model).__name__} gives no hidden states: name another model for them"
        )
    return hidden_BTH


def _predictions(
    model: nn.Module,
    ids_NT: NDArray[Any] | Tensor,
    targets_NS: Tensor,
    batch_blocks: int,
    precision: Precision,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (C, V) of every token but the first, text after text, and their targets (C,), on the
    model's device.
    """
    device, all_ids_NT = device_of(model), torch.as_tensor(ids_NT)
    accepts_chunks = head_accepts_chunks(model, all_ids_NT[:1].long().to(device), precision)
    batches = zip(
        *(torch.split(each, batch_blocks) for each in (all_ids_NT, targets_NS)), strict=True
    )
    for ids_BT, targets_BS in batches:
        start, target_M = 0, targets_BS.flatten().long().to(device)
        ids_BT = ids_BT.long().to(device)
        for logits_CV in logits_in_chunks(model, ids_BT, precision, accepts_chunks=accepts_chunks):
            yield logits_CV, target_M[start : start + len(logits_CV)]
            start += len(logits_CV)
