"""How sure a model is, and how surprised: per-token scores in float32, whatever dtype the model computes in.

Shapes: B texts, T tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenScores:
    """One value a predicted token, shape (B, T - 1), float32: the first token of a text is never predicted.

    `loss` (cross-entropy of the true token) and `entropy` (of the predicted distribution) in nats; `top1`, `top3` and
    `top5` are the probability mass of the most probable tokens, in [0, 1]. Target of all: the paper sets none;
    hyperfitting raises `loss` on held-out text and the top masses, and lowers `entropy`. Source: A, Table 3.
    """

    loss: Tensor
    entropy: Tensor
    top1: Tensor
    top3: Tensor
    top5: Tensor


def token_scores(logits_BTV: Tensor, ids_BT: Tensor) -> TokenScores:
    """Score every token of the texts but the first, under the logits of the token before it.

    Entropy is taken from log-probabilities, not from probabilities plus a small number as in the public code.
    """
    log_p_BTV = logits_BTV[:, :-1].float().log_softmax(-1)
    p_BTV = log_p_BTV.exp()
    entropy_BT = -torch.where(p_BTV > 0, p_BTV * log_p_BTV, 0.0).sum(-1)
    loss_BT = -log_p_BTV.gather(-1, ids_BT[:, 1:].long().unsqueeze(-1)).squeeze(-1)
    mass_BT5 = p_BTV.topk(min(5, p_BTV.shape[-1]), -1).values.cumsum(-1)
    top1, top3, top5 = (mass_BT5[..., min(k, mass_BT5.shape[-1]) - 1] for k in (1, 3, 5))
    return TokenScores(loss_BT, entropy_BT, top1, top3, top5)
