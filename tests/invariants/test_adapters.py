"""Low-rank adapters: merged weights compute what the adapters computed."""

import pytest
import torch
from safetensors.torch import load_file

from hyperfitting.models import load_codec, load_model, save_model, select_trained
from hyperfitting.recipe import (
    LoraSettings,
    ModelSettings,
    TrainSettings,
)
from tests.support.nearness import near
from tests.support.tiny_models import make_model

CPU = torch.device("cpu")
SHAPES = ["llama", "qwen2", "gpt2", "gpt_neox"]  # tied; untied; tied Conv1D; untied with biases


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, tiny_tokenizer):
    """A model of some shape, its codec, and adapters whose B is not zero."""

    def make(kind, **changes):
        folder = make_model(tmp_path_factory.mktemp("adapted") / kind, tiny_tokenizer, kind)
        settings = ModelSettings(source=str(folder))
        torch.manual_seed(0)
        train = {
            "learning_rate": 1e-3,
            "epochs": 1,
            "parameters": "lora",
            "lora": LoraSettings(rank=4, alpha=8.0),
        }
        selection = select_trained(load_model(settings, CPU), TrainSettings(**train | changes))
        for _, weight in selection.trained:
            weight.data.add_(0.1 * torch.randn(weight.shape))
        return selection, load_codec(settings)

    return make


def logits(model):
    with torch.no_grad():
        return model(torch.arange(40).view(2, 20)).logits


@pytest.mark.parametrize("parameters", ["lora", "late-lora:1"])
@pytest.mark.parametrize("kind", SHAPES)
def test_merged_adapters_give_the_logits_of_unmerged_ones(adapted, tmp_path, kind, parameters):
    selection, codec = adapted(kind, parameters=parameters)
    unmerged = logits(selection.model)
    merged = selection.merge()
    assert not [
        name for name, _ in merged.named_parameters() if "lora" in name or "base_layer" in name
    ]
    assert near(logits(merged), unmerged, 1e-5)
    save_model(merged, codec, tmp_path / "saved", card="")
    loaded = load_model(ModelSettings(source=str(tmp_path / "saved")), CPU)
    assert near(logits(loaded), unmerged, 1e-5)


@pytest.mark.parametrize("kind", SHAPES)
def test_adapters_do_something(adapted, kind):
    selection, _ = adapted(kind)
    with_adapters = logits(selection.model)
    for name, weight in selection.trained:
        if "lora_B" in name:
            weight.data.zero_()
    assert not near(with_adapters, logits(selection.model), 1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_embeddings_trained_beside_adapters_stay_tied(adapted, tmp_path, kind):
    selection, codec = adapted(kind, embeddings=True)
    unmerged = logits(selection.model)
    merged = selection.merge()
    save_model(merged, codec, tmp_path / "saved", card="")
    loaded = load_model(ModelSettings(source=str(tmp_path / "saved")), CPU)
    for model in (merged, loaded):
        assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
        assert near(logits(model), unmerged, 1e-5)
    assert not any(
        "lm_head" in name for name in load_file(tmp_path / "saved" / "model.safetensors")
    )
