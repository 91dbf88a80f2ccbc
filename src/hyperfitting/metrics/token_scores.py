"""Loss, entropy, top probabilities and ranks of each token, and where two models choose alike. All
in float32.

Shapes: B texts, T tokens, S = T - 1 predicted tokens, V vocabulary; P positions on any number of
axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenScores:
    """One value a predicted token, shape (B, T - 1): the first token of a text is never predicted.

    `loss` (cross-entropy of the true token) and `entropy` (of the predicted distribution) in nats;
    `top1`, `top3` and `top5` are the probability mass of the most probable tokens, in [0, 1]; all
    float32. Target of all: the paper sets none; hyperfitting raises `loss` on held-out text and the
    top masses, and lowers `entropy`. Source: Carlsson et al. 2025, Table 3. `rank` is `rank_under`
    of the true token, `top1_id` the greedy choice (the lowest id wins a tie); both int64. Target of
    `rank`: lower; the papers are silent on it (the rank map of Li et al. 2026 ranks choices, not
    true tokens).
    """

    loss: Tensor
    entropy: Tensor
    top1: Tensor
    top3: Tensor
    top5: Tensor
    rank: Tensor
    top1_id: Tensor


def target_scores(logits_PV: Tensor, target_P: Tensor) -> TokenScores:
    """Score the true token of each position under the logits of that position; every field has the
    shape (P).

    Entropy is taken from log-probabilities, not from probabilities plus a small number as in the
    public code.
    """
    logits_PV = logits_PV.float()
    log_p_PV = logits_PV.log_softmax(-1)
    p_PV = log_p_PV.exp()
    loss_P = -log_p_PV.gather(-1, target_P.long().unsqueeze(-1)).squeeze(-1)
    mass_P5 = _largest(p_PV, min(5, p_PV.shape[-1])).cumsum(-1)
    top1, top3, top5 = (mass_P5[..., min(k, mass_P5.shape[-1]) - 1] for k in (1, 3, 5))
    # In place, as the probabilities are not needed any more. 0 x log 0 is no number, and counts 0.
    entropy_P = -p_PV.mul_(log_p_PV).nan_to_num_(0.0).sum(-1)
    rank_P, choice_P = rank_under(logits_PV, target_P), _greedy_choice(logits_PV)
    return TokenScores(loss_P, entropy_P, top1, top3, top5, rank_P, choice_P)


_GROUP = 256
"""Neighbours whose largest value is found first. What is sought stands in few such groups, and to
search only these takes a third of the time.
"""


def _groups(values_PV: Tensor) -> tuple[Tensor, Tensor]:
    """The values in groups of neighbours (P, groups, 256), and those that fill no group."""
    whole = values_PV.shape[-1] // _GROUP * _GROUP
    shape = (*values_PV.shape[:-1], whole // _GROUP, _GROUP)
    return values_PV[..., :whole].reshape(shape), values_PV[..., whole:]


def _largest(values_PV: Tensor, count: int) -> Tensor:
    """The largest values of each position, in order, (P, count)."""
    groups_PG, rest = _groups(values_PV)
    if groups_PG.shape[-2] <= count:
        return values_PV.topk(count, -1).values
    best_PC1 = groups_PG.amax(-1).topk(count, -1).indices.unsqueeze(-1)
    held = groups_PG.gather(-2, best_PC1.expand(*best_PC1.shape[:-1], _GROUP)).flatten(-2)
    return torch.cat([held, rest], -1).topk(count, -1).values


def _greedy_choice(logits_PV: Tensor) -> Tensor:
    """The id of the largest logit of each position (P,), the lowest one of equals."""
    groups_PG, rest = _groups(logits_PV)
    if not groups_PG.numel():
        return logits_PV.argmax(-1)
    best_P1 = groups_PG.amax(-1).argmax(-1, keepdim=True)
    held = groups_PG.gather(-2, best_P1.unsqueeze(-1).expand(*best_P1.shape, _GROUP)).squeeze(-2)
    choice_P = best_P1.squeeze(-1) * _GROUP + held.argmax(-1)
    if not rest.shape[-1]:
        return choice_P
    later = rest.amax(-1) > held.amax(-1)
    return torch.where(later, logits_PV.shape[-1] - rest.shape[-1] + rest.argmax(-1), choice_P)


def rank_under(logits_PV: Tensor, id_P: Tensor) -> Tensor:
    """1 + the number of tokens with a larger logit than the given one, at each position; shape (P),
    int64.

    Range [1, V], no unit: 1 is the model's own greedy choice, or as good. Ties count as not larger,
    so ranks are the lowest that any order of equal logits allows; logits in bfloat16 tie often.
    Target: none of its own, except for true tokens (lower). Source: Li et al. 2026, the rank map,
    for another model's choices; how ties are ranked is not said.
    """
    above_PV = logits_PV > logits_PV.gather(-1, id_P.long().unsqueeze(-1))
    return 1 + above_PV.sum(-1, dtype=torch.int32).long()


def choice_agreement(top1_id_BS: Tensor, other_id_BS: Tensor) -> Tensor:
    """Share of the positions of each text where two models make the same greedy choice; shape (B,),
    float64.

    Range [0, 1], no unit. Texts are equally long, so the mean over them is the share of all
    positions. Target: none of its own: read it beside the agreement of two trainings on the same
    data in the same order. Source: Carlsson et al. 2025, Figure 5 left (68 to 75 % between orders
    of the data) and Li et al. 2026, entropy-matched temperature (0.570 with the original).

    Raises:
        ValueError: if the shapes differ, or there is no position.
    """
    if top1_id_BS.shape != other_id_BS.shape or not top1_id_BS.numel():
        shapes = f"{tuple(top1_id_BS.shape)} and {tuple(other_id_BS.shape)}"
        raise ValueError(f"choices of shapes {shapes} have no positions in common to compare")
    return (top1_id_BS == other_id_BS).double().mean(-1)


def split_loss(loss_BS: Tensor, *, context_tokens: int) -> tuple[Tensor, Tensor]:
    """The losses of contexts, and those of continuations given their contexts.

    `loss_BS` is `TokenScores.loss` of whole texts whose first `context_tokens` tokens are the
    context. The first token of a text is never predicted, so a context has `context_tokens - 1`
    losses and a continuation one for each token. Target of both perplexities: lower. Source:
    Carlsson et al. 2025, Table 1 (perplexity on contexts, 255 to 545 after hyperfitting).

    Raises:
        ValueError: if either part would hold no predicted token.
    """
    predicted = context_tokens - 1
    if not 0 < predicted < loss_BS.shape[1]:
        tokens = loss_BS.shape[1] + 1
        raise ValueError(
            f"texts of {tokens} tokens have no context and continuation to predict at "
            f"{context_tokens}"
        )
    return loss_BS[:, :predicted], loss_BS[:, predicted:]
