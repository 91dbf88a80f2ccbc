"""The plan against real trainings: three shapes that nothing in it was fitted to, counted tensor by
tensor.
"""

import numpy as np
import pytest

from hyperfitting.recipe import parse_recipe
from hyperfitting.training.memory_plan import LiveBytes, memory_of
from tests.conftest import train_once
from tests.support.shapes import shape_tree


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16-stochastic"])
@pytest.mark.parametrize(
    "engine", [{}, {"activation_checkpointing": True, "micro_batch_blocks": 2}]
)
def test_the_plan_is_within_a_tenth_of_what_training_takes(tree, tmp_path, name, precision, engine):
    tree = shape_tree(tree, tmp_path, name, **engine)
    tree["train"]["precision"] = precision
    ids = np.random.default_rng(0).integers(1, 900, (12, 96)).astype(np.int32)
    with LiveBytes() as live:
        train_once(tree, ids, tmp_path / "checkpoints")
    recipe = parse_recipe(tree, source="t")
    planned = memory_of(recipe, precision, recipe.engine, device="cpu")
    assert planned.peak == pytest.approx(live.peak, rel=0.1)
