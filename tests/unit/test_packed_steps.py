"""Our own step with packed weights: equal to the model up to rounding, and used only where it
is.
"""

import os

import pytest
import torch
import transformers as t

from hyperfitting.models import prefer_packed_steps, stepper, traits_of
from hyperfitting.models.adapt.compare import logits_difference
from hyperfitting.models.packed_steps import PackedSteps, can_be_packed

pytestmark = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines
    or not torch.backends.mkldnn.is_available(),
    reason="this torch has no packed products",
)
SHAPE = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
CONFIGS = {
    "llama": t.LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "llama, biases": t.LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True, head_dim=32),
    "llama, scaled positions": t.LlamaConfig(
        **SHAPE,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 1e4,
            "factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    ),
    "mistral": t.MistralConfig(**SHAPE, sliding_window=None),
    "qwen2": t.Qwen2Config(**SHAPE),
    "qwen3": t.Qwen3Config(**SHAPE, head_dim=32),
}
OTHERS = {
    "of a sliding window": t.MistralConfig(**SHAPE, sliding_window=8),
    "of another activation": t.LlamaConfig(**SHAPE, hidden_act="gelu"),
    "of another form": t.GPT2Config(vocab_size=320, n_embd=64, n_layer=2, n_head=4),
}
CONTEXT, TOKENS = 20, 70
"""The keys outgrow their first room, and the second."""


def build(config, dtype=torch.bfloat16):
    torch.manual_seed(0)
    model = t.AutoModelForCausalLM.from_config(config).eval().to(torch.bfloat16)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("bias", "norm.weight", "layernorm.weight")):
                weight.add_(torch.randn_like(weight) * 0.2)
    return model.to(dtype)


def texts(count):
    return torch.randint(1, 320, (count, TOKENS), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def read(steps, ids_BT):
    logits = [steps.start(ids_BT[:, :CONTEXT])]
    logits += [steps.extend(ids_B) for ids_B in ids_BT[:, CONTEXT:-1].unbind(1)]
    return torch.stack(logits, dim=1)


@torch.no_grad()
def plain(model, ids_BT):
    return model(ids_BT, use_cache=False).logits[:, CONTEXT - 1 : -1].float()


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("few", [True, False])
def test_its_logits_are_those_of_the_model_up_to_rounding(kind, few):
    model, ids_BT = build(CONFIGS[kind]), texts(2 if few else 5)
    exact_BSV = plain(build(CONFIGS[kind], torch.float32), ids_BT)
    ours_BSV, plain_BSV = read(PackedSteps(model, few=few), ids_BT), plain(model, ids_BT)
    assert ours_BSV.dtype == torch.float32
    rounding = logits_difference(plain_BSV, exact_BSV)
    assert rounding < 0.25
    # Of many texts the scores of attention are rounded too, as with the cache.
    assert logits_difference(ours_BSV, exact_BSV) < (1.2 if few else 2.0) * rounding


def test_few_texts_are_read_as_in_float32_but_for_their_context():
    model, exact = (build(CONFIGS["llama"], dtype) for dtype in (torch.bfloat16, torch.float32))
    ids_BT, steps = texts(2), PackedSteps(model, few=True)
    with torch.no_grad():
        steps.start(ids_BT[:, :1])
        unrounded = exact(ids_BT[:, :1]).past_key_values.layers
        for ours, theirs in zip(steps._held, unrounded, strict=True):
            ours.both[0, :, :, :1] = theirs.keys.unflatten(-1, (2, -1)).mT.flatten(-2)
            ours.both[1, :, :, :1] = theirs.values
        read_BSV = torch.stack([steps.extend(ids_B) for ids_B in ids_BT[:, 1:].unbind(1)], dim=1)
        exact_BSV = exact(ids_BT).logits[:, 1:]
    assert logits_difference(read_BSV, exact_BSV) < 1e-4


@pytest.mark.parametrize(("texts_at_once", "name"), [(1, "few"), (4, "few"), (5, "many")])
def test_a_model_that_writes_is_read_so_and_its_traits_say_it(texts_at_once, name):
    model = build(t.LlamaConfig(**SHAPE | {"initializer_range": 0.05}))
    assert traits_of(model).decoding == "cache"
    prefer_packed_steps(model, texts=texts_at_once, tokens=40)
    assert traits_of(model).decoding == f"packed for {name} texts"
    assert isinstance(stepper(model), PackedSteps)


@pytest.mark.parametrize("kind", OTHERS)
def test_other_models_are_read_as_before(kind):
    model = build(OTHERS[kind])
    before = traits_of(model)
    prefer_packed_steps(model, texts=1, tokens=40)
    assert traits_of(model) == before


def test_texts_in_float32_are_read_as_before():
    model = build(CONFIGS["llama"], torch.float32)
    prefer_packed_steps(model, texts=1, tokens=40)
    assert traits_of(model).decoding == "cache"


def test_a_model_that_does_more_than_its_class_says_is_read_as_before():
    model = build(t.LlamaConfig(**SHAPE | {"initializer_range": 0.05}))
    model.model.layers[1].mlp.register_forward_hook(lambda _, __, output: 2 * output)
    assert can_be_packed(model)
    prefer_packed_steps(model, texts=1, tokens=40)
    assert traits_of(model).decoding == "cache"


def test_a_model_that_the_memory_does_not_hold_twice_is_read_as_before(monkeypatch):
    model = build(CONFIGS["llama"])
    size = sum(2 * weight.numel() for weight in model.parameters())
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 4 * size}.get)
    assert can_be_packed(model)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 4 * size - 1}.get)
    assert not can_be_packed(model)
