"""Adapters of PEFT as a source of models: merged into plain weights of their base."""

import shutil

import huggingface_hub
import peft
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from hyperfitting.models import (
    build_empty,
    load_codec,
    load_model,
    save_model,
    source_of,
    traits_of,
)
from tests.support.folders import edit_json
from tests.support.gguf_files import tiny_gguf_model, write_gguf
from tests.support.loading import CPU, logits, model_settings, problem
from tests.support.tiny_models import make_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:peft")


def adapt(base, folder, **options):
    """Save a random adapter of the model in `base`; the adapted model."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(r=2, task_type="CAUSAL_LM", init_lora_weights=False, **options)
    adapted = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "modules_to_save" in name or "trainable_tokens" in name:
                weight.add_(0.1 * torch.randn_like(weight))
    adapted.save_pretrained(folder)
    return adapted


OPTIONS = {
    "layers": {"target_modules": ["q_proj", "down_proj"]},
    "head by an adapter": {"target_modules": ["q_proj", "lm_head"]},
    "embeddings kept whole": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "single tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2, 3]},
    "embeddings and head alike": {
        "target_modules": ["q_proj"],
        "modules_to_save": ["embed_tokens"],
        "ensure_weight_tying": True,
    },
    "an adapter of both": {
        "target_modules": ["q_proj", "embed_tokens"],
        "ensure_weight_tying": True,
    },
}
STAY_TIED = ("layers", "single tokens", "embeddings and head alike", "an adapter of both")


@pytest.mark.parametrize("name", OPTIONS)
def test_the_merged_model_gives_the_logits_of_the_adapted_one(tiny_model, tmp_path, name):
    """The base model has tied embeddings, which peft merges into both places."""
    expected = logits(adapt(tiny_model, tmp_path / "adapter", **OPTIONS[name]))
    merged = load_model(model_settings(tmp_path / "adapter"), CPU)
    assert torch.allclose(logits(merged), expected, atol=1e-4)
    assert not torch.allclose(
        logits(load_model(model_settings(tiny_model), CPU)), expected, atol=1e-2
    )
    assert traits_of(merged).tied == (name in STAY_TIED)
    empty = build_empty(model_settings(tmp_path / "adapter"))
    shapes = {key: each.shape for key, each in empty.state_dict().items()}
    assert shapes == {key: each.shape for key, each in merged.state_dict().items()}
    assert len(list(empty.parameters())) == len(list(merged.parameters()))


def test_a_merged_model_is_saved_as_plain_weights_with_the_tokenizer_of_its_base(
    tiny_model, tmp_path
):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["embeddings kept whole"])
    model, codec = (
        load_model(model_settings(tmp_path / "adapter"), CPU),
        load_codec(model_settings(tmp_path / "adapter")),
    )
    assert codec.fingerprint == load_codec(model_settings(tiny_model)).fingerprint
    save_model(model, codec, tmp_path / "saved", card="")
    again = load_model(model_settings(tmp_path / "saved"), CPU)
    assert torch.equal(logits(again), logits(model))


def test_a_base_may_be_a_gguf_file_and_stand_beside_the_adapter(tmp_path, tiny_tokenizer):
    model = tiny_gguf_model("llama", len(tiny_tokenizer))
    model.save_pretrained(tmp_path / "plain")
    expected = logits(adapt(tmp_path / "plain", tmp_path / "adapter", **OPTIONS["layers"]))
    write_gguf(tmp_path / "adapter" / "base.gguf", model, tiny_tokenizer, "llama")
    edit_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path="base.gguf")
    merged = load_model(model_settings(tmp_path / "adapter"), CPU)
    assert torch.allclose(logits(merged), expected, atol=1e-4)


def test_an_adapter_of_another_base_is_refused(tiny_model, tiny_tokenizer, tmp_path):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["layers"])
    file = tmp_path / "adapter" / "adapter_config.json"
    for name, changes in {
        "wider": {"hidden_size": 64},
        "shallower": {"num_hidden_layers": 1},
    }.items():
        other = make_model(tmp_path / name, tiny_tokenizer, **changes)
        edit_json(file, base_model_name_or_path=str(other))
        assert f"it is an adapter of another model than {other}, which its" in problem(
            tmp_path / "adapter"
        )
    other = make_model(tmp_path / "gpt2", tiny_tokenizer, "gpt2")
    edit_json(file, base_model_name_or_path=str(other))
    assert "it is an adapter of another model than" in problem(tmp_path / "adapter")


def test_a_base_that_is_not_there_or_not_named_is_refused(tiny_model, tmp_path):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["layers"])
    file = tmp_path / "adapter" / "adapter_config.json"
    edit_json(file, base_model_name_or_path="./gone/base")
    assert "its base model ./gone/base is not there (tried " in problem(tmp_path / "adapter")
    edit_json(file, base_model_name_or_path=None)
    assert "names no base model: set base_model_name_or_path" in problem(tmp_path / "adapter")
    edit_json(file, base_model_name_or_path=".")
    assert "its base model . leads back to it: correct base_model" in problem(tmp_path / "adapter")
    shutil.copytree(tmp_path / "adapter", tmp_path / "other")
    edit_json(file, base_model_name_or_path="../other")
    edit_json(tmp_path / "other" / "adapter_config.json", base_model_name_or_path="../adapter")
    assert "other: its base model ../adapter leads back to it" in problem(tmp_path / "adapter")
    file.write_text("{")
    assert "adapter_config.json is damaged (line 1 is not JSON)" in problem(tmp_path / "adapter")


def test_the_files_of_a_base_from_the_hub_are_hashed(tiny_model, tmp_path, monkeypatch):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["layers"])
    here = source_of(model_settings(tmp_path / "adapter"))
    repository, commit = tmp_path / "models--owner--base", "0" * 40
    shutil.copytree(tiny_model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(transformers.utils.hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    edit_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path="owner/base")
    found = source_of(model_settings(tmp_path / "adapter"))
    assert found.base == f"owner/base at {commit}"
    held = [
        {name: digest for name, digest in each.sha256.items() if name.startswith("base/")}
        for each in (found, here)
    ]
    assert held[0] == held[1]
    assert "base/model.safetensors" in held[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "NEWEST"}, "(KeyError; HYPERFIT_DEBUG=1 shows all of it)"),
        ({"task_type": "JUNK"}, "(ValueError; HYPERFIT_DEBUG=1 shows all of it)"),
        ({"r": 0}, "(r = 0 is no rank)"),
        ({"r": -1}, "(r = -1 is no rank)"),
        ({"r": "two"}, "(r = 'two' is no rank)"),
        ({"r": 4}, "(r = 4, and its weights are of rank 2)"),
        ({"lora_alpha": "two"}, "(TypeError; HYPERFIT_DEBUG=1 shows all of it)"),
    ],
)
def test_a_config_that_no_base_could_carry_is_not_said_to_be_of_another_base(
    tiny_model, tmp_path, changes, words
):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["layers"])
    edit_json(tmp_path / "adapter" / "adapter_config.json", **changes)
    said = problem(tmp_path / "adapter")
    assert f"its adapter_config.json cannot be used {words}: put back the one that" in said


def test_an_adapter_that_is_damaged_or_pickled_is_refused(tiny_model, tmp_path):
    adapt(tiny_model, tmp_path / "adapter", **OPTIONS["layers"])
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "adapter_model.safetensors is damaged" in problem(tmp_path / "adapter")
    shutil.move(weights, tmp_path / "adapter" / "adapter_model.bin")
    assert "pickled weights can run code and are not read" in problem(tmp_path / "adapter")


def test_an_adapter_that_cannot_be_merged_is_refused(tiny_model, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    peft.get_peft_model(model, prompt).save_pretrained(tmp_path / "adapter")
    assert "an adapter of this kind cannot be merged" in problem(tmp_path / "adapter")
