"""The plan against real trainings: four shapes that nothing in it was fitted to, counted tensor by
tensor.
"""

import numpy as np
import pytest

from hyperfitting.recipe import parse_recipe
from hyperfitting.training.memory_plan import LiveBytes, memory_of
from tests.support.shapes import shape_tree
from tests.support.training_loop import train_once

CHECKPOINTED = {"activation_checkpointing": True, "micro_batch_blocks": 2}


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16-stochastic"])
@pytest.mark.parametrize("engine", [{}, CHECKPOINTED])
def test_the_plan_is_within_a_fiftieth_of_what_training_takes(
    tree, tmp_path, name, precision, engine
):
    """Few layers show best what is missing beside them: the largest step, and the step meter."""
    assert_planned(shape_tree(tree, tmp_path, name, **engine), tmp_path, precision)


def test_the_plan_of_many_layers_is_within_a_fiftieth_too(tree, tmp_path):
    assert_planned(
        shape_tree(tree, tmp_path, "gpt2-tall", **CHECKPOINTED), tmp_path, "bf16-stochastic"
    )


def assert_planned(tree, folder, precision):
    tree["train"]["precision"] = precision
    ids = np.random.default_rng(0).integers(1, 900, (12, 96)).astype(np.int32)
    with LiveBytes() as live:
        train_once(tree, ids, folder / "checkpoints")
    recipe = parse_recipe(tree, source="t")
    planned = memory_of(recipe, precision, recipe.engine, device="cpu")
    assert planned.peak == pytest.approx(live.peak, rel=0.02)
