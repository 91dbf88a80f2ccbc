"""Contexts x strategies -> continuations, and the reference texts beside them in the same form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import NamedTuple

import torch
from torch import Tensor

from hyperfitting.decoding import (
    BlockerEvent,
    CitationBlocker,
    CitationIndex,
    Ending,
    GivingWay,
    NextToken,
    Sampler,
    continue_texts,
    make_sampler,
    strategy_rules,
    suppress_end,
    token_steps,
    uniform_noise,
)
from hyperfitting.models import ModelCodec
from hyperfitting.recipe import Recipe, Strategy
from hyperfitting.records import Blocked, Continuation, Difference, GaveWay, TokenBlocks


@dataclass(frozen=True)
class Batch:
    """Contexts of one set that are continued side by side in one strategy."""

    domain: str
    strategy: Strategy
    contexts: range

    @property
    def keys(self) -> list[tuple[str, str | None, int]]:
        """What tells each of its continuations from all others of the run."""
        return [(self.domain, self.strategy.name, context) for context in self.contexts]


def batches(recipe: Recipe) -> list[Batch]:
    """All batches of a run, in the order in which its continuations stand. The same whoever works
    on them.
    """
    size = 1 if recipe.generate.mode == "reference" else recipe.generate.batch_contexts
    return [
        Batch(each.name, strategy, range(start, min(start + size, each.count)))
        for each in recipe.data.domains
        for strategy in recipe.generate.strategies
        for start in range(0, each.count, size)
    ]


class Written(NamedTuple):
    """The continuations of a batch, what its citation blocker did, and where a rule gave way."""

    texts: list[Continuation]
    blocked: list[Blocked]
    gave_way: list[GaveWay]


class TextGenerator:
    """Continues batches of contexts with one model.

    All contexts of a set are equally long, so batches need no padding. Nothing of the checkpoint's
    generation config is used: the strategy's settings are all there is. The same (seed, strategy,
    set, context) draws the same random numbers under any model.
    """

    def __init__(
        self,
        model: NextToken,
        codec: ModelCodec,
        recipe: Recipe,
        sets: Mapping[str, TokenBlocks],
        train: TokenBlocks,
    ):
        self._model, self._codec, self._recipe, self._sets, self._train = (
            model,
            codec,
            recipe,
            sets,
            train,
        )
        self._index = cache(lambda order: CitationIndex(train.ids_NT, order))

    def write(self, batch: Batch, *, variant: str, run: str) -> Written:
        """Continue the contexts of a batch.

        Raises:
            ModelError: the model's logits are no numbers.
        """
        settings = self._recipe.generate
        blocker, record = self.blocker(batch.strategy), list[GivingWay]()
        texts = continue_texts(
            self._model,
            self.contexts(batch),
            self.make_sampler(batch, blocker, record),
            new_tokens=settings.new_tokens,
            ending=self.ending,
            record=record,
        )
        made = [
            _continuation(
                self._codec,
                self._sets[batch.domain],
                context,
                ids_S,
                context_tokens=self._recipe.data.context_tokens,
                is_whole=len(ids_S) == settings.new_tokens,
                variant=variant,
                run=run,
                strategy=batch.strategy.name,
            )
            for context, ids_S in zip(batch.contexts, texts, strict=True)
        ]
        blocked = [
            self._blocked(batch, made, each)
            for each in (blocker.record if blocker else ())
            if each.step < len(texts[each.text])
        ]
        gave_way = [
            GaveWay(
                batch.domain, batch.strategy.name, batch.contexts[each.text], each.step, each.rule
            )
            for each in record
            if each.step <= len(texts[each.text])  # the step that ended the text counts
        ]
        return Written(made, blocked, gave_way)

    @property
    def ending(self) -> Ending:
        """What end-of-text does, as the recipe says."""
        return Ending(self._codec.end_ids, stop=self._recipe.generate.end_of_text == "stop")

    def contexts(self, batch: Batch) -> Tensor:
        """The batch's contexts, shape (B, T), int64."""
        rows = self._sets[batch.domain].ids_NT[batch.contexts.start : batch.contexts.stop]
        return torch.as_tensor(rows[:, : self._recipe.data.context_tokens]).long()

    def make_sampler(
        self, batch: Batch, blocker: CitationBlocker | None, record: list[GivingWay]
    ) -> Sampler:
        """How the batch's strategy chooses, with each context's own random numbers if it
        samples.
        """
        keys = [
            _sampling_key(self._recipe.sampling_seed, batch.strategy, batch.domain, ids)
            for ids in self.contexts(batch).tolist()
        ]
        uniform_BS = (
            uniform_noise(keys, self._recipe.generate.new_tokens)
            if batch.strategy.method == "sample"
            else None
        )
        start = self._recipe.data.context_tokens
        return make_sampler(
            batch.strategy, uniform_BS, context_tokens=start, blocker=blocker, record=record
        )

    def blocker(self, strategy: Strategy) -> CitationBlocker | None:
        """The strategy's citation blocker over the training blocks, with an empty record."""
        if strategy.blocker is None:
            return None
        words = self._codec.word_boundaries if strategy.blocker.mode == "word" else None
        index = self._index(strategy.blocker.tokens)
        return CitationBlocker(
            index,
            strategy.blocker,
            context_tokens=self._recipe.data.context_tokens,
            word_boundaries=words,
        )

    def first_difference(self, text: Continuation) -> Difference | None:
        """Write one text anew, alone: where it first differs from what was written; None where it
        does not.
        """
        named = {each.name: each for each in self._recipe.generate.strategies}
        batch = Batch(
            text.domain, named[text.strategy or ""], range(text.context, text.context + 1)
        )
        (new,), *_ = self.write(batch, variant=text.variant, run=text.run)
        pairs = enumerate(zip_longest(new.ids, text.ids))  # None where a text has ended
        step = next((number for number, (one, other) in pairs if one != other), None)
        if step is None:
            return None
        chosen, other = (ids[step] if step < len(ids) else None for ids in (new.ids, text.ids))
        margin = self._margin(batch, new.ids[:step], chosen, other)
        return Difference(text.domain, batch.strategy.name, text.context, step, margin)

    def _margin(
        self, batch: Batch, begun: Sequence[int], chosen: int | None, other: int | None
    ) -> float:
        """By how much `chosen` won, as `Difference` says; None stands for the most probable
        end-of-text.
        """
        text_1T = torch.cat([self.contexts(batch), torch.tensor([begun], dtype=torch.long)], dim=1)
        start = self._recipe.data.context_tokens
        rules = strategy_rules(
            batch.strategy, context_tokens=start, blocker=self.blocker(batch.strategy)
        )
        logits_1V = suppress_end(self._model.start(text_1T), self.ending, len(begun))
        logits_V = rules(logits_1V, text_1T.to(logits_1V.device))[0].double().cpu()
        end = max(self._codec.end_ids, key=lambda each: float(logits_V[each]), default=0)
        taken, left = end if chosen is None else chosen, end if other is None else other
        if batch.strategy.method == "greedy":
            return float(logits_V[taken] - logits_V[left])
        key = _sampling_key(
            self._recipe.sampling_seed, batch.strategy, batch.domain, text_1T[0, :start].tolist()
        )
        number = float(uniform_noise([key], len(begun) + 1)[0, -1])
        share_V = logits_V.softmax(-1)
        below = float(share_V[:left].sum())
        return max(below - number, number - below - float(share_V[left]))

    def _blocked(self, batch: Batch, made: Sequence[Continuation], each: BlockerEvent) -> Blocked:
        text, order = (
            made[each.text],
            batch.strategy.blocker.tokens if batch.strategy.blocker else 0,
        )
        pieces = [*text.context_pieces, *text.pieces][: len(text.context_pieces) + each.step]
        origins = [self._train.origins[block] for block in each.blocks[:_PASSAGES]]
        return Blocked(
            domain=batch.domain,
            strategy=batch.strategy.name,
            context=text.context,
            step=each.step,
            citation="".join(pieces[-order:]),
            forbidden_ids=each.forbidden,
            forbidden=tuple(self._codec.decode([token]) for token in each.forbidden),
            passages=tuple(f"{origin.source}, row {origin.row}" for origin in origins),
            changed_greedy=each.changed_greedy,
            gave_way=each.gave_way,
        )


_PASSAGES = 5


def references(
    codec: ModelCodec, contexts: TokenBlocks, recipe: Recipe, *, run: str
) -> list[Continuation]:
    """The true continuation of every context of one set, as model `reference` without a
    strategy.
    """
    start = recipe.data.context_tokens
    rows = contexts.ids_NT[:, start : start + recipe.generate.new_tokens].tolist()
    return [
        _continuation(
            codec,
            contexts,
            context,
            ids_S,
            context_tokens=start,
            is_whole=True,
            variant="reference",
            run=run,
            strategy=None,
        )
        for context, ids_S in enumerate(rows)
    ]


def _sampling_key(seed: int, strategy: Strategy, name: str, context_ids: list[int]) -> str:
    """What a sample depends on: not on neighbours, the batch, nor the path that the data were read
    from.
    """
    return f"{seed}\n{strategy.model_dump_json(exclude_defaults=True)}\n{name}\n{context_ids}"


def _continuation(
    codec: ModelCodec,
    blocks: TokenBlocks,
    context: int,
    ids: list[int],
    *,
    context_tokens: int,
    is_whole: bool,
    variant: str,
    run: str,
    strategy: str | None,
) -> Continuation:
    """The continuation of one of the blocks' contexts; `is_whole`: end-of-text did not cut it
    off.
    """
    origin = blocks.origins[context]
    context_ids = blocks.ids_NT[context, :context_tokens].tolist()
    pieces = codec.pieces([*context_ids, *ids])
    return Continuation(
        variant=variant,
        run=run,
        domain=blocks.name,
        strategy=strategy,
        context=context,
        source=origin.source,
        row=origin.row,
        group=origin.group,
        title=origin.title,
        context_ids=tuple(context_ids),
        context_pieces=tuple(pieces[:context_tokens]),
        ids=tuple(ids),
        pieces=tuple(pieces[context_tokens:]),
        ended="length" if is_whole else "end_of_text",
    )


def stream(
    model: NextToken,
    codec: ModelCodec,
    context: list[int],
    strategy: Strategy,
    *,
    new_tokens: int,
    key: str,
) -> Iterator[str]:
    """Continue one context, yielding its text as it grows; end-of-text stops it. `key` seeds a
    sampling strategy.
    """
    uniform_BS = uniform_noise([key], new_tokens) if strategy.method == "sample" else None
    choose = make_sampler(strategy, uniform_BS, context_tokens=len(context))
    ending = Ending(codec.end_ids, stop=True)
    ids, shown = list(context), len(codec.decode(context))
    for ids_B in token_steps(
        model, torch.tensor([context]), choose, new_tokens=new_tokens, ending=ending
    ):
        ids.append(int(ids_B[0]))
        text = codec.decode(ids)
        if ids[-1] not in codec.end_ids and not text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield text[shown:]
            shown = len(text)
