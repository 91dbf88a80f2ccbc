"""How far logits in bfloat16 may be from themselves."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from hyperfitting.models.adapt.compare import logits_match
from tests.conftest import tiny_config


@pytest.mark.parametrize(
    ("dtype", "layers", "difference", "equal"),
    [
        (torch.bfloat16, 30, 0.063, True),  # seen with SmolLM2-135M
        (torch.bfloat16, 30, 0.12, False),
        (torch.bfloat16, 2, 0.063, False),
        (torch.bfloat16, 2, 0.04, True),
        (torch.float32, 30, 0.002, False),
    ],
)
def test_rounding_adds_up_over_the_layers_in_bfloat16_alone(dtype, layers, difference, equal):
    model = AutoModelForCausalLM.from_config(tiny_config("llama", 16), dtype=dtype)
    model.config.num_hidden_layers = layers
    plain_BTV = torch.tensor([[[1.0, -1.0]]])
    logits_BTV = plain_BTV * (1 + difference)
    assert logits_match(logits_BTV, plain_BTV, model, large=False) is equal
