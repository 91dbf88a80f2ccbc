"""Decoding rules: pure functions on logits, applied in the order forbid, temperature, top-k, top-p.

Shapes: B texts, V vocabulary. Logits are float32; what a rule removes becomes -inf. Every rule is tested equal to the
processor of the same name in transformers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def forbid(logits_BV: Tensor, ids: Sequence[int]) -> Tensor:
    """The logits with `ids` made impossible."""
    blocked_BV = logits_BV.clone()
    blocked_BV[:, list(ids)] = -torch.inf
    return blocked_BV


def temperature(logits_BV: Tensor, value: float) -> Tensor:
    """Logits divided by `value` > 0. Below 1 sharpens; an argmax cannot change."""
    return logits_BV / value


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Keep the k largest logits of each text; ties with the k-th stay."""
    kth_B1 = logits_BV.topk(min(k, logits_BV.shape[-1])).values[:, -1:]
    return logits_BV.masked_fill(logits_BV < kth_B1, -torch.inf)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Nucleus sampling (Holtzman et al. 2020): keep the fewest tokens whose probabilities add up to at least p.

    At p = 1.0 nothing is removed.
    """
    if p >= 1.0:
        return logits_BV
    sorted_BV, order_BV = logits_BV.sort(descending=True)
    probability_BV = sorted_BV.softmax(-1)
    before_BV = probability_BV.cumsum(-1) - probability_BV
    removed_BV = torch.zeros_like(before_BV, dtype=torch.bool).scatter(-1, order_BV, before_BV >= p)
    return logits_BV.masked_fill(removed_BV, -torch.inf)


def greedy(logits_BV: Tensor) -> Tensor:
    """The most probable token of each text, shape (B,); the lowest id wins a tie."""
    return logits_BV.argmax(-1)


def sample(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Draw one token a text by inverting the cumulative distribution at `uniform_B` in [0, 1), shape (B,).

    The draw of a text depends on its own logits and its own number, never on its neighbours.
    """
    cumulative_BV = logits_BV.double().softmax(-1).cumsum(-1)
    threshold_B1 = uniform_B.double().unsqueeze(-1).to(logits_BV.device) * cumulative_BV[:, -1:]
    return torch.searchsorted(cumulative_BV, threshold_B1, right=True).squeeze(-1)
