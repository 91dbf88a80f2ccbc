"""The tiny causal models of tests/support: every type of transformers' table has one, or a reason
why not.
"""

from __future__ import annotations

import pytest
import torch
from transformers import CONFIG_MAPPING

from tests.support import causal_models
from tests.support.causal_models import NOT_BUILDABLE, build, config, model_types, save, variants

BUILDABLE = [kind for kind in model_types() if kind not in NOT_BUILDABLE]
HANDFUL = ["gemma2", "gpt2", "llama", "mamba", "mixtral", "roberta, is_decoder=true"]
IDS = torch.arange(1, 81).view(2, 40)


def test_reasons_are_few_and_of_one_line():
    assert len(NOT_BUILDABLE) <= 60
    assert set(NOT_BUILDABLE) <= set(model_types())
    assert all(reason and "\n" not in reason for reason in NOT_BUILDABLE.values())


@pytest.mark.parametrize("kind", BUILDABLE)
def test_every_other_type_has_a_small_config(kind):
    made = config(kind)
    text = made.get_text_config().to_dict()
    assert type(made) is CONFIG_MAPPING[kind]
    assert text["vocab_size"] == causal_models.VOCABULARY
    assert text.get("eos_token_id") in (0, [0], None)


@pytest.mark.parametrize("name", variants())
def test_a_variant_differs_from_its_type(name):
    kind, changes = variants()[name]
    assert config(name).model_type == kind
    assert config(name).to_dict() != config(kind).to_dict(), changes


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match="lama: neither a causal model type of this transformers nor a variant"
    ):
        config("lama")


@pytest.mark.parametrize("name", HANDFUL)
def test_a_model_is_the_same_at_every_call_and_far_from_uniform(name):
    one, two = build(name), build(name)
    assert not one.training
    assert {weight.dtype for weight in one.parameters()} == {torch.float32}
    assert sum(weight.numel() for weight in one.parameters()) < 700_000
    with torch.no_grad():
        logits = one(IDS).logits
        assert torch.equal(logits, two(IDS).logits)
    assert logits.isfinite().all()
    assert logits.std() > 1
    assert logits.argmax(-1).min() > 0  # token 0 would end a text
    assert len(logits.argmax(-1).unique()) > 20


def test_every_weight_counts():
    """Norms and biases are off their initial values, so that a decoder that forgets one writes
    something else.
    """
    weights = dict(build("gpt2").named_parameters())
    assert len(weights) > 10
    assert [name for name, weight in weights.items() if not weight.std() > 0.05] == []


def test_a_saved_model_keeps_the_type_that_was_asked_for(tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    model = save("mllama", tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).model_type == "mllama"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, loaded(IDS).logits)
