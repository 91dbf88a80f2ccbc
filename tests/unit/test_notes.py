"""What `check` says of settings that cannot take effect: nothing where all do, one line for each
that does not.
"""

import pytest

from hyperfitting.recipe import load_recipe, parse_recipe, recipe_notes, shipped_recipes
from hyperfitting.recipe.notes import HEADLINE_TOKENS, LEAST_GROUPS

VARIANT = 'variants=[{ name = "stopped", set = { "train.stop" = "%s" } }]'
BASE = {
    "name": "n",
    "model": {"source": "asset:reference-lm"},
    "data": {
        "train": {"path": "asset:tales/fiction.jsonl"},
        "train_blocks": 16,
        "validation_blocks": 16,
        "domains": [{"name": "own", "count": 20}],
    },
    "train": {"learning_rate": 1e-3, "epochs": 5, "batch_blocks": 8},
}


def notes(*overrides, groups=None):
    from hyperfitting.recipe.tree import apply_overrides

    tree = {
        section: dict(value) if isinstance(value, dict) else value
        for section, value in BASE.items()
    }
    apply_overrides(tree, overrides)
    return recipe_notes(parse_recipe(tree, source="t"), groups)


GREEDY = 'generate.strategies=[{ name = "a", method = "greedy", %s }]'
SAMPLE = 'generate.strategies=[{ name = "a", method = "sample", %s }]'
NOTES = [
    (["probe.contexts=99"], "probe.contexts = 99: there are 16 validation blocks to continue"),
    (
        ["probe.every_updates=11"],
        "probe.every_updates = 11: the training has 10 updates, so only its ends are",
    ),
    (
        ["generate.new_tokens=64"],
        "generate.new_tokens = 64: the main metric, ttr_last96, needs 96, and is left out",
    ),
    (
        ["data.domains=[]"],
        "data.domains: none are set, so nothing is continued, measured or compared",
    ),
    (
        ["data.shares=[0.5, 0.25, 0.25]"],
        "data.shares: it shares out groups, and data.train.group is not set",
    ),
    (
        ["data.chat_instruction=Go on."],
        "data.chat_instruction: no context and no training text stands in a chat",
    ),
    (
        ["data.context_format=chat"],
        'generate.end_of_text = "suppress": no answer in a chat can end where its turn does; '
        '"stop" lets it',
    ),
    (
        ["model.revision=main"],
        "model.revision: asset:reference-lm is a folder here, which has none",
    ),
    (["train.epochs=0"], "train: no update is made, so the model is left as it is"),
    (["train.batch_blocks=32"], "train.batch_blocks = 32: an update has the 16 there are"),
    (["train.lora.rank=4"], 'train.lora: no adapters with train.parameters = "all"'),
    (["train.force_plain_bf16=true"], "train.force_plain_bf16: only for train.precision = bf16"),
    (
        ["train.warmup_updates=10"],
        "train.warmup_updates = 10: the training has 10 updates, so its learning rate is never "
        "reached",
    ),
    (
        ["train.final_learning_rate_share=0.1"],
        "train.final_learning_rate_share: nothing decays with train.decay_share = 0",
    ),
    (
        ["train.stop_loss=0.1"],
        'train.stop_loss: train.stop = "end" stops at no loss; it only says below what a loss '
        "counts as near zero",
    ),
    (
        ["train.stop_token_accuracy=0.9"],
        'train.stop_token_accuracy: train.stop = "end" stops at no token accuracy',
    ),
    (
        ["train.patience_probes=2"],
        'train.patience_probes = 2: train.stop = "end" waits for no probes',
    ),
    (
        ["train.stop=best-validation", "train.patience_probes=5"],
        'train.patience_probes = 5: the training has 5 probes, so train.stop = "best-validation" '
        "is end",
    ),
    (["engine.micro_batch_blocks=9"], "engine.micro_batch_blocks = 9: an update has 8 blocks"),
    (
        ["generate.mode=reference", "generate.dtype=bfloat16"],
        "generate.dtype: reference mode decodes one context at a time in float32",
    ),
    (
        ["generate.mode=reference", "generate.batch_contexts=5"],
        "generate.batch_contexts: reference mode decodes one context at a time in float32",
    ),
    *(
        (
            [GREEDY % setting],
            f"generate.strategies.0.{setting.split()[0]}: a greedy strategy takes the most "
            "probable token whatever it is",
        )
        for setting in ("temperature = 0.7", "top_k = 5", "top_p = 0.9", "min_p = 0.1")
    ),
    ([SAMPLE % "temperature = 1"], "generate.strategies.0.temperature = 1.0: it changes nothing"),
    ([SAMPLE % "top_p = 1"], "generate.strategies.0.top_p = 1.0: it changes nothing"),
    ([SAMPLE % "min_p = 0"], "generate.strategies.0.min_p = 0.0: it changes nothing"),
    (
        [GREEDY % "repetition_penalty = 1"],
        "generate.strategies.0.repetition_penalty = 1.0: it changes nothing",
    ),
    (
        [GREEDY % 'penalised = "all"'],
        "generate.strategies.0.penalised: it says what repetition_penalty sees, which is not set",
    ),
    (
        [GREEDY % "blocker.tokens = 224"],
        "generate.strategies.0.blocker.tokens = 224: it sees 224 tokens of a text",
    ),
    (
        [GREEDY % "no_repeat_ngram = 257"],
        "generate.strategies.0.no_repeat_ngram = 257: a text has 256 tokens",
    ),
    (["measure.force_mauve=true"], "measure.force_mauve: measure.mauve is not set"),
    (
        ["model.initialise=random", "generate.new_tokens=5"],
        "generate: a pretraining ends with its model",
    ),
    (
        ["model.initialise=random", "measure.bleu=true"],
        "measure: a pretraining ends with its model",
    ),
    (
        ["model.initialise=random", VARIANT % "best-validation"],
        "variants: a pretraining has one run",
    ),
]


@pytest.mark.parametrize(
    ("overrides", "words"), NOTES, ids=[" ".join(overrides) for overrides, _ in NOTES]
)
def test_a_setting_that_does_nothing_is_told_alone(overrides, words):
    assert notes(*overrides) == [words]


EFFECTIVE = [
    ["probe.contexts=16"],
    ["probe.every_updates=10"],
    ["generate.new_tokens=96"],
    ["data.shares=[0.5, 0.25, 0.25]", "data.train.group=book"],
    ["data.shares=[0.5, 0.25, 0.25]", "data.blocks=passages"],
    ["model.source=owner/name", "model.revision=main"],
    ["train.batch_blocks=16"],
    ["train.lora.rank=4", "train.parameters=late-lora:2"],
    ["train.force_plain_bf16=true", "train.precision=bf16"],
    ["train.warmup_updates=9"],
    ["train.final_learning_rate_share=0.1", "train.decay_share=0.5"],
    ["train.stop=train-loss", "train.stop_loss=0.1"],
    ["train.stop_loss=0.1", VARIANT % "train-loss"],
    ["train.stop_token_accuracy=0.9", VARIANT % "token-accuracy"],
    ["train.patience_probes=2", VARIANT % "best-validation"],
    ["train.stop=auto", "train.stop_loss=0.1", "train.patience_probes=4"],
    ["engine.micro_batch_blocks=8"],
    ["generate.dtype=bfloat16"],
    [SAMPLE % "temperature = 0.7, top_k = 1, top_p = 0.9, min_p = 0.1"],
    [GREEDY % 'repetition_penalty = 1.1, penalised = "all"'],
    [GREEDY % "blocker.tokens = 223"],
    [GREEDY % "blocker = { tokens = 255, context = true }"],
    [GREEDY % "no_repeat_ngram = 256"],
    ["measure.force_mauve=true", "measure.mauve=asset:reference-lm"],
    ["model.initialise=random", "data.domains=[]"],
]


@pytest.mark.parametrize("overrides", EFFECTIVE, ids=[" ".join(each) for each in EFFECTIVE])
def test_a_setting_that_takes_effect_is_not_noted(overrides):
    assert notes(*overrides) == []


def test_sets_of_few_groups_have_no_intervals():
    assert notes(groups={"train": 10, "own": 9, "news": 1}) == [
        "set own: 9 groups, and intervals need 10: its numbers have none",
        "set news: 1 group, and intervals need 10: its numbers have none",
    ]


def test_the_limits_are_those_of_the_measures():
    from hyperfitting.metrics.specs import TTR_WINDOW_TOKENS
    from hyperfitting.metrics.stats import LEAST_CLUSTERS

    assert (LEAST_GROUPS, HEADLINE_TOKENS) == (LEAST_CLUSTERS, TTR_WINDOW_TOKENS)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_set_nothing_in_vain(name):
    assert recipe_notes(load_recipe(name)) == []
