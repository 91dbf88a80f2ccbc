import json

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import load_recipe, parse_recipe, settings_list, shipped_recipes
from tests.support.refusals import refusal


def problem(tree):
    return refusal(RecipeError, parse_recipe, tree, source="mine.toml")


def test_an_unknown_key_names_the_nearest(tree):
    tree["train"]["learning_rat"] = 1e-4
    assert (
        problem(tree)
        == "mine.toml: train.learning_rat is not a setting; did you mean train.learning_rate?"
    )


def test_an_unknown_key_inside_a_list_names_the_nearest(tree):
    tree["generate"]["strategies"][1]["top_pp"] = 0.9
    assert (
        problem(tree) == "mine.toml: generate.strategies.1.top_pp is not a setting; did you mean "
        "generate.strategies.1.top_p?"
    )


def test_an_unknown_section_names_the_nearest(tree):
    tree["trian"] = {"epochs": 1}
    assert problem(tree) == "mine.toml: trian is not a setting; did you mean train?"


def test_an_unknown_recipe_names_the_nearest_and_a_list_is_none(tmp_path):
    with pytest.raises(
        RecipeError, match=r"no recipe 'dmeo': neither a file nor one of .*; did you mean demo\?"
    ):
        load_recipe("dmeo")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(
        RecipeError, match=r"list.json: not a readable recipe: it holds list, not settings by name"
    ):
        load_recipe(tmp_path / "list.json")


def test_a_missing_setting_is_named(tree):
    del tree["data"]["train_blocks"]
    assert problem(tree) == "mine.toml: data.train_blocks is not set"


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("train", "learning_rate", "1e-6", 'train.learning_rate = "1e-6": a number is needed'),
        ("train", "epochs", 1.5, "train.epochs = 1.5: a whole number is needed"),
        ("train", "learning_rate", -1.0, "train.learning_rate = -1.0: it must be greater than 0"),
        (
            "train",
            "learning_rate",
            1.5e300,
            "train.learning_rate = 1.5e+300: it must be at most 3e+38",
        ),
        ("train", "weight_decay", 1e39, "train.weight_decay = 1e+39: it must be at most 3e+38"),
        ("train", "epsilon", 1e39, "train.epsilon = 1e+39: it must be at most 3e+38"),
        ("train", "betas", [0.9, 1.0], "train.betas.1 = 1.0: it must be less than 1"),
        ("train", "batch_blocks", 0, "train.batch_blocks = 0: it must be at least 1"),
        ("model", "dtype", "float16", 'model.dtype = "float16": one of "float32", "bfloat16"'),
        (
            "train",
            "precision",
            "bf16",
            'train.precision = "bf16": most steps are smaller than half a unit',
        ),
        ("train", "stop", "train-loss", 'train.stop = "train-loss" needs train.stop_loss'),
        ("train", "stop", "token-accuracy", "needs train.stop_token_accuracy, a share in (0, 1]"),
        (
            "train",
            "parameters",
            "last:0",
            'train.parameters = "last:0": "all", "lora", "last:K" or "late-lora:K"',
        ),
        ("train", "updates", 5, "set one of train.epochs and train.updates"),
        ("data", "shares", [0.5, 0.1, 0.1], "data.shares must add up to 1"),
        (
            "data",
            "context_tokens",
            32,
            "data.context_tokens must be smaller than data.block_tokens",
        ),
        ("probe", "new_tokens", 30, "must fit in data.block_tokens"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_setting(tree, section, key, value, words):
    tree[section][key] = value
    assert words in problem(tree)


def test_sets_and_arms_have_distinct_names(tree):
    tree["data"]["domains"] *= 2
    assert "two sets of data.domains have the same name, pieces: rename" in problem(tree)
    tree["data"]["domains"] = [{"name": "a", "count": 1}, {"name": "b", "count": 1}]
    assert "only one set of data.domains can be drawn from data.train" in problem(tree)
    tree["data"]["domains"] = [{"name": "train", "count": 1}]
    assert "'train' cannot name a set" in problem(tree)
    tree["data"]["domains"] = []
    tree["generate"]["strategies"] *= 2
    assert "two strategies have the same name" in problem(tree)


def test_the_digest_ignores_key_order_and_written_out_defaults(tree):
    recipe = parse_recipe(tree, source="a")
    backwards = json.loads(
        recipe.canonical_json(), object_pairs_hook=lambda pairs: dict(reversed(pairs))
    )
    assert parse_recipe(backwards, source="b").digest == recipe.digest
    other_engine = recipe.model_copy(
        update={"engine": recipe.engine.model_copy(update={"micro_batch_blocks": 1})}
    )
    assert other_engine.digest == recipe.digest
    tree["seed"] = 1
    assert parse_recipe(tree, source="c").digest != recipe.digest
    assert recipe.run_name == f"tiny-{recipe.digest[:8]}"


def test_the_original_trains_nothing_and_forgets_how_it_would_have(tree):
    original = parse_recipe(tree, source="a").original()
    assert original.leaves_model_untouched
    tree["train"]["epochs"] = 7
    assert parse_recipe(tree, source="b").original().digest == original.digest
    assert parse_recipe(json.loads(original.canonical_json()), source="c") == original


def test_overrides_are_toml_and_reach_into_lists():
    recipe = load_recipe(
        "demo",
        [
            "seed=3",
            "train.learning_rate=2e-6",
            "generate.strategies.1.top_p=0.5",
            "train.clip_norm=none",
            "name=mine",
        ],
    )
    assert (recipe.seed, recipe.train.learning_rate, recipe.name) == (3, 2e-6, "mine")
    assert recipe.generate.strategies[1].top_p == 0.5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs", "write it as section.key=value"),
        ("generate.strategies.9.top_p=0.5", "there is no '9' to set there"),
        ("seed.x=1", "seed holds a value, not settings"),
        ("train.epochs=ten", 'train.epochs = "ten": a whole number is needed'),
        ("train.when=1979-05-27", "train.when = 1979-05-27: settings hold no dates"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override, words):
    with pytest.raises(RecipeError, match=r"demo\.toml|--set") as caught:
        load_recipe("demo", [override])
    assert words in str(caught.value)


def test_a_missing_or_broken_recipe_is_one_line(tmp_path):
    with pytest.raises(
        RecipeError,
        match="no recipe 'nope': neither a file nor one of demo, every-arm, image-demo, paper",
    ):
        load_recipe("nope")
    with pytest.raises(RecipeError, match="no recipe '': neither a file nor one of demo"):
        load_recipe("")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(RecipeError, match="not a readable recipe"):
        load_recipe(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="not a readable recipe"):
        load_recipe(broken)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_loads_and_describes_itself(name):
    assert load_recipe(name).description


def test_paper_recipe_holds_the_papers_values():
    recipe = load_recipe("paper")
    train, data = recipe.train, recipe.data
    assert (train.learning_rate, train.epochs, train.batch_blocks, train.weight_decay) == (
        1e-6,
        20,
        8,
        0.0,
    )
    assert (data.train_blocks, data.block_tokens, data.context_tokens) == (2000, 256, 32)
    assert [each.count for each in data.domains] == [100, 100, 100]
    nucleus = recipe.generate.strategies[1]
    assert (nucleus.top_p, nucleus.temperature, nucleus.top_k) == (0.9, 0.7, 50)


def test_every_setting_has_a_description():
    assert [key for key, _, text in settings_list() if not text] == []


def test_a_recipe_lies_over_the_one_it_is_based_on(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('based_on = "demo"\nname = "mine"\n[train]\nepochs = 3\n')
    recipe, base = load_recipe(mine), load_recipe("demo")
    assert (recipe.name, recipe.train.epochs, recipe.train.learning_rate) == (
        "mine",
        3,
        base.train.learning_rate,
    )
    assert recipe.data == base.data
    mine.write_text('based_on = "dema"\n')
    with pytest.raises(
        RecipeError,
        match="based_on = 'dema': no such shipped recipe: demo, every-arm, image-demo, paper",
    ):
        load_recipe(mine)


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        (0, "it must be at least 1"),
        (10**8, "it must be at most 1024"),
        ("two", "a whole number is needed"),
    ],
)
def test_threads_that_no_process_survives_are_refused(tree, threads, words):
    assert words in problem(tree | {"engine": {"threads": threads}})


def test_a_setting_of_a_recipe_does_not_change():
    recipe = load_recipe("demo")
    with pytest.raises(AttributeError, match=r"^seed: settings do not change .*load_recipe\(NAME"):
        recipe.seed = 3
    with pytest.raises(AttributeError, match=r"^learning_rate: settings do not change"):
        recipe.train.learning_rate = 1e-3
    assert recipe.seed == 0
