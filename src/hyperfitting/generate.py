"""Contexts x arms -> continuations, and the reference texts beside them in the same form."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hyperfitting.decoding import Ending, chooser, continue_texts, token_steps, uniforms
from hyperfitting.models import CachedModel, TextCodec
from hyperfitting.progress import Bar
from hyperfitting.recipe import Arm, Recipe
from hyperfitting.records import Continuation, TokenBlocks


def generate(
    model: CachedModel, codec: TextCodec, contexts: TokenBlocks, recipe: Recipe, *, role: str, run: str, bar: Bar
) -> list[Continuation]:
    """Continue every context of one set in every arm.

    All contexts of a set are equally long, so batches need no padding. Nothing of the checkpoint's generation config is
    used: the arm's settings are all there is. The same (seed, arm, set, context) draws the same random numbers under
    any model.
    """
    made = []
    for arm in recipe.generate.arms:
        for batch in _batches(len(contexts), recipe.generate.batch_contexts):
            ids = _continue_batch(model, codec, contexts, recipe, arm, batch)
            made += [
                _continuation(
                    codec,
                    contexts,
                    i,
                    recipe.data.context_tokens,
                    ids_S,
                    recipe.generate.new_tokens,
                    role,
                    run,
                    arm.name,
                )
                for i, ids_S in zip(batch, ids, strict=True)
            ]
            bar.advance(len(batch))
    return made


def references(codec: TextCodec, contexts: TokenBlocks, recipe: Recipe, *, run: str) -> list[Continuation]:
    """The true continuation of every context of one set, as model `reference` without an arm."""
    start = recipe.data.context_tokens
    rows = contexts.ids_NT[:, start : start + recipe.generate.new_tokens].tolist()
    return [
        _continuation(codec, contexts, i, start, ids_S, len(ids_S), "reference", run, None)
        for i, ids_S in enumerate(rows)
    ]


def _batches(count: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def _continue_batch(
    model: CachedModel, codec: TextCodec, contexts: TokenBlocks, recipe: Recipe, arm: Arm, batch: range
) -> list[list[int]]:
    settings = recipe.generate
    context_BT = torch.as_tensor(contexts.ids_NT[batch.start : batch.stop, : recipe.data.context_tokens]).long()
    keys = [_sampling_key(recipe.seed, arm, contexts.name, ids) for ids in context_BT.tolist()]
    choose = chooser(arm, uniforms(keys, settings.new_tokens) if arm.method == "sample" else None)
    ending = Ending(codec.end_ids, stop=settings.end_of_text == "stop")
    return continue_texts(model, context_BT, choose, new_tokens=settings.new_tokens, ending=ending)


def _sampling_key(seed: int, arm: Arm, name: str, context_ids: list[int]) -> str:
    """What a sample depends on: not on neighbours, the batch, nor the path that the data were read from."""
    return f"{seed}\n{arm.model_dump_json()}\n{name}\n{context_ids}"


def _continuation(
    codec: TextCodec,
    contexts: TokenBlocks,
    i: int,
    start: int,
    ids: list[int],
    full: int,
    model: str,
    run: str,
    arm: str | None,
) -> Continuation:
    origin, context_ids = contexts.origins[i], contexts.ids_NT[i, :start].tolist()
    pieces = codec.pieces([*context_ids, *ids])
    return Continuation(
        model=model,
        run=run,
        set=contexts.name,
        arm=arm,
        context=i,
        source=origin.source,
        row=origin.row,
        group=origin.group,
        title=origin.title,
        context_ids=tuple(context_ids),
        context_pieces=tuple(pieces[:start]),
        ids=tuple(ids),
        pieces=tuple(pieces[start:]),
        ended="length" if len(ids) == full else "end_of_text",
    )


def stream(
    model: CachedModel, codec: TextCodec, context: list[int], arm: Arm, *, new_tokens: int, key: str
) -> Iterator[str]:
    """Continue one context, yielding its text as it grows; end-of-text stops it. `key` seeds a sampling arm."""
    choose = chooser(arm, uniforms([key], new_tokens) if arm.method == "sample" else None)
    ending = Ending(codec.end_ids, stop=True)
    ids, shown = list(context), len(codec.decode(context))
    for ids_B in token_steps(model, torch.tensor([context]), choose, new_tokens=new_tokens, ending=ending):
        ids.append(int(ids_B[0]))
        text = codec.decode(ids)
        if ids[-1] not in codec.end_ids and not text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield text[shown:]
            shown = len(text)
