"""Decoding rules: pure functions on logits. `make_sampler` applies them in the order of a
strategy's settings.

Shapes: B texts, T tokens of each so far (context included), S of them generated, V vocabulary, W
windows, N tokens of an n-gram. Logits are float32; removed tokens get -inf. Every rule is tested
against the processor of the same name in transformers, and DRY, which transformers lacks, against a
plain loop. A rule may remove every token or overflow; the loop then does not apply it to that text
at that step (`usable`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from hyperfitting.errors import ModelError


def usable(logits_BV: Tensor) -> Tensor:
    """Which texts have a token to choose, bool (B,): no NaN, no +inf, and not all logits -inf."""
    return logits_BV.amax(-1).isfinite()


def refuse_unusable(logits_BV: Tensor) -> Tensor:
    """The logits unchanged, if every text has a token to choose.

    Raises:
        ModelError: a text has none, because the model computes NaN or infinities.
    """
    if not usable(logits_BV).all():
        raise ModelError(
            "the model's logits are NaN or infinite, so that no token can be chosen: its weights "
            "are damaged, or its "
            'dtype is too narrow: try model.dtype = "float32"'
        )
    return logits_BV


def float64(values: Tensor) -> Tensor:
    """The values in float64, on their device, or on the CPU if the device lacks float64 (Apple's
    MPS).
    """
    return (values.cpu() if values.device.type == "mps" else values).double()


def forbid(logits_BV: Tensor, ids: Sequence[int]) -> Tensor:
    """The logits with those of `ids` at -inf."""
    blocked_BV = logits_BV.clone()
    blocked_BV[:, list(ids)] = -torch.inf
    return blocked_BV


def repetition_penalty(logits_BV: Tensor, seen_BT: Tensor, penalty: float) -> Tensor:
    """Divide positive logits of the tokens in `seen_BT` by `penalty` > 0, and multiply negative
    ones; > 1 discourages.

    The caller decides whether `seen_BT` includes the context. A token without a logit, such as the
    start token of an image, is ignored. Source: Keskar et al. 2019.
    """
    vocabulary = logits_BV.shape[-1]
    padded_BV, seen_BT = pad(logits_BV, (0, 1)), seen_BT.clamp(max=vocabulary)
    score_BT = padded_BV.gather(-1, seen_BT)
    changed_BT = torch.where(score_BT < 0, score_BT * penalty, score_BT / penalty)
    return padded_BV.scatter(-1, seen_BT, changed_BT)[:, :vocabulary]


def no_repeat_ngram(logits_BV: Tensor, text_BT: Tensor, order: int) -> Tensor:
    """Remove every token that would complete an n-gram of `order` tokens that is already in the
    text or its context.
    """
    if text_BT.shape[1] < order:
        return logits_BV
    ngram_BWN = text_BT.unfold(1, order, 1)
    begun_B1N = text_BT[:, text_BT.shape[1] - order + 1 :].unsqueeze(1)
    row, window = (ngram_BWN[..., :-1] == begun_B1N).all(-1).nonzero(as_tuple=True)
    token = ngram_BWN[row, window, -1]
    known = token < logits_BV.shape[-1]  # the start token of an image has no logit
    blocked_BV = logits_BV.clone()
    blocked_BV[row[known], token[known]] = -torch.inf
    return blocked_BV


def dry(
    logits_BV: Tensor, text_BT: Tensor, *, multiplier: float, base: float, allowed_tokens: int
) -> Tensor:
    """Subtract multiplier x base^(L - allowed) from each token that would extend a repetition of L
    >= allowed tokens.

    L is the length of the longest suffix of the text (context included) that occurred before,
    followed by that token. Source: "Don't repeat yourself", p-e-w 2024 (multiplier 0.8, base 1.75,
    allowed length 2), without sequence breakers.
    """
    followed_BW, last = text_BT[:, :-1], text_BT.shape[1] - 1
    run_BW = torch.zeros_like(followed_BW)
    going_on_BW = torch.ones_like(followed_BW, dtype=torch.bool)
    for length in range(1, last + 1):
        # The run that ends at w is longer if the token `length - 1` before w equals the one that
        # far before the end.
        going_on_BW[:, : length - 1] = False
        going_on_BW[:, length - 1 :] &= (
            text_BT[:, : last - length + 1] == text_BT[:, [last - length + 1]]
        )
        if not going_on_BW.any():
            break
        run_BW += going_on_BW
    longest_BV = torch.zeros_like(logits_BV).scatter_reduce(
        1, text_BT[:, 1:], run_BW.to(logits_BV.dtype), "amax"
    )
    penalty_BV = multiplier * base ** (longest_BV - allowed_tokens)
    return torch.where(longest_BV >= allowed_tokens, logits_BV - penalty_BV, logits_BV)


def temperature(logits_BV: Tensor, value: float) -> Tensor:
    """Divide the logits by `value` > 0. Below 1 sharpens the distribution.

    If the division overflows, the text's largest logit is subtracted first, in float64, which
    changes no probability. In the limit only the most probable token is left, and sampling is
    greedy.
    """
    scaled_BV = logits_BV / value
    overflows_B = ~usable(scaled_BV)
    if overflows_B.any():
        row_BV = float64(logits_BV[overflows_B])
        scaled_BV[overflows_B] = ((row_BV - row_BV.amax(-1, keepdim=True)) / value).to(scaled_BV)
    return scaled_BV


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Keep the k largest logits of each text, and those equal to the k-th."""
    kth_B1 = logits_BV.topk(min(k, logits_BV.shape[-1])).values[:, -1:]
    return logits_BV.masked_fill(logits_BV < kth_B1, -torch.inf)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Nucleus sampling (Holtzman et al. 2020): keep the fewest tokens whose probabilities add up to
    at least p.

    At p = 1.0 nothing is removed. The most probable token is never removed.
    """
    if p >= 1.0:
        return logits_BV
    sorted_BV, order_BV = logits_BV.sort(descending=True)
    probability_BV = sorted_BV.softmax(-1)
    before_BV = probability_BV.cumsum(-1) - probability_BV
    removed_BV = torch.zeros_like(before_BV, dtype=torch.bool).scatter(
        -1, order_BV, (before_BV >= p) & (before_BV > 0)
    )
    return logits_BV.masked_fill(removed_BV, -torch.inf)


def min_p(logits_BV: Tensor, p: float) -> Tensor:
    """Keep the tokens that are at least `p` in [0, 1] times as probable as the most probable
    (Nguyen et al. 2024).
    """
    probability_BV = logits_BV.softmax(-1)
    return logits_BV.masked_fill(
        probability_BV < p * probability_BV.amax(-1, keepdim=True), -torch.inf
    )


def greedy(logits_BV: Tensor) -> Tensor:
    """The most probable token of each text, shape (B,); the lowest id wins a tie.

    Raises:
        ModelError: a text has no token to choose (`refuse_unusable`).
    """
    return refuse_unusable(logits_BV).argmax(-1)


def sample(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Draw one token for each text by inverting the cumulative distribution at `uniform_B` in [0,
    1); shape (B,).

    A text's draw depends only on its own logits and its own number. A token of probability zero is
    never drawn: where rounding would draw it, the last possible token before it is drawn.

    Raises:
        ModelError: a text has no token to choose (`refuse_unusable`).
    """
    probability_BV = float64(refuse_unusable(logits_BV)).softmax(-1)
    cumulative_BV = probability_BV.cumsum(-1)
    threshold_B1 = (
        float64(uniform_B).unsqueeze(-1).to(probability_BV.device) * cumulative_BV[:, -1:]
    )
    drawn_B1 = torch.searchsorted(cumulative_BV, threshold_B1, right=True).clamp(
        max=logits_BV.shape[-1] - 1
    )
    impossible_B1 = probability_BV.gather(-1, drawn_B1) == 0
    if impossible_B1.any():
        rank_V = torch.arange(1, logits_BV.shape[-1] + 1, device=probability_BV.device)
        possible_BV = (probability_BV > 0) & (rank_V <= drawn_B1)
        drawn_B1 = torch.where(
            impossible_B1, (possible_BV * rank_V).argmax(-1, keepdim=True), drawn_B1
        )
    return drawn_B1.squeeze(-1).to(logits_BV.device)
