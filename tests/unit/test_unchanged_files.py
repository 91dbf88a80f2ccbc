"""A model whose files stay as they are is tried once; as soon as one changes, it is tried anew."""

import shutil

import pytest
import torch
import transformers

from hyperfitting.models import load_config, load_model, traits_of
from hyperfitting.recipe import ModelSettings
from tests.support.folders import edit_json
from tests.support.saving import change_weights, flip

CPU = torch.device("cpu")


@pytest.fixture
def forwards(monkeypatch):
    """How many forwards it takes to load a model by some settings."""
    true_forward, counted = transformers.LlamaForCausalLM.forward, []

    def forward(self, *arguments, **options):
        counted.append(1)
        return true_forward(self, *arguments, **options)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", forward)

    def count(folder, *, tokens=None, **settings):
        counted.clear()
        model = load_model(ModelSettings(source=str(folder), **settings), CPU, tokens=tokens)
        assert traits_of(model).decoding == "cache"
        return len(counted)

    return count


def test_the_same_files_are_tried_once(model_copy, forwards):
    first = forwards(model_copy)
    assert first > 5
    assert forwards(model_copy) == 0
    # In another dtype, and at another length, rounding and windows may show.
    assert forwards(model_copy, dtype="bfloat16") >= first
    assert forwards(model_copy, tokens=40) >= first
    assert forwards(model_copy, tokens=40) == 0


@pytest.mark.parametrize(
    "change",
    [
        change_weights(flip),
        lambda folder: edit_json(folder / "config.json", rms_norm_eps=1e-4),
        lambda folder: (folder / "model.safetensors").rename(folder / "m.safetensors"),
        lambda folder: (folder / "modeling.py").write_text(""),
    ],
)
def test_files_that_have_changed_are_tried_anew(model_copy, forwards, change):
    first = forwards(model_copy)
    change(model_copy)
    if (model_copy / "m.safetensors").exists():
        (model_copy / "m.safetensors").rename(model_copy / "model.safetensors")
    assert forwards(model_copy) == first


def test_another_folder_of_the_same_files_is_tried_anew(model_copy, tmp_path, forwards):
    first = forwards(model_copy)
    shutil.rmtree(shutil.copytree(model_copy, tmp_path / "other"))
    assert forwards(shutil.copytree(model_copy, tmp_path / "other")) == first


def test_every_caller_has_a_config_of_its_own(model_copy):
    settings = ModelSettings(source=str(model_copy))
    load_config(settings).num_hidden_layers = 77
    assert load_config(settings).num_hidden_layers == 2
    edit_json(model_copy / "config.json", num_hidden_layers=1)
    assert load_config(settings).num_hidden_layers == 1
