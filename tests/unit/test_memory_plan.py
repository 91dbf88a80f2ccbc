"""The plan of memory: what it knows of, what it refuses, and what its parts are."""

import json
import weakref
from functools import partial
from itertools import takewhile

import numpy as np
import pytest
import torch

from hyperfitting import training
from hyperfitting.errors import ModelError
from hyperfitting.recipe import EngineSettings, load_recipe, parse_recipe
from hyperfitting.training.memory_plan import LiveBytes, dry_run, memory_of
from tests.support.shapes import shape_tree
from tests.support.training_loop import train_once

GIB = 2**30


@pytest.fixture
def shaped(tree, tmp_path):
    return partial(shape_tree, tree, tmp_path)


@pytest.mark.parametrize("name", ["gemma2", "gpt2"])
def test_the_plan_knows_of_whole_logits_and_of_dropout(shaped, tmp_path, name):
    """Gemma 2 caps its logits, so that training cannot take its loss in chunks."""
    tree = shaped(name)
    tree["train"]["dropout"] = name == "gpt2"
    ids = np.random.default_rng(0).integers(1, 900, (12, 96)).astype(np.int32)
    with LiveBytes() as live:
        train_once(tree, ids, tmp_path / "checkpoints")
    recipe = parse_recipe(tree, source="t")
    assert memory_of(recipe, "fp32", recipe.engine, device="cpu").peak == pytest.approx(
        live.peak, rel=0.1
    )
    assert dry_run(recipe, "fp32", torch.device("cpu"))[0] == pytest.approx(live.peak, rel=0.1)


def test_a_mixture_of_experts_is_not_planned_and_can_be_checked(tree, tmp_path):
    from transformers import MixtralConfig

    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    MixtralConfig(
        **sizes, num_attention_heads=4, num_key_value_heads=2, num_local_experts=2
    ).save_pretrained(tmp_path)
    recipe = parse_recipe(
        tree | {"model": {"source": str(tmp_path), "initialise": "random"}}, source="t"
    )
    with pytest.raises(ModelError, match="the memory of a mixture of experts depends on the texts"):
        memory_of(recipe, "fp32", recipe.engine)


def test_a_dry_run_needs_no_weights_and_no_texts(shaped):
    tree = shaped("llama")
    tree["data"]["train"]["path"] = "nowhere.txt"
    recipe = parse_recipe(tree, source="t")
    peak, rate = dry_run(recipe, "fp32", torch.device("cpu"))
    assert peak == pytest.approx(
        memory_of(recipe, "fp32", recipe.engine, device="cpu").peak, rel=0.1
    )
    assert rate > 0


def test_parts_of_the_plan_are_what_they_say(shaped):
    recipe = parse_recipe(shaped("llama"), source="t")
    plain, stochastic = (
        memory_of(recipe, each, recipe.engine) for each in ("fp32", "bf16-stochastic")
    )
    assert plain.states == pytest.approx(2 * plain.gradients, rel=0.01)
    assert stochastic.weights == pytest.approx(plain.weights / 2, rel=0.01)
    checkpointed = memory_of(recipe, "fp32", EngineSettings(activation_checkpointing=True))
    assert checkpointed.activations < plain.activations / 2
    assert (checkpointed.weights, checkpointed.states) == (plain.weights, plain.states)


def test_adapters_need_gradients_and_states_for_themselves_only(shaped):
    tree = shaped("llama")
    whole = memory_of(parse_recipe(tree, source="t"), "fp32", EngineSettings())
    tree["train"]["parameters"] = "late-lora:1"
    late = memory_of(parse_recipe(tree, source="t"), "fp32", EngineSettings())
    assert late.states < whole.states / 10
    assert late.activations < whole.activations


def test_devices_share_weights_gradients_and_states(shaped):
    recipe = parse_recipe(shaped("llama"), source="t")
    alone, shared = (memory_of(recipe, "fp32", recipe.engine, count=count) for count in (1, 2))
    assert shared.weights == pytest.approx(alone.weights / 2, rel=0.01)
    assert shared.states == pytest.approx(alone.states / 2, rel=0.01)
    assert alone.peak / 2 < shared.peak < alone.peak


def is_fp32(fit):
    """The first precision of a plan, which tries one after the other as it is read."""
    return fit.precision == "fp32"


def test_levers_are_tried_until_it_fits_and_not_where_none_can_help(shaped):
    recipe = parse_recipe(shaped("gpt2"), source="t")
    needs = memory_of(recipe, "fp32", recipe.engine)
    tight = int((needs.weights + needs.gradients + needs.states + needs.activations / 2) / 0.95)
    fits = partial(training.plan, recipe, count=1)
    tried = list(takewhile(is_fp32, fits(device_bytes=tight)))
    assert [fit.fits for fit in tried] == [False, True]
    assert tried[1].engine.activation_checkpointing
    hopeless = list(takewhile(is_fp32, fits(device_bytes=needs.weights)))
    assert [fit.fits for fit in hopeless] == [False]


def test_live_bytes_count_a_storage_once_and_until_it_is_gone():
    with LiveBytes() as live:
        held = torch.empty(1000)
        view = held.view(10, 100)
        assert live.now == 4000
        torch.empty(500)
        assert (live.now, live.peak) == (4000, 6000)
        held.untyped_storage().resize_(0)
        assert live.now == 0
        held.untyped_storage().resize_(4000)
        gone = weakref.ref(held.untyped_storage())
        del held, view
        assert gone() is None
    assert (live.now, live.peak) == (0, 6000)
    assert torch.UntypedStorage.resize_.__qualname__ != "LiveBytes.__enter__.<locals>.resize_"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "limit"), [("paper-llama-8b", 1, 70 * GIB), ("paper-llama-70b", 8, 75 * GIB)]
)
def test_training_of_the_largest_shapes_fits_their_machines(name, count, limit):
    recipe = load_recipe(name)
    memory = memory_of(recipe, "bf16-stochastic", recipe.engine, count=count)
    print(f"\n{name} on {count}: {memory.peak / GIB:.2f} GiB")
    assert memory.peak <= limit


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("paper", 1_100_048_384),
        ("paper-deepseek-7b", 6_910_365_696),
        ("paper-llama-8b", 8_030_261_248),
        ("paper-llama-70b", 70_553_706_496),
        ("paper-imagegpt", 1_362_914_304),
    ],
)
def test_the_shapes_of_the_papers_models_ship(name, parameters):
    from hyperfitting.models import count_parameters

    assert count_parameters(load_recipe(name).model) == parameters
    assert json.loads(load_recipe(name).canonical_json())["train"]["learning_rate"] == 1e-6
