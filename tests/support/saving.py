"""Models to save, and ways to spoil what transformers writes."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from hyperfitting.errors import ModelError
from hyperfitting.models import load_codec, load_model, save_model
from hyperfitting.recipe import ModelSettings
from tests.support.tiny_models import tiny_config

CPU = torch.device("cpu")
NORM = "model.norm.weight"


def make_vivid(folder, tokenizer, **changes):
    """A random Llama whose greedy texts vary: its weights are large."""
    torch.manual_seed(0)
    config = tiny_config("llama", len(tokenizer))
    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    config.update({"initializer_range": 0.4, **ids, **changes})
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load_both(folder, **settings):
    """Model and codec of a folder."""
    chosen = ModelSettings(source=str(folder), **settings)
    return SimpleNamespace(model=load_model(chosen, CPU), codec=load_codec(chosen))


def save(loaded, folder, **settings):
    save_model(loaded.model, loaded.codec, folder, card="", **settings)
    return folder


def refused(loaded, folder):
    with pytest.raises(ModelError) as caught:
        save(loaded, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SAVE = transformers.PreTrainedModel.save_pretrained


def spoiling(change):
    """transformers' save_pretrained, with something done to the folder after it."""

    def save(self, folder, **settings):
        SAVE(self, folder, **settings)
        change(folder)

    return save


def change_weights(change):
    def spoil(folder):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def flip(weights):
    weights[NORM][5] += 1e-6
