"""Settings of a recipe that cannot take effect as they stand: one table, which `check` prints."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.settings import Recipe
from hyperfitting.recipe.strategies import Strategy

LEAST_GROUPS = 10
"""Groups below which a bootstrap over groups has no interval (metrics/stats.py)."""
HEADLINE_TOKENS = 96
"""New tokens that the measure which the results are about, `ttr_last96`, needs."""

_WAITING = {"best-validation", "auto"}
"""Values of `train.stop` that wait for `train.patience_probes`."""

_Note = tuple[bool, str]
"""Whether something holds, and what to say of it."""


def recipe_notes(recipe: Recipe, groups: Mapping[str, int] | None = None) -> list[str]:
    """What is set and does nothing, or less than it says, one line each.

    Args:
        recipe: what is asked for.
        groups: how many groups each drawn set has, by its name; none: nothing is drawn yet.
    """
    notes = [
        *_of_model_and_data(recipe),
        *_of_training(recipe),
        *_of_stopping(recipe),
        *_of_watching(recipe),
    ]
    if recipe.model.initialise == "random":
        notes += _of_pretraining(recipe)
    else:
        notes += [*_of_generating(recipe), *_of_measuring(recipe, groups or {})]
    return [words for holds, words in notes if holds]


def _of_model_and_data(recipe: Recipe) -> list[_Note]:
    model, data = recipe.model, recipe.data
    return [
        (
            model.revision is not None and model.place("source") is not None,
            f"model.revision: {model.source} is a folder here, which has none",
        ),
        (
            data.shares is not None and data.train.group is None and data.blocks != "passages",
            "data.shares: it shares out groups, and data.train.group is not set",
        ),
        (
            not data.holds_chats and _differs(data, "chat_instruction"),
            "data.chat_instruction: no context and no training text stands in a chat",
        ),
    ]


def _of_training(recipe: Recipe) -> list[_Note]:
    train, blocks = recipe.train, recipe.data.train_blocks
    untouched, updates = recipe.leaves_model_untouched, _updates(recipe)
    return [
        (untouched, "train: no update is made, so the model is left as it is"),
        (
            train.batch_blocks > blocks,
            f"train.batch_blocks = {train.batch_blocks}: an update has the {blocks} there are",
        ),
        (
            "lora" not in train.parameters and _is_changed(train.lora),
            f'train.lora: no adapters with train.parameters = "{train.parameters}"',
        ),
        (
            train.force_plain_bf16 and train.precision != "bf16",
            "train.force_plain_bf16: only for train.precision = bf16",
        ),
        (
            not untouched and train.warmup_updates >= max(updates, 1),
            f"train.warmup_updates = {train.warmup_updates}: the training has {updates} updates, "
            "so its learning rate is never reached",
        ),
        (
            train.final_learning_rate_share > 0 and train.decay_share == 0,
            "train.final_learning_rate_share: nothing decays with train.decay_share = 0",
        ),
    ]


def _of_stopping(recipe: Recipe) -> list[_Note]:
    train, probes = recipe.train, _probe_count(recipe)
    stop, patience = (
        f'train.stop = "{train.stop}"',
        f"train.patience_probes = {train.patience_probes}",
    )
    stops = {train.stop, *(recipe.of(each.name).train.stop for each in recipe.variants)}
    return [
        (
            train.stop_loss is not None and not stops & {"train-loss", "auto"},
            f"train.stop_loss: {stop} stops at no loss; it only says below what a loss counts as "
            "near zero",
        ),
        (
            train.stop_token_accuracy is not None and "token-accuracy" not in stops,
            f"train.stop_token_accuracy: {stop} stops at no token accuracy",
        ),
        (
            not stops & _WAITING and _differs(train, "patience_probes"),
            f"{patience}: {stop} waits for no probes",
        ),
        (
            train.stop in _WAITING and 0 < probes <= train.patience_probes,
            f"{patience}: the training has {probes} probes, so {stop} is end",
        ),
    ]


def _of_watching(recipe: Recipe) -> list[_Note]:
    micro, batch = recipe.engine.micro_batch_blocks, recipe.train.batch_blocks
    probe, blocks, updates = recipe.probe, recipe.data.validation_blocks, _updates(recipe)
    return [
        (
            micro is not None and micro > batch,
            f"engine.micro_batch_blocks = {micro}: an update has {batch} blocks",
        ),
        (
            probe.contexts > blocks,
            f"probe.contexts = {probe.contexts}: there are {blocks} validation blocks to continue",
        ),
        (
            probe.every_updates is not None and probe.every_updates > updates > 0,
            f"probe.every_updates = {probe.every_updates}: the training has {updates} updates, so "
            "only its ends are",
        ),
    ]


def _of_pretraining(recipe: Recipe) -> list[_Note]:
    follows = {"new_tokens"} if recipe.data.images is not None else set()
    return [
        *(
            (
                _is_changed(getattr(recipe, name), aside=follows),
                f"{name}: a pretraining ends with its model",
            )
            for name in ("generate", "measure", "report")
        ),
        (bool(recipe.variants), "variants: a pretraining has one run"),
    ]


def _of_generating(recipe: Recipe) -> list[_Note]:
    settings, tokens = recipe.generate, recipe.generate.new_tokens
    return [
        (
            not recipe.data.domains,
            "data.domains: none are set, so nothing is continued, measured or compared",
        ),
        (
            bool(recipe.data.domains) and recipe.data.images is None and tokens < HEADLINE_TOKENS,
            f"generate.new_tokens = {tokens}: the main metric, ttr_last96, needs "
            f"{HEADLINE_TOKENS}, and is left out",
        ),
        (
            recipe.data.context_format == "chat" and settings.end_of_text == "suppress",
            'generate.end_of_text = "suppress": no answer in a chat can end where its turn does; '
            '"stop" lets it',
        ),
        *(
            (
                settings.mode == "reference" and _differs(settings, name),
                f"generate.{name}: reference mode decodes one context at a time in float32",
            )
            for name in ("dtype", "batch_contexts")
        ),
        *(
            (holds, f"generate.strategies.{number}.{words}")
            for number, strategy in enumerate(settings.strategies)
            for holds, words in _of_strategy(strategy, tokens, recipe.data.context_tokens)
        ),
    ]


_NEUTRAL = {"temperature": 1.0, "top_k": None, "top_p": 1.0, "min_p": 0.0}
"""Settings of a strategy that samples, and the values at which they change nothing."""


def _of_strategy(strategy: Strategy, tokens: int, context: int) -> list[_Note]:
    penalty, blocker, ngram = (
        strategy.repetition_penalty,
        strategy.blocker,
        strategy.no_repeat_ngram,
    )
    seen = tokens + context * (blocker is not None and blocker.context)
    return [
        *(_of_sampling(strategy, name) for name in _NEUTRAL),
        (penalty == 1, f"repetition_penalty = {penalty}: it changes nothing"),
        (
            penalty is None and _differs(strategy, "penalised"),
            "penalised: it says what repetition_penalty sees, which is not set",
        ),
        (
            blocker is not None and blocker.tokens >= seen,
            f"blocker.tokens = {blocker and blocker.tokens}: it sees {seen} tokens of a text",
        ),
        (
            ngram is not None and ngram > tokens + context,
            f"no_repeat_ngram = {ngram}: a text has {tokens + context} tokens",
        ),
    ]


def _of_sampling(strategy: Strategy, name: str) -> _Note:
    value = getattr(strategy, name)
    if strategy.method == "greedy":
        words = "a greedy strategy takes the most probable token whatever it is"
        return value is not None, f"{name}: {words}"
    return (
        value is not None and value == _NEUTRAL[name],
        f"{name} = {value}: it changes nothing",
    )


def _of_measuring(recipe: Recipe, groups: Mapping[str, int]) -> list[_Note]:
    measure = recipe.measure
    return [
        (
            measure.force_mauve and measure.mauve is None,
            "measure.force_mauve: measure.mauve is not set",
        ),
        *(
            (
                count < LEAST_GROUPS,
                f"set {name}: {count} group{'' if count == 1 else 's'}, and intervals need "
                f"{LEAST_GROUPS}: its numbers have none",
            )
            for name, count in groups.items()
        ),
    ]


def _updates(recipe: Recipe) -> int:
    return recipe.train.total_updates(recipe.data.train_blocks)


def _probe_count(recipe: Recipe) -> int:
    """Probes of a training that nothing stops, the one before it left out."""
    return math.ceil(_updates(recipe) / recipe.probe_updates(recipe.data.train_blocks))


def _differs(settings: Settings, name: str) -> bool:
    """Whether a setting is another than its default."""
    return bool(getattr(settings, name) != type(settings).model_fields[name].get_default())


def _is_changed(settings: Settings, *, aside: Collection[str] = ()) -> bool:
    """Whether any setting is not at its default; those `aside` follow from others."""
    names = type(settings).model_fields.keys() - set(aside)
    return any(_differs(settings, name) for name in names)
