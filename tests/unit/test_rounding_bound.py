"""How far logits in bfloat16 may be from themselves."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.compare import logits_match
from tests.support.tiny_models import tiny_config


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


def model_and_logits(dtype):
    """A model, and the logits that it is to have in float32."""
    model = AutoModelForCausalLM.from_config(tiny_config("llama", 16), dtype=dtype)
    return model, torch.tensor([[[1.0, -1.0]]])


@pytest.mark.parametrize(
    ("rounding", "other", "equal"),
    [
        (0.1, -0.1, True),  # as far from float32 as the plain forward, the other way
        (0.1, -0.25, False),  # farther than rounding goes
        (0.0, 0.1, False),  # the plain forward does not round here
        (0.6, -0.6, False),  # rounding tells nothing
    ],
)
def test_beyond_the_bound_float32_says_what_is_rounding(rounding, other, equal):
    model, exact_BTV = model_and_logits(torch.bfloat16)
    dtypes = []

    def plain():
        dtypes.append({each.dtype for each in model.parameters()})
        return exact_BTV

    before = [each.clone() for each in model.parameters()]
    plain_BTV, other_BTV = exact_BTV * (1 + rounding), exact_BTV * (1 + other)
    assert logits_match(other_BTV, plain_BTV, model, large=False, plain=plain) is equal
    assert dtypes == [{torch.float32}]
    assert all(map(torch.equal, before, model.parameters()))


def test_float32_has_no_second_opinion():
    model, exact_BTV = model_and_logits(torch.float32)
    assert not logits_match(exact_BTV * 1.1, exact_BTV, model, large=False, plain=lambda: exact_BTV)


@pytest.mark.parametrize("error", [ModelError("no such kernel"), torch.OutOfMemoryError("full")])
def test_without_float32_the_bound_decides_and_the_weights_stay(error):
    model, exact_BTV = model_and_logits(torch.bfloat16)
    before = [each.clone() for each in model.parameters()]

    def plain():
        raise error

    assert not logits_match(exact_BTV * 1.2, exact_BTV, model, large=False, plain=plain)
    assert all(map(torch.equal, before, model.parameters()))
