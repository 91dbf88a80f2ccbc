"""A loaded model at work: decoding with a cache, and scoring texts.

Shapes: B texts, T tokens, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hyperfitting.metrics.sharpness import TokenScores, token_scores
from hyperfitting.models.devices import Precision, autocast, device_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CachedModel:
    """A causal model behind the `NextToken` protocol, with transformers' key-value cache in the model's precision."""

    def __init__(self, model: nn.Module, precision: Precision = "fp32"):
        self._model = model
        self._device = device_of(model)
        self._precision: Precision = precision
        self._cache: Any = None

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts into a fresh cache; logits (B, V), float32."""
        self._cache = None
        return self._step(context_BT)

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        return self._step(ids_B.unsqueeze(-1))

    @torch.no_grad()
    def _step(self, ids_BT: Tensor) -> Tensor:
        with autocast(self._precision, self._device):
            output = self._model(ids_BT.to(self._device), past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = output.past_key_values
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV


@torch.no_grad()
def score_texts(
    model: nn.Module, ids_NT: NDArray[Any] | Tensor, *, batch_blocks: int, precision: Precision = "fp32"
) -> TokenScores:
    """Score every token but the first of equally long texts; tensors of shape (N, T - 1) on the CPU, float32."""
    device = device_of(model)
    parts = []
    for ids_BT in torch.split(torch.as_tensor(ids_NT), batch_blocks):
        batch_BT = ids_BT.long().to(device)
        with autocast(precision, device):
            logits_BTV = model(batch_BT, use_cache=False).logits
        parts.append(token_scores(logits_BTV, batch_BT))
    fields = ("loss", "entropy", "top1", "top3", "top5")
    return TokenScores(*(torch.cat([getattr(part, field).cpu() for part in parts]) for field in fields))
