"""What is said of a model folder that transformers cannot read: the file, the key and the remedy,
in our own words.
"""

import json
import shutil

import pytest
import torch

from hyperfitting.errors import ModelError
from hyperfitting.models import build_empty, load_codec, load_model
from hyperfitting.recipe import ModelSettings
from tests.support.folders import change_config

LOADERS = {
    "codec": load_codec,
    "architecture": build_empty,
    "model": lambda settings: load_model(settings, torch.device("cpu")),
}


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def written(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def without_shard(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


CASES = [
    (
        without("tokenizer.json"),
        "codec",
        "it has no tokenizer: put the model's own there (tokenizer.json and",
    ),
    (
        without("tokenizer.json", "tokenizer_config.json"),
        "codec",
        "it has no tokenizer: put the model's own there",
    ),
    (
        written("tokenizer.json", b"{}"),
        "codec",
        "transformers cannot read its tokenizer (KeyError; HYPERFIT_DEBUG=1",
    ),
    (
        written("tokenizer.json", b"[]"),
        "codec",
        "tokenizer.json is damaged (not a JSON object): download it again",
    ),
    (
        written("tokenizer.json", b"\xff\xfe"),
        "codec",
        "tokenizer.json is damaged (not UTF-8): download it again",
    ),
    (
        written("tokenizer.json", b"{\n{"),
        "codec",
        "tokenizer.json is damaged (line 2 is not JSON): download it again",
    ),
    (
        written("config.json", b"[]"),
        "model",
        "config.json is damaged (not a JSON object): download it again",
    ),
    (
        written("config.json", b"{}"),
        "codec",
        "its config.json does not say what model it is: set model_type there",
    ),
    (
        change_config(model_type="nosuch"),
        "codec",
        "transformers does not know models of the type 'nosuch' (config.json)",
    ),
    (
        change_config(model_type="t5"),
        "model",
        "transformers has no causal language model of the type 't5'",
    ),
    (
        change_config(num_attention_heads=5),
        "codec",
        "its config.json: hidden_size is no multiple of num_attention_heads",
    ),
    (
        change_config(num_attention_heads=0),
        "codec",
        "transformers cannot read its config.json (ZeroDivisionError; HYPERFIT",
    ),
    (
        change_config(hidden_size="many"),
        "model",
        "its config.json: hidden_size is of another type than it must be",
    ),
    (
        change_config(hidden_act="nosuch"),
        "architecture",
        "its config.json: hidden_act = 'nosuch' is not known",
    ),
    (change_config(dtype="nosuch"), "model", "its config.json: dtype = 'nosuch' is not known"),
    (
        change_config(rope_parameters={"rope_type": "nosuch"}),
        "model",
        "its config.json: rope_parameters.rope_type = 'nosuch'",
    ),
    (written("model.safetensors", b""), "model", "the weight file is damaged: download it again"),
    (
        without_shard,
        "model",
        "a weight file is missing that its index names, model-00002-of-00002.safetensors: download",
    ),
    (
        lambda folder: (folder / "model.safetensors").rename(folder / "weights.safetensors"),
        "model",
        "it has neither a model.safetensors nor a model.safetensors.index.json that names its "
        "weight files",
    ),
]


@pytest.mark.parametrize(
    ("change", "loader", "words"), CASES, ids=[words[:60] for _, _, words in CASES]
)
def test_a_folder_that_cannot_be_read_is_said_in_our_words(
    tiny_model, tmp_path, change, loader, words
):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    change(folder)
    with pytest.raises(ModelError) as caught:
        LOADERS[loader](ModelSettings(source=str(folder)))
    assert str(caught.value).startswith(f"{folder}: {words}")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_needs_a_package_names_it(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(
        ModelError,
        match=r"it needs the Python package \w+, which is not installed: pip install \w+$",
    ):
        load_codec(ModelSettings(source=str(folder)))
