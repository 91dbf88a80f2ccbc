"""Attention by products beside the models' own; which kernel a model gets."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GptOssConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
)

from hyperfitting.errors import ModelError
from hyperfitting.models import attention, attention_of, prefer_attention
from tests.support.tiny_models import tiny_config

CPU = torch.device("cpu")
IDS_BT = torch.randint(1, 300, (3, 40), generator=torch.Generator().manual_seed(0))


def build(config, *, sharp=True):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():  # at random weights every token is attended to alike
        for name, weight in model.named_parameters():
            if sharp and any(
                each in name
                for each in ("q_proj", "k_proj", "c_attn.weight", "query_key_value.weight")
            ):
                weight.mul_(20)
    return model


def slopes(model):
    model.zero_grad()
    logits_BTV = model(IDS_BT, use_cache=False).logits
    logits_BTV.square().mean().backward()
    return logits_BTV.detach(), [
        weight.grad.clone() for weight in model.parameters() if weight.grad is not None
    ]


WINDOW = MistralConfig(
    vocab_size=320,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=64,
    sliding_window=5,
)


@pytest.mark.parametrize("piece_tokens", [16, 128])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral", "gpt2", "gpt_neox", "window"])
def test_products_equal_the_models_own_attention_and_its_gradients(kind, piece_tokens, monkeypatch):
    """In one piece, and in three, of which the last is shorter."""
    monkeypatch.setattr(attention, "_PIECE_TOKENS", piece_tokens)
    model = build(WINDOW if kind == "window" else tiny_config(kind, 320))
    prefer_attention(model, "eager", CPU, 40)
    logits_BTV, gradients = slopes(model)
    prefer_attention(model, "auto", CPU, 40)
    assert attention_of(model) == "products"
    ours_BTV, ours = slopes(model)
    torch.testing.assert_close(ours_BTV, logits_BTV, rtol=1e-4, atol=1e-5)
    for one, other in zip(ours, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "place", ["cpu", "meta"]
)  # of many processes, all but the main one begin without weights
@pytest.mark.parametrize("config", [Gemma2Config, GptOssConfig])
def test_a_model_whose_attention_does_more_keeps_its_own(config, place):
    """Gemma 2 caps its scores, gpt-oss lets a sink take a share: at random weights neither shows in
    the logits.
    """
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    experts = {"num_local_experts": 2, "num_experts_per_tok": 1} if config is GptOssConfig else {}
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    with torch.device(place):
        model = build(config(**sizes, **heads, **experts), sharp=False)
    prefer_attention(model, "auto", CPU, 40)
    assert attention_of(model) == "eager"


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox"])
def test_neither_bfloat16_weights_nor_their_absence_hinder_the_comparison(kind):
    with torch.device("meta"):
        empty = build(tiny_config(kind, 320), sharp=False)
    for model in (empty, build(tiny_config(kind, 320)).bfloat16()):
        prefer_attention(model, "auto", CPU, 40)
        assert attention_of(model) == "products"


def test_a_mixture_of_experts_keeps_its_own_and_trains():
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    model = build(
        MixtralConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, num_local_experts=2)
    )
    prefer_attention(model, "auto", CPU, 40)
    assert attention_of(model) == "eager"
    assert slopes(model)[1]


def test_a_model_that_cannot_be_asked_keeps_its_own(monkeypatch):
    model = build(tiny_config("llama", 320))
    own = model.model.layers[1].forward

    def refuse_fakes(hidden_BTH, *args, **kwargs):
        if isinstance(hidden_BTH, FakeTensor):
            raise RuntimeError("this runs on true tensors only")
        return own(hidden_BTH, *args, **kwargs)

    monkeypatch.setattr(model.model.layers[1], "forward", refuse_fakes)
    prefer_attention(model, "auto", CPU, 40)
    assert attention_of(model) == "eager"


def test_a_model_without_attention_keeps_what_it_has():
    model = build(
        MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=4), sharp=False
    )
    before = attention_of(model)
    prefer_attention(model, "auto", CPU, 40)
    assert attention_of(model) == before
    with pytest.raises(ModelError, match=r"^engine\.attention = 'sdpa': "):
        prefer_attention(model, "sdpa", CPU, 40)


def test_auto_is_the_fused_kernel_for_long_blocks_and_on_a_gpu():
    model = build(tiny_config("llama", 320))
    for device, tokens in ((CPU, 513), (torch.device("cuda"), 40)):
        prefer_attention(model, "auto", device, tokens)
        assert attention_of(model) == "sdpa"


def test_dropout_of_attention_is_drawn_in_training_mode_only():
    config = tiny_config("llama", 320)
    config.attention_dropout = 0.5
    model = build(config)
    prefer_attention(model, "products", CPU, 40)
    with torch.no_grad():
        still, again = (model(IDS_BT, use_cache=False).logits for _ in range(2))
        model.train()
        dropped = model(IDS_BT, use_cache=False).logits
    assert torch.equal(still, again)
    assert not torch.allclose(still, dropped, atol=1e-3)
