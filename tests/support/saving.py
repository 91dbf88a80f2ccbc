"""Models to save, and ways to spoil what transformers writes."""

import torch
import transformers

from hyperfitting.errors import ModelError
from hyperfitting.models import save_model
from tests.support.folders import rewrite_weights
from tests.support.refusals import refusal
from tests.support.tiny_models import tiny_config

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


def save(loaded, folder, **settings):
    save_model(loaded.model, loaded.codec, folder, card="", **settings)
    return folder


def refused(loaded, folder):
    return refusal(ModelError, save, loaded, folder)


SAVE = transformers.PreTrainedModel.save_pretrained


def spoiling(change):
    """transformers' save_pretrained, with something done to the folder after it."""

    def save(self, folder, **settings):
        SAVE(self, folder, **settings)
        change(folder)

    return save


def change_weights(change):
    def spoil(folder):
        rewrite_weights(folder / "model.safetensors", change)

    return spoil


def flip(weights):
    weights[NORM][5] += 1e-6
