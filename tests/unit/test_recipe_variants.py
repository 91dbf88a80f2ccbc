import json

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import differing_settings, load_recipe, parse_recipe

EARLY = {"name": "early-stopped", "set": {"train.stop": "best-validation"}}


def with_variants(tree, *variants):
    return parse_recipe({**tree, "variants": list(variants)}, source="mine.toml")


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        (
            [{"name": "a", "set": {"train.learning_rat": 1e-4}}],
            "variants.0.set: train.learning_rat is not a setting; did you mean "
            "train.learning_rate?",
        ),
        (
            [EARLY, {"name": "a", "set": {"train.stp": "end"}}],
            "variants.1.set: train.stp is not a setting; did you mean train.stop?",
        ),
        (
            [{"name": "a", "set": {"train.stop": "late"}}],
            'variants.0.set: train.stop = "late": one of "end", "train-loss", "token-accuracy", '
            '"best-validation", "auto"',
        ),
        (
            [{"name": "a", "set": {"train.updates": 3}}],
            "variants.0.set: set one of train.epochs and train.updates",
        ),
        (
            [{"name": "a", "set": {"data.block_tokens": 16}}],
            "variants can set only train.*, not data.block_tokens: data, decoding and metrics are "
            "the same",
        ),
        ([{"name": "a", "set": {"stop": "end"}}], "variants can set only train.*, not stop"),
        ([{"name": "a", "set": {}}], "variants.0.set = {}: at least 1"),
        (
            [{"name": "hyperfitted", "set": {"train.epochs": 1}}],
            'variants.0.name = "hyperfitted": this name has another meaning',
        ),
        (
            [{"name": "train", "set": {"train.epochs": 1}}],
            'variants.0.name = "train": this name has another',
        ),
        ([{"name": "A", "set": {"train.epochs": 1}}], 'variants.0.name = "A": small letters'),
        ([EARLY, EARLY], "two variants have the same name"),
        (
            [EARLY, EARLY | {"name": "same"}],
            "variants.1.set: same and early-stopped train with the same settings, so they are the "
            "same run twice",
        ),
        (
            [{"name": "same", "set": {"train.epochs": 3}}],
            "same and hyperfitted train with the same settings",
        ),
        (
            [{"nme": "a", "set": {"train.epochs": 1}}],
            "variants.0.nme is not a setting; did you mean variants.0.name?",
        ),
    ],
)
def test_a_wrong_variant_is_one_line(tree, variants, words):
    with pytest.raises(RecipeError) as caught:
        with_variants(tree, *variants)
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("original", "pretrained", "reference", "shuffled", "random", "validation"),
        *("data", "report", "tensorboard", "wandb", "model", "checkpoint", "parts"),
    ],
)
def test_names_that_tables_and_folders_use_are_taken(tree, name):
    with pytest.raises(RecipeError, match="this name has another meaning in an experiment"):
        with_variants(tree, EARLY | {"name": name})


def test_a_variant_is_the_recipe_with_some_settings_of_its_own(tree):
    tree["train"]["clip_norm"] = 1.0
    recipe = with_variants(
        tree, {"name": "short", "set": {"train": {"epochs": 1, "clip_norm": "none"}}}
    )
    short = recipe.of("short")
    assert (short.train.epochs, short.train.clip_norm, short.variants) == (1, None, ())
    assert short.train.learning_rate == recipe.train.learning_rate
    assert short.name == "tiny-short"
    assert short.data == recipe.data
    assert recipe.of("hyperfitted") == recipe
    assert recipe.of("original").leaves_model_untouched
    assert parse_recipe(json.loads(recipe.canonical_json()), source="again") == recipe


def test_the_recipes_of_the_runs_can_be_read_however_long_the_name(tree):
    recipe = with_variants(tree | {"name": "a" * 60}, EARLY)
    for name in ("original", "early-stopped"):
        run = recipe.of(name)
        assert parse_recipe(json.loads(run.canonical_json()), source="run.json") == run
        assert run.name.endswith(f"a-{name}")


def test_a_recipe_without_variants_keeps_its_digest(tree):
    plain, empty = parse_recipe(tree, source="t"), with_variants(tree)
    assert plain.digest == empty.digest != with_variants(tree, EARLY).digest


def test_toml_takes_dotted_keys_in_quotes_and_without(tmp_path):
    text = 'based_on = "demo"\n[[variants]]\nname = "a"\nset = { %s = "best-validation" }\n'
    recipes = []
    for key in ('"train.stop"', "train.stop"):
        (tmp_path / "r.toml").write_text(text % key)
        recipes.append(load_recipe(tmp_path / "r.toml"))
    assert recipes[0].digest == recipes[1].digest
    assert recipes[0].variants[0].set == {"train.stop": "best-validation"}


def test_variants_that_differ_are_named(tree):
    one = with_variants(tree, EARLY)
    other = with_variants(tree, {"name": "early-stopped", "set": {"train.epochs": 1}})
    assert differing_settings(one, other) == (
        "variants.0.set.train.stop best-validation -> none, variants.0.set.train.epochs none -> 1"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"generate": {"arms": []}}, "generate.arms is now generate.strategies"),
        (
            {"controls": ["early-stopped"]},
            'controls is now variants: write [[variants]] name = "early-stopped" and set = '
            '{ "train.stop" = "best-validation" }',
        ),
    ],
)
def test_a_former_name_is_an_error_that_gives_the_new_one(tree, change, words):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree | change, source="mine.toml")
    assert str(caught.value) == f"mine.toml: {words}"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("generate.arms.0.top_p=0.5", "generate.arms is now generate.strategies"),
        ("data.contexts[0].count=4", "data.contexts is now data.domains"),
        ("controls=[]", "controls is now variants"),
    ],
)
def test_so_it_is_in_an_override(override, words):
    with pytest.raises(RecipeError, match=words):
        load_recipe("demo", [override])
