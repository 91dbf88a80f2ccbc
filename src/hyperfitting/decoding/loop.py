"""One cached token loop, for probes while training, for `generate` and for `write`.

Shapes: B texts, T context tokens, S new tokens, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hyperfitting.decoding import rules
from hyperfitting.recipe import Arm


class NextToken(Protocol):
    """A model that remembers the text so far."""

    def start(self, context_BT: Tensor) -> Tensor:
        """Read contexts of equal length; the logits of the token after each, shape (B, V), float32."""
        ...

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; the logits of the token after it, shape (B, V), float32."""
        ...


Rule = Callable[[Tensor, Tensor], Tensor]
"""(logits_BV, text_BT) -> logits_BV: what a rule makes of the logits behind the texts so far, contexts included."""

Choose = Callable[[Tensor, Tensor], Tensor]
"""(logits_BV, text_BT) -> ids_B."""


@dataclass(frozen=True)
class Ending:
    """What end-of-text does: `stop` ends a text there, otherwise it cannot be chosen."""

    end_ids: tuple[int, ...]
    stop: bool


def token_steps(
    model: NextToken, context_BT: Tensor, choose: Choose, *, new_tokens: int, ending: Ending
) -> Iterator[Tensor]:
    """Yield the next token of every text, shape (B,), up to `new_tokens` times.

    With `ending.stop` a text that has ended goes on being fed, its further tokens to be ignored, and the loop stops
    once all have ended.
    """
    logits_BV = model.start(context_BT)
    begun = context_BT.shape[1]
    text_BT = torch.cat([context_BT, context_BT.new_zeros(len(context_BT), new_tokens)], dim=1).to(logits_BV.device)
    ended_B = torch.zeros(len(context_BT), dtype=torch.bool)
    for step in range(new_tokens):
        allowed_BV = logits_BV if ending.stop else rules.forbid(logits_BV, ending.end_ids)
        ids_B = choose(allowed_BV, text_BT[:, : begun + step])
        text_BT[:, begun + step] = ids_B
        yield ids_B
        ended_B |= torch.isin(ids_B.cpu(), torch.tensor(ending.end_ids))
        if (ending.stop and ended_B.all()) or step == new_tokens - 1:
            return
        logits_BV = model.extend(ids_B)


def continue_texts(
    model: NextToken, context_BT: Tensor, choose: Choose, *, new_tokens: int, ending: Ending
) -> list[list[int]]:
    """The continuation of every context, cut before its first end-of-text token."""
    steps = list(token_steps(model, context_BT, choose, new_tokens=new_tokens, ending=ending))
    return [_until_end(ids_S, ending.end_ids) for ids_S in torch.stack(steps, dim=1).tolist()]


def _until_end(ids_S: list[int], end_ids: Sequence[int]) -> list[int]:
    return ids_S[: next((i for i, token in enumerate(ids_S) if token in end_ids), len(ids_S))]


def arm_rules(arm: Arm, *, context_tokens: int, blocker: Rule | None = None) -> Rule:
    """The arm's rules as one, in the order in which its settings stand.

    Greedy decoding passes over temperature and truncation: they change no argmax, but where rounding merges neighbours.
    """

    def apply(logits_BV: Tensor, text_BT: Tensor) -> Tensor:
        if blocker is not None:
            logits_BV = blocker(logits_BV, text_BT)
        if arm.repetition_penalty is not None:
            seen_BT = text_BT if arm.penalised == "all" else text_BT[:, context_tokens:]
            logits_BV = rules.repetition_penalty(logits_BV, seen_BT, arm.repetition_penalty)
        if arm.no_repeat_ngram is not None:
            logits_BV = rules.no_repeat_ngram(logits_BV, text_BT, arm.no_repeat_ngram)
        if arm.dry is not None:
            logits_BV = rules.dry(logits_BV, text_BT, **arm.dry.model_dump())
        if arm.method == "greedy":
            return logits_BV
        if arm.temperature is not None:
            logits_BV = rules.temperature(logits_BV, arm.temperature)
        if arm.top_k is not None:
            logits_BV = rules.top_k(logits_BV, arm.top_k)
        if arm.top_p is not None:
            logits_BV = rules.top_p(logits_BV, arm.top_p)
        if arm.min_p is not None:
            logits_BV = rules.min_p(logits_BV, arm.min_p)
        return logits_BV

    return apply


def chooser(
    arm: Arm, uniform_BS: Tensor | None = None, *, context_tokens: int = 0, blocker: Rule | None = None
) -> Choose:
    """The arm's rules and its choice. Sampling arms need `uniform_BS`: a number in [0, 1) a text and step."""
    apply = arm_rules(arm, context_tokens=context_tokens, blocker=blocker)

    def choose(logits_BV: Tensor, text_BT: Tensor) -> Tensor:
        logits_BV = apply(logits_BV, text_BT)
        if uniform_BS is None:
            return rules.greedy(logits_BV)
        return rules.sample(logits_BV, uniform_BS[:, text_BT.shape[1] - context_tokens])

    return choose


def uniforms(keys: Sequence[str], steps: int) -> Tensor:
    """Numbers in [0, 1), float64, shape (len(keys), steps): row b depends on keys[b] alone.

    A key names (seed, arm, set, context), so a text depends neither on its neighbours nor on the batch size.
    """
    rows = []
    for key in keys:
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
        rows.append(torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    return torch.stack(rows)
