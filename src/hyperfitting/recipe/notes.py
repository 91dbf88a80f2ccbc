"""Settings of a recipe that cannot take effect as they stand: one table, which `check` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.settings import Recipe
from hyperfitting.recipe.strategies import Strategy

LEAST_GROUPS = 10
"""Groups below which a bootstrap over groups has no interval (metrics/stats.py)."""
HEADLINE_TOKENS = 96
"""New tokens that the measure which the results are about, `ttr_last96`, needs."""

_WAITING = ("best-validation", "auto")
"""Values of `train.stop` that wait for `train.patience_probes`."""

_Note = tuple[bool, str]
"""Whether something holds, and what to say of it."""


def recipe_notes(recipe: Recipe, groups: Mapping[str, int] | None = None) -> list[str]:
    """What is set and does nothing, or less than it says, one line each.

    Args:
        recipe: what is asked for.
        groups: how many groups each drawn set has, by its name; none: nothing is drawn yet.
    """
    pretrains = recipe.model.initialise == "random"
    tables = [
        _model(recipe),
        _data(recipe),
        _training(recipe),
        _stopping(recipe),
        _engine(recipe),
        _probes(recipe),
    ]
    tables += (
        [_pretraining(recipe)]
        if pretrains
        else [_generating(recipe), _measuring(recipe, groups or {})]
    )
    return [words for table in tables for holds, words in table if holds]


def _model(recipe: Recipe) -> Iterator[_Note]:
    model = recipe.model
    named = model.revision is not None and model.place("source") is not None
    yield named, f"model.revision: {model.source} is a folder here, which has none"


def _data(recipe: Recipe) -> Iterator[_Note]:
    data = recipe.data
    alone = data.shares is not None and data.train.group is None and data.blocks != "passages"
    yield alone, "data.shares: it shares out groups, and data.train.group is not set"


def _training(recipe: Recipe) -> Iterator[_Note]:
    train, blocks = recipe.train, recipe.data.train_blocks
    untouched, updates = recipe.leaves_model_untouched, _updates(recipe)
    adapted = "lora" in train.parameters
    yield untouched, "train: no update is made, so the model is left as it is"
    yield (
        train.batch_blocks > blocks,
        f"train.batch_blocks = {train.batch_blocks}: an update has the {blocks} there are",
    )
    yield (
        not adapted and _is_changed(train.lora),
        f'train.lora: no adapters with train.parameters = "{train.parameters}"',
    )
    yield (
        train.force_plain_bf16 and train.precision != "bf16",
        "train.force_plain_bf16: only for train.precision = bf16",
    )
    warmup = f"train.warmup_updates = {train.warmup_updates}: the training has {updates} updates"
    yield (
        not untouched and train.warmup_updates >= max(updates, 1),
        f"{warmup}, so its learning rate is never reached",
    )
    ends = train.final_learning_rate_share > 0 and train.decay_share == 0
    yield ends, "train.final_learning_rate_share: nothing decays with train.decay_share = 0"


def _stopping(recipe: Recipe) -> Iterator[_Note]:
    train, probes = recipe.train, _probe_count(recipe)
    stop, patience = (
        f'train.stop = "{train.stop}"',
        f"train.patience_probes = {train.patience_probes}",
    )
    waits = train.stop in _WAITING
    unused = train.stop_loss is not None and train.stop in ("end", "best-validation")
    yield (
        unused,
        f"train.stop_loss: {stop} stops at no loss; it only says below what a loss counts as near "
        "zero",
    )
    waiting = any(recipe.of(each.name).train.stop in _WAITING for each in recipe.variants)
    unneeded = not waits and not waiting and _differs(train, "patience_probes")
    yield unneeded, f"{patience}: {stop} waits for no probes"
    yield (
        waits and 0 < probes <= train.patience_probes,
        f"{patience}: the training has {probes} probes, so {stop} is end",
    )


def _engine(recipe: Recipe) -> Iterator[_Note]:
    micro, batch = recipe.engine.micro_batch_blocks, recipe.train.batch_blocks
    yield (
        micro is not None and micro > batch,
        f"engine.micro_batch_blocks = {micro}: an update has {batch} blocks",
    )


def _probes(recipe: Recipe) -> Iterator[_Note]:
    probe, blocks, updates = recipe.probe, recipe.data.validation_blocks, _updates(recipe)
    yield (
        probe.contexts > blocks,
        f"probe.contexts = {probe.contexts}: there are {blocks} validation blocks to continue",
    )
    rare = probe.every_updates is not None and probe.every_updates > updates > 0
    yield (
        rare,
        f"probe.every_updates = {probe.every_updates}: the training has {updates} updates, so only "
        "its ends are",
    )


def _pretraining(recipe: Recipe) -> Iterator[_Note]:
    for name in ("generate", "measure", "report"):
        yield _is_changed(getattr(recipe, name)), f"{name}: a pretraining ends with its model"
    yield bool(recipe.variants), "variants: a pretraining has one run"


def _generating(recipe: Recipe) -> Iterator[_Note]:
    settings, tokens = recipe.generate, recipe.generate.new_tokens
    yield (
        not recipe.data.domains,
        "data.domains: none are set, so nothing is continued, measured or compared",
    )
    headline = f"the main metric, ttr_last96, needs {HEADLINE_TOKENS}, and is left out"
    yield (
        bool(recipe.data.domains) and tokens < HEADLINE_TOKENS,
        f"generate.new_tokens = {tokens}: {headline}",
    )
    if settings.mode == "reference":
        for name in ("dtype", "batch_contexts"):
            yield (
                _differs(settings, name),
                f"generate.{name}: reference mode decodes one context at a time in float32",
            )
    for number, strategy in enumerate(settings.strategies):
        for holds, words in _strategy(strategy, tokens, recipe.data.context_tokens):
            yield holds, f"generate.strategies.{number}.{words}"


def _strategy(strategy: Strategy, tokens: int, context: int) -> Iterator[_Note]:
    for name, neutral in (("temperature", 1.0), ("top_k", None), ("top_p", 1.0), ("min_p", 0.0)):
        value = getattr(strategy, name)
        if strategy.method == "greedy":
            yield (
                value is not None,
                f"{name}: a greedy strategy takes the most probable token whatever it is",
            )
        else:
            yield value is not None and value == neutral, f"{name} = {value}: it changes nothing"
    penalty = strategy.repetition_penalty
    yield penalty == 1, f"repetition_penalty = {penalty}: it changes nothing"
    unused = penalty is None and _differs(strategy, "penalised")
    yield unused, "penalised: it says what repetition_penalty sees, which is not set"
    if strategy.blocker is not None:
        seen = tokens + context * strategy.blocker.context
        yield (
            strategy.blocker.tokens >= seen,
            f"blocker.tokens = {strategy.blocker.tokens}: it sees {seen} tokens of a text",
        )
    if strategy.no_repeat_ngram is not None:
        long = strategy.no_repeat_ngram > tokens + context
        yield (
            long,
            f"no_repeat_ngram = {strategy.no_repeat_ngram}: a text has {tokens + context} tokens",
        )


def _measuring(recipe: Recipe, groups: Mapping[str, int]) -> Iterator[_Note]:
    measure = recipe.measure
    yield (
        measure.force_mauve and measure.mauve is None,
        "measure.force_mauve: measure.mauve is not set",
    )
    for name, count in groups.items():
        has = f"{count} group" if count == 1 else f"{count} groups"
        yield (
            count < LEAST_GROUPS,
            f"set {name}: {has}, and intervals need {LEAST_GROUPS}: its numbers have none",
        )


def _updates(recipe: Recipe) -> int:
    return recipe.train.total_updates(recipe.data.train_blocks)


def _probe_count(recipe: Recipe) -> int:
    """Probes of a training that nothing stops, the one before it left out."""
    return math.ceil(_updates(recipe) / recipe.probe_updates(recipe.data.train_blocks))


def _differs(settings: Settings, name: str) -> bool:
    """Whether a setting is another than its default."""
    return bool(getattr(settings, name) != type(settings).model_fields[name].get_default())


def _is_changed(settings: Settings) -> bool:
    return any(_differs(settings, name) for name in type(settings).model_fields)
