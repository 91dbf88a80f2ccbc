"""The next-token loss without the (B, T, V) logits: a chunk of tokens at a time, its gradient taken
on the spot.

Shapes: B blocks, T tokens, H hidden units, V vocabulary, N predicted tokens, C tokens of a chunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperfitting import models
from hyperfitting.models import Precision, autocast


class TokenSums(NamedTuple):
    """Sums over predicted tokens, each times its weight; float32 scalars.

    `loss` in nats. `hits` counts the tokens that were the argmax of the logits, the lowest id of
    those that tie: the token that greedy decoding would choose.
    """

    loss: Tensor
    hits: Tensor


LossOf = Callable[[Tensor, Tensor], TokenSums]
"""(ids_BT, weights) -> the sums over all predicted tokens. Weights are those of blocks (B,), or of
predicted tokens (B, T - 1).
"""

_CHUNK_BYTES = 2**27
"""The float32 logits of one chunk: 256 tokens at the 128,256 words of Llama 3, all 2,048 of an
update at 16,384.
"""
_ROWS = 8
"""A chunk holds a multiple of it if it may: without AMX, products of 682 rows with a head of 49,152
words take 1.2 to 1.4 times as long a row as those of 672 or 504.
"""
_WORDS = 2**14


def add_loss(model: nn.Module) -> None:
    """Give the model the loss as a method and its head the work of taking it: there FSDP has
    gathered their weights.
    """
    if models.give_head(model, _logits_or_loss):
        model.next_token_loss = MethodType(next_token_loss, model)  # type: ignore[assignment]


def next_token_loss(model: nn.Module, ids_BT: Tensor, weights: Tensor) -> TokenSums:
    """Loss and hits summed over the predicted tokens of each block, times their weights.

    The head's product is taken in the dtype of autocast, or of the weights; softmax and sums in
    float32.
    """
    read_BT, predicted = models.predicting_ids(model, ids_BT), ids_BT.shape[1] - 1
    hidden_BTH = model.base_model(read_BT, use_cache=False).last_hidden_state  # type: ignore[operator]
    weight_N = _by_token(weights, ids_BT)
    hidden_NH = hidden_BTH[:, :predicted].flatten(0, 1)
    return TokenSums(*models.output_head(model)(hidden_NH, ids_BT[:, 1:].flatten(), weight_N))


def _logits_or_loss(
    head: nn.Module,
    hidden_NH: Tensor,
    target_N: Tensor | None = None,
    weight_N: Tensor | None = None,
) -> Any:
    """The head's own forward, or the loss and hits under it where there are targets."""
    if target_N is None:
        return type(head).forward(head, hidden_NH)
    return _SummedCrossEntropy.apply(hidden_NH, head.weight, target_N, weight_N)  # type: ignore[no-untyped-call]


def plain_next_token_loss(model: nn.Module, ids_BT: Tensor, weights: Tensor) -> TokenSums:
    """The same from the model's own logits, for heads that do more than one product (bias, caps,
    scales).
    """
    logits_BTV = models.plain_logits(model, models.predicting_ids(model, ids_BT))
    logits_NV = logits_BTV[:, : ids_BT.shape[1] - 1].float().flatten(0, 1)
    target_N = ids_BT[:, 1:].flatten()
    weight_N = _by_token(weights, ids_BT)
    loss_N = cross_entropy(logits_NV, target_N, reduction="none")
    hit_N = logits_NV.detach().argmax(-1) == target_N
    return TokenSums((loss_N * weight_N).sum(), (hit_N * weight_N).sum())


def _by_token(weights: Tensor, ids_BT: Tensor) -> Tensor:
    """The weight of each predicted token, (N,)."""
    blocks, tokens = ids_BT.shape
    return weights.float().reshape(blocks, -1).expand(-1, tokens - 1).flatten()


def choose_loss(model: nn.Module, precision: Precision, device: torch.device) -> LossOf:
    """The loss in chunks where the logits are one product and it equals theirs on eight tokens,
    else theirs.
    """
    whole = update_wrapper(partial(plain_next_token_loss, model), plain_next_token_loss)
    ids_T = torch.arange(1, 9, device=device) % models.predicted_tokens(model)
    ids_BT, weight_B = ids_T.unsqueeze(0), torch.ones(1, device=device)
    with torch.no_grad(), autocast(precision, device):
        if not (hasattr(model, "next_token_loss") and models.head_is_one_product(model, ids_BT)):
            return whole
        theirs = whole(ids_BT, weight_B)
        try:
            ours = model.next_token_loss(ids_BT, weight_B)  # type: ignore[operator]
        except (AttributeError, TypeError):  # its body is of another form, or it has none
            return whole
    return model.next_token_loss if torch.allclose(ours.loss, theirs.loss, rtol=1e-4) else whole  # type: ignore[return-value]


def _chunk_tokens(tokens: int, vocabulary: int) -> int:
    """Tokens of a chunk, so that all but the last of as few as possible are equally long."""
    most = max(1, _CHUNK_BYTES // (4 * vocabulary))
    equal = math.ceil(tokens / max(1, math.ceil(tokens / most)))
    return min(most, math.ceil(equal / _ROWS) * _ROWS) or 1


class _SummedCrossEntropy(torch.autograd.Function):
    """Gradients are linear in the incoming one, so forward can compute them and let each chunk's
    logits go.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, weight_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        device = hidden_NH.device.type
        dtype = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else weight_VH.dtype
        )
        head_VH = weight_VH.to(dtype)
        weight_N = weight_N.float()  # FSDP hands a bfloat16 module its inputs in bfloat16
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        chunk = _chunk_tokens(len(target_N), len(weight_VH))
        loss, hits = hidden_NH.new_zeros((2,), dtype=torch.float32)
        gradients_CH = []
        gradient_VH = torch.zeros_like(weight_VH, dtype=torch.float32) if needs_weight else None
        for hidden_CH, target_C, weight_C in zip(
            *(torch.split(each, chunk) for each in (hidden_NH.to(dtype), target_N, weight_N)),
            strict=True,
        ):
            p_CV = (hidden_CH @ head_VH.T).float()
            true_C1 = target_C.unsqueeze(-1)
            top_C1, argmax_C1 = p_CV.max(-1, keepdim=True)
            surprise_C1 = top_C1 - p_CV.gather(-1, true_C1)
            hits = hits + ((argmax_C1 == true_C1).squeeze(-1) * weight_C).sum()
            mass_C1 = p_CV.sub_(top_C1).exp_().sum(-1, keepdim=True)
            loss = loss + ((surprise_C1 + mass_C1.log()).squeeze(-1) * weight_C).sum()
            if not (needs_hidden or needs_weight):
                continue
            # d loss / d logits = (softmax - one-hot) x weight, in place of the logits.
            weight_C1 = weight_C.unsqueeze(-1)
            p_CV.mul_(weight_C1 / mass_C1).scatter_add_(-1, true_C1, -weight_C1)
            slope_CV = p_CV.to(dtype)
            if needs_hidden:
                gradients_CH.append(slope_CV @ head_VH)
            if gradient_VH is not None:
                for words in range(
                    0, len(weight_VH), _WORDS
                ):  # in parts: a product as large as the head is not needed
                    part = slice(words, words + _WORDS)
                    gradient_VH[part] += slope_CV[:, part].T @ hidden_CH
        ctx.save_for_backward(
            torch.cat(gradients_CH).to(hidden_NH.dtype) if needs_hidden else None,
            gradient_VH.to(weight_VH.dtype) if gradient_VH is not None else None,
        )
        ctx.mark_non_differentiable(hits)
        return loss, hits

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        gradient_NH, gradient_VH = ctx.saved_tensors
        scaled_NH = None if gradient_NH is None else gradient_NH * incoming[0].to(gradient_NH.dtype)
        scaled_VH = None if gradient_VH is None else gradient_VH * incoming[0].to(gradient_VH.dtype)
        return scaled_NH, scaled_VH, None, None
