"""The next-token loss without the (B, T, V) logits: a chunk of tokens at a time, its gradient taken on the spot.

Shapes: B blocks, T tokens, H hidden units, V vocabulary, N predicted tokens, C tokens of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperfitting.models import Precision, autocast
from hyperfitting.recipe import EngineSettings

LossOf = Callable[[Tensor, Tensor], Tensor]
"""(ids_BT, weight_B) -> the weighted sum of the losses of all predicted tokens."""

_CHUNK_BYTES = 2**27
"""The float32 logits of one chunk: 256 tokens at the 128,256 words of Llama 3, all 2,048 of an update at 16,384."""


def next_token_loss(model: nn.Module, ids_BT: Tensor, weight_B: Tensor) -> Tensor:
    """Loss summed over the predicted tokens of each block, times the block's weight, in nats; float32 scalar.

    The head's product is taken in the dtype of autocast, or of the weights; softmax and sums in float32.
    """
    hidden_BTH = model.base_model(ids_BT, use_cache=False).last_hidden_state  # type: ignore[operator]
    weight_N = weight_B.float().repeat_interleave(ids_BT.shape[1] - 1)
    loss: Tensor = _SummedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_BTH[:, :-1].flatten(0, 1),
        model.get_output_embeddings().weight,  # type: ignore[operator]
        ids_BT[:, 1:].flatten(),
        weight_N,
    )
    return loss


def plain_next_token_loss(model: nn.Module, ids_BT: Tensor, weight_B: Tensor) -> Tensor:
    """The same from the model's own logits, for heads that do more than one product (bias, caps, scales)."""
    logits_BTV = model(ids_BT, use_cache=False).logits
    loss_N = cross_entropy(logits_BTV[:, :-1].float().flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none")
    return (loss_N * weight_B.float().repeat_interleave(ids_BT.shape[1] - 1)).sum()


def choose_loss(model: nn.Module, engine: EngineSettings, precision: Precision, device: torch.device) -> LossOf:
    """The loss in chunks where it equals the model's own on eight tokens, else from its logits; compiled if asked."""
    whole = update_wrapper(partial(plain_next_token_loss, model), plain_next_token_loss)
    ids_BT, weight_B = torch.arange(1, 9, device=device).unsqueeze(0), torch.ones(1, device=device)
    with torch.no_grad(), autocast(precision, device):
        equal = torch.allclose(model.next_token_loss(ids_BT, weight_B), whole(ids_BT, weight_B), rtol=1e-4)  # type: ignore[operator]
    chosen: LossOf = model.next_token_loss if equal else whole  # type: ignore[assignment]
    return torch.compile(chosen) if engine.compile else chosen


class _SummedCrossEntropy(torch.autograd.Function):
    """Gradients are linear in the incoming one, so forward can compute them and let each chunk's logits go."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, weight_N: Tensor) -> Tensor:
        device = hidden_NH.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight_VH.dtype
        head_VH = weight_VH.to(dtype)
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        chunk = max(1, _CHUNK_BYTES // (4 * len(weight_VH)))
        loss, gradient_VH, gradients_CH = hidden_NH.new_zeros((), dtype=torch.float32), None, []
        for hidden_CH, target_C, weight_C in zip(
            *(torch.split(each, chunk) for each in (hidden_NH.to(dtype), target_N, weight_N)), strict=True
        ):
            p_CV = (hidden_CH @ head_VH.T).float()
            true_C1 = target_C.unsqueeze(-1)
            top_C1 = p_CV.amax(-1, keepdim=True)
            surprise_C1 = top_C1 - p_CV.gather(-1, true_C1)
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
            if needs_weight:
                part_VH = (slope_CV.T @ hidden_CH).float()
                gradient_VH = part_VH if gradient_VH is None else gradient_VH.add_(part_VH)
        ctx.save_for_backward(
            torch.cat(gradients_CH).to(hidden_NH.dtype) if needs_hidden else None,
            gradient_VH.to(weight_VH.dtype) if gradient_VH is not None else None,
        )
        return loss

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        gradient_NH, gradient_VH = ctx.saved_tensors
        scaled_NH = None if gradient_NH is None else gradient_NH * incoming[0].to(gradient_NH.dtype)
        scaled_VH = None if gradient_VH is None else gradient_VH * incoming[0].to(gradient_VH.dtype)
        return scaled_NH, scaled_VH, None, None
