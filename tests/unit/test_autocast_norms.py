"""RMS norms and rotations that round once: equal to the models' own but for rounding, and theirs
without autocast.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from hyperfitting.models import cast_norm_outputs as round_named
from hyperfitting.models import castable_norms
from tests.support.tiny_models import tiny_config


def cast_norm_outputs(model):
    round_named(model, castable_norms(model))


@pytest.fixture
def norm():
    torch.manual_seed(0)
    norm = LlamaRMSNorm(24, eps=1e-2)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(24) + 0.5)
    return norm


def slopes(norm, x_BTH, upstream_BTH):
    x_BTH = x_BTH.clone().requires_grad_()
    norm.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y_BTH = norm(x_BTH)
    (y_BTH.float() * upstream_BTH).sum().backward()
    return y_BTH, x_BTH.grad, norm.weight.grad.clone()


def test_the_gradient_is_that_of_the_formula_in_float64(norm):
    from hyperfitting.models.autocast_norms import RmsNorm

    x_BTH = torch.randn(2, 3, 24, requires_grad=True)

    def exact(x, weight):
        return weight * x / (x.square().mean(-1, keepdim=True) + 1e-2).sqrt()

    upstream_BTH = torch.randn(2, 3, 24)
    inputs = [
        x_BTH.double().detach().requires_grad_(),
        norm.weight.double().detach().requires_grad_(),
    ]
    theirs = torch.autograd.grad((exact(*inputs) * upstream_BTH).sum(), inputs)
    y_BTH = RmsNorm.apply(x_BTH, norm.weight, 1e-2, torch.float32)
    ours = torch.autograd.grad((y_BTH * upstream_BTH).sum(), [x_BTH, norm.weight])
    torch.testing.assert_close(y_BTH.double(), exact(*inputs), rtol=1e-5, atol=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_under_autocast_a_norm_hands_on_bfloat16(norm):
    x_BTH, upstream_BTH = torch.randn(2, 3, 24), torch.randn(2, 3, 24)
    before = slopes(norm, x_BTH, upstream_BTH)
    cast_norm_outputs(norm)
    after = slopes(norm, x_BTH, upstream_BTH)
    assert (before[0].dtype, after[0].dtype) == (torch.float32, torch.bfloat16)
    for one, other in zip(after, before, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=2e-2, atol=2e-2)


def test_without_autocast_a_norm_is_as_it_was(norm):
    x_BTH = torch.randn(2, 3, 24)
    before = norm(x_BTH)
    cast_norm_outputs(norm)
    assert torch.equal(norm(x_BTH), before)


def test_a_frozen_norm_and_a_frozen_input_have_no_gradient(norm):
    cast_norm_outputs(norm)
    norm.weight.requires_grad_(False)
    x_TH = torch.randn(3, 24, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        norm(x_TH).sum().backward()
    assert norm.weight.grad is None
    assert x_TH.grad is not None


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral", "gpt2", "gpt_neox"])
def test_logits_under_autocast_stay_within_its_rounding(kind):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(kind, 320)).eval()
    ids_BT = torch.randint(1, 300, (2, 40))
    with torch.no_grad():
        exact = model(ids_BT).logits
        with torch.autocast("cpu", torch.bfloat16):
            before = model(ids_BT).logits
            cast_norm_outputs(model)
            after = model(ids_BT).logits
    assert (after - exact).abs().max() < 2 * (before - exact).abs().max()


def test_angles_of_another_form_are_left_alone():
    """Llama 4 turns by complex numbers."""

    class ComplexRotaryEmbedding(torch.nn.Module):
        def forward(self):
            return torch.ones(2, 3, dtype=torch.complex64)

    module = ComplexRotaryEmbedding()
    cast_norm_outputs(module)
    with torch.autocast("cpu", torch.bfloat16):
        assert module().dtype == torch.complex64
    assert module().shape == (2, 3)


def test_a_norm_of_another_formula_is_left_alone():
    """Gemma's weight is an offset from one."""
    sizes = {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "head_dim": 8,
    }
    model = AutoModelForCausalLM.from_config(
        Gemma2Config(**sizes, num_attention_heads=4, num_key_value_heads=2)
    )
    cast_norm_outputs(model)
    norms = [module for module in model.modules() if type(module).__name__.endswith("RMSNorm")]
    assert norms
    assert all("forward" not in vars(module) for module in norms)
