"""The one token loop, used by probes during training, by `generate` and by `write`.

Shapes: B texts, T context tokens, S new tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

import torch
from torch import Tensor

from hyperfitting.decoding import rules
from hyperfitting.recipe import Strategy
from hyperfitting.seeds import derive_seed


class NextToken(Protocol):
    """A model that keeps the state of the texts so far."""

    def start(self, context_BT: Tensor) -> Tensor:
        """Read contexts of equal length; the logits of the token after each, shape (B, V),
        float32.
        """

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token to each text; the logits of the token after it, shape (B, V),
        float32.
        """


Rule = Callable[[Tensor, Tensor], Tensor]
"""(logits_BV, text_BT) -> logits_BV: changes the logits of the next token; the texts so far include
the contexts.
"""

Sampler = Callable[[Tensor, Tensor], Tensor]
"""(logits_BV, text_BT) -> ids_B: chooses the next token of each text."""


@dataclass(frozen=True)
class GivingWay:
    """One step of one text at which `rule` would have left no token, and was not applied."""

    text: int
    step: int
    rule: str


Record = list[GivingWay]
"""The rules that were not applied so far; the loop and the strategy's rules append to it."""


@dataclass(frozen=True)
class Ending:
    """The effect of end-of-text: with `stop` it ends a text, otherwise it is chosen only if no
    other token is left.
    """

    end_ids: tuple[int, ...]
    stop: bool


def token_steps(
    model: NextToken,
    context_BT: Tensor,
    sampler: Sampler,
    *,
    new_tokens: int,
    ending: Ending,
    record: Record | None = None,
) -> Iterator[Tensor]:
    """Yield the next token of every text, shape (B,), up to `new_tokens` times.

    With `ending.stop` the loop stops once all texts have ended. Until then a text that has ended is
    still continued; ignore its further tokens.

    Raises:
        ModelError: the model's logits are NaN or infinite.
    """
    logits_BV = model.start(context_BT)
    begun = context_BT.shape[1]
    text_BT = torch.cat([context_BT, context_BT.new_zeros(len(context_BT), new_tokens)], dim=1).to(
        logits_BV.device
    )
    ended_B = torch.zeros(len(context_BT), dtype=torch.bool)
    for step in range(new_tokens):
        allowed_BV = suppress_end(rules.refuse_unusable(logits_BV), ending, step, record)
        ids_B = sampler(allowed_BV, text_BT[:, : begun + step])
        text_BT[:, begun + step] = ids_B
        yield ids_B
        ended_B |= torch.isin(ids_B.cpu(), torch.tensor(ending.end_ids))
        if (ending.stop and ended_B.all()) or step == new_tokens - 1:
            return
        logits_BV = model.extend(ids_B)


def suppress_end(
    logits_BV: Tensor, ending: Ending, step: int, record: Record | None = None
) -> Tensor:
    """The logits with end-of-text at -inf, unless `ending.stop` allows it or no other token is
    left.
    """
    if ending.stop:
        return logits_BV
    return _unless_nothing_is_left(
        "end_of_text", logits_BV, rules.forbid(logits_BV, ending.end_ids), step, record
    )


def _unless_nothing_is_left(
    rule: str, before_BV: Tensor, after_BV: Tensor, step: int, record: Record | None
) -> Tensor:
    """The logits after a rule; for a text without a token left, those before it, which is noted in
    `record`.
    """
    usable_B = rules.usable(after_BV)
    if usable_B.all():
        return after_BV
    if record is not None:
        record += [GivingWay(text, step, rule) for text in (~usable_B).nonzero().flatten().tolist()]
    return torch.where(usable_B.unsqueeze(-1), after_BV, before_BV)


def continue_texts(
    model: NextToken,
    context_BT: Tensor,
    sampler: Sampler,
    *,
    new_tokens: int,
    ending: Ending,
    record: Record | None = None,
) -> list[list[int]]:
    """The new ids of every context; with `ending.stop` they end before the first end-of-text
    token.
    """
    steps = list(
        token_steps(model, context_BT, sampler, new_tokens=new_tokens, ending=ending, record=record)
    )
    texts = torch.stack(steps, dim=1).tolist()
    if not ending.stop:
        return texts
    return [list(takewhile(lambda token: token not in ending.end_ids, ids_S)) for ids_S in texts]


def strategy_rules(
    strategy: Strategy,
    *,
    context_tokens: int,
    blocker: Rule | None = None,
    record: Record | None = None,
) -> Rule:
    """The strategy's rules as one rule, applied in the order of its settings.

    A rule that leaves a text without a token is not applied to that text at that step, which is
    noted in `record`. Each rule gets the logits after the rules before it, so two rules that forbid
    everything only together are covered too.
    """
    named = _named_rules(strategy, context_tokens, blocker)

    def apply(logits_BV: Tensor, text_BT: Tensor) -> Tensor:
        step = text_BT.shape[1] - context_tokens
        for name, rule in named.items():
            logits_BV = _unless_nothing_is_left(
                name, logits_BV, rule(logits_BV, text_BT), step, record
            )
        return logits_BV

    return apply


def _named_rules(strategy: Strategy, context_tokens: int, blocker: Rule | None) -> dict[str, Rule]:
    """The rules that are set, by the names of their settings, in the order in which they apply.

    Greedy decoding skips temperature and truncation: they do not change the argmax, except when
    rounding makes two logits equal.
    """
    first = 0 if strategy.penalised == "all" else context_tokens
    with_value: dict[str, Callable[[Tensor, Tensor, Any], Tensor]] = {
        "repetition_penalty": lambda logits_BV, text_BT, penalty: rules.repetition_penalty(
            logits_BV, text_BT[:, first:], penalty
        ),
        "no_repeat_ngram": rules.no_repeat_ngram,
        "dry": lambda logits_BV, text_BT, dry: rules.dry(logits_BV, text_BT, **dict(dry)),
    }
    if strategy.method == "sample":
        with_value |= {
            "temperature": lambda logits_BV, _, value: rules.temperature(logits_BV, value),
            "top_k": lambda logits_BV, _, k: rules.top_k(logits_BV, k),
            "top_p": lambda logits_BV, _, p: rules.top_p(logits_BV, p),
            "min_p": lambda logits_BV, _, p: rules.min_p(logits_BV, p),
        }
    set_rules = {
        name: _with_value(rule, value)
        for name, rule in with_value.items()
        if (value := getattr(strategy, name)) is not None
    }
    return {"blocker": blocker, **set_rules} if blocker is not None else set_rules


def _with_value(rule: Callable[[Tensor, Tensor, Any], Tensor], value: Any) -> Rule:
    return lambda logits_BV, text_BT: rule(logits_BV, text_BT, value)


def make_sampler(
    strategy: Strategy,
    uniform_BS: Tensor | None = None,
    *,
    context_tokens: int = 0,
    blocker: Rule | None = None,
    record: Record | None = None,
) -> Sampler:
    """A sampler that applies the strategy's rules and then chooses: the argmax, or by `uniform_BS`
    if it is given.

    A sampling strategy needs `uniform_BS`: numbers in [0, 1), one for each text and step
    (`uniform_noise`).
    """
    apply = strategy_rules(strategy, context_tokens=context_tokens, blocker=blocker, record=record)

    def sampler(logits_BV: Tensor, text_BT: Tensor) -> Tensor:
        logits_BV = apply(logits_BV, text_BT)
        if uniform_BS is None:
            return rules.greedy(logits_BV)
        return rules.sample(logits_BV, uniform_BS[:, text_BT.shape[1] - context_tokens])

    return sampler


def uniform_noise(keys: Sequence[str], steps: int) -> Tensor:
    """Uniform numbers in [0, 1), float64, shape (len(keys), steps). Row b depends only on keys[b].

    A key names seed, strategy, domain and context, so a text does not depend on its neighbours or
    on the batch size.
    """
    noise = [torch.Generator().manual_seed(derive_seed(key)) for key in keys]
    return torch.stack([torch.rand(steps, generator=each, dtype=torch.float64) for each in noise])
