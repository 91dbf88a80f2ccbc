"""What was written is compared with the model in memory, tensor by tensor, before it may take a
former one's place.
"""

import json
import stat

import pytest
import torch
import transformers
from safetensors.torch import load_file

from hyperfitting.errors import ModelError
from tests.support.folders import change_config
from tests.support.loading import load_both
from tests.support.saving import NORM, change_weights, flip, refused, save, spoiling
from tests.support.tiny_models import make_model


@pytest.fixture
def loaded(tiny_model):
    return load_both(tiny_model)


def drop(weights):
    del weights[NORM]


def add(weights):
    weights["model.other.weight"] = torch.ones(3)


def shorten(weights):
    weights[NORM] = weights[NORM][:-1].clone()


def halve(weights):
    weights[NORM] = weights[NORM].bfloat16()


def negate_zero(weights):
    weights["model.layers.0.input_layernorm.weight"][0] = -0.0


def rename(folder):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")


def cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


WRONG_FOLDERS = {
    "a value": (change_weights(flip), f"the saved {NORM} is not the model's"),
    "a tensor less": (change_weights(drop), f"the saved {NORM} is not the model's"),
    "a tensor more": (change_weights(add), "the saved model.other.weight is not the model's"),
    "another shape": (change_weights(shorten), f"the saved {NORM} is not the model's"),
    "another dtype": (change_weights(halve), f"the saved {NORM} is not the model's"),
    "the sign of a zero": (
        change_weights(negate_zero),
        "the saved model.layers.0.input_layernorm.weight is not",
    ),
    "layers fewer in the config": (change_config(num_hidden_layers=1), "the saved model.layers.1."),
    "another width": (change_config(intermediate_size=96), "the saved model.layers.0.mlp."),
    "no tie in the config": (
        change_config(tie_word_embeddings=False),
        "the saved lm_head.weight is not the model's",
    ),
    "other heads of the same width": (
        change_config(num_attention_heads=8, head_dim=4, num_key_value_heads=4),
        "the saved config (num_",
    ),
    "another base of rotations": (
        change_config(rope_parameters=None, rope_theta=5.0),
        "the saved config (rope_",
    ),
    "a file of another name": (rename, "is not the model's"),
    "a file cut short": (cut, "a saved file of weights is damaged"),
    "another architecture": (
        change_config(model_type="qwen2"),
        "the saved config (Qwen2ForCausalLM) is not",
    ),
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "the saved config builds no model",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "is not the model's"),
}


@pytest.mark.parametrize("what", WRONG_FOLDERS)
def test_a_folder_that_is_not_the_model_is_refused(loaded, tmp_path, monkeypatch, what):
    change, words = WRONG_FOLDERS[what]
    with torch.no_grad():
        loaded.model.model.layers[0].input_layernorm.weight[0] = 0.0
    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change))
    message = refused(loaded, tmp_path / "saved")
    assert words in message
    assert message.endswith(": nothing was saved, and the checkpoints are kept")


def test_an_adapter_that_was_loaded_into_the_model_is_noticed(loaded, tmp_path):
    import peft

    loaded.model.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    assert "is not the model's" in refused(loaded, tmp_path / "saved")


def test_weights_that_are_not_numbers_are_compared_by_their_bits(loaded, tmp_path):
    with torch.no_grad():
        loaded.model.model.norm.weight[:2] = torch.tensor([torch.nan, torch.inf])
    saved = load_file(save(loaded, tmp_path / "saved") / "model.safetensors")
    assert saved[NORM][0].isnan()
    assert saved[NORM][1].isinf()


def test_a_tie_that_is_in_the_memory_only_is_refused(tmp_path, tiny_tokenizer):
    loaded = load_both(
        make_model(tmp_path / "model", tiny_tokenizer, "qwen2")
    )  # its head is a weight of its own
    loaded.model.lm_head.weight = loaded.model.model.embed_tokens.weight
    message = refused(loaded, tmp_path / "saved")
    assert (
        message
        == "the saved lm_head.weight is not the model's: nothing was saved, and the checkpoints "
        "are kept"
    )


def test_a_tie_that_is_in_the_config_only_is_taken_out_of_it(tmp_path, tiny_model):
    loaded = load_both(tiny_model)
    loaded.model.lm_head.weight = torch.nn.Parameter(loaded.model.lm_head.weight.detach() + 1)
    assert loaded.model.config.tie_word_embeddings
    saved = save(loaded, tmp_path / "saved")
    assert json.loads((saved / "config.json").read_text())["tie_word_embeddings"] is False
    assert equal(loaded.model, load_both(saved).model)


def equal(one, other):
    held, again = one.state_dict(), other.state_dict()
    assert held.keys() == again.keys()
    return all(
        held[name].equal(again[name]) and held[name].dtype == again[name].dtype for name in held
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "qwen2", "mistral"])
def test_a_saved_model_is_the_model(tmp_path, tiny_tokenizer, kind, dtype):
    loaded = load_both(make_model(tmp_path / "model", tiny_tokenizer, kind), dtype=dtype)
    saved = save(loaded, tmp_path / "saved")
    assert equal(loaded.model, load_both(saved, dtype=dtype).model)
    assert json.loads((saved / "config.json").read_text())["dtype"] == dtype


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_many_files_are_compared_as_one(tmp_path, tiny_tokenizer, kind, monkeypatch):
    loaded = load_both(make_model(tmp_path / "model", tiny_tokenizer, kind))
    saved = save(loaded, tmp_path / "saved", max_shard_size="50KB")
    files = sorted(saved.glob("*.safetensors"))
    assert len(files) > 2
    assert len({stat.S_IMODE(each.stat().st_mode) for each in saved.iterdir()}) == 1
    assert equal(loaded.model, load_both(saved).model)

    def lose_one(folder):
        sorted(folder.glob("*.safetensors"))[1].unlink()

    def name_another(folder):
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        index["weight_map"][NORM] = next(
            each.name for each in files if each.name != index["weight_map"][NORM]
        )
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    def lose_the_index(folder):
        (folder / "model.safetensors.index.json").unlink()

    for change in (lose_one, name_another, lose_the_index):
        monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change))
        with pytest.raises(
            ModelError, match=r"the saved \S+ is not the model's: nothing was saved"
        ):
            save(loaded, tmp_path / change.__name__, max_shard_size="50KB")


def test_experts_that_are_saved_apart_are_compared_as_loaded(tmp_path, tiny_tokenizer, monkeypatch):
    config = transformers.MixtralConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=3,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    transformers.MixtralForCausalLM(config).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    loaded = load_both(tmp_path / "model")
    saved = save(loaded, tmp_path / "saved")
    assert equal(loaded.model, load_both(saved).model)
    stored = load_file(saved / "model.safetensors")
    assert set(stored) != set(loaded.model.state_dict())  # else this test shows nothing
    name = next(name for name in stored if "experts.1." in name)

    def spoil(weights):
        weights[name][0, 0] += 1

    monkeypatch.setattr(
        transformers.PreTrainedModel, "save_pretrained", spoiling(change_weights(spoil))
    )
    assert f"the saved {name} is not the model's" in refused(loaded, tmp_path / "wrong")
